"""The numbers of a run as they stand, kept up event by event so that nobody has to count anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.store_codec import StoredEvent
from robot_rlhf.feedback.types import (
    KIND_OF,
    Choice,
    Feedback,
    Kind,
    Outcome,
    Preference,
    Query,
    Removal,
    Segment,
    Undo,
)

_SWAPPED = {Choice.LEFT: Choice.RIGHT, Choice.RIGHT: Choice.LEFT}


@dataclass(frozen=True)
class StoredEpisode:
    """What is told of an episode in a list."""

    id: int
    role: Role
    steps: int
    operator_fraction: float


class Tally:
    """Episodes, standing feedback and open questions of a run."""

    def __init__(self) -> None:
        self.episodes: dict[int, StoredEpisode] = {}
        self.queries: dict[str, Query] = {}
        """Every pair that was chosen, by id, in the order they were."""
        self.operator_s = 0.0
        self._events: dict[str, Feedback | Removal] = {}
        self._undone: set[str] = set()
        self._answers: dict[str, Preference] = {}  # query -> its standing answer
        self._marks: dict[int, Outcome] = {}
        self._removals: dict[int, Removal] = {}
        self._counts = dict.fromkeys(Kind, 0)

    @staticmethod
    def of(store: Store) -> Tally:
        """What `store` holds."""
        tally = Tally()
        for id in store.episode_steps():
            episode = store.episode(id)
            fraction = float(episode.operator_steps.mean())
            tally.add_episode(StoredEpisode(id, episode.role, episode.length, fraction))
        tally.add_queries(store.queries())
        for event in store.all_events():
            tally.add(event)
        tally.operator_s = store.operator_seconds().active_s
        return tally

    def add_episode(self, episode: StoredEpisode) -> None:
        """An episode was stored; counterfactual ones are passed over."""
        if episode.role is not Role.COUNTERFACTUAL:
            self.episodes[episode.id] = episode

    def add_queries(self, queries: Iterable[Query]) -> None:
        """Pairs were chosen to be asked about."""
        self.queries |= {query.id: query for query in queries}

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
                self._removals[episode] = event
            case Preference(query=query):
                self._answers[query] = event
            case Outcome(episode=episode):
                self._marks[episode] = event
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
                self._removals.pop(episode, None)
            case Preference(query=query):
                self._answers.pop(query, None)
            case Outcome(episode=episode):
                self._bring_back(episode)
            case _:
                pass
        if not isinstance(event, Removal):
            self._counts[KIND_OF[type(event)]] -= 1

    def _bring_back(self, episode: int) -> None:
        """The newest mark of an episode that still stands, or none."""
        self._marks.pop(episode, None)
        for event in self._events.values():
            if isinstance(event, Outcome) and event.episode == episode and event.id not in self._undone:
                self._marks[episode] = event

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
        return self._marks.get(episode)

    def removal(self, episode: int) -> Removal | None:
        """What took an episode out, if it is out."""
        return self._removals.get(episode)

    @property
    def marks(self) -> tuple[bool, ...]:
        """Marks of the policy's episodes, oldest first; those without one left out."""
        online = [id for id, episode in self.episodes.items() if episode.role is Role.ONLINE]
        return tuple(self._marks[id].success for id in online if id in self._marks)

    @property
    def interventions(self) -> tuple[float, ...]:
        """Share of each policy episode that the operator drove, oldest first."""
        return tuple(e.operator_fraction for e in self.episodes.values() if e.role is Role.ONLINE)

    @property
    def self_agreement(self) -> float | None:
        """Share of the pairs asked again with sides swapped that got the same answer; None without any."""
        first: dict[tuple[Segment, Segment], Preference] = {}
        same: list[bool] = []
        for answer in self._answers.values():
            query = self.queries.get(answer.query)
            if query is None or answer.choice is Choice.CANNOT_TELL:
                continue
            if query.reason != "repeat":
                first[query.left, query.right] = answer
            elif (before := first.get((query.right, query.left))) is not None:
                same.append(_SWAPPED.get(before.choice, before.choice) is answer.choice)
        return sum(same) / len(same) if same else None
