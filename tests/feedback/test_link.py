"""A console's end of the wire, at a session's real sockets with a host that does what the test wants."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from hardware.security import ClientSecurity, Role, ServerSecurity, make_client, make_server, revoke
from hardware.transport import Client, Incoming
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.link import PREFETCH, OperatorLink
from robot_rlhf.feedback.types import Choice, OperatorInput, Preference, Query, Segment
from robot_rlhf.session.stream import Console, Stream
from sim.description import describe
from sim.task import make_task

DESCRIPTION = describe(make_task("reach"))


class Hall:
    """A host that remembers what it was told and answers when it wants to."""

    def __init__(self, security: ServerSecurity | None = None) -> None:
        self.stream = Stream("tcp://127.0.0.1:0", security)
        self.left: list[str] = []
        self.closed_because = ""
        self.mute = False
        """Requests are taken in and not answered."""
        self.stage = m.Stage.EPISODE
        self.pairs_waiting = 0
        self.pairs: list[m.Pair] = []
        self.heard: list[m.FromConsole] = []
        self.handed: list[m.Hands] = []
        self.stops: list[str] = []
        self.news: list[m.News] = []
        self.seq = 0

    def moment(self, step: int = 0) -> m.Moment:
        self.seq += 1
        still = (0.0, 0.0, 0.0)
        return m.Moment(
            seq=self.seq,
            time_ns=time.monotonic_ns(),
            stage=self.stage,
            phase=m.Phase.POLICY,
            episode=5,
            step=step,
            steps=50,
            recording=True,
            driver="",
            driving="",
            input_seq=0,
            scene=np.zeros(4, "<f4").tobytes(),
            commanded_m_s=still,
            achieved_m_s=still,
            operator_steps=0,
            reward=None,
            limits=(),
            hold_reason="",
        )

    def status(self) -> m.Status:
        return m.Status(
            demonstrations=0,
            demonstrations_planned=0,
            episodes=0,
            episodes_planned=0,
            pairs_waiting=self.pairs_waiting,
            marks=(),
            interventions=(),
            evaluations=(),
            counts={},
            operator_s=0.0,
            learner="",
            updates=0,
            reward_version=0,
            self_agreement=None,
            consoles=(),
            overruns=0,
            report="",
            run="run",
            news=len(self.news),
        )

    def welcome(self, console: Console) -> m.Welcome | m.Refused:
        if self.closed_because:
            return m.Refused(reason=self.closed_because)
        drive, stop, watch = self.stream.ports
        return m.Welcome(
            console=console.token,
            session="run",
            task="reach",
            goal="",
            description=DESCRIPTION,
            objects=(),
            uses_gripper=False,
            control_hz=10.0,
            full_speed_m_s=0.15,
            drive_port=drive,
            stop_port=stop,
            watch_port=watch,
            latch_allowed=True,
            moment=self.moment(),
            status=self.status(),
            news=tuple(self.news),
            instance=self.stream.instance,
        )

    def gone(self, console: Console) -> None:
        self.left.append(console.name)

    def hands(self, console: Console, hands: m.Hands) -> None:
        self.handed.append(hands)

    def stop(self, who: str) -> None:
        self.stops.append(who)

    def request(
        self, console: Console, message: m.FromConsole, answer: Callable[[m.FromSession], None]
    ) -> None:
        self.heard.append(message)
        if self.mute:
            return
        match message:
            case m.Say(event=event):
                answer(m.Saved(event=event.id))
            case m.Do(wish=m.Wish.CONFIRM):
                answer(m.Granted())
            case m.AskPairs(count=count, have=have):
                said = [one.event for one in self.heard if isinstance(one, m.Say)]
                shut = {*have, *(event.query for event in said if isinstance(event, Preference))}
                free = [pair for pair in self.pairs if pair.query.id not in shut]
                answer(m.Pairs(pairs=tuple(free[:count])))
            case m.AskNews(first=first):
                answer(m.NewsSince(news=tuple(one for one in self.news if one.number >= first)))
            case m.AskClip(episode=episode) if episode < 100:
                answer(m.Episode(clip=clip(episode), reward=()))
            case _:
                answer(m.Refused(reason="not that"))


def clip(episode: int) -> m.Clip:
    rows = np.zeros((3, 4), "<f4").tobytes()
    return m.Clip(segment=Segment(episode, 0, 2), count=3, rows=rows, driver=b"\0\0")


def pair(number: int) -> m.Pair:
    query = Query(f"q{number}", Segment(0, number, 2), Segment(1, number, 2), "random")
    return m.Pair(query=query, left=clip(0), right=clip(1))


class Wire:
    """A hall and a link to it, with the keys of a folder or without any."""

    def __init__(self, keys: Path | None = None) -> None:
        self.hall = Hall(ServerSecurity(keys) if keys is not None else None)
        security = ClientSecurity(keys / "ann.key") if keys is not None else None
        self.link = OperatorLink(self.hall.stream.address, "ann" if keys else "Ann", security=security)
        self.shows = True
        self._next_s = 0.0

    def step(self) -> None:
        self.hall.stream.service(self.hall)
        if self.shows and time.monotonic() > self._next_s:
            self._next_s = time.monotonic() + 0.01
            self.hall.stream.publish(self.hall.moment())
        self.link.service()
        time.sleep(0.001)

    def until(self, predicate: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30.0
        while not predicate():
            assert time.monotonic() < deadline, "it never came to be"
            self.step()

    def goes_on(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end)

    def enter(self) -> None:
        self.until(lambda: self.link.welcome is not None)
        seen = self.link.moment
        self.until(lambda: self.link.moment is not seen)


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.link.close()
    wire.link.close()
    wire.hall.stream.close()


@pytest.fixture
def joined(wire: Wire) -> Wire:
    wire.enter()
    return wire


def test_before_a_session_answers_nothing_can_be_said(wire: Wire) -> None:
    assert not wire.link.connected
    assert wire.link.press(good=True) == ""
    assert wire.link.round_trip_ms is None
    wire.link.hands(OperatorInput(), attending=True)
    wire.link.stop()
    with pytest.raises(RuntimeError, match="no session has answered at tcp://"):
        wire.link.mark(0, success=True)


def test_a_refusal_is_shown_until_the_session_has_us(wire: Wire) -> None:
    wire.hall.closed_because = "it is ready in a moment"
    wire.until(lambda: wire.link.refusal)
    assert wire.link.refusal == "it is ready in a moment"
    assert wire.link.welcome is None
    wire.hall.closed_because = ""
    wire.enter()
    assert wire.link.refusal == ""
    assert wire.link.connected


def test_another_protocol_is_refused_by_name(wire: Wire) -> None:
    client: Client[m.FromSession] = Client(wire.hall.stream.address, m.FromSession, security=None)
    client.request(m.Join(name="Ann", protocol=99))
    got: list[object] = []

    def answered() -> bool:
        answer = client.receive()
        if isinstance(answer, Incoming):
            got.append(answer.message)
        return bool(got)

    wire.until(answered)
    client.close()
    (refused,) = got
    assert isinstance(refused, m.Refused)
    assert "99" in refused.reason
    assert str(m.PROTOCOL) in refused.reason


def test_missed_news_are_heard_in_their_turn(joined: Wire) -> None:
    hall, link = joined.hall, joined.link
    hall.news = [m.News(number=number, text=f"n{number}") for number in range(6)]
    for number in (0, 1, 4, 5):  # 2 and 3 were lost on their way
        hall.stream.publish(hall.news[number])
        joined.goes_on(0.05)
    joined.until(lambda: len(link.news) == 6)
    assert [item.number for item in link.news] == list(range(6))
    asked = [message for message in hall.heard if isinstance(message, m.AskNews)]
    assert {one.first for one in asked} == {2}


def test_the_last_news_are_heard_although_they_were_lost(joined: Wire) -> None:
    hall, link = joined.hall, joined.link
    hall.news = [m.News(number=number, text=f"n{number}") for number in range(3)]
    hall.stream.publish(hall.news[0])
    hall.stream.publish(hall.status())
    joined.until(lambda: len(link.news) == 3)
    assert [item.number for item in link.news] == list(range(3))


def test_news_that_come_twice_are_heard_once(joined: Wire) -> None:
    item = m.News(number=0, text="n")
    for _ in range(3):
        joined.hall.stream.publish(item)
        joined.goes_on(0.02)
    joined.until(lambda: joined.link.news)
    assert list(joined.link.news) == [item]


def test_what_is_said_is_kept_and_sent_again_until_it_is_saved(joined: Wire) -> None:
    hall, link = joined.hall, joined.link
    hall.mute = True
    id = link.mark(5, success=True)
    joined.until(lambda: len([one for one in hall.heard if isinstance(one, m.Say)]) == 2)
    assert link.unsaved == 1
    assert not link.reports
    hall.mute = False
    joined.until(lambda: link.reports)
    (report,) = link.reports
    assert (report["id"], report["reason"]) == (id, "")
    assert link.unsaved == 0
    said = [one.event for one in hall.heard if isinstance(one, m.Say)]
    assert {event.id for event in said} == {id}
    assert all(event == said[0] for event in said)
    joined.goes_on(0.1)
    assert len(link.reports) == 1


def test_reports_say_what_became_of_wishes(joined: Wire) -> None:
    joined.link.wish(m.Wish.CONFIRM)
    joined.link.wish(m.Wish.DISCARD)
    joined.until(lambda: len(joined.link.reports) == 2)
    assert {(report["what"], report["reason"]) for report in joined.link.reports} == {
        (m.Wish.CONFIRM, ""),
        (m.Wish.DISCARD, "not that"),
    }
    assert joined.link.unsaved == 0


def test_a_press_is_about_what_the_arm_is_doing_and_only_while_an_episode_runs(joined: Wire) -> None:
    hall, link = joined.hall, joined.link
    id = link.press(good=False)
    joined.until(lambda: link.reports)
    said = next(one.event for one in hall.heard if isinstance(one, m.Say))
    assert (said.id, said.operator, said.session) == (id, "Ann", "run")
    hall.stage = m.Stage.MARK
    joined.until(lambda: link.moment is not None and link.moment.stage is m.Stage.MARK)
    assert link.press(good=False) == ""


def test_hands_go_out_at_once_when_they_change_and_are_repeated(joined: Wire) -> None:
    hall, link = joined.hall, joined.link
    joined.until(lambda: link._drive is not None and link._drive.connected)
    first, second = OperatorInput(takeover=True), OperatorInput(stick=(1.0, 0.0, 0.0), takeover=True)
    link.hands(first, attending=True)
    link.hands(first, attending=True)
    joined.until(lambda: hall.handed)
    link.hands(second, attending=True)
    joined.until(lambda: len(hall.handed) == 2)
    assert [one.given for one in hall.handed] == [first, second]
    moment = link.moment
    assert moment is not None
    assert hall.handed[1].based_on <= moment.seq
    for _ in range(3):
        before = len(hall.handed)
        while len(hall.handed) == before:
            link.hands(second, attending=False)
            joined.step()
    assert {one.given for one in hall.handed[1:]} == {second}
    seqs = [one.seq for one in hall.handed]
    assert seqs == sorted(set(seqs))
    assert not hall.handed[-1].attending


def test_a_stop_arrives(joined: Wire) -> None:
    joined.link.stop()
    joined.until(lambda: joined.hall.stops)
    joined.goes_on(0.3)
    assert len(joined.hall.stops) == 1  # it was answered, and so not sent again


def test_pairs_are_fetched_before_they_are_wanted_and_never_come_back(joined: Wire) -> None:
    hall, link = joined.hall, joined.link
    hall.pairs, hall.pairs_waiting = [pair(number) for number in range(5)], 5
    hall.stream.publish(hall.status())
    joined.until(lambda: len(link.pairs) == PREFETCH)
    said = link.prefer(link.pairs[0], Choice.LEFT, response_s=1.0)
    assert said
    joined.until(lambda: len(link.pairs) == PREFETCH)
    assert "q0" not in [one.query.id for one in link.pairs]
    assert len({one.query.id for one in link.pairs}) == PREFETCH


def test_an_episode_is_asked_for_once_and_a_few_are_kept(joined: Wire) -> None:
    hall, link = joined.hall, joined.link
    assert link.episode(1) is None
    joined.until(lambda: link.episode(1))
    assert len([one for one in hall.heard if isinstance(one, m.AskClip)]) == 1
    for number in range(2, 20):
        joined.until(lambda number=number: link.episode(number))  # type: ignore[misc]
    assert link.episode(19) is not None
    assert link.episode(1) is None  # it is asked for anew
    joined.until(lambda: link.episode(1))


def test_lost_moments_are_counted_and_the_link_is_measured(joined: Wire) -> None:
    hall, link = joined.hall, joined.link
    joined.shows = False
    joined.goes_on(0.05)
    dropped = link.drops
    hall.seq += 10
    joined.shows = True
    joined.until(lambda: link.drops > dropped)
    assert link.drops == dropped + 10
    joined.until(lambda: link.round_trip_ms is not None)
    assert link.round_trip_ms is not None
    median, slowest = link.round_trip_ms
    assert 0.0 < median <= slowest


def test_a_session_that_falls_silent_is_not_connected_any_more_and_then_is_again(joined: Wire) -> None:
    link = joined.link
    joined.shows = False
    first = link.welcome
    joined.hall.closed_because = "it is busy"
    joined.until(lambda: not link.connected)
    assert link.state_age_s >= 1.0
    joined.hall.closed_because = ""
    joined.shows = True
    joined.until(lambda: link.connected)
    assert first is not None
    assert link.welcome is not None
    assert link.welcome.session == first.session


@pytest.fixture
def serving(joined: Wire) -> Iterator[Wire]:
    """A host that is served in a thread of its own."""
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            joined.hall.stream.service(joined.hall)
            time.sleep(0.001)

    thread = threading.Thread(target=serve)
    thread.start()
    yield joined
    over.set()
    thread.join()


def test_who_leaves_has_been_heard_when_the_link_is_closed(serving: Wire) -> None:
    serving.link.leave()
    assert serving.hall.left == ["Ann"]


def test_what_is_answered_while_somebody_leaves_is_taken_in(serving: Wire) -> None:
    said = serving.link.mark(5, success=True)
    serving.link.leave()
    assert [(report["id"], report["reason"]) for report in serving.link.reports] == [(said, "")]


def test_who_leaves_a_session_that_is_silent_does_not_wait_for_long(joined: Wire) -> None:
    start = time.monotonic()
    joined.link.leave()
    assert 0.25 < time.monotonic() - start < 2.0


def test_who_never_joined_leaves_at_once(wire: Wire) -> None:
    start = time.monotonic()
    wire.link.leave()
    assert time.monotonic() - start < 0.2


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[tuple[Wire, Path]]:
    """A wire with keys, and their folder."""
    folder = tmp_path / "keys"
    make_server(folder)
    make_client(folder, "ann", Role.OPERATOR)
    wire = Wire(folder)
    yield wire, folder
    wire.link.close()
    wire.hall.stream.close()


def test_a_key_that_is_revoked_is_named_although_the_session_only_falls_silent(
    keyed: tuple[Wire, Path],
) -> None:
    wire, folder = keyed
    wire.enter()
    assert wire.link.rejection == ""
    revoke(folder, "ann")
    wire.until(lambda: wire.link.rejection)
    assert "refused this key: unknown there, or revoked" in wire.link.rejection
    wire.until(lambda: not wire.link.connected)


def test_a_key_that_was_never_known_is_named(keyed: tuple[Wire, Path], tmp_path: Path) -> None:
    wire, folder = keyed
    security = ClientSecurity(folder / "ann.key")
    revoke(folder, "ann")
    link = OperatorLink(wire.hall.stream.address, "ann", security=security)
    wire.link.close()
    wire.link = link
    wire.until(lambda: link.rejection)
    assert link.welcome is None
