"""Environments side by side go the way that each goes alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.env import TaskEnv
from sim.task import TASKS
from sim.vector import vector_env

STEPS = 60  # longer than an episode of reach


def driven(task: str, processes: bool) -> list[NDArray[Any]]:
    """What three environments say of the same random actions: observations, rewards, ends."""
    envs = vector_env(task, 3, processes=processes)
    try:
        rng, said = np.random.default_rng(0), [envs.reset(seed=5)[0]]
        for _ in range(STEPS):
            action = rng.uniform(-1, 1, envs.action_space.shape).astype(np.float32)
            obs, reward, terminated, truncated, _ = envs.step(action)
            said += [obs.copy(), reward.copy(), terminated, truncated]
        return said
    finally:
        envs.close()


@pytest.mark.parametrize("task", sorted(TASKS))
def test_one_process_and_several_go_the_same_way_to_the_bit(task: str) -> None:
    for one, other in zip(driven(task, processes=False), driven(task, processes=True), strict=True):
        np.testing.assert_array_equal(one, other)


def test_pictures_are_the_same_in_one_process_and_several() -> None:
    said = []
    for processes in (False, True):
        envs = vector_env("reach", 2, processes=processes, cameras=("wrist",), camera_px=32)
        try:
            envs.reset(seed=1)
            said.append(envs.step(np.full(envs.action_space.shape, 0.5, np.float32))[0])
        finally:
            envs.close()
    one, other = said
    assert one["wrist"].shape == (2, 32, 32, 3) and one["state"].shape == (2, 6)
    assert all((one[name] == other[name]).all() for name in one)


def test_each_goes_the_way_that_it_goes_alone_and_begins_anew_after_its_end() -> None:
    said = driven("reach", processes=False)
    env, rng = TaskEnv("reach"), np.random.default_rng(0)
    obs, _ = env.reset(seed=6)  # the second of seeds 5, 6, 7
    np.testing.assert_array_equal(said[0][1], obs)
    over = False
    for step in range(STEPS):
        action = rng.uniform(-1, 1, (3, 3)).astype(np.float32)[1]
        if over:
            obs, over = env.reset()[0], False
        else:
            obs, _, _, over, _ = env.step(action)
        np.testing.assert_array_equal(said[1 + 4 * step][1], obs)
        assert bool(said[4 + 4 * step][1]) is over
    env.close()


@pytest.mark.parametrize(("task", "count", "complaint"), [("reach", 0, "count is 0"), ("fly", 1, "'fly'")])
def test_what_cannot_be_made_is_named(task: str, count: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        vector_env(task, count)
    with pytest.raises(ValueError, match="nose"):
        vector_env("reach", 1, cameras=("nose",))
