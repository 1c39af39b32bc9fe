"""The config each task is trained with unless told otherwise; docs/measurements.md shows what it gives."""

from __future__ import annotations

from robot_rlhf.learning.policy_config import SACConfig
from robot_rlhf.session.config import RunConfig, ScheduleConfig


def preset(task: str) -> RunConfig:
    """The tuned config of a task; a task without one gets the defaults."""
    if task == "reach":  # a thousand steps in all, so a short warm-up and a short average
        return RunConfig(
            task=task,
            schedule=ScheduleConfig(demonstrations=8, episodes=16, pairs_first=6),
            sac=SACConfig(critic_warmup_updates=400, actor_average=0.99),
        )
    return RunConfig(task=task)
