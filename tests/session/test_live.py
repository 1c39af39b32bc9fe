"""A live session, its consoles at the other end of real sockets, and its learner in a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np
import pytest

from hardware.scene import Scene
from hardware.transport import AddressInUseError, Client, Incoming, wait
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.messages import Phase, Stage, Wish
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import (
    Choice,
    Demonstration,
    Driver,
    Evaluation,
    Kind,
    OperatorInput,
    Outcome,
    Preference,
    Removal,
    Segment,
    Takeover,
    Undo,
)
from robot_rlhf.session.config import RunConfig, ScheduleConfig
from robot_rlhf.session.course import MARK_S, TAIL_S
from robot_rlhf.session.learner_link import LearnerLink
from robot_rlhf.session.live_episode import LiveEpisode
from robot_rlhf.session.run_folder import DATABASE
from robot_rlhf.session.stream import Stream
from sim.env import SPEED_M_S

if TYPE_CHECKING:
    from tests.session.conftest import OpenRoom, Person, Room

    School: TypeAlias = tuple[Room, Person]

Tiny = Callable[..., RunConfig]
STICK = (0.6, 0.0, 0.0)
STEPS_A_TICK = 20  # physics steps of 5 ms in a policy step of 0.1 s


@pytest.fixture
def studio(open_room: OpenRoom, tiny: Tiny, tmp_path: Path) -> Iterator[Room]:
    """Demonstrations are recorded, and there is no learner."""
    with open_room(tmp_path / "run", tiny()) as room:
        yield room


def demonstrate(room: Room, person: Person, steps: int = 5) -> int:
    """Record a demonstration, and wait until it is stored; returns its id."""
    begin(room, person)
    room.until(lambda: person.now.step >= steps)
    id = person.now.episode
    assert room.wish(person, Wish.CONFIRM) == ""
    person.release()
    room.settled()
    return id


def running(room: Room) -> LiveEpisode:
    """The episode that is recorded now."""
    assert room.live.course.episode is not None
    return room.live.course.episode


def assert_executed(room: Room, episode: Episode) -> None:
    """The arm went as far in every step as its action says."""
    objects = [prop.name for prop in room.live.env.task.props]
    went = np.diff(Scene.unpack(episode.scenes, objects).tool_pos_m, axis=0)
    assert went == pytest.approx(episode.action[:, :3] * SPEED_M_S * 0.1, abs=3e-3)


def begin(room: Room, person: Person) -> None:
    """Take over until a demonstration runs."""
    person.release()
    room.until(lambda: person.stage is Stage.READY)
    room.goes_on(0.05)
    person.take(STICK)
    room.until(lambda: person.stage is Stage.DEMONSTRATION)


# -- demonstrations -------------------------------------------------------------------------------------


def test_a_demonstration_is_stored_as_it_was_executed(studio: Room) -> None:
    ann = studio.enter()
    id = demonstrate(studio, ann, steps=8)
    (episode,) = studio.episodes()
    assert (episode.id, episode.role, episode.task) == (id, Role.DEMONSTRATION, "reach")
    assert (episode.driver == Driver.OPERATOR).all()
    assert np.isnan(episode.proposed).all()
    assert 0.0 < episode.action[0, 0] < STICK[0]  # it sped up
    assert episode.action[0, 0] < episode.action[:, 0].max() <= STICK[0] + 1e-6
    assert_executed(studio, episode)
    (event,) = studio.events()
    assert isinstance(event, Demonstration)
    assert (event.operator, event.episode, event.alternatives) == ("Ann", id, ())
    with Store.open_readonly(studio.path / DATABASE) as store:
        booked = store.operator_seconds_by_activity()["demonstration"]
        assert booked.active_s == pytest.approx(episode.length / 10.0)
        assert id in store.truth()


def test_the_first_step_of_an_episode_is_as_long_as_any_other(studio: Room) -> None:
    ann = studio.enter()
    for _ in range(3):  # whenever it begins
        begin(studio, ann)
        ann.given = OperatorInput(takeover=True)
        assert studio.live.pace.steps <= STEPS_A_TICK
        studio.until(lambda: ann.now.step >= 1)
        assert studio.live.pace.steps // STEPS_A_TICK == ann.now.step
        studio.wish(ann, Wish.DISCARD)


def test_one_that_is_discarded_is_recorded_again_from_the_same_start(studio: Room) -> None:
    ann = studio.enter()
    begin(studio, ann)
    start = ann.now.row()[19:]  # where things lie
    seed = running(studio).seed
    studio.until(lambda: ann.now.step >= 3)
    assert studio.wish(ann, Wish.DISCARD) == ""
    demonstrate(studio, ann)
    (episode,) = studio.episodes()
    assert episode.seed == seed
    assert episode.scenes[0][19:] == pytest.approx(start, abs=1e-6)
    following = demonstrate(studio, ann)
    assert studio.episodes()[1].id == following
    assert studio.episodes()[1].seed != seed


def test_one_that_a_stop_ended_is_recorded_again_from_the_same_start(studio: Room) -> None:
    ann = studio.enter()
    begin(studio, ann)
    seed = running(studio).seed
    studio.until(lambda: ann.now.step >= 2)
    ann.link.stop()
    studio.until(lambda: ann.now.phase is Phase.STOPPED)
    assert studio.episodes() == []
    rearm(studio, ann)
    demonstrate(studio, ann)
    assert [episode.seed for episode in studio.episodes()] == [seed]


def rearm(room: Room, person: Person) -> None:
    """Clear a stop and take over afresh, then let go."""
    person.release()
    assert room.wish(person, Wish.CLEAR) == ""
    room.until(lambda: person.now.phase is Phase.HOLD)
    room.goes_on(0.05)
    person.take((0.0, 0.0, 0.0))
    room.until(lambda: room.live.drive.armed)
    person.release()


def test_the_last_one_can_be_taken_back_between_two(studio: Room) -> None:
    ann = studio.enter()
    first = demonstrate(studio, ann)
    second = demonstrate(studio, ann)
    studio.until(lambda: ann.stage is Stage.READY)
    assert studio.wish(ann, Wish.DISCARD) == ""
    studio.settled()
    removals = [event for event in studio.events() if isinstance(event, Removal)]
    assert [(event.operator, event.episode) for event in removals] == [("Ann", second)]
    studio.until(lambda: ann.link.status is not None and ann.link.status.demonstrations == 1)
    assert studio.live.desk.tally.removal(first) is None


def test_a_mark_ends_a_demonstration(studio: Room) -> None:
    ann = studio.enter()
    begin(studio, ann)
    studio.until(lambda: ann.now.step >= 3)
    id = ann.now.episode
    studio.saved(ann, ann.link.mark(id, success=False))
    studio.until(lambda: ann.stage is Stage.READY)
    assert [episode.id for episode in studio.episodes()] == [id]


def test_when_all_are_recorded_it_is_over(studio: Room) -> None:
    ann = studio.enter()
    for _ in range(3):
        demonstrate(studio, ann, steps=2)
    studio.until(lambda: studio.live.over)
    assert studio.live.stage is Stage.DONE


def test_enough_is_enough(studio: Room) -> None:
    ann = studio.enter()
    studio.until(lambda: ann.stage is Stage.READY)
    assert "one demonstration" in studio.wish(ann, Wish.ENOUGH)
    demonstrate(studio, ann, steps=2)
    studio.until(lambda: ann.stage is Stage.READY)
    assert studio.wish(ann, Wish.ENOUGH) == ""
    studio.until(lambda: studio.live.over)


def test_wishes_that_make_no_sense_now_are_refused_with_a_reason(studio: Room) -> None:
    ann = studio.enter()
    studio.until(lambda: ann.stage is Stage.READY)
    for wish in (Wish.CONFIRM, Wish.DISCARD, Wish.CLEAR, Wish.FINISH):
        assert studio.wish(ann, wish)
    assert ann.stage is Stage.READY


def test_a_wish_that_is_sent_twice_is_carried_out_once(studio: Room) -> None:
    """As a console does whose answer was lost or late."""
    ann = studio.enter()
    demonstrate(studio, ann)
    demonstrate(studio, ann)
    begin(studio, ann)
    client: Client[m.FromSession] = Client(studio.session.stream.address, m.FromSession, security=None)
    client.request(m.Do(wish=Wish.DISCARD), retry_s=0.01)
    hangs_until = time.monotonic() + 0.2
    while time.monotonic() < hangs_until:  # the session hangs, and it is sent again and again
        wait([client], time.monotonic_ns() + 10_000_000)
        assert client.receive() is None
    answers: list[object] = []

    def answered() -> bool:
        got = client.receive()
        if isinstance(got, Incoming):
            answers.append(got.message)
        return bool(answers)

    studio.until(answered)
    studio.goes_on(0.2)
    client.close()
    studio.settled()
    assert answers == [m.Granted()]
    assert not any(isinstance(event, Removal) for event in studio.events())
    assert len(studio.episodes()) == 2


# -- who is there -----------------------------------------------------------------------------------------


def test_who_comes_late_sees_the_present(studio: Room) -> None:
    ann = studio.enter()
    id = demonstrate(studio, ann)
    begin(studio, ann)
    bob = studio.enter("Bob")
    welcome = bob.link.welcome
    assert welcome is not None
    assert welcome.moment.stage is Stage.DEMONSTRATION
    assert welcome.moment.driver == "Ann"
    assert welcome.status.demonstrations == 1
    assert welcome.task == "reach"
    assert welcome.latch_allowed
    texts = [item.text for item in welcome.news]
    assert "Ann is here" in texts
    assert f"episode {id} is stored" in texts
    assert welcome.status.consoles == ("Ann", "Bob")
    bob.link.refresh_episodes()
    studio.until(lambda: bob.link.episode_lines)
    assert [line.episode for line in bob.link.episode_lines] == [id]
    studio.until(lambda: bob.link.episode(id))
    whole = bob.link.episode(id)
    assert whole is not None
    assert whole.clip.scenes() == pytest.approx(studio.episodes()[0].scenes)


def test_a_watcher_sees_and_stops_and_does_nothing_else(studio: Room) -> None:
    ann, eve = studio.enter(), studio.enter("Eve", watches=True)
    studio.until(lambda: eve.stage is Stage.READY)
    for _ in range(10):
        eve.take()
        studio.goes_on(0.03)
        eve.release()
        studio.goes_on(0.03)
    assert eve.stage is Stage.READY
    assert "watch" in studio.wish(eve, Wish.FINISH)
    id = eve.link.mark(0, success=True)
    studio.until(lambda: eve.said(id))
    report = eve.said(id)
    assert report is not None
    assert "watch" in report["reason"]
    assert studio.events() == []
    begin(studio, ann)
    eve.link.stop()
    studio.until(lambda: ann.now.phase is Phase.STOPPED)


def test_of_two_who_want_to_drive_the_first_does(studio: Room) -> None:
    ann, bob = studio.enter(), studio.enter("Bob")
    begin(studio, ann)
    bob.take((-0.6, 0.0, 0.0))
    studio.until(lambda: ann.now.step >= 4)
    assert ann.now.driver == bob.now.driver == "Ann"
    assert bob.now.commanded_m_s[0] > 0
    ann.release()
    studio.until(lambda: ann.now.phase is Phase.HOLD)
    bob.release()
    studio.goes_on(0.05)
    bob.take((-0.6, 0.0, 0.0))
    studio.until(lambda: bob.now.driver == "Bob")
    studio.until(lambda: bob.now.commanded_m_s[0] < 0)
    assert ann.now.recording


def test_a_console_that_is_killed_while_it_drives_leaves_a_still_arm_and_the_episode(studio: Room) -> None:
    ann, bob = studio.enter(), studio.enter("Bob")
    begin(studio, ann)
    studio.until(lambda: ann.now.step >= 3)
    ann.silent = True
    studio.until(lambda: bob.now.phase is Phase.HOLD)
    assert "Ann" in bob.now.hold_reason
    assert bob.now.commanded_m_s == (0.0, 0.0, 0.0)
    assert bob.now.recording
    studio.until(lambda: [one.name for one in studio.session.stream.consoles.values()] == ["Bob"])
    assert studio.wish(bob, Wish.CONFIRM) == ""
    studio.settled()
    (episode,) = studio.episodes()
    assert episode.length >= 3
    assert not episode.action[-1].any()
    ann.silent = False
    before = ann.link.welcome
    studio.until(lambda: ann.link.welcome is not before)
    demonstrate(studio, ann)


def test_a_console_that_is_closed_while_it_drives_leaves_a_still_arm_and_the_episode(studio: Room) -> None:
    ann, bob = studio.enter(), studio.enter("Bob")
    begin(studio, ann)
    studio.until(lambda: ann.now.step >= 3)
    studio.leave(ann)
    studio.until(lambda: bob.now.phase is Phase.HOLD)
    studio.goes_on(0.1)
    assert bob.now.commanded_m_s == (0.0, 0.0, 0.0)
    assert bob.now.stage is Stage.DEMONSTRATION


def test_who_is_not_known_any_more_joins_again(studio: Room) -> None:
    ann = studio.enter()
    console = next(iter(studio.session.stream.consoles.values()))
    studio.session.stream._drop(studio.live, console)  # as a session does that was not reached for 3 s
    studio.until(lambda: [one.name for one in studio.session.stream.consoles.values()] == ["Ann"])
    demonstrate(studio, ann)


# -- hands ------------------------------------------------------------------------------------------------


def test_hands_that_are_based_on_what_is_long_past_move_nothing(studio: Room) -> None:
    ann = studio.enter()
    studio.until(lambda: ann.stage is Stage.READY)
    welcome = ann.link.welcome
    assert welcome is not None
    ann.silent = True
    old = ann.now.seq
    studio.goes_on(0.5)
    drive: Client[m.Granted] = Client(
        f"tcp://127.0.0.1:{welcome.drive_port}", m.Granted, security=None, immediate=True
    )
    studio.until(lambda: drive.connected)
    seqs = itertools.count(10_000)

    def move(based_on: int, takes: bool) -> None:
        given = OperatorInput(stick=STICK, takeover=takes)
        drive.send(
            m.Hands(console=welcome.console, seq=next(seqs), based_on=based_on, given=given, attending=True)
        )
        studio.goes_on(0.02)

    move(studio.live._moment_seq, takes=False)
    for based_on in (old, 10**9, -1):
        for _ in range(5):
            move(based_on, takes=True)
    assert studio.live.stage.value == "ready"
    assert studio.live.drive.phase is Phase.HOLD
    move(studio.live._moment_seq, takes=True)
    assert studio.live.stage.value == "demonstration"
    drive.close()


def test_somebody_elses_console_cannot_be_driven_with_a_guessed_token(studio: Room) -> None:
    ann = studio.enter()
    welcome = ann.link.welcome
    assert welcome is not None
    drive: Client[m.Granted] = Client(
        f"tcp://127.0.0.1:{welcome.drive_port}", m.Granted, security=None, immediate=True
    )
    studio.until(lambda: drive.connected)
    for seq in range(1, 10):
        given = OperatorInput(stick=STICK, takeover=seq > 2)
        based_on = studio.live._moment_seq
        drive.send(m.Hands(console="", seq=seq, based_on=based_on, given=given, attending=True))
        studio.goes_on(0.02)
    assert studio.live.drive.phase is Phase.HOLD
    drive.close()


def test_free_driving_records_nothing(open_room: OpenRoom, tiny: Tiny, tmp_path: Path) -> None:
    with open_room(tmp_path / "run", tiny(), teleop=True) as room:
        ann = room.enter()
        assert ann.stage is Stage.TELEOP
        ann.take(STICK)
        room.until(lambda: ann.now.achieved_m_s[0] > 0.05)
        id = ann.link.mark(0, success=True)
        room.until(lambda: ann.said(id))
        report = ann.said(id)
        assert report is not None
        assert "records nothing" in report["reason"]
        ann.link.stop()
        room.until(lambda: ann.now.phase is Phase.STOPPED)
        rearm(room, ann)
        ann.take(STICK)
        room.until(lambda: ann.now.driver == "Ann")
        assert room.wish(ann, Wish.FINISH) == ""
        assert room.live.over
        assert room.events() == []
        assert room.episodes() == []


# -- what is said -----------------------------------------------------------------------------------------


def test_what_is_reported_saved_is_on_the_disk_at_that_moment(studio: Room) -> None:
    ann = studio.enter()
    id = demonstrate(studio, ann)
    for success in (True, False, True):
        event = ann.link.mark(id, success)
        assert ann.link.unsaved == 1
        studio.until(lambda event=event: ann.said(event) is not None)  # type: ignore[misc]
        assert event in {one.id for one in studio.events()}
        assert ann.link.unsaved == 0


def test_what_is_said_twice_is_stored_once(studio: Room) -> None:
    ann = studio.enter()
    id = demonstrate(studio, ann)
    mark = Outcome(**ann.link.fields(), episode=id, success=True)
    for _ in range(3):
        ann.link.say(mark)
    studio.until(lambda: len([one for one in ann.reports if one["id"] == mark.id]) == 3)
    assert all(report["reason"] == "" for report in ann.reports if report["id"] == mark.id)
    assert studio.events().count(mark) == 1
    with Store.open_readonly(studio.path / DATABASE) as store:
        booked = store.operator_seconds_by_activity()["mark"].active_s
        assert studio.live.desk.tally.operator_s == pytest.approx(store.operator_seconds().active_s)
    ann.link.say(msgspec.structs.replace(mark, success=False))
    studio.until(lambda: any(one["reason"] for one in ann.reports))
    assert studio.events().count(mark) == 1
    with Store.open_readonly(studio.path / DATABASE) as store:
        assert store.operator_seconds_by_activity()["mark"].active_s == booked


def test_what_was_said_is_taken_back_and_an_episode_taken_out_and_back_in(studio: Room) -> None:
    ann = studio.enter()
    id = demonstrate(studio, ann)
    mark = ann.link.mark(id, success=True)
    studio.saved(ann, mark)
    studio.saved(ann, ann.link.undo(mark))
    removal = ann.link.remove(id)
    studio.saved(ann, removal)

    def line() -> m.EpisodeLine:
        nothing: tuple[m.EpisodeLine, ...] = ()
        ann.link.episode_lines = nothing
        ann.link.refresh_episodes()
        studio.until(lambda: ann.link.episode_lines)
        return ann.link.episode_lines[0]

    assert line().mark is None
    assert line().removed
    assert line().removed_id == removal
    studio.until(lambda: ann.link.status is not None and ann.link.status.demonstrations == 0)
    studio.saved(ann, ann.link.undo(removal))
    assert not line().removed
    studio.until(lambda: ann.link.status is not None and ann.link.status.demonstrations == 1)
    assert [type(event) for event in studio.events()] == [Demonstration, Outcome, Undo, Removal, Undo]


def test_an_undo_of_nothing_is_refused(studio: Room) -> None:
    ann = studio.enter()
    id = ann.link.undo("never said")
    studio.until(lambda: ann.said(id))
    report = ann.said(id)
    assert report is not None
    assert "never said" in report["reason"]


@pytest.mark.parametrize("kind", ["demonstration", "takeover"])
def test_what_only_the_session_records_cannot_be_said(kind: str, studio: Room) -> None:
    ann = studio.enter()
    event: Demonstration | Takeover = (
        Demonstration(**ann.link.fields(), episode=0, alternatives=())
        if kind == "demonstration"
        else Takeover(**ann.link.fields(), executed=Segment(0, 0, 1), counterfactual=None)
    )
    ann.link.say(event)
    studio.until(lambda: ann.said(event.id))
    report = ann.said(event.id)
    assert report is not None
    assert kind in report["reason"]
    assert studio.events() == []


def test_what_was_being_said_when_the_session_was_closed_is_stored_and_answered(
    open_room: OpenRoom, tiny: Tiny, tmp_path: Path
) -> None:
    with open_room(tmp_path / "run", tiny()) as room:
        ann = room.enter()
        id = demonstrate(room, ann)
        begin(room, ann)
        room.until(lambda: ann.now.step >= 3)
        second = ann.now.episode
        ann.link.wish(Wish.CONFIRM)
        mark = ann.link.mark(id, success=True)
        room.until(lambda: not room.live.course.episode)  # it was granted, and is being written
    assert {episode.id for episode in room.episodes()} == {id, second}
    assert {event.episode for event in room.events() if isinstance(event, Demonstration)} == {id, second}
    assert mark in {event.id for event in room.events()}


def free_address() -> str:
    """An address whose port and the three above it are free."""
    while True:
        address = f"tcp://127.0.0.1:{random.randrange(20_000, 30_000)}"
        with contextlib.suppress(AddressInUseError):
            Stream(address, None).close()
            return address


def test_a_session_that_is_begun_anew_takes_what_was_not_saved_and_its_news_are_heard(
    open_room: OpenRoom, tiny: Tiny, tmp_path: Path
) -> None:
    address = free_address()
    with open_room(tmp_path / "run", tiny(), bind=address) as room:
        ann = room.enter()
        id = demonstrate(room, ann)
        room.people.remove(ann)  # the console lives on
    mark = ann.link.mark(id, success=True)
    assert ann.link.unsaved == 1
    with open_room(tmp_path / "run", tiny(), bind=address) as room:
        room.people.append(ann)
        before = len(ann.link.news)
        room.saved(ann, mark)
        room.until(lambda: "Ann is here" in [item.text for item in list(ann.link.news)[before:]])
        assert [event.id for event in room.events()].count(mark) == 1


# -- a policy drives --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def school(open_room: OpenRoom, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    """One demonstration was given, and the policy that was made of it drives, for the rest of these tests."""
    schedule = ScheduleConfig(
        demonstrations=1,
        alternatives=1,
        episodes=1000,
        warmup_episodes=1,
        episodes_per_fit=2,
        pairs_first=4,
        pairs_last=1,
        evaluate_every=0,
        final_episodes=2,
        compare_with_cloning=False,
    )
    config = dataclasses.replace(tiny(), schedule=schedule)
    config = dataclasses.replace(config, queries=dataclasses.replace(config.queries, segment_steps=5))
    with open_room(tmp_path_factory.mktemp("school") / "run", config, learns=True) as room:
        ann = room.enter()
        demonstrate(room, ann, steps=15)
        room.until(lambda: ann.stage is Stage.EPISODE)
        yield room, ann
        room.live.course.over = True


def episode(school: School, steps: int = 3) -> int:
    """Wait until the policy has driven some steps of an episode; returns the episode's id."""
    room, ann = school
    ann.release()
    room.goes_on(0.05)  # while other tests ran nobody spoke, and the console may be gone,
    room.until(lambda: room.has_let_go(ann))  # to come back with hands that have let go of nothing yet
    if ann.stage is not Stage.EPISODE:
        room.until(lambda: ann.stage in (Stage.EPISODE, Stage.MARK))
        if ann.stage is Stage.MARK:
            room.wish(ann, Wish.CONFIRM)
        room.until(lambda: ann.stage is Stage.EPISODE)
    room.until(lambda: ann.now.phase is Phase.POLICY and ann.now.step >= steps)
    return ann.now.episode


def end(school: School) -> None:
    """End the episode, without a mark, and wait until it is stored."""
    room, ann = school
    assert room.wish(ann, Wish.CONFIRM) == ""
    room.until(lambda: ann.stage is not Stage.EPISODE)
    room.settled()


def takeovers(room: Room, episode: int) -> list[Takeover]:
    events = room.events()
    return [e for e in events if isinstance(e, Takeover) and e.executed.episode == episode]


def test_a_demonstration_is_stored_with_what_it_is_compared_with(school: School) -> None:
    room, _ = school
    (event,) = (event for event in room.events() if isinstance(event, Demonstration))
    assert len(event.alternatives) == 1
    with Store.open_readonly(room.path / DATABASE) as store:
        shown, worse = store.episode(event.episode), store.episode(event.alternatives[0])
    assert worse.role is Role.COUNTERFACTUAL
    assert (worse.seed, worse.length) == (shown.seed, shown.length)


def test_a_takeover_is_compared_with_what_the_policy_would_have_done(school: School) -> None:
    room, ann = school
    id = episode(school)
    ann.take((0.0, 0.6, 0.0))
    room.until(lambda: ann.now.operator_steps >= 5)
    ann.release()
    room.until(lambda: ann.now.phase is Phase.POLICY)
    room.goes_on(0.25)
    end(school)
    room.until(lambda: takeovers(room, id))
    (event,) = takeovers(room, id)
    with Store.open_readonly(room.path / DATABASE) as store:
        driven = store.episode(id)
        assert event.counterfactual is not None
        other = store.episode(event.counterfactual.episode)
    steps = np.flatnonzero(driven.operator_steps)
    assert event.operator == "Ann"
    assert (event.executed.start, event.executed.length) == (steps[0], len(steps))
    assert steps.tolist() == list(range(steps[0], steps[-1] + 1))
    assert 0.3 < driven.action[steps, 1].max() <= 0.6 + 1e-6
    assert_executed(room, driven)
    assert np.isfinite(driven.proposed).all()  # the policy was asked all the while
    held = driven.action[steps[-1] + 1 : steps[-1] + 3]
    assert not held.any()
    assert event.counterfactual == Segment(other.id, 0, len(steps))
    assert other.role is Role.COUNTERFACTUAL
    assert other.obs[0] == pytest.approx(driven.obs[steps[0]], abs=1e-4)
    assert not np.allclose(other.action, driven.action[steps])


def test_the_steps_of_an_episode_say_what_was_done(school: School) -> None:
    room, _ = school
    id = episode(school, steps=6)
    end(school)
    driven = next(one for one in room.episodes() if one.id == id)
    assert not driven.operator_steps.any()
    free = driven.proposed[1:5]
    assert driven.action[1:5] == pytest.approx(np.clip(free, -1.0, 1.0), abs=0.05)
    assert_executed(room, driven)


def test_presses_and_marks_are_stored_and_a_mark_ends_the_episode_soon(school: School) -> None:
    room, ann = school
    id = episode(school)
    at = ann.now.step
    press = ann.link.press(good=True)
    room.saved(ann, press)
    stored = next(event for event in room.events() if event.id == press)
    assert stored == Evaluation(
        id=press,
        operator="Ann",
        session=stored.session,
        time_ns=stored.time_ns,
        episode=id,
        step=at,
        good=True,
    )
    room.saved(ann, ann.link.mark(id, success=True))
    marked_at = ann.now.step
    room.until(lambda: ann.stage is Stage.PAUSED or ann.now.episode != id)  # it is not asked for again
    room.settled()
    driven = next(one for one in room.episodes() if one.id == id)
    assert driven.length <= marked_at + TAIL_S * 10 + 3
    status = ann.link.status
    assert status is not None
    room.until(lambda: ann.link.status is not None and ann.link.status.marks)
    assert ann.link.press(good=True) == "" or ann.stage is Stage.EPISODE


def test_an_episode_waits_for_its_mark(school: School) -> None:
    room, ann = school
    id = episode(school)
    room.wish(ann, Wish.CONFIRM)
    room.until(lambda: ann.stage is Stage.MARK)
    assert ann.now.episode == id
    assert room.live.course._until_ns - room.live.course.now_ns <= MARK_S * 1e9
    room.saved(ann, ann.link.mark(id, success=False))
    room.until(lambda: ann.stage is not Stage.MARK)
    mark = room.live.desk.tally.mark(id)
    assert mark is not None
    assert not mark.success


def test_discarding_an_episode_that_has_just_ended_takes_that_very_one_out(
    school: School,
) -> None:
    room, ann = school
    id = episode(school)
    ann.link.wish(Wish.CONFIRM)
    ann.link.wish(Wish.DISCARD)  # in the same breath: it cannot be stored yet
    room.until(lambda: not ann.link._said)
    room.settled()
    removals = [event for event in room.events() if isinstance(event, Removal)]
    assert [event.episode for event in removals] == [id]


def test_a_stopped_arm_stays_where_it_is_until_somebody_has_driven_it_out_of_there(school: School) -> None:
    room, ann = school
    id = episode(school, steps=8)
    ann.link.stop()
    room.until(lambda: ann.now.phase is Phase.STOPPED)
    room.settled()
    (last,) = (one for one in room.episodes() if one.id == id)
    room.goes_on(0.4)

    def tool() -> np.ndarray:
        objects = [prop.name for prop in room.live.env.task.props]
        return np.asarray(Scene.unpack(ann.now.row(), objects).tool_pos_m)

    objects = [prop.name for prop in room.live.env.task.props]
    ended = Scene.unpack(last.scenes[-1], objects).tool_pos_m
    assert tool() == pytest.approx(ended, abs=0.02)  # it went on for less than a policy step
    stood = tool()
    assert room.wish(ann, Wish.CLEAR) == ""
    ann.release()
    room.goes_on(0.3)
    assert tool() == pytest.approx(stood, abs=1e-3)
    ann.take((-0.6, 0.0, 0.0))
    room.until(lambda: tool()[0] < stood[0] - 0.02)  # by hand, and no new start is laid out meanwhile
    assert ann.now.phase is Phase.OPERATOR
    assert not ann.now.recording
    ann.release()
    assert episode(school) != id


def test_a_stop_stops_the_policy_until_it_is_cleared_and_armed(school: School) -> None:
    room, ann = school
    id = episode(school)
    ann.link.stop()
    room.until(lambda: ann.now.phase is Phase.STOPPED)
    assert ann.now.commanded_m_s == (0.0, 0.0, 0.0)
    room.settled()
    assert id in {one.id for one in room.episodes()}  # it is kept
    room.goes_on(0.8)
    assert ann.now.phase.value == "stopped"
    assert not ann.now.recording
    assert room.wish(ann, Wish.CLEAR) == ""
    room.goes_on(0.8)
    assert ann.now.phase.value == "hold"  # cleared alone moves nothing
    assert not ann.now.recording
    ann.take((0.0, 0.0, 0.0))
    room.until(lambda: room.live.drive.armed)
    ann.release()
    assert episode(school) != id


def test_a_stop_while_somebody_drives_keeps_what_was_driven(school: School) -> None:
    room, ann = school
    id = episode(school)
    ann.take(STICK)
    room.until(lambda: ann.now.operator_steps >= 3)
    ann.link.stop()
    room.until(lambda: ann.now.phase is Phase.STOPPED)
    assert ann.now.driver == ""
    room.goes_on(0.2)
    assert ann.now.phase is Phase.STOPPED  # takeover is still held
    rearm(room, ann)
    room.until(lambda: takeovers(room, id))
    assert len(takeovers(room, id)) == 1, takeovers(room, id)
    (event,) = takeovers(room, id)
    assert event.counterfactual is not None
    assert event.executed.length >= 3


def test_a_console_that_dies_in_a_takeover_gives_the_arm_back(school: School) -> None:
    room, ann = school
    bob = room.enter("Bob")
    id = episode(school)
    bob.take(STICK)
    room.until(lambda: ann.now.driver == "Bob" and ann.now.operator_steps >= 2)
    room.people.remove(bob)
    bob.link.close()
    room.until(lambda: ann.now.phase is Phase.HOLD)
    room.until(lambda: ann.now.phase is Phase.POLICY)
    assert ann.now.episode == id
    end(school)
    room.until(lambda: takeovers(room, id))
    (event,) = takeovers(room, id)
    assert event.operator == "Bob"


def test_where_nobody_looks_no_episode_begins(school: School) -> None:
    room, ann = school
    episode(school)
    ann.attending = False
    room.until(lambda: not room.live.is_attended())
    end(school)
    room.until(lambda: ann.stage is Stage.PAUSED)  # and is not asked for a mark either
    room.goes_on(1.0)
    assert ann.stage is Stage.PAUSED
    ann.attending = True
    room.until(lambda: ann.stage is Stage.EPISODE)


def test_pairs_lie_before_one_console_each_and_are_answered_once(school: School) -> None:
    room, ann = school
    ann.attending = True
    while not ann.link.pairs:
        episode(school, steps=8)
        end(school)
        room.goes_on(1.0)
    bob = room.enter("Bob")
    room.goes_on(0.5)
    mine, others = ({pair.query.id for pair in one.link.pairs} for one in (ann, bob))
    assert not mine & others
    pair = ann.link.pairs[0]
    stored = {one.id: one for one in room.episodes()}
    for clip, segment in ((pair.left, pair.query.left), (pair.right, pair.query.right)):
        scenes = stored[segment.episode].scenes[segment.start : segment.start + segment.length + 1]
        assert clip.scenes() == pytest.approx(scenes)
    said = ann.link.prefer(pair, Choice.LEFT, response_s=1.5, replays=2)
    room.saved(ann, said)
    answers = [event for event in room.events() if isinstance(event, Preference)]
    assert [(one.query, one.choice, one.replays) for one in answers] == [(pair.query.id, Choice.LEFT, 2)]
    room.goes_on(0.3)
    assert pair.query.id not in {one.query.id for one in (*ann.link.pairs, *bob.link.pairs)}
    left = {pair.query.id for pair in bob.link.pairs}
    room.leave(bob)
    room.until(lambda: "Bob" not in [one.name for one in room.session.stream.consoles.values()])

    def to_be_had() -> set[str]:  # free again, or before the other who asks for more
        free = {query.id for query in room.live.desk.free_pairs()}
        return free | {pair.query.id for pair in ann.link.pairs}

    room.until(lambda: left <= to_be_had())


def test_a_learner_that_is_killed_is_started_anew_and_the_run_goes_on(school: School) -> None:
    room, ann = school
    learner = room.live.learner
    assert isinstance(learner, LearnerLink)
    id = episode(school)
    ann.take((0.0, 0.6, 0.0))
    room.until(lambda: ann.now.operator_steps >= 3)
    ann.release()
    pid = learner.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    room.until(lambda: ann.now.phase is Phase.POLICY)  # the arm does not wait for it
    end(school)
    starts = learner.starts
    room.until(lambda: learner.starts > starts or learner.pid not in (None, pid))
    room.until(lambda: takeovers(room, id))  # what it owed is made up for,
    assert takeovers(room, id)[0].counterfactual is not None  # with a policy that the new one never had
    number = room.live.course.policy
    room.until(lambda: room.live.course.policy > number)
    assert episode(school) != id
    assert learner.owes == 0


def test_what_is_stored_adds_up(school: School) -> None:
    room, _ = school
    room.settled()
    tally = room.live.desk.tally
    with Store.open_readonly(room.path / DATABASE) as store:
        assert tally.counts == store.counts()
        assert tally.operator_s == pytest.approx(store.operator_seconds().active_s)
        for one in store.episodes(role=Role.ONLINE):
            runs = np.diff(np.flatnonzero(np.diff([0, *one.operator_steps.astype(int), 0])))[::2]
            events = [e for e in store.feedback({Kind.TAKEOVERS}) if isinstance(e, Takeover)]
            mine = [e.executed.length for e in events if e.executed.episode == one.id]
            assert sorted(mine) == sorted(runs.tolist())


def test_finish_measures_the_policy_and_writes_a_report(school: School) -> None:
    """The last of these tests: nothing is recorded after it."""
    room, ann = school
    episode(school)
    assert room.wish(ann, Wish.FINISH) == ""
    room.until(lambda: ann.stage in (Stage.EVALUATING, Stage.DONE))
    assert "already" in room.wish(ann, Wish.FINISH)
    room.until(lambda: ann.stage is Stage.DONE)
    room.until(lambda: ann.link.status is not None and ann.link.status.report)
    status = ann.link.status
    assert status is not None
    assert Path(status.report).exists()
    assert [(one.final, one.episodes) for one in status.evaluations][-1] == (True, 2)
    assert (room.path / "summary.json").exists()
