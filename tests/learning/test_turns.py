"""Who drives."""

from __future__ import annotations

import pytest

from robot_rlhf.feedback.types import Driver
from robot_rlhf.learning.turns import Turn, next_turn


@pytest.mark.parametrize("deployed_every", [0, 1, 2, 4])
def test_the_averaged_actor_drives_as_often_as_was_said(deployed_every: int) -> None:
    turns = [next_turn(online, deployed_every) for online in range(120)]
    assert set(turns) <= {Turn.EXPLORE, Turn.DEPLOY}
    assert turns.count(Turn.DEPLOY) == (120 // deployed_every if deployed_every else 0)


def test_who_drove_is_written_down() -> None:
    assert {turn: turn.driver for turn in Turn} == {
        Turn.EXPLORE: Driver.POLICY,
        Turn.DEPLOY: Driver.POLICY,
        Turn.CLONE: Driver.CLONE,
    }
