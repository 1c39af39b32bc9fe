"""What the tests of a session share: a run that is small enough to go its whole road in a second or two and
learns next to nothing, and a room with a live session and people at its consoles, all in one thread."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from hardware.transport import AddressInUseError
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.episode import Episode
from robot_rlhf.feedback.link import OperatorLink, Report
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.store_codec import StoredEvent
from robot_rlhf.feedback.types import OperatorInput
from robot_rlhf.learning.policy_config import CloneConfig, SACConfig
from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.session import drive
from robot_rlhf.session.config import RunConfig, ScheduleConfig
from robot_rlhf.session.desk import Desk
from robot_rlhf.session.labelling import LabelSession
from robot_rlhf.session.learner_link import LearnerLine, LearnerLink
from robot_rlhf.session.live import LiveSession
from robot_rlhf.session.run_folder import DATABASE, RunFolder
from robot_rlhf.session.stream import Stream
from sim.cell import Cell
from sim.description import describe
from sim.task import make_task


def _tiny(seed: int = 3, **changes: Any) -> RunConfig:
    schedule = ScheduleConfig(
        demonstrations=3,
        alternatives=1,
        episodes=4,
        warmup_episodes=2,
        episodes_per_fit=2,
        pairs_first=4,
        pairs_last=1,
        evaluate_every=0,
        final_episodes=2,
    )
    config = RunConfig(
        task="reach",
        seed=seed,
        threads=1,
        schedule=schedule,
        reward_model=RewardConfig(hidden=16, fit_steps=20, min_steps=5, check_every=5),
        sac=SACConfig(hidden=32, updates_per_step=1, batch_size=32),
        clone=CloneConfig(hidden=16, members=3, steps=60, chunk=2, replan_every=2),
    )
    return dataclasses.replace(config, **changes)


@pytest.fixture(scope="session")
def tiny() -> Callable[..., RunConfig]:
    """tiny(seed=3, **changes): the config of such a run."""
    return _tiny


PATIENCE_S = 60.0
SILENT_S = 2.0
"""Hands are lost after this here; test_drive.py has what a session takes."""
FORWARD, IDLE = (0.6, 0.0, 0.0), (0.0, 0.0, 0.0)


class Person:
    """Somebody at a console: hands that stay as they are until they are moved, and a link."""

    def __init__(self, link: OperatorLink) -> None:
        self.link = link
        self.given = OperatorInput()
        self.attending = True
        self.silent = False
        """Whether this console has been killed, or its machine hangs: it says nothing more."""
        self.reports: list[Report] = []

    def service(self) -> None:
        if self.silent:
            return
        self.link.service()
        self.reports += self.link.reports
        self.link.reports.clear()
        self.link.hands(self.given, self.attending)

    def take(self, stick: tuple[float, float, float] = FORWARD, grip: float = 0.0) -> None:
        self.given = OperatorInput(stick=stick, grip=grip, takeover=True)

    def release(self) -> None:
        self.given = OperatorInput()

    def said(self, id: str) -> Report | None:
        """What became of that event, once it is known."""
        return next((report for report in self.reports if report["id"] == id), None)

    @property
    def now(self) -> m.Moment:
        """The newest moment that this console was shown."""
        assert self.link.moment is not None
        return self.link.moment

    @property
    def stage(self) -> m.Stage:
        return self.now.stage


class Room:
    """One session and the people at its consoles."""

    def __init__(self, session: LiveSession | LabelSession, path: Path) -> None:
        self.session, self.path = session, path
        self.people: list[Person] = []

    @property
    def live(self) -> LiveSession:
        assert isinstance(self.session, LiveSession)
        return self.session

    def enter(self, name: str = "Ann", watches: bool = False) -> Person:
        """Somebody joins; returns when they were welcomed and see what happens."""
        person = Person(OperatorLink(self.session.stream.address, name, watches=watches))
        self.people.append(person)
        self.until(lambda: person.link.welcome is not None)
        seen = person.now.seq
        self.until(lambda: person.now.seq > seen)
        if not watches:  # its hands are seen too, and that they hold nothing
            welcome = person.link.welcome
            assert welcome is not None
            self.until(lambda: self.session.stream.consoles[welcome.console].attending)
        return person

    def step(self) -> None:
        self.session.step()
        for person in self.people:
            person.service()

    def until(self, predicate: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
        """Let it all go on until something is so."""
        deadline = time.monotonic() + patience_s
        while not predicate():
            assert time.monotonic() < deadline, "it never came to be"
            self.step()

    def goes_on(self, seconds: float) -> None:
        """Let it all go on, to see that something does not happen."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end)

    def has_let_go(self, person: Person) -> bool:
        """Whether the session knows this console, and has seen it let go of takeover."""
        welcome = person.link.welcome
        hands = None if welcome is None else self.live.drive._hands.get(welcome.console)
        return hands is not None and hands.released

    def wish(self, person: Person, wish: m.Wish) -> str:
        """Wish for something; returns why not, empty where it is granted."""
        before = len(person.reports)
        person.link.wish(wish)
        self.until(lambda: any(report["what"] is wish for report in person.reports[before:]))
        return next(report["reason"] for report in person.reports[before:] if report["what"] is wish)

    def saved(self, person: Person, id: str) -> None:
        """Wait until an event is saved."""
        self.until(lambda: person.said(id) is not None)
        report = person.said(id)
        assert report is not None
        assert report["reason"] == ""

    def settled(self) -> None:
        """Wait until all that was handed to the store is stored."""
        self.until(lambda: self.session.desk.writer.waiting == 0)

    def events(self) -> list[StoredEvent]:
        """What is on the disk, as another process sees it."""
        with Store.open_readonly(self.path / DATABASE) as store:
            return store.all_events()

    def episodes(self) -> list[Episode]:
        with Store.open_readonly(self.path / DATABASE) as store:
            return store.episodes()

    def leave(self, person: Person) -> None:
        """Close a console as its operator does."""
        self.people.remove(person)
        person.link.leave()

    def close(self) -> None:
        for person in self.people:
            person.link.close()
        self.session.close()


def _stream(bind: str) -> Stream:
    """A port that was closed a moment ago is not free at once."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return Stream(bind, None)
        except AddressInUseError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@contextlib.contextmanager
def _room(
    path: Path,
    config: RunConfig,
    *,
    learns: bool = False,
    teleop: bool = False,
    bind: str = "tcp://127.0.0.1:0",
    cell: Cell | None = None,
    line: Callable[[Path], LearnerLine] | None = None,
) -> Iterator[Room]:
    """A session on the run at `path`, which is begun where there is none; `line` goes to its learner."""
    if not RunFolder.is_begun(path):
        RunFolder.create(path, config).close()
    with contextlib.ExitStack() as stack:
        # Session and people share one thread: when the machine holds it up, they all fall silent at once.
        stack.enter_context(mock.patch.object(drive, "LOST_S", SILENT_S))
        stream = _stream(bind)
        stack.callback(stream.close)
        desk = Desk(path / DATABASE, stream)
        stack.callback(desk.close)
        command = [sys.executable, "-m", "robot_rlhf.commands.live_learner", str(path)]
        learner = LearnerLink(command) if learns else None if line is None else line(path)
        description = describe(make_task(config.task))
        session = LiveSession(
            config, description, stream, desk, learner, name=path.name, teleop=teleop, cell=cell
        )
        here = Room(session, path)
        stack.callback(here.close)
        here.until(lambda: desk.ready)
        yield here


OpenRoom = Callable[..., AbstractContextManager[Room]]


@pytest.fixture(scope="session")
def open_room() -> OpenRoom:
    """open_room(path, config, learns=False, teleop=False, bind=..., cell=None, line=None): a context with a
    session there."""
    return _room


@pytest.fixture(scope="session")
def make_room() -> Callable[[LiveSession | LabelSession, Path], Room]:
    """make_room(session, path): a room with that session."""
    return Room
