"""The desk where feedback is handed in: written down first, acknowledged then; and what is stored shown.

Everything that touches the store is done by the `Writer`'s thread; what comes of it is handled on the
thread that calls `settle`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.episode import Episode
from robot_rlhf.feedback.operator import MARK_S, PRESS_S
from robot_rlhf.feedback.store import Store, StoreError
from robot_rlhf.feedback.store_codec import StoredEvent
from robot_rlhf.feedback.types import (
    Demonstration,
    Evaluation,
    Outcome,
    Preference,
    Query,
    Segment,
    Takeover,
)
from robot_rlhf.learning.snapshot import Snapshot
from robot_rlhf.session.stream import Console, Stream
from robot_rlhf.session.tally import StoredEpisode, Tally
from robot_rlhf.session.writer import Writer

Answer: TypeAlias = Callable[[m.FromSession], None]

_LISTED = 500
"""The newest episodes that a list shows."""
_LONGEST_ANSWER_S = 60.0
"""No pair is booked for longer: whoever needs more has left the table."""
HELD_S = 120.0
"""A pair that lies before somebody for so long, and no other of theirs is answered, is offered to others."""


@dataclass
class _Held:
    """Before which console a pair lies, and since when."""

    by: str
    since_s: float


class Desk:
    """Feedback in, clips out, for one run."""

    def __init__(self, database: Path, stream: Stream, *, shared: float = 0.0) -> None:
        """`shared` is the share of pairs that two operators are asked. Raises StoreError where the store at
        `database` cannot be opened."""
        self._stream = stream
        self.writer = Writer(database)
        self.tally = Tally(shared)
        self.next_episode = 0
        """The id of the next episode, never used before."""
        self.judge: Snapshot | None = None
        """Whose reward is shown beside an episode."""
        self.heard: Callable[[StoredEvent], None] = lambda _: None
        """Told of every new event, once it is on the disk."""
        self.news: deque[m.News] = deque(maxlen=_LISTED)
        self._number = 0
        self._held: dict[str, _Held] = {}  # by query
        self.ready = False
        """Whether the store has been read."""
        self.writer.submit(lambda store: (Tally.of(store, shared), store.next_episode_id()), self._read)

    def _read(self, found: tuple[Tally, int]) -> None:
        self.tally, self.next_episode = found
        self.ready = True

    def take_id(self) -> int:
        """An id for an episode that begins."""
        self.next_episode += 1
        return self.next_episode - 1

    def tell(self, text: str, episode: int | None = None) -> None:
        """News for every console."""
        item = m.News(number=self._number, text=text, episode=episode)
        self._number += 1
        self.news.append(item)
        self._stream.publish(item)

    @property
    def told(self) -> int:
        """How many news there have been."""
        return self._number

    def settle(self) -> None:
        """Handle what the store has done."""
        self.writer.settle()

    def gone(self, console: Console) -> None:
        """The pairs before a console that left are free for others."""
        self._held = {query: held for query, held in self._held.items() if held.by != console.token}

    # -- requests ----------------------------------------------------------------------------------------

    def request(self, console: Console, message: m.FromConsole, answer: Answer) -> None:
        """Answer a request about what is said or stored; anything else is refused."""
        match message:
            case m.Say(event=event):
                self._said(event, answer)
            case m.AskPairs():
                self._pairs(console, message, answer)
            case m.AskClip(episode=episode):
                self._show(episode, answer)
            case m.AskEpisodes(first=first):
                answer(m.Episodes(lines=self._lines(first)))
            case m.AskNews(first=first):
                answer(m.NewsSince(news=tuple(item for item in self.news if item.number >= first)))
            case _:
                answer(m.Refused(reason=f"{type(message).__name__} means nothing here"))

    def _show(self, id: int, answer: Answer) -> None:
        """All of an episode, and what the reward model makes of it."""
        judge = self.judge

        def whole(store: Store) -> m.Episode:
            episode = store.episode(id)
            return _whole(episode, _judged(episode, judge, store))

        self.writer.submit(whole, answer, lambda error: answer(m.Refused(reason=str(error))))

    def _said(self, event: StoredEvent, answer: Answer) -> None:
        if isinstance(event, (Demonstration, Takeover)):
            kind = type(event).__name__.lower()
            answer(m.Refused(reason=f"a {kind} is recorded by the session, not said"))
            return
        self.store(
            event, lambda: answer(m.Saved(event=event.id)), lambda error: answer(m.Refused(reason=str(error)))
        )

    def store(
        self,
        event: StoredEvent,
        then: Callable[[], None] = lambda: None,
        failed: Callable[[StoreError], None] | None = None,
    ) -> None:
        """Write an event down, with the operator's time that it took, then tell who listens."""

        def work(store: Store) -> bool:
            with store.transaction():
                is_new = store.add_feedback(event)
                if is_new:
                    _book(store, event)
            return is_new

        def stored(is_new: bool) -> None:
            self.tally.add(event)
            if is_new:
                self.tally.operator_s += _seconds(event)
            if isinstance(event, Preference):
                self._held.pop(event.query, None)
            then()
            if is_new:
                self.heard(event)

        self.writer.submit(work, stored, failed)

    def add_queries(self, queries: tuple[Query, ...]) -> None:
        """Pairs to ask about: written down, then offered."""

        def work(store: Store) -> None:
            with store.transaction():
                for query in queries:
                    store.add_query(query)

        self.writer.submit(work, lambda _: self.tally.add_queries(queries))

    def free_pairs(self) -> list[Query]:
        """Pairs that wait for an answer and lie before nobody."""
        return [query for query in self.tally.open_queries if self._is_free(query.id, "")]

    def _is_free(self, query: str, console: str) -> bool:
        """Whether a pair lies before no other console than this one, or has for too long."""
        held = self._held.get(query)
        return held is None or held.by == console or time.monotonic() - held.since_s > HELD_S

    def _is_for(self, query: Query, console: Console) -> bool:
        """Whether a pair that is open is to be asked at a console: what repeats a pair is for those who
        answered that, where one of them is here."""
        before = self.tally.asked_before(query)
        here = {one.name for one in self._stream.consoles.values()}
        return not before or console.name in before or not before & here

    def _pairs(self, console: Console, asked: m.AskPairs, answer: Answer) -> None:
        now, tally = time.monotonic(), self.tally
        for id in asked.have:  # whoever asks for more is at work on those
            if id in tally.queries and self._is_free(id, console.token):
                self._held[id] = _Held(console.token, now)
        fresh = [query for query in tally.open_queries if self._is_for(query, console)]
        offered = [
            query
            for query in (*tally.wanting_a_second(console.name), *fresh)
            if query.id not in asked.have and self._is_free(query.id, console.token)
        ]
        offered.sort(key=lambda query: query.id not in self._held)  # what it has already comes first
        chosen = offered[: max(0, min(asked.count, 8))]
        for query in chosen:
            self._held[query.id] = _Held(console.token, now)
        if not chosen:
            answer(m.Pairs(pairs=()))
            return

        def work(store: Store) -> tuple[m.Pair, ...]:
            pairs = []
            for query in chosen:
                left, right = (_clip(store.episode(one.episode), one) for one in (query.left, query.right))
                pairs.append(m.Pair(query=query, left=left, right=right))
            return tuple(pairs)

        self.writer.submit(
            work,
            lambda pairs: answer(m.Pairs(pairs=pairs)),
            lambda error: answer(m.Refused(reason=str(error))),
        )

    def _lines(self, first: int) -> tuple[m.EpisodeLine, ...]:
        tally = self.tally
        lines = []
        for episode in list(tally.episodes.values())[-_LISTED:]:
            mark, removal = tally.mark(episode.id), tally.removal(episode.id)
            if episode.id >= first:
                lines.append(
                    m.EpisodeLine(
                        episode=episode.id,
                        role=episode.role.value,
                        steps=episode.steps,
                        operator_fraction=episode.operator_fraction,
                        mark=None if mark is None else mark.success,
                        mark_id="" if mark is None else mark.id,
                        removed=removal is not None,
                        removed_id="" if removal is None else removal.id,
                    )
                )
        return tuple(lines)

    def add_episode(
        self,
        episode: Episode,
        work: Callable[[Store], None],
        then: Callable[[], None],
    ) -> None:
        """Write an episode down by `work`, then list it."""
        line = StoredEpisode(episode.id, episode.role, episode.length, float(episode.operator_steps.mean()))

        def stored(_: None) -> None:
            self.tally.add_episode(line)
            then()

        self.writer.submit(work, stored)

    def close(self) -> None:
        """Finish writing, then close the store."""
        self.writer.close()


def _seconds(event: StoredEvent) -> float:
    """Active operator seconds that saying this took."""
    match event:
        case Preference(response_s=response_s):
            return min(max(response_s, 0.0), _LONGEST_ANSWER_S)
        case Evaluation():
            return PRESS_S
        case Outcome():
            return MARK_S
        case _:
            return 0.0


def _book(store: Store, event: StoredEvent) -> None:
    seconds = _seconds(event)
    match event:
        case Preference():
            store.book("pair", seconds, seconds)
        case Evaluation(episode=episode):
            store.book("press", seconds, seconds, episode)
        case Outcome(episode=episode):
            store.book("mark", seconds, seconds, episode)
        case _:
            pass


def _clip(episode: Episode, segment: Segment) -> m.Clip:
    """The moments of a segment, from before its first step to after its last."""
    stop = segment.start + segment.length
    rows = episode.scenes[segment.start : stop + 1]
    return m.Clip(
        segment=segment,
        count=len(rows),
        rows=rows.astype("<f4").tobytes(),
        driver=episode.driver[segment.start : stop].tobytes(),
    )


def _whole(episode: Episode, reward: NDArray[np.float32] | None) -> m.Episode:
    """All moments of an episode, and what was thought of its steps (T,) where somebody judges."""
    if not episode.has_scenes:
        raise StoreError(f"episode {episode.id} came from elsewhere, without scenes: it cannot be looked at")
    clip = _clip(episode, Segment(episode.id, 0, episode.length))
    return m.Episode(clip=clip, reward=() if reward is None else tuple(float(one) for one in reward))


def _judged(episode: Episode, judge: Snapshot | None, store: Store) -> NDArray[np.float32] | None:
    """What `judge` thinks of the steps (T,) of a stored episode; None where nobody judges yet."""
    if judge is None:
        return None
    obs = judge.as_seen(episode.obs, {name: store.pictures(episode.id, name) for name in judge.cameras})
    return judge.reward(obs[:-1], obs[1:])
