"""Comparing clips: what an answer is, what is no answer, and that nothing is said twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pygame
import pytest

from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.input.snapshot import Snapshot
from robot_rlhf.console.scene.orbit import Pointer
from robot_rlhf.console.screens.prefer.comparison import BREAK_PAIRS, NO_PAIR, READ_FIRST, TOO_SOON, Fate
from robot_rlhf.console.screens.prefer.screen import CHOICES, PreferScreen
from robot_rlhf.feedback.link import OperatorLink
from robot_rlhf.feedback.messages import Stage
from robot_rlhf.feedback.types import Choice

LEFT, RIGHT = Action.CHOOSE_LEFT, Action.CHOOSE_RIGHT


MS = 1_000_000


class Seen(PreferScreen):
    """Whose pictures are seen as soon as there is something new to see, without drawing them."""

    def update(self, commands: Commands, link: OperatorLink, now_ns: int) -> None:
        super().update(commands, link, now_ns)
        question = self._comparison.question
        self._drawn = question.pair if question is not None else None


@pytest.fixture
def prefer(stage: Any) -> Any:
    """Three pairs, the first of which takes answers already."""
    stage.link.pairs = [stage.pair(name) for name in ("q1", "q2", "q3")]
    stage.show(Seen(stage.shared, stage.orbit()))
    stage.run(0.5)
    return stage


def stall(stage: Any, seconds: float, *fired: Action, ago_s: tuple[float, ...]) -> None:
    """No pass for so long; the next one has what was pressed so many seconds before it."""
    stage.now_ns += round(seconds * 1e9) - 4 * MS
    now_ns = stage.now_ns + 4 * MS
    stage.step(*fired, fired_ns=tuple(now_ns - round(ago * 1e9) for ago in ago_s))


def notice(stage: Any) -> str:
    return stage.shared.notice.text if stage.shared.notice is not None else ""


def state(stage: Any) -> Any:
    return stage.screen._state


@pytest.mark.parametrize("action", list(CHOICES))
def test_each_of_the_four_answers_is_said_as_it_is_meant(prefer: Any, action: Action) -> None:
    prefer.step(action)
    assert prefer.link.said == [("prefer", "q1", CHOICES[action].value)]


def test_the_next_pair_is_there_in_the_same_pass(prefer: Any) -> None:
    prefer.step(LEFT)
    assert state(prefer).question.pair.query.id == "q2"


class TestADoublePress:
    def test_within_the_lock_out_it_answers_one_pair_only(self, prefer: Any) -> None:
        prefer.step(LEFT)
        prefer.run(0.38)
        prefer.step(LEFT)
        assert [query for query, *_ in prefer.link.answers] == ["q1"]

    def test_in_one_pass_it_answers_one_pair_only(self, prefer: Any) -> None:
        prefer.step(LEFT, RIGHT)
        assert [(query, choice) for query, choice, *_ in prefer.link.answers] == [("q1", Choice.LEFT)]

    def test_after_the_lock_out_it_is_an_answer(self, prefer: Any) -> None:
        prefer.step(LEFT)
        prefer.run(0.42)
        prefer.step(RIGHT)
        assert [query for query, *_ in prefer.link.answers] == ["q1", "q2"]

    def test_the_first_pair_is_locked_as_well(self, stage: Any) -> None:
        stage.link.pairs = [stage.pair("q1")]
        stage.show(PreferScreen(stage.shared, stage.orbit()))
        stage.step(LEFT)
        assert stage.link.said == []


class TestAWindowThatStalls:
    def test_an_answer_pressed_meanwhile_counts(self, prefer: Any) -> None:
        stall(prefer, 0.9, LEFT, ago_s=(0.4,))
        assert [query for query, *_ in prefer.link.answers] == ["q1"]
        assert notice(prefer) == ""

    def test_it_counts_from_when_it_was_pressed(self, prefer: Any) -> None:
        stall(prefer, 2.0, LEFT, ago_s=(1.0,))
        assert prefer.link.answers[0][2] == pytest.approx(1.5, abs=0.02)

    def test_the_clips_go_on_as_they_were(self, prefer: Any) -> None:
        opened = state(prefer).question.opens_ns
        stall(prefer, 1.0, ago_s=())
        assert state(prefer).question.opens_ns == opened

    def test_of_two_presses_the_second_is_not_for_a_pair_that_was_never_seen(self, prefer: Any) -> None:
        stall(prefer, 2.0, LEFT, LEFT, ago_s=(1.5, 0.1))
        assert [query for query, *_ in prefer.link.answers] == ["q1"]
        assert notice(prefer) == TOO_SOON

    def test_a_press_before_the_next_pair_was_seen_is_not_for_it(self, prefer: Any) -> None:
        prefer.step(LEFT)
        stall(prefer, 1.5, RIGHT, ago_s=(0.2,))
        assert [query for query, *_ in prefer.link.answers] == ["q1"]
        assert notice(prefer) == TOO_SOON


class TestWhatIsSeen:
    def test_a_pair_takes_answers_once_its_picture_is_there(self, stage: Any) -> None:
        stage.link.pairs = [stage.pair("q1")]
        stage.show(PreferScreen(stage.shared, stage.orbit()))
        stage.run(1.0)
        stage.step(LEFT)
        assert stage.link.said == []
        stage.painted((320, 200))
        stage.run(0.42)
        stage.step(LEFT)
        assert stage.link.answers[0][2] == pytest.approx(0.42, abs=0.02)

    def test_a_pair_that_comes_back_is_to_be_seen_again(self, prefer: Any) -> None:
        prefer.away(3.0)
        prefer.step()
        assert not state(prefer).question.is_open(prefer.now_ns)
        prefer.run(0.42)
        assert state(prefer).question.is_open(prefer.now_ns)


class TestWhatIsRefusedIsSaid:
    def test_too_soon(self, prefer: Any) -> None:
        prefer.step(LEFT)
        prefer.run(0.2)
        prefer.step(LEFT)
        assert (notice(prefer), prefer.shared.refused) == (TOO_SOON, True)

    def test_no_pair(self, stage: Any) -> None:
        stage.show(Seen(stage.shared, stage.orbit()))
        stage.step(LEFT)
        assert notice(stage) == NO_PAIR

    def test_the_advice_to_rest(self, prefer: Any) -> None:
        prefer.screen._comparison.pairs_since_rest = BREAK_PAIRS
        prefer.run(0.5)
        prefer.step(LEFT)
        assert notice(prefer) == READ_FIRST

    def test_nothing_to_take_back(self, prefer: Any) -> None:
        prefer.step(Action.UNDO)
        assert notice(prefer) == "Nothing to take back"


class TestWhatIsStored:
    def test_the_response_time_counts_from_the_first_showing(self, prefer: Any) -> None:
        prefer.run(2.0)
        prefer.step(LEFT)
        prefer.run(1.2)
        prefer.step(RIGHT)
        times = [seconds for _, _, seconds, _ in prefer.link.answers]
        assert times == pytest.approx([2.5, 1.2], abs=0.02)

    def test_time_on_other_screens_is_not_response_time(self, prefer: Any) -> None:
        prefer.away(30.0)
        prefer.run(1.0)
        prefer.step(LEFT)
        assert prefer.link.answers[0][2] == pytest.approx(1.5, abs=0.05)

    def test_replays_are_how_often_the_clips_began_again(self, prefer: Any) -> None:
        prefer.step(LEFT)  # before the first round was over
        prefer.run(5.2)  # a round is 2.0 s and 0.5 s on the last frame
        prefer.step(LEFT)
        assert [replays for *_, replays in prefer.link.answers] == [0, 2]

    def test_replays_go_on_counting_after_another_screen(self, prefer: Any) -> None:
        prefer.run(2.6)
        prefer.away(60.0)
        prefer.run(2.6)
        prefer.step(LEFT)
        assert prefer.link.answers[0][3] == 2

    def test_speed_is_kept_for_the_next_pair(self, prefer: Any) -> None:
        prefer.step(Action.FASTER)
        prefer.step(LEFT)
        assert state(prefer).question.head.speed == 2.0
        prefer.run(0.5)
        prefer.step(Action.SLOWER)
        prefer.step(Action.SLOWER)
        prefer.step(Action.SLOWER)
        assert state(prefer).question.head.speed == 0.5


class TestSaved:
    def test_an_answer_is_saved_when_it_is_reported_and_not_before(self, prefer: Any) -> None:
        prefer.step(LEFT)
        prefer.run(0.5)
        assert state(prefer).answer.fate is Fate.SENT
        prefer.shared.fates["event-0"] = ""
        prefer.step()
        assert state(prefer).answer.fate is Fate.SAVED

    def test_a_report_that_came_while_another_screen_was_shown_counts(self, prefer: Any) -> None:
        prefer.step(LEFT)
        prefer.shared.fates["event-0"] = ""
        prefer.away(5.0)
        prefer.step()
        assert state(prefer).answer.fate is Fate.SAVED

    def test_a_refusal_is_shown_with_its_reason_and_not_counted(self, prefer: Any) -> None:
        prefer.step(LEFT)
        assert state(prefer).answered == 1
        prefer.shared.fates["event-0"] = "the disk is full"
        prefer.run(0.1)
        assert (state(prefer).answer.fate, state(prefer).answer.reason) == (Fate.REFUSED, "the disk is full")
        assert state(prefer).answered == 0


class TestUndo:
    def test_it_takes_the_last_answer_back_and_shows_its_pair_again(self, prefer: Any) -> None:
        prefer.step(LEFT)
        prefer.run(1.0)
        prefer.step(Action.UNDO)
        assert prefer.link.said[-1] == ("undo", "event-0")
        assert state(prefer).question.pair.query.id == "q1"
        assert state(prefer).answered == 0
        prefer.run(0.5)
        prefer.step(RIGHT)
        assert prefer.link.answers[-1][:2] == ("q1", Choice.RIGHT)
        assert [each.query.id for each in prefer.link.pairs] == ["q2", "q3"]

    def test_twice_it_is_said_once(self, prefer: Any) -> None:
        prefer.step(LEFT)
        prefer.step(Action.UNDO, Action.UNDO)
        prefer.step(Action.UNDO)
        assert [what for what, *_ in prefer.link.said] == ["prefer", "undo"]

    def test_after_ten_seconds_it_is_too_late(self, prefer: Any) -> None:
        prefer.step(LEFT)
        prefer.run(9.9)
        assert state(prefer).answer.undo_left_s(prefer.now_ns) > 0
        prefer.run(0.2)
        prefer.step(Action.UNDO)
        assert [what for what, *_ in prefer.link.said] == ["prefer"]

    def test_a_refused_answer_cannot_be_taken_back(self, prefer: Any) -> None:
        prefer.step(LEFT)
        prefer.shared.fates["event-0"] = "no"
        prefer.step(Action.UNDO)
        assert [what for what, *_ in prefer.link.said] == ["prefer"]

    def test_it_is_taken_back_when_that_is_reported(self, prefer: Any) -> None:
        prefer.step(LEFT)
        prefer.step(Action.UNDO)
        prefer.shared.fates.update({"event-0": "", "event-1": ""})
        prefer.step()
        assert state(prefer).answer.fate is Fate.TAKEN_BACK


class TestTheBreak:
    def test_it_is_advised_after_a_hundred_pairs_and_any_answer_goes_on(self, stage: Any) -> None:
        stage.link.pairs = [stage.pair(f"q{number}") for number in range(BREAK_PAIRS + 2)]
        stage.show(Seen(stage.shared, stage.orbit()))
        for _ in range(BREAK_PAIRS):
            assert not state(stage).resting
            stage.run(0.42)
            stage.step(LEFT)
        assert len(stage.link.answers) == BREAK_PAIRS
        stage.run(0.45)
        assert state(stage).resting
        stage.step(LEFT)  # too soon to have read it
        assert state(stage).resting
        stage.run(1.0)
        stage.step(LEFT)  # goes on, and answers nothing
        stage.run(0.45)
        assert not state(stage).resting
        assert len(stage.link.answers) == BREAK_PAIRS
        stage.step(LEFT)
        assert stage.link.answers[-1][2] == pytest.approx(0.45, abs=0.05)  # the rest is not in it

    def test_it_is_advised_after_twenty_minutes_on_the_screen(self, prefer: Any) -> None:
        for _ in range(4 * 60 * 20 + 8):
            prefer.now_ns += 246_000_000
            prefer.step()
        assert state(prefer).resting

    def test_time_on_other_screens_tires_nobody_and_a_minute_rests(self, prefer: Any) -> None:
        prefer.screen._comparison.pairs_since_rest = BREAK_PAIRS - 1
        prefer.away(20 * 60.0)
        prefer.run(0.5)
        prefer.step(LEFT)
        prefer.step()
        assert not state(prefer).resting


class TestTheEye:
    def test_the_stick_turns_it_and_a_drag_pulls_the_scene(self, prefer: Any) -> None:
        before = state(prefer).view
        prefer.run(0.2, orbit=(1.0, 0.5))
        turned = state(prefer).view
        assert turned.azimuth_deg > before.azimuth_deg
        assert turned.elevation_deg > before.elevation_deg
        prefer.mouse = Pointer(True, 100, 100)
        prefer.step()
        assert state(prefer).view == turned
        prefer.mouse = Pointer(True, 140, 100)
        prefer.step()
        assert state(prefer).view.azimuth_deg < turned.azimuth_deg

    def test_it_stays_where_it_is_for_the_next_pair(self, prefer: Any) -> None:
        prefer.run(0.2, orbit=(1.0, 0.0))
        turned = state(prefer).view
        prefer.step(LEFT)
        assert state(prefer).view == turned

    def test_a_mouse_without_the_focus_turns_nothing(self, prefer: Any) -> None:
        before = state(prefer).view
        for x in (0, 80):
            prefer.mouse = Pointer(True, x, 0)
            prefer.step(snapshot=Snapshot(0, focus=False))
        assert state(prefer).view == before


class TestWithoutPairs:
    @pytest.mark.parametrize("action", [*CHOICES, Action.UNDO, Action.FASTER])
    def test_no_button_says_anything(self, stage: Any, action: Action) -> None:
        stage.show(PreferScreen(stage.shared, stage.orbit()))
        stage.run(0.5)
        stage.step(action)
        assert stage.link.said == []
        stage.painted()

    def test_pairs_that_the_session_withdraws_are_gone(self, prefer: Any) -> None:
        prefer.link.pairs = []
        prefer.step()
        prefer.step(LEFT)
        assert prefer.link.said == []


class TestThePicture:
    def test_clips_move_in_step_and_the_timelines_with_them(
        self, prefer: Any, seen: Callable[[pygame.Surface], bytes]
    ) -> None:
        first = seen(prefer.painted())
        assert seen(prefer.painted()) == first  # the same state is the same picture
        prefer.run(0.2)
        assert seen(prefer.painted()) != first

    @pytest.mark.parametrize(
        ("size", "scale"), [((1280, 762), 1.0), ((2560, 1524), 2.0), ((640, 362), 1.0), ((200, 120), 1.0)]
    )
    def test_every_state_can_be_drawn_at_every_size(
        self, prefer: Any, size: tuple[int, int], scale: float
    ) -> None:
        prefer.painted(size, scale)
        prefer.step(LEFT)
        prefer.painted(size, scale)
        prefer.shared.fates["event-0"] = "a reason that is long " * 9
        prefer.step()
        prefer.painted(size, scale)
        prefer.screen._comparison.pairs_since_rest = BREAK_PAIRS
        prefer.run(0.5)
        assert state(prefer).resting
        prefer.painted(size, scale)

    @pytest.mark.parametrize("stage_now", [Stage.EPISODE, Stage.LABELLING, Stage.DONE])
    @pytest.mark.parametrize("waiting", [0, 3])
    def test_why_there_is_no_pair_is_said(self, stage: Any, stage_now: Stage, waiting: int) -> None:
        stage.know(moment=stage.moment(stage_now), status=stage.status(pairs_waiting=waiting))
        stage.show(PreferScreen(stage.shared, stage.orbit()))
        stage.painted()
        stage.know(status=None, moment=None, welcome=None)
        stage.step()
        stage.painted()
