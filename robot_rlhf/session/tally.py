"""The numbers of a run as they stand, kept up event by event so that nobody has to count anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from robot_rlhf.feedback.agreement import asked_twice, is_for_two
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.store_codec import StoredEvent
from robot_rlhf.feedback.types import (
    KIND_OF,
    Feedback,
    Kind,
    Outcome,
    Preference,
    Query,
    Removal,
    Segment,
    Undo,
)
from robot_rlhf.session.worth import PRESSES_REST

K = TypeVar("K")
E = TypeVar("E")


@dataclass(frozen=True)
class StoredEpisode:
    """What is told of an episode in a list."""

    id: int
    role: Role
    steps: int
    operator_fraction: float


class Tally:
    """Episodes, standing feedback and open questions of a run; `shared` is the share of pairs that two
    operators are asked."""

    def __init__(self, shared: float = 0.0) -> None:
        self._shared = shared
        self.episodes: dict[int, StoredEpisode] = {}
        self.queries: dict[str, Query] = {}
        """Every pair that was chosen, by id, in the order they were."""
        self._by_clips: dict[tuple[Segment, Segment], str] = {}
        self.operator_s = 0.0
        self.presses_rest = False
        """Whether good and bad are not asked for at present."""
        self._events: dict[str, Feedback | Removal] = {}
        self._undone: set[str] = set()
        # What stands, oldest first: the last one counts.
        self._answers: dict[str, list[Preference]] = {}
        self._for_two: dict[str, None] = {}  # those of them that two are asked, and one has answered
        self._marks: dict[int, list[Outcome]] = {}
        self._removals: dict[int, list[Removal]] = {}
        self._counts = dict.fromkeys(Kind, 0)

    @staticmethod
    def of(store: Store, shared: float = 0.0) -> Tally:
        """What `store` holds."""
        tally = Tally(shared)
        for id in store.episode_steps():
            episode = store.episode(id)
            fraction = float(episode.operator_steps.mean())
            tally.add_episode(StoredEpisode(id, episode.role, episode.length, fraction))
        tally.add_queries(store.queries())
        for event in store.all_events():
            tally.add(event)
        tally.operator_s = store.operator_seconds().active_s
        tally.presses_rest = bool(store.meta(PRESSES_REST))
        return tally

    def add_episode(self, episode: StoredEpisode) -> None:
        """An episode was stored; counterfactual ones are passed over."""
        if episode.role is not Role.COUNTERFACTUAL:
            self.episodes[episode.id] = episode

    def add_queries(self, queries: Iterable[Query]) -> None:
        """Pairs were chosen to be asked about."""
        for query in queries:
            self.queries[query.id] = query
            self._by_clips.setdefault((query.left, query.right), query.id)

    def add(self, event: StoredEvent) -> None:
        """An event was stored. One that is known already changes nothing."""
        if isinstance(event, Undo):
            self._undo(event.target)
            return
        if event.id in self._events:
            return
        self._events[event.id] = event
        match event:
            case Removal(episode=episode):
                self._removals.setdefault(episode, []).append(event)
            case Preference(query=query):
                self._answers.setdefault(query, []).append(event)
                self._count_opinions(query)
            case Outcome(episode=episode):
                self._marks.setdefault(episode, []).append(event)
            case _:
                pass
        if not isinstance(event, Removal):
            self._counts[KIND_OF[type(event)]] += 1

    def _undo(self, target: str) -> None:
        event = self._events.get(target)
        if event is None or target in self._undone:
            return
        self._undone.add(target)
        match event:
            case Removal(episode=episode):
                _take_out(self._removals, episode, event)
            case Preference(query=query):
                _take_out(self._answers, query, event)
                self._count_opinions(query)
            case Outcome(episode=episode):
                _take_out(self._marks, episode, event)
            case _:
                pass
        if not isinstance(event, Removal):
            self._counts[KIND_OF[type(event)]] -= 1

    # -- what follows ----------------------------------------------------------------------------------

    def count(self, role: Role) -> int:
        """Episodes of that role that were not removed."""
        return sum(e.role is role and e.id not in self._removals for e in self.episodes.values())

    @property
    def counts(self) -> Mapping[Kind, int]:
        """Standing events by kind."""
        return self._counts

    @property
    def open_queries(self) -> list[Query]:
        """Pairs that wait for an answer, oldest first."""
        return [query for query in self.queries.values() if query.id not in self._answers]

    def mark(self, episode: int) -> Outcome | None:
        """The standing mark of an episode."""
        return _newest(self._marks, episode)

    def removal(self, episode: int) -> Removal | None:
        """What took an episode out, if it is out."""
        return _newest(self._removals, episode)

    @property
    def marks(self) -> tuple[bool, ...]:
        """Marks of the policy's episodes, oldest first; those without one left out."""
        online = [id for id, episode in self.episodes.items() if episode.role is Role.ONLINE]
        return tuple(self._marks[id][-1].success for id in online if id in self._marks)

    @property
    def interventions(self) -> tuple[float, ...]:
        """Share of each policy episode that the operator drove, oldest first."""
        return tuple(e.operator_fraction for e in self.episodes.values() if e.role is Role.ONLINE)

    def _count_opinions(self, query: str) -> None:
        if len(self.answered_by(query)) == 1 and is_for_two(query, self._shared):
            self._for_two[query] = None
        else:
            self._for_two.pop(query, None)

    def wanting_a_second(self, name: str) -> list[Query]:
        """Pairs that another than the operator of that name has answered, and that two are asked."""
        waiting = (id for id in self._for_two if id in self.queries and name not in self.answered_by(id))
        return [self.queries[id] for id in waiting]

    def answered_by(self, query: str) -> set[str]:
        """The names of those whose answer to a pair stands."""
        return {answer.operator for answer in self._answers.get(query, ())}

    def asked_before(self, query: Query) -> set[str]:
        """The names of those who answered what a repeat repeats, sides swapped."""
        before = self._by_clips.get((query.right, query.left), "") if query.reason == "repeat" else ""
        return self.answered_by(before)

    @property
    def self_agreement(self) -> float | None:
        """Share of the pairs asked again with sides swapped that got the same answer from the same operator;
        None without any."""
        by: dict[str, list[Preference]] = {}
        for answers in self._answers.values():
            for answer in answers:
                by.setdefault(answer.operator, []).append(answer)
        same = [alike for answers in by.values() for alike in asked_twice(answers, self.queries)]
        return sum(same) / len(same) if same else None


def _take_out(standing: dict[K, list[E]], key: K, event: E) -> None:
    left = [other for other in standing.pop(key) if other is not event]
    if left:
        standing[key] = left


def _newest(standing: dict[K, list[E]], key: K) -> E | None:
    return standing[key][-1] if key in standing else None
