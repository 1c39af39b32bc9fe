"""The config each task is trained with unless told otherwise; docs/measurements.md shows what it gives."""

from __future__ import annotations

from robot_rlhf.session.config import RunConfig, ScheduleConfig


def preset(task: str) -> RunConfig:
    """The tuned config of a task; a task without one gets the defaults."""
    if task == "reach":
        return RunConfig(task=task, schedule=ScheduleConfig(demonstrations=8, episodes=12, pairs_first=6))
    return RunConfig(task=task)
