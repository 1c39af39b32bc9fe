"""Writing an episode down, and what follows from it: the takeovers and demonstrations that it holds.

A takeover is compared with what the policy would have done, a demonstration with worse ways of doing the
same; both are rolled out by the learner's process, and the event is stored together with them. Should that
never come, because a process was killed, `complete` makes up for it: which steps an operator drove stands
in the episode itself.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.feedback import store_codec as codec
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Demonstration, EventFields, Kind, Removal, Segment, Takeover
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.desk import Desk
from robot_rlhf.session.learner_link import LearnerLine
from robot_rlhf.session.live_episode import LiveEpisode
from robot_rlhf.session.run_folder import RunFolder

_NOBODY = "operator"  # who drove where no name is known


@dataclass(frozen=True)
class _Claim:
    """An event that waits for the episodes it compares with."""

    event: Takeover | Demonstration
    job: lm.RollOut | lm.Worsen


class Recordings:
    """Episodes of one run on their way to its store."""

    def __init__(self, config: RunConfig, desk: Desk, learner: LearnerLine | None, session: str) -> None:
        self._config, self._desk, self._learner, self._session = config, desk, learner, session
        self._kinds = config.kinds
        self._judged = config.reward == "learned"
        self._jobs = itertools.count()
        self._claims: dict[int, _Claim] = {}
        self._writing = 0

    @property
    def writing(self) -> bool:
        """Whether an episode is not on the disk yet, so that no count of them is right."""
        return self._writing > 0

    @property
    def busy(self) -> bool:
        """Whether an episode is being written, or a demonstration waits for what it is compared with."""
        waiting = any(isinstance(claim.event, Demonstration) for claim in self._claims.values())
        return waiting or self._writing > 0

    def add(self, episode: Episode, live: LiveEpisode, then: Callable[[], None]) -> None:
        """Write an episode down, which `live` was while it ran; `then` is called when that is done."""
        hz = self._config.control_hz
        active_s = float(episode.operator_steps.sum()) / hz
        watched_s = episode.length / hz if live.attended else 0.0
        activity = "demonstration" if episode.role is Role.DEMONSTRATION else "takeover"
        claims, plain = self._claimed(live)
        self._writing += 1

        def work(store: Store) -> None:
            with store.transaction():
                store.add_episode(episode, live.truth, live.pictures)
                store.book(activity, active_s, active_s, episode.id)
                if watched_s > active_s:
                    store.book("watching", 0.0, watched_s - active_s, episode.id)

        def stored() -> None:
            self._writing -= 1
            self._desk.tally.operator_s += active_s
            share = float(episode.operator_steps.mean())
            words = f", {share:.0%} by hand" if episode.role is Role.ONLINE and share else ""
            self._desk.tell(f"episode {episode.id} is stored{words}", episode.id)
            if self._learner is not None:
                self._learner.tell(lm.Stored())
            then()
            for event in plain:
                self._desk.store(event)
            self._assign(claims)

        self._desk.add_episode(episode, work, stored)

    def _claimed(self, live: LiveEpisode) -> tuple[list[_Claim], list[Takeover | Demonstration]]:
        """The events of an episode: those that wait for something to compare with, and those that do not."""
        claims: list[_Claim] = []
        plain: list[Takeover | Demonstration] = []
        operator = live.operator or _NOBODY
        if live.role is Role.DEMONSTRATION:
            self._claim_demonstration(live.id, operator, claims, plain)
        elif Kind.TAKEOVERS in self._kinds:
            for taken in live.takeovers:
                driven = Segment(live.id, taken.start, taken.length)
                event = self._takeover(operator, driven)
                if not self._judged or self._learner is None or taken.state is None:
                    plain.append(event)
                    continue
                job = lm.RollOut(
                    job=next(self._jobs),
                    episode=self._desk.take_id(),
                    state=taken.state,
                    length=taken.length,
                    seed=live.seed,
                    policy=taken.policy,
                    explores=live.explores,
                )
                claims.append(_Claim(event, job))
        return claims, plain

    def _claim_demonstration(
        self, id: int, operator: str, claims: list[_Claim], plain: list[Takeover | Demonstration]
    ) -> None:
        event = Demonstration(**self._fields(operator), episode=id, alternatives=())
        if Kind.DEMONSTRATIONS not in self._kinds:
            return
        if not self._judged or self._learner is None or self._config.robot:
            plain.append(event)
            return
        ids = tuple(self._desk.take_id() for _ in range(self._config.schedule.alternatives))
        claims.append(_Claim(event, lm.Worsen(job=next(self._jobs), demonstration=id, episodes=ids)))

    def _takeover(self, operator: str, driven: Segment) -> Takeover:
        return Takeover(**self._fields(operator), executed=driven, counterfactual=None)

    def _fields(self, operator: str) -> EventFields:
        return {
            "id": str(uuid.uuid4()),
            "operator": operator,
            "session": self._session,
            "time_ns": time.time_ns(),
        }

    def _assign(self, claims: Sequence[_Claim]) -> None:
        for claim in claims:
            assert self._learner is not None
            self._claims[claim.job.job] = claim
            self._learner.assign(claim.job)

    def rolled_out(self, answer: lm.RolledOut) -> None:
        """What an event waited for has come: write both down."""
        claim = self._claims.pop(answer.job, None)
        if claim is None:
            return
        episodes = [codec.decode_episode(data) for data in answer.episodes]
        seen = answer.pictures or ({},) * len(episodes)
        event = claim.event
        match event:
            case Takeover():
                side = Segment(episodes[0].id, 0, episodes[0].length) if episodes else None
                event = msgspec.structs.replace(event, counterfactual=side)
            case Demonstration():
                ids = tuple(episode.id for episode in episodes)
                event = msgspec.structs.replace(event, alternatives=ids)
        self._writing += 1

        def work(store: Store) -> None:
            with store.transaction():
                for episode, (reward, success), cameras in zip(episodes, answer.truths, seen, strict=True):
                    pictures = {
                        camera: codec.pictures_from_bytes(data, episode.id, camera, episode.length + 1)
                        for camera, data in cameras.items()
                    }
                    truth = np.frombuffer(reward, "<f4").astype(np.float32), success
                    store.add_episode(episode, truth, pictures)

        def stored(_: None) -> None:
            self._writing -= 1
            if self._learner is not None:
                self._learner.tell(lm.Stored())
            self._desk.store(event)

        self._desk.writer.submit(work, stored)

    def enter_checkpoint(self, step: int, name: str) -> None:
        """A checkpoint lies in the run's folder: enter it in the index."""
        self._desk.writer.submit(lambda store: _keep(store, self._config, step, name))

    def note(self, key: str, value: str) -> None:
        """Write a note in the store."""
        self._desk.writer.submit(lambda store: store.set_meta(key, value))

    def remove_last(self, operator: str) -> None:
        """Take the newest episode that still counts out of what is learned from."""
        tally = self._desk.tally
        counting = [id for id in tally.episodes if tally.removal(id) is None]
        if counting:
            self.remove(counting[-1], operator)

    def remove(self, episode: int, operator: str) -> None:
        """Take an episode out of what is learned from."""
        self._desk.tell(f"episode {episode} is taken out of learning", episode)
        self._desk.store(Removal(**self._fields(operator), episode=episode))

    def complete(self) -> None:
        """Make up for events that a killed session left out. Call it once, when the store has been read."""

        def work(store: Store) -> list[Takeover | Demonstration | int]:
            return list(self._missing(store))

        def found(missing: list[Takeover | Demonstration | int]) -> None:
            self._writing -= 1
            claims: list[_Claim] = []
            plain: list[Takeover | Demonstration] = []
            for one in missing:
                if isinstance(one, int):
                    self._claim_demonstration(one, _NOBODY, claims, plain)
                else:
                    plain.append(one)
            for event in plain:
                self._desk.store(event)
            self._assign(claims)

        self._writing += 1
        self._desk.writer.submit(work, found)

    def _missing(self, store: Store) -> Iterator[Takeover | Demonstration | int]:
        events = store.all_events()
        shown = {event.episode for event in events if isinstance(event, Demonstration)}
        taken = {event.executed for event in events if isinstance(event, Takeover)}
        for id in store.episode_steps(Role.DEMONSTRATION):
            if id not in shown and Kind.DEMONSTRATIONS in self._kinds:
                yield id
        for id in store.episode_steps(Role.ONLINE):
            if Kind.TAKEOVERS in self._kinds:
                for start, length in runs(store.episode(id).operator_steps):
                    if Segment(id, start, length) not in taken:
                        yield self._takeover(_NOBODY, Segment(id, start, length))


def runs(steps: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, length) of every run of True in (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], steps, [False]]).astype(np.int8)))
    return [(int(start), int(stop - start)) for start, stop in edges.reshape(-1, 2)]


def _keep(store: Store, config: RunConfig, step: int, name: str) -> None:
    run = RunFolder(store.path.parent, config, store)
    run.keep(step, run.path / name)
