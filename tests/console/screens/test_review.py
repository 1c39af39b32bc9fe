"""Looking at episodes again: which one is shown, what is said of it, and that nothing is said twice."""

from __future__ import annotations

from typing import Any

import pytest

from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.input.snapshot import Snapshot
from robot_rlhf.console.screens.review.screen import ReviewScreen
from robot_rlhf.feedback.messages import Episode

SUCCESS, FAILURE, DELETE, UNDO = Action.SUCCESS, Action.FAILURE, Action.DELETE, Action.UNDO


@pytest.fixture
def review(stage: Any) -> Any:
    """Five episodes of 2 s, the newest of which is shown."""
    stage.link.episode_lines = tuple(stage.line(number) for number in range(5))
    for number in range(5):
        reward = (0.1,) * 20
        stage.link.episodes[number] = Episode(clip=stage.clip(number, 20), reward=reward)
    stage.show(ReviewScreen(stage.shared, stage.orbit()))
    stage.run(0.2)
    return stage


def state(stage: Any) -> Any:
    return stage.screen._state


def listed(stage: Any, number: int, **fields: Any) -> None:
    """A newer list, in which an episode has these fields."""
    stage.link.episode_lines = tuple(
        stage.line(number, **fields) if line.episode == number else line for line in stage.link.episode_lines
    )


class TestChoosing:
    def test_the_newest_is_shown_first_and_the_list_is_asked_for(self, review: Any) -> None:
        assert state(review).line.episode == 4
        assert state(review).review.episode == 4
        assert review.link.refreshed >= 1

    def test_up_and_down_go_through_the_list_and_stop_at_its_ends(self, review: Any) -> None:
        review.step(Action.PREVIOUS_EPISODE)
        review.step(Action.PREVIOUS_EPISODE)
        assert state(review).line.episode == 2
        for _ in range(9):
            review.step(Action.NEXT_EPISODE)
        assert state(review).line.episode == 4
        for _ in range(9):
            review.step(Action.PREVIOUS_EPISODE)
        assert state(review).line.episode == 0

    def test_a_held_direction_goes_on_by_itself(self, review: Any) -> None:
        held = Snapshot(0, keys=frozenset({"up"}))
        review.step(Action.PREVIOUS_EPISODE, snapshot=held)
        review.run(0.35, snapshot=held)
        assert state(review).line.episode == 3
        review.run(0.3, snapshot=held)
        assert state(review).line.episode < 2
        review.step()
        before = state(review).line.episode
        review.run(0.5)
        assert state(review).line.episode == before

    def test_the_newest_stays_chosen_when_there_is_a_newer_one(self, review: Any) -> None:
        review.link.episode_lines += (review.line(5),)
        review.step()
        assert state(review).line.episode == 5
        review.step(Action.PREVIOUS_EPISODE)
        review.link.episode_lines += (review.line(6),)
        review.step()
        assert state(review).line.episode == 4

    def test_episodes_that_are_scrolled_past_are_not_asked_for(self, review: Any) -> None:
        review.link.asked.clear()
        for _ in range(3):
            review.step(Action.PREVIOUS_EPISODE)
        review.run(0.2)
        assert set(review.link.asked) == {1}

    def test_new_episodes_have_the_list_asked_for(self, review: Any) -> None:
        before = review.link.refreshed
        review.run(1.0)
        assert review.link.refreshed == before
        review.know(status=review.status(episodes=3))
        review.step()
        assert review.link.refreshed == before + 1


class TestPlaying:
    def at_s(self, stage: Any) -> float:
        return float(state(stage).review.head.at(stage.now_ns))

    def test_it_plays_loops_and_can_be_paused(self, review: Any) -> None:
        start = self.at_s(review)
        review.run(0.4)
        assert self.at_s(review) == pytest.approx(start + 0.4, abs=0.01)
        review.step(Action.PLAY)
        paused = self.at_s(review)
        review.run(3.0)
        assert self.at_s(review) == paused

    def test_scrubbing_goes_both_ways_and_no_further_than_the_ends(self, review: Any) -> None:
        review.step(Action.PLAY)
        review.run(0.25, scrub=1.0)
        assert self.at_s(review) == pytest.approx(1.05, abs=0.1)
        review.run(0.125, scrub=-1.0)
        assert self.at_s(review) == pytest.approx(0.55, abs=0.1)
        review.run(2.0, scrub=1.0)
        assert self.at_s(review) == pytest.approx(2.0)
        review.run(2.0, scrub=-1.0)
        assert self.at_s(review) == 0.0

    def test_scrubbing_is_as_fast_while_it_plays(self, review: Any) -> None:
        start = self.at_s(review)
        review.run(0.25, scrub=1.0)
        assert self.at_s(review) == pytest.approx(start + 1.0, abs=0.02)

    def test_another_episode_starts_at_its_beginning_at_the_same_speed(self, review: Any) -> None:
        review.step(Action.FASTER)
        review.run(0.5)
        review.step(Action.PREVIOUS_EPISODE)
        assert state(review).review is None
        review.run(0.16)
        assert self.at_s(review) < 0.1
        assert state(review).review.head.speed == 2.0


class TestMarks:
    @pytest.mark.parametrize(("action", "word"), [(SUCCESS, "success"), (FAILURE, "failure")])
    def test_a_mark_is_said_of_the_episode_that_is_shown(
        self, review: Any, action: Action, word: str
    ) -> None:
        review.step(Action.PREVIOUS_EPISODE)
        review.step(action)
        assert review.link.said == [("mark", "3", word)]

    def test_the_same_mark_is_not_said_again(self, review: Any) -> None:
        review.step(SUCCESS)
        review.step(SUCCESS)  # not saved yet
        review.shared.fates["event-0"] = ""
        review.step(SUCCESS)  # saved, but the list is older
        review.step(SUCCESS)
        listed(review, 4, mark=True, mark_id="event-0")
        review.step()
        review.step(SUCCESS)
        assert review.link.said == [("mark", "4", "success")]

    def test_the_list_is_asked_for_when_a_mark_is_saved(self, review: Any) -> None:
        review.step(SUCCESS)
        before = review.link.refreshed
        review.run(0.1)
        assert review.link.refreshed == before
        review.shared.fates["event-0"] = ""
        review.run(0.1)
        assert review.link.refreshed == before + 1

    def test_the_other_mark_takes_the_first_one_back(self, review: Any) -> None:
        listed(review, 4, mark=True, mark_id="old")
        review.step(FAILURE)
        assert review.link.said == [("undo", "old"), ("mark", "4", "failure")]

    def test_undo_takes_the_mark_back_once(self, review: Any) -> None:
        listed(review, 4, mark=False, mark_id="old")
        review.step(UNDO)
        review.step(UNDO)
        assert review.link.said == [("undo", "old")]

    def test_a_refused_mark_can_be_said_again(self, review: Any) -> None:
        review.step(SUCCESS)
        review.shared.fates["event-0"] = "the disk is full"
        review.step()
        review.link.episode_lines = tuple([*review.link.episode_lines])  # the list that was asked for
        review.step()
        review.step(SUCCESS)
        assert review.link.said == [("mark", "4", "success")] * 2

    def test_two_marks_in_one_pass_are_one(self, review: Any) -> None:
        review.step(SUCCESS, FAILURE)
        assert review.link.said == [("mark", "4", "success")]

    def test_who_only_watches_says_nothing(self, review: Any) -> None:
        review.link.watches = True
        for action in (SUCCESS, FAILURE, DELETE, UNDO):
            review.step(action)
        assert review.link.said == []


class TestRemoving:
    def test_an_episode_is_removed_once(self, review: Any) -> None:
        review.step(DELETE)
        review.step(DELETE)
        assert review.link.said == [("remove", "4")]

    def test_undo_brings_it_back(self, review: Any) -> None:
        listed(review, 4, removed=True, removed_id="gone", mark=True, mark_id="m")
        review.step(UNDO)
        assert review.link.said == [("undo", "gone")]

    def test_a_removed_episode_takes_no_mark_and_is_not_removed_again(self, review: Any) -> None:
        listed(review, 4, removed=True, removed_id="gone")
        for action in (SUCCESS, FAILURE, DELETE):
            review.step(action)
        assert review.link.said == []

    def test_another_episode_can_be_spoken_of_meanwhile(self, review: Any) -> None:
        review.step(DELETE)
        review.step(Action.PREVIOUS_EPISODE)
        review.step(DELETE)
        assert review.link.said == [("remove", "4"), ("remove", "3")]


class TestThePicture:
    @pytest.mark.parametrize(
        ("size", "scale"), [((1280, 762), 1.0), ((2560, 1524), 2.0), ((640, 362), 1.0), ((200, 120), 1.0)]
    )
    def test_every_state_can_be_drawn_at_every_size(
        self, review: Any, size: tuple[int, int], scale: float
    ) -> None:
        review.painted(size, scale)
        review.step(Action.PLAY, holding={SUCCESS: 0.5})
        review.painted(size, scale)
        listed(review, 4, removed=True, removed_id="gone")
        review.step()
        review.painted(size, scale)
        review.step(UNDO)
        review.painted(size, scale)
        review.link.episodes.clear()
        review.step(Action.PREVIOUS_EPISODE)
        review.painted(size, scale)
        review.link.episode_lines = ()
        review.step()
        assert state(review).line is None
        review.painted(size, scale)

    def test_before_the_session_has_answered_nothing_fails(self, stage: Any) -> None:
        stage.know(welcome=None, moment=None, status=None)
        stage.show(ReviewScreen(stage.shared, stage.orbit()))
        stage.run(4.0)
        stage.painted()
        assert stage.link.refreshed <= 3
