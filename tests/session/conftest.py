"""A run that is small enough to go its whole road in a second or two, and learns next to nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from robot_rlhf.learning.policy_config import CloneConfig, SACConfig
from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.session.config import RunConfig, ScheduleConfig


def _tiny(seed: int = 3, **changes: Any) -> RunConfig:
    schedule = ScheduleConfig(
        demonstrations=3,
        alternatives=1,
        episodes=4,
        warmup_episodes=2,
        episodes_per_fit=2,
        pairs_first=4,
        pairs_last=1,
        evaluate_every=0,
        final_episodes=2,
    )
    config = RunConfig(
        task="reach",
        seed=seed,
        threads=1,
        schedule=schedule,
        reward_model=RewardConfig(hidden=16, fit_steps=20, min_steps=5, check_every=5),
        sac=SACConfig(hidden=32, updates_per_step=1, batch_size=32),
        clone=CloneConfig(hidden=16, steps=60, chunk=2),
    )
    return dataclasses.replace(config, **changes)


@pytest.fixture(scope="session")
def tiny() -> Callable[..., RunConfig]:
    """tiny(seed=3, **changes): the config of such a run."""
    return _tiny
