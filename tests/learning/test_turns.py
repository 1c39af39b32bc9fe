"""Who drives: the clone at first, the actor once the marks say that it is no worse."""

from __future__ import annotations

import pytest

from robot_rlhf.feedback.types import Driver
from robot_rlhf.learning.turns import FEWEST, NEWEST, Record, Turn, is_clone_outdone, next_turn


def went(driver: Driver, marks: str) -> list[Record]:
    """One record a letter: + a success, - none."""
    return [Record(driver, mark == "+") for mark in marks]


CLONE, ACTOR = Driver.CLONE, Driver.POLICY


@pytest.mark.parametrize(
    ("clone", "actor", "outdone"),
    [
        ("", "", False),
        ("+++", "", False),
        ("---", "+++", False),  # too few to say
        ("---", "++++", True),
        ("+++", "----", False),
        ("+++", "++++", True),
        ("+++", "+++-", False),
        ("+++", "++++++--", True),  # it is learning, and the clone is not
        ("+++", "+++++---", False),
        ("++-", "+++-", True),
        ("+-+-", "-" * NEWEST + "+" * NEWEST, True),  # what it did long ago counts no more
        ("+++", "+" * NEWEST + "-" * NEWEST, False),  # it has got worse: the clone is back
    ],
)
def test_the_actor_must_be_no_worse(clone: str, actor: str, outdone: bool) -> None:
    assert is_clone_outdone([*went(CLONE, clone), *went(ACTOR, actor)]) is outdone
    assert is_clone_outdone([*went(ACTOR, actor), *went(CLONE, clone)]) is outdone


def test_nothing_is_known_of_fewer_than_the_fewest() -> None:
    assert not is_clone_outdone(went(ACTOR, "+" * (FEWEST - 1)))
    assert is_clone_outdone(went(ACTOR, "+" * FEWEST))


@pytest.mark.parametrize("has_clone", [True, False])
@pytest.mark.parametrize("deployed_every", [0, 1, 2, 4])
def test_the_clone_drives_first_and_the_averaged_actor_as_often_as_was_said(
    deployed_every: int, has_clone: bool
) -> None:
    turns = [next_turn(online, 12, deployed_every, has_clone) for online in range(120)]
    assert (set(turns[:12]) == {Turn.CLONE}) is has_clone
    assert Turn.CLONE not in turns[12:]
    assert turns[12:].count(Turn.DEPLOY) == (108 // deployed_every if deployed_every else 0)


def test_who_drove_is_written_down() -> None:
    assert {turn: turn.driver for turn in Turn} == {
        Turn.EXPLORE: Driver.POLICY,
        Turn.DEPLOY: Driver.POLICY,
        Turn.CLONE: Driver.CLONE,
    }
