"""Who drives, and when the learned actor is put to work in the clone's place."""

from __future__ import annotations

import pytest

from robot_rlhf.feedback.types import Driver
from robot_rlhf.learning.turns import FEWEST, NEWEST, Turn, is_proven, next_turn


@pytest.mark.parametrize(
    ("marks", "proven"),
    [
        ("", False),
        ("+" * (FEWEST - 1), False),  # too few to say
        ("+" * FEWEST, True),
        ("+++-", True),
        ("++--", False),
        ("+++-++", True),
        ("-+++++", True),
        ("++++--", True),  # it was proven, and is not lost yet
        ("-" * 9 + "+" * NEWEST, True),  # what it did long ago counts no more
        ("+" * 9 + "-" * NEWEST, False),  # it has got worse: the clone is back
        ("+" * 9 + "--+-", True),  # three bad ones of six may be chance
        ("--+-++", False),  # but do not prove it either
        ("+++-" + "-" * 3 + "++-", True),  # nor are four of six at once
    ],
)
def test_the_operators_marks_speak_for_the_actor_or_against_it(marks: str, proven: bool) -> None:
    assert is_proven([mark == "+" for mark in marks]) is proven


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
