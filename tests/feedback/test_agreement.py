"""How far operators agree, with themselves and with each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.feedback.agreement import asked_of_two, asked_twice, is_for_two
from robot_rlhf.feedback.types import Choice, Preference, Query, Segment

A, B, C = Segment(0, 0, 5), Segment(1, 0, 5), Segment(2, 0, 5)
QUERIES = {
    "q": Query("q", A, B, "random"),
    "again": Query("again", B, A, "repeat"),
    "other": Query("other", A, C, "random"),
}


def said(operator: str, query: str, choice: Choice, id: str = "") -> Preference:
    asked = QUERIES[query]
    return Preference(
        id=id or f"{operator} {query}",
        operator=operator,
        session="s",
        time_ns=1,
        query=query,
        left=asked.left,
        right=asked.right,
        choice=choice,
        response_s=1.0,
    )


def test_a_pair_that_is_asked_again_is_asked_with_its_sides_swapped() -> None:
    assert asked_twice([said("ada", "q", Choice.LEFT), said("ada", "again", Choice.RIGHT)], QUERIES) == [True]
    assert asked_twice([said("ada", "q", Choice.LEFT), said("ada", "again", Choice.LEFT)], QUERIES) == [False]
    assert asked_twice([said("ada", "q", Choice.EQUAL), said("ada", "again", Choice.EQUAL)], QUERIES) == [
        True
    ]
    assert asked_twice([said("ada", "q", Choice.LEFT)], QUERIES) == []


def test_two_who_compared_the_same_clips_agree_or_do_not() -> None:
    answers = [
        said("bob", "q", Choice.LEFT),
        said("ada", "q", Choice.LEFT),
        said("ada", "other", Choice.LEFT),
        said("bob", "other", Choice.EQUAL),
        said("cid", "other", Choice.EQUAL),
    ]
    assert asked_of_two(answers) == {
        ("ada", "bob"): [True, False],
        ("ada", "cid"): [False],
        ("bob", "cid"): [True],
    }


def test_it_counts_whichever_side_the_clips_were_on() -> None:
    assert asked_of_two([said("ada", "q", Choice.LEFT), said("bob", "again", Choice.RIGHT)]) == {
        ("ada", "bob"): [True]
    }


def test_who_cannot_tell_has_said_nothing_and_nobody_agrees_with_themselves_here() -> None:
    assert asked_of_two([said("ada", "q", Choice.CANNOT_TELL), said("bob", "q", Choice.LEFT)]) == {}
    assert asked_of_two([said("ada", "q", Choice.LEFT), said("ada", "again", Choice.LEFT)]) == {}


def test_an_operator_s_first_answer_counts() -> None:
    answers = [
        said("ada", "q", Choice.LEFT),
        said("bob", "q", Choice.LEFT),
        said("ada", "again", Choice.LEFT),
    ]
    assert asked_of_two(answers) == {("ada", "bob"): [True]}


@given(st.text(min_size=1))
def test_none_and_all_are_asked_of_two(id: str) -> None:
    assert not is_for_two(id, 0.0)
    assert is_for_two(id, 1.0)


def test_the_share_that_is_asked_of_two_is_what_it_should_be() -> None:
    assert 160 < sum(is_for_two(f"q{number}", 0.2) for number in range(1000)) < 240
