"""The newcomer's guide: it goes on by what was really done, waits for nobody and stops nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.screens.drive.guide import MARKED_EPISODES, Guide
from robot_rlhf.console.screens.drive.guide_texts import Step
from robot_rlhf.console.screens.drive.screen import DriveScreen
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.types import Outcome

Desk = Any
Tool = Callable[[float], bytes]
MINE = {"phase": m.Phase.OPERATOR, "driver": "ada", "driving": "mine"}


class Lesson:
    """A guide on the Drive screen of a session at its beginning."""

    def __init__(self, desk: Desk, tool_at: Tool) -> None:
        self.desk, self.link, self.tool_at = desk, desk.link, tool_at
        self.link.now(stage=m.Stage.READY, phase=m.Phase.HOLD)
        self.link.stands(demonstrations=0, episodes=0)
        self.screen = DriveScreen(desk.shared, guide=True)
        desk.step(self.screen)

    @property
    def guide(self) -> Guide:
        assert self.screen.guide is not None
        return self.screen.guide

    def at(self) -> Step | None:
        """The step that is told now."""
        card = self.screen.state.card
        return None if card is None else card.step

    @property
    def ticks(self) -> dict[str, bool]:
        card = self.screen.state.card
        return {} if card is None else dict(card.ticks)

    def wait(self, seconds: float = 0.02, commands: Commands | None = None) -> None:
        self.desk.step(self.screen, commands, passes=round(seconds * 250))

    def drive(self, start_m: float, end_m: float, commands: Commands | None = None) -> None:
        """The tool moves at 0.25 m/s at most, driven from here."""
        count = 50
        for index in range(count + 1):
            self.link.now(scene=self.tool_at(start_m + (end_m - start_m) * index / count), **MINE)
            self.desk.step(self.screen, commands or Commands(takeover=True))

    def skip(self) -> None:
        self.desk.step(self.screen, keys=("right",), passes=200)
        self.wait()


@pytest.fixture
def lesson(desk: Desk, tool_at: Tool) -> Lesson:
    return Lesson(desk, tool_at)


def test_it_begins_with_driving_by_hand(lesson: Lesson) -> None:
    assert lesson.at() is Step.DRIVE
    assert lesson.ticks == {
        "take over": False,
        "move": False,
        "close the gripper": False,
        "open it": False,
    }


def test_driving_is_learned_part_by_part(lesson: Lesson) -> None:
    lesson.link.now(**MINE)
    lesson.wait()
    assert lesson.ticks["take over"]
    assert not lesson.ticks["move"]
    lesson.drive(0.40, 0.45)
    assert not lesson.ticks["move"]
    lesson.drive(0.45, 0.55)
    assert lesson.ticks["move"]
    lesson.drive(0.55, 0.55, Commands(takeover=True, grip=-1.0))
    assert lesson.ticks["close the gripper"]
    assert lesson.at() is Step.DRIVE
    lesson.drive(0.55, 0.55, Commands(takeover=True, grip=1.0))
    assert lesson.at() is Step.RECORD


def practise(lesson: Lesson) -> None:
    """As a session does: with the takeover the demonstration begins."""
    lesson.link.now(stage=m.Stage.DEMONSTRATION, recording=True, **MINE)
    lesson.drive(0.40, 0.55, Commands(takeover=True, grip=-1.0))
    lesson.drive(0.55, 0.55, Commands(takeover=True, grip=1.0))


def said(lesson: Lesson) -> str:
    """The card's sentences, an action by its name."""
    card = lesson.screen.state.card
    assert card is not None
    return " ".join(part.value if isinstance(part, Action) else part for part in card.sentences)


def test_the_practice_says_that_it_is_recorded_and_is_forgotten(lesson: Lesson) -> None:
    assert "This first try is recorded too" in said(lesson)
    practise(lesson)
    assert lesson.at() is Step.AGAIN
    assert "as demonstration 1" in said(lesson)
    assert "discard" in said(lesson)
    assert lesson.ticks == {"start over, or keep it": False}
    lesson.desk.step(lesson.screen, Commands(fired=(Action.DISCARD,)))
    assert lesson.link.told == [("wish", m.Wish.DISCARD)]
    lesson.link.now(stage=m.Stage.READY, phase=m.Phase.HOLD, driver="", driving="")
    lesson.wait()
    assert lesson.at() is Step.RECORD
    assert "takeover and do it" in said(lesson)
    assert "From then on it is recorded" in said(lesson)
    lesson.link.now(stage=m.Stage.DEMONSTRATION, **MINE)
    lesson.wait()
    assert lesson.at() is Step.RECORD


def test_a_practice_that_went_well_may_be_kept(lesson: Lesson) -> None:
    practise(lesson)
    lesson.link.stands(demonstrations=1)
    lesson.link.now(stage=m.Stage.READY, phase=m.Phase.HOLD, driver="", driving="")
    lesson.wait()
    assert lesson.at() is Step.RECORD
    assert list(lesson.ticks.values()) == [True, False, False]


def test_who_skips_the_practice_has_nothing_to_forget(lesson: Lesson) -> None:
    lesson.skip()
    lesson.link.now(stage=m.Stage.DEMONSTRATION, **MINE)
    lesson.wait()
    assert lesson.at() is Step.RECORD


def test_free_driving_is_not_recorded_and_not_said_to_be(lesson: Lesson) -> None:
    lesson.link.now(stage=m.Stage.TELEOP)
    lesson.wait()
    assert "recorded" not in said(lesson)
    lesson.drive(0.40, 0.55, Commands(takeover=True, grip=-1.0))
    lesson.drive(0.55, 0.55, Commands(takeover=True, grip=1.0))
    assert lesson.at() is not Step.AGAIN


def test_what_the_policy_moves_teaches_nobody(lesson: Lesson) -> None:
    lesson.link.now(stage=m.Stage.EPISODE, phase=m.Phase.POLICY)
    for x in (0.40, 0.44, 0.48, 0.52, 0.56):
        lesson.link.now(scene=lesson.tool_at(x))
        lesson.wait()
    assert not lesson.guide.done(Step.DRIVE)


def test_a_new_start_is_no_motion(lesson: Lesson) -> None:
    lesson.link.now(scene=lesson.tool_at(0.3), **MINE)
    lesson.wait()
    lesson.link.now(scene=lesson.tool_at(0.6))
    lesson.wait()
    assert not lesson.ticks["move"]


def test_without_a_gripper_nothing_is_asked_of_it(lesson: Lesson) -> None:
    lesson.link.welcome = replace(lesson.link.welcome, uses_gripper=False)
    lesson.wait()
    assert set(lesson.ticks) == {"take over", "move"}


def test_as_many_demonstrations_as_the_session_plans(lesson: Lesson) -> None:
    lesson.skip()
    assert lesson.at() is Step.RECORD
    lesson.link.stands(demonstrations=2)
    lesson.wait()
    assert list(lesson.ticks.values()) == [True, True, False]
    lesson.link.stands(demonstrations=3)
    lesson.link.now(stage=m.Stage.PREPARING)
    lesson.wait()
    assert lesson.at() is Step.WATCH


def test_a_stop_between_demonstrations_does_not_end_that_step(lesson: Lesson) -> None:
    lesson.skip()
    lesson.link.stands(demonstrations=1)
    lesson.link.now(stage=m.Stage.PAUSED, phase=m.Phase.STOPPED)
    lesson.wait()
    assert lesson.at() is Step.RECORD


def test_enough_demonstrations_end_that_step_too(lesson: Lesson) -> None:
    lesson.link.stands(demonstrations=1)
    lesson.link.now(stage=m.Stage.PREPARING)
    lesson.wait()
    assert lesson.guide.done(Step.RECORD)


def to_episodes(lesson: Lesson) -> None:
    lesson.skip()
    lesson.link.stands(demonstrations=3)
    lesson.link.now(stage=m.Stage.EPISODE, phase=m.Phase.POLICY, driver="", driving="")
    lesson.wait()


def test_watching_takes_three_seconds_of_the_policy(lesson: Lesson) -> None:
    to_episodes(lesson)
    assert lesson.at() is Step.WATCH
    lesson.wait(2.5)
    assert lesson.at() is Step.WATCH
    lesson.wait(1.0)
    assert lesson.at() is Step.CORRECT


def test_one_correction_and_one_press_are_enough(lesson: Lesson) -> None:
    to_episodes(lesson)
    lesson.wait(3.5)
    lesson.link.now(**MINE)
    lesson.wait(0.7)
    lesson.link.now(phase=m.Phase.POLICY, driver="", driving="")
    lesson.wait()
    assert lesson.at() is Step.PRESS
    lesson.link.stands(counts={"evaluations": 1})
    lesson.wait()
    assert lesson.at() is Step.RISE


def test_later_steps_may_be_met_first(lesson: Lesson) -> None:
    to_episodes(lesson)
    lesson.link.stands(counts={"evaluations": 1})
    lesson.wait()
    assert lesson.at() is Step.WATCH
    assert lesson.guide.done(Step.PRESS)


def test_a_mark_is_told_when_it_is_time_for_one(lesson: Lesson) -> None:
    to_episodes(lesson)
    lesson.link.now(stage=m.Stage.MARK, phase=m.Phase.HOLD)
    lesson.wait()
    assert lesson.at() is Step.MARK
    event = Outcome(id="e", operator="ada", session="s", time_ns=0, episode=7, success=True)
    lesson.link.reports.append({"id": "e", "what": event, "reason": ""})
    lesson.wait()
    assert lesson.guide.done(Step.MARK)
    assert lesson.at() is Step.WATCH


def test_a_mark_that_was_refused_does_not_count(lesson: Lesson) -> None:
    to_episodes(lesson)
    event = Outcome(id="e", operator="ada", session="s", time_ns=0, episode=7, success=True)
    lesson.link.reports.append({"id": "e", "what": event, "reason": "there is no such episode"})
    lesson.wait()
    assert not lesson.guide.done(Step.MARK)


def test_pairs_are_told_of_once_some_wait_and_counted_from_then(lesson: Lesson) -> None:
    to_episodes(lesson)
    for _ in (Step.WATCH, Step.CORRECT, Step.PRESS):
        lesson.skip()
    assert lesson.at() is Step.RISE
    lesson.link.stands(pairs_waiting=2)
    lesson.wait()
    assert lesson.at() is Step.COMPARE
    lesson.link.stands(pairs_waiting=0, counts={"preferences": 2})
    lesson.wait()
    assert list(lesson.ticks.values()) == [True, True, False]
    lesson.link.stands(counts={"preferences": 3})
    lesson.wait()
    assert lesson.at() is Step.RISE


@pytest.mark.parametrize("stage", [m.Stage.EPISODE, m.Stage.MARK])
def test_comparing_is_told_after_the_episode_that_needs_attention(lesson: Lesson, stage: m.Stage) -> None:
    to_episodes(lesson)
    for _ in (Step.WATCH, Step.CORRECT, Step.PRESS):
        lesson.skip()
    lesson.link.stands(pairs_waiting=2, marks=(True,))
    lesson.link.now(stage=stage)
    lesson.wait()
    assert lesson.at() is Step.COMPARE
    assert "Mark this episode first, then screen opens them, and the next one waits" in said(lesson)
    assert "to_arm leads back" in said(lesson)


def test_comparing_is_told_at_once_between_episodes(lesson: Lesson) -> None:
    to_episodes(lesson)
    lesson.link.stands(pairs_waiting=2)
    lesson.link.now(stage=m.Stage.PAUSED, phase=m.Phase.HOLD)
    lesson.wait()
    assert lesson.at() is Step.COMPARE
    assert said(lesson).startswith("Two clips wait for your choice. screen opens them.")


def test_while_somebody_has_not_yet_corrected_a_running_episode_is_not_left(lesson: Lesson) -> None:
    to_episodes(lesson)
    lesson.link.stands(pairs_waiting=2)
    lesson.wait()
    assert lesson.at() is Step.WATCH


def test_pairs_of_an_earlier_run_do_not_count(desk: Desk, tool_at: Tool) -> None:
    desk.link.stands(counts={"preferences": 40})
    lesson = Lesson(desk, tool_at)
    to_episodes(lesson)
    assert not lesson.guide.done(Step.COMPARE)


def test_success_rises_over_some_marked_episodes_and_then_comes_the_report(lesson: Lesson) -> None:
    to_episodes(lesson)
    for _ in (Step.WATCH, Step.CORRECT, Step.PRESS):
        lesson.skip()
    lesson.link.stands(marks=(True,) * (MARKED_EPISODES - 1))
    lesson.wait()
    assert lesson.at() is Step.RISE
    lesson.link.stands(marks=(True,) * MARKED_EPISODES)
    lesson.wait()
    assert lesson.at() is Step.REPORT
    lesson.link.now(stage=m.Stage.DONE, phase=m.Phase.HOLD)
    lesson.link.stands(report="runs/one/report.html")
    lesson.wait()
    card = lesson.screen.state.card
    assert card is not None
    assert card.sentences == ("It is written: runs/one/report.html",)
    lesson.skip()
    assert lesson.at() is None


def test_a_short_press_of_the_camera_button_skips_nothing(lesson: Lesson) -> None:
    lesson.desk.step(lesson.screen, keys=("right",), passes=100)
    card = lesson.screen.state.card
    assert card is not None
    assert 0.4 < card.skipping < 0.8
    lesson.wait()
    assert lesson.at() is Step.DRIVE


def test_one_long_hold_skips_one_step(lesson: Lesson) -> None:
    lesson.desk.step(lesson.screen, keys=("right",), passes=1000)
    assert lesson.at() is Step.RECORD


def test_the_guide_keeps_nothing_from_being_said(lesson: Lesson) -> None:
    to_episodes(lesson)
    lesson.desk.step(lesson.screen, Commands(fired=(Action.GOOD, Action.CAMERA_RIGHT)))
    assert lesson.link.told == [("press", True)]
    assert lesson.screen.state.view == 1


def test_without_a_session_there_is_no_card(desk: Desk) -> None:
    desk.link.silence()
    screen = DriveScreen(desk.shared, guide=True)
    desk.step(screen, passes=10)
    assert screen.state.card is None
