"""Which evidence is asked for: what a second of it tells."""

from __future__ import annotations

from robot_rlhf.feedback.types import Kind
from robot_rlhf.session.worth import Watching


def watching(press_s: float, press_nats: float, mark_s: float = 3.0, mark_nats: float = 0.3) -> Watching:
    seconds = {"mark": mark_s, "press": press_s} if press_s else {"mark": mark_s}
    return Watching(seconds, {Kind.OUTCOMES: mark_nats, Kind.EVALUATIONS: press_nats})


def test_the_worth_is_what_all_of_it_told_a_second() -> None:
    assert watching(2.0, 0.2).worth == 0.1
    assert Watching().worth == 0.0


def test_presses_rest_while_a_second_of_them_tells_less_than_one_of_the_rest() -> None:
    assert not watching(3.0, 0.31).presses_rest(1)
    assert watching(3.0, 0.29).presses_rest(1)
    assert watching(6.0, 0.31).presses_rest(1)


def test_they_go_on_where_nothing_is_known_and_where_nothing_else_is_said() -> None:
    assert not Watching().presses_rest(1)
    assert not watching(3.0, 0.0, mark_nats=0.0).presses_rest(1)
    assert not Watching({"press": 3.0}, {Kind.EVALUATIONS: 0.1}).presses_rest(1)


def test_resting_ones_are_tried_again_once_in_four_rounds() -> None:
    resting = [watching(0.0, 0.0).presses_rest(index) for index in range(1, 9)]
    assert resting == [True, True, True, False, True, True, True, False]
