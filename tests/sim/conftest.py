"""Environments that are closed when their test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sim.env import NEVER, TaskEnv
from sim.randomise import RandomiseConfig
from sim.task import Task


@pytest.fixture
def make_env() -> Iterator[Callable[..., TaskEnv]]:
    """make_env(task, control_hz=10.0, end_on_success=False, arm="panda", randomise=NEVER, cameras=())."""
    made: list[TaskEnv] = []

    def make(
        task: str | Task = "reach",
        control_hz: float = 10.0,
        end_on_success: bool = False,
        arm: str = "panda",
        randomise: RandomiseConfig = NEVER,
        cameras: tuple[str, ...] = (),
    ) -> TaskEnv:
        env = TaskEnv(task, control_hz, end_on_success, arm=arm, randomise=randomise, cameras=cameras)
        made.append(env)
        return env

    yield make
    for env in made:
        env.close()
