"""Easier starts, nearer to where the expert goes first, for whoever asks for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sim.env import TaskEnv
from sim.task import TASKS

MakeEnv = Callable[..., TaskEnv]


@pytest.mark.parametrize("task", TASKS)
def test_the_tool_starts_at_that_share_of_its_way_and_everything_else_as_it_would(
    task: str, make_env: MakeEnv
) -> None:
    env, tools = make_env(task), []
    starts = []
    for options in ({"spread": 0.0}, {"spread": 0.25}, {"spread": 1.0}, None):
        env.reset(seed=4, options=options)
        starts.append(env.start)
        tools.append(env.scene.tool_pos_m)
    first, quarter, whole, plain = (start.tool_pos_m for start in starts)
    assert (whole == plain).all()
    assert quarter == pytest.approx(first + 0.25 * (plain - first))
    assert np.linalg.norm(tools[0] - first) < 5e-3, "the arm reaches it"
    assert np.linalg.norm(env.task.expert(env.scene).pos_m - first) < 1e-4, (
        "it is where the expert goes first"
    )
    for start in starts:
        assert all((start.poses[name] == pose).all() for name, pose in starts[-1].poses.items())


def test_a_share_that_is_none_is_refused(make_env: MakeEnv) -> None:
    with pytest.raises(ValueError, match=r"spread is 1\.5"):
        make_env("reach").reset(seed=0, options={"spread": 1.5})
