"""Who drives: the clone at first, the actor once the marks say that it is no worse."""

from __future__ import annotations

from collections import Counter

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
        ("++-", "++++", True),
        ("+" * 8, "++++", False),  # as good so far, but of the clone more is known
        ("+" * 8, "+" * NEWEST, False),
        ("+++", "+" * NEWEST, True),
        ("+-+-", "--------++++++", True),  # what it did long ago counts no more
        ("+-+-", "++++++++------", False),  # it has got worse: the clone is back
    ],
)
def test_the_actor_must_be_no_worse(clone: str, actor: str, outdone: bool) -> None:
    assert is_clone_outdone([*went(CLONE, clone), *went(ACTOR, actor)]) is outdone
    assert is_clone_outdone([*went(ACTOR, actor), *went(CLONE, clone)]) is outdone


def test_nothing_is_known_of_fewer_than_the_fewest() -> None:
    assert not is_clone_outdone(went(ACTOR, "+" * (FEWEST - 1)))
    assert is_clone_outdone(went(ACTOR, "+" * FEWEST))


def test_a_clone_in_play_drives_first_and_then_takes_turns() -> None:
    turns = [next_turn(online, 3, 2, has_clone=True) for online in range(9)]
    assert turns[:3] == [Turn.CLONE] * 3
    assert turns[3:6] == turns[6:9] == [Turn.EXPLORE, Turn.DEPLOY, Turn.CLONE]


@pytest.mark.parametrize("has_clone", [True, False])
@pytest.mark.parametrize("deployed_every", [0, 1, 2, 4])
def test_the_averaged_actor_drives_as_often_as_was_said(deployed_every: int, has_clone: bool) -> None:
    turns = Counter(next_turn(online, 0, deployed_every, has_clone) for online in range(120))
    assert bool(turns[Turn.CLONE]) is has_clone
    assert bool(turns[Turn.DEPLOY]) is (deployed_every > 0)
    if deployed_every > 1:
        assert turns[Turn.EXPLORE] == (deployed_every - 1) * turns[Turn.DEPLOY]


def test_without_a_clone_there_is_no_difference_in_the_warm_up() -> None:
    assert [next_turn(online, 3, 2, has_clone=False) for online in range(4)] == [
        Turn.EXPLORE,
        Turn.DEPLOY,
        Turn.EXPLORE,
        Turn.DEPLOY,
    ]


def test_who_drove_is_written_down() -> None:
    assert {turn: turn.driver for turn in Turn} == {
        Turn.EXPLORE: Driver.POLICY,
        Turn.DEPLOY: Driver.POLICY,
        Turn.CLONE: Driver.CLONE,
    }
