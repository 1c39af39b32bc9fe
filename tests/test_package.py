"""`import robot_rlhf` gives a version and Gymnasium the tasks."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import msgspec
import pytest

import robot_rlhf
from sim.task import TASKS

PROJECT = msgspec.toml.decode((Path(__file__).parents[1] / "pyproject.toml").read_bytes())["project"]


def test_the_version_is_the_distributions() -> None:
    assert robot_rlhf.__version__ == PROJECT["version"]


def test_every_task_is_registered() -> None:
    assert set(robot_rlhf.ENVIRONMENTS.values()) == set(TASKS)


@pytest.mark.parametrize(("name", "task"), robot_rlhf.ENVIRONMENTS.items())
def test_gymnasium_makes_the_environment_which_alone_decides_when_an_episode_ends(
    name: str, task: str
) -> None:
    env = gymnasium.make(f"robot_rlhf:{name}")
    assert env.spec is not None
    assert env.spec.max_episode_steps is None
    assert env.unwrapped.task.name == task  # type: ignore[attr-defined]
    env.reset(seed=0)
    env.close()
