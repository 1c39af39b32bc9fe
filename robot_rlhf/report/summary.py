"""summary.json: how a finished run ended, for programs to read."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from robot_rlhf.feedback.types import Kind
from robot_rlhf.report.files import write_atomically

NAME = "summary.json"
REPORTED = ("robot-rlhf", "numpy", "torch", "pybullet", "gymnasium", "msgspec", "matplotlib")


class RewardSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The newest reward model on feedback it was not fitted on; None where there was none of it."""

    accuracy: float | None
    nll: float | None
    calibration_error: float | None


class Summary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a run ended. Rates are of the final autonomous evaluation over `episodes` fresh starts;
    `operator_seconds` is time with a hand on something, `attended_seconds` time that had to be sat
    through; `feedback` counts what was given, by kind; `reward_model` is None where none was fitted.
    `judged_by` the operator: on a served arm the rates are of the newest episodes that the policy drove
    alone, as they were marked."""

    task: str
    seed: int
    success_rate: float
    wilson_low: float
    wilson_high: float
    episodes: int
    environment_steps: int
    operator_seconds: float
    attended_seconds: float
    wall_seconds: float
    feedback: dict[Kind, int]
    reward_model: RewardSummary | None
    versions: dict[str, str]
    judged_by: Literal["task", "operator"] = "task"

    def __post_init__(self) -> None:
        if not 0.0 <= self.wilson_low <= self.success_rate <= self.wilson_high <= 1.0:
            raise ValueError(
                f"success_rate {self.success_rate} with interval {self.wilson_low} to {self.wilson_high}: "
                "expected 0 <= wilson_low <= success_rate <= wilson_high <= 1"
            )


def write_summary(run: Path, summary: Summary) -> Path:
    """Write RUN/summary.json, replacing an older one in one step, and return its path."""
    path = run / NAME
    write_atomically(path, msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    return path


def read_summary(run: Path) -> Summary | None:
    """The summary of a run, or None while it has none. Raises ValueError naming the file and the field."""
    path = run / NAME
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Summary)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is not a run's summary: {error}") from error


def installed_versions() -> dict[str, str]:
    """Python and the packages a result depends on, by name; packages that are not installed are left out."""
    versions = {"python": platform.python_version()}
    for name in REPORTED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
