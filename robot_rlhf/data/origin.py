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
