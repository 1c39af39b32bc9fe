"""Where a dataset comes from, as it stands in the metadata of each format."""

from __future__ import annotations

from typing import Any

import msgspec

from robot_rlhf.data.stream import Export


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What no format has a place for. `reward` says in words which reward the dataset holds, the three after
    it the same for programs."""

    software: str
    task: str
    goal: str
    seed: int
    robot: str
    control_hz: float
    reward: str
    reward_version: int
    reward_checkpoint: str | None
    reward_sha256: str | None

    @staticmethod
    def of(export: Export) -> Origin:
        facts = export.reward.facts
        return Origin(
            software=export.software,
            task=export.task.name,
            goal=export.task.goal,
            seed=export.seed,
            robot=export.robot,
            control_hz=export.control_hz,
            reward=facts.name,
            reward_version=facts.version,
            reward_checkpoint=facts.checkpoint,
            reward_sha256=facts.sha256,
        )

    def as_json(self) -> dict[str, Any]:
        """For a JSON file or attribute."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class Known(msgspec.Struct, frozen=True):
    """What a dataset's metadata tells of its origin; None where it does not."""

    task: str | None = None
    control_hz: float | None = None
    robot: str | None = None


def known(found: dict[str, Any]) -> Known:
    """Out of what `Origin.as_json` wrote, or anything else."""
    task, hz, robot = found.get("task"), found.get("control_hz"), found.get("robot")
    return Known(
        task if isinstance(task, str) else None,
        float(hz) if isinstance(hz, (int, float)) and not isinstance(hz, bool) else None,
        robot if isinstance(robot, str) else None,
    )


def parsed(text: object) -> dict[str, Any]:
    """The JSON object in `text`; empty where there is none."""
    try:
        found = msgspec.json.decode(text) if isinstance(text, str) else None
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
