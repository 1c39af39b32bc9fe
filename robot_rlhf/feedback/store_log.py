"""A store as a log that another store follows: what it does not have yet, in the order it was written.

Feedback, queries and booked time are only ever added to, each table in an order of its own, so three numbers
say how far a follower is. An episode is stored when it is over, long after its id was given out, so of
episodes the follower's own ids say what is lacking. Episodes go first: what is said of one comes after it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import msgspec

from robot_rlhf.feedback import store_codec as codec
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.store_codec import Row, StoredEvent
from robot_rlhf.feedback.types import (
    Demonstration,
    Evaluation,
    Outcome,
    Preference,
    Query,
    Removal,
    Segment,
    Takeover,
    Undo,
)

Renumber = Callable[[int], int]
"""An episode's id in one store -> its id in another."""
_AT_ONCE = 500  # rows, or values in a statement


class Position(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many rows of each table a follower has, and the id of the last event among them."""

    events: int = 0
    queries: int = 0
    booked: int = 0
    last_event: str = ""


class Booked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of `operator_time`."""

    activity: str
    active_s: float
    attended_s: float
    episode: int | None


class Judged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The task's own judgement of an episode, its reward as `store_codec.reward_bytes` has it."""

    episode: int
    task_reward: bytes
    success: bool


class Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a camera saw of an episode, as `store_codec.pictures_bytes` has it."""

    episode: int
    camera: str
    pictures: bytes


class Rows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows of a store; episodes as `store_codec.encode_episode` packs them."""

    episodes: tuple[bytes, ...] = ()
    truths: tuple[Judged, ...] = ()
    seen: tuple[Seen, ...] = ()
    queries: tuple[Query, ...] = ()
    events: tuple[StoredEvent, ...] = ()
    booked: tuple[Booked, ...] = ()
    notes: dict[str, str] = {}


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Rows for a follower that is at `after`, and where it is once it has them."""

    after: Position
    upto: Position
    rows: Rows
    episodes: frozenset[int]


class StoreLog:
    """What of a store, open for reading while another thread or process writes it, a follower lacks."""

    def __init__(self, store: Store, *, truths: bool) -> None:
        """Without `truths` nothing of the task's own judgement is in the rows."""
        self._store, self._truths = store, truths
        self._position = Position()
        self._lacking: set[int] = set()  # stored, and not with the follower
        self._highest = -1
        self._holes: set[int] = set()  # ids below `_highest` of episodes that are not stored (yet)
        self._notes: dict[str, str] = {}
        self._version: object = None

    def begin(self, position: Position, episodes: Collection[int]) -> bool:
        """Go on behind what a follower has; False where it has what this store has not."""
        with self._store.transaction():
            mine = set(self._store.episode_steps())
            ((events, queries, booked),) = self._store.execute(
                "SELECT (SELECT COUNT(*) FROM feedback), (SELECT COUNT(*) FROM queries), "
                "(SELECT COUNT(*) FROM operator_time)"
            )
            last = self._store.execute("SELECT id FROM feedback WHERE seq = ?", (position.events,))
        agrees = position.events == 0 or bool(last and last[0][0] == position.last_event)
        if not agrees or position.events > events or position.queries > queries or position.booked > booked:
            return False
        if not mine.issuperset(episodes):
            return False
        self._position, self._lacking = position, mine - set(episodes)
        self._highest = max(mine, default=-1)
        self._holes = set(range(self._highest)) - mine
        self._notes, self._version = {}, None
        return True

    @property
    def moved(self) -> bool:
        """Whether something was written since this was asked last, or since `begin`."""
        ((version,),) = self._store.execute("PRAGMA data_version")
        before, self._version = self._version, version
        return bool(before != version)

    def next(self, max_bytes: int) -> Batch | None:
        """The next rows, some `max_bytes` of them, one row at least; None where the follower has all.
        The same again until they are `acknowledged`. New notes travel with other rows only."""
        with self._store.transaction():
            self._look_for_episodes()
            return self._filled(max_bytes)

    def _filled(self, room: int) -> Batch | None:
        at = self._position
        chosen, packed, seen = [], [], list[Seen]()
        for id in sorted(self._lacking):
            if room <= 0:
                break
            row = self._store.execute(f"SELECT {codec.EPISODE_COLUMNS} FROM episodes WHERE id = ?", (id,))[0]
            data = codec.packed(row)
            chosen.append(id)
            packed.append(data)
            pictures = list(self._seen(id))
            seen += pictures
            room -= len(data) + sum(len(one.pictures) for one in pictures)
        queries, events, booked = [], [], []
        if room > 0:
            rows, room = self._after("id, payload", "queries", at.queries, room)
            queries = [codec.decode_query(payload) for _, payload in rows]
        if room > 0:
            rows, room = self._after("id, payload", "feedback", at.events, room)
            events = [codec.decode_event(payload) for _, payload in rows]
        if room > 0:
            rows, room = self._after(
                "activity, active_s, attended_s, episode", "operator_time", at.booked, room
            )
            booked = [Booked(activity=a, active_s=b, attended_s=c, episode=d) for a, b, c, d in rows]
        if not (chosen or queries or events or booked):
            return None
        upto = Position(
            events=at.events + len(events),
            queries=at.queries + len(queries),
            booked=at.booked + len(booked),
            last_event=events[-1].id if events else at.last_event,
        )
        notes: dict[str, str] = dict(self._store.execute("SELECT key, value FROM meta"))
        rows_ = Rows(
            episodes=tuple(packed),
            truths=tuple(self._judged(chosen)),
            seen=tuple(seen),
            queries=tuple(queries),
            events=tuple(events),
            booked=tuple(booked),
            notes={key: value for key, value in notes.items() if self._notes.get(key) != value},
        )
        return Batch(after=at, upto=upto, rows=rows_, episodes=frozenset(chosen))

    def acknowledged(self, batch: Batch) -> None:
        """The follower has those rows, on its disk."""
        self._position = batch.upto
        self._lacking -= batch.episodes
        self._notes |= batch.rows.notes

    def _after(self, columns: str, table: str, seq: int, room: int) -> tuple[list[Row], int]:
        """The rows of `table` after number `seq`, as many as there is room for, and the room that is left."""
        taken = []
        rows = self._store.execute(
            f"SELECT {columns} FROM {table} WHERE seq > ? ORDER BY seq LIMIT ?", (seq, _AT_ONCE)
        )
        for row in rows:
            if room <= 0:
                break
            taken.append(row)
            room -= 64 + sum(len(value) for value in row if isinstance(value, str))
        return taken, room if len(rows) < _AT_ONCE else 0

    def _look_for_episodes(self) -> None:
        """Episodes are stored when they end: in another order than they began."""
        fresh = {
            id for (id,) in self._store.execute("SELECT id FROM episodes WHERE id > ?", (self._highest,))
        }
        for some in _portions(sorted(self._holes)):
            marks = ",".join("?" * len(some))
            fresh |= {
                id for (id,) in self._store.execute(f"SELECT id FROM episodes WHERE id IN ({marks})", some)
            }
        highest = max(fresh | {self._highest})
        self._holes = (self._holes | set(range(self._highest + 1, highest))) - fresh
        self._lacking |= fresh
        self._highest = highest

    def _seen(self, episode: int) -> Iterator[Seen]:
        for camera in self._store.cameras(episode):
            ((data,),) = self._store.execute(
                "SELECT frames FROM pictures WHERE episode = ? AND camera = ?", (episode, camera)
            )
            yield Seen(episode=episode, camera=camera, pictures=data)

    def _judged(self, ids: Sequence[int]) -> Iterator[Judged]:
        for some in _portions(ids) if self._truths else ():
            marks = ",".join("?" * len(some))
            for episode, reward, success in self._store.execute(
                f"SELECT episode, task_reward, success FROM truth WHERE episode IN ({marks})", some
            ):
                yield Judged(episode=episode, task_reward=reward, success=bool(success))


def _portions(ids: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield tuple(ids[start : start + _AT_ONCE])


def take_in(store: Store, rows: Rows, renumber: Renumber = lambda id: id) -> bool:
    """Write rows down, episodes under other ids; whether something that was there before counts otherwise
    now, so that all must be read anew. What is there already is passed over, but for booked time: the caller
    sees to it, in one transaction with this, that rows come once. Raises StoreError."""
    with store.transaction():
        events = [renumbered(event, renumber) for event in rows.events]
        takes_back = any(_takes_back(store, event) for event in events)  # of what was there before
        judged = {one.episode: (one.task_reward, one.success) for one in rows.truths}
        for data in rows.episodes:
            count = codec.decode_episode(data).length + 1  # StoreError where it is none
            id, *rest = codec.unpacked(data)
            pictures = {one.camera: _sound(one, count) for one in rows.seen if one.episode == id}
            store.add_packed_episode((renumber(id), *rest), judged.get(id), pictures)
        for query in rows.queries:
            store.add_query(renumbered_query(query, renumber))
        store.add_many(events)
        for one in rows.booked:
            episode = None if one.episode is None else renumber(one.episode)
            store.book(one.activity, one.active_s, one.attended_s, episode)
        for key, value in rows.notes.items():
            store.set_meta(key, value)
    return takes_back


def _sound(seen: Seen, count: int) -> bytes:
    """What a camera saw; StoreError unless it is `count` pictures."""
    frames = codec.pictures_from_bytes(seen.pictures, seen.episode, seen.camera, count)
    return codec.pictures_bytes(frames, seen.episode, seen.camera, count)


def _takes_back(store: Store, event: StoredEvent) -> bool:
    """Whether an event changes what an episode that is stored counts for."""
    if isinstance(event, Outcome):
        roles = store.execute("SELECT role FROM episodes WHERE id = ?", (event.episode,))
        return roles == [(Role.DEMONSTRATION.value,)]
    return isinstance(event, (Undo, Removal))


def renumbered_query(query: Query, renumber: Renumber) -> Query:
    """The query about the same episodes under other ids."""
    left, right = (_segment(one, renumber) for one in (query.left, query.right))
    return msgspec.structs.replace(query, left=left, right=right)


def renumbered(event: StoredEvent, renumber: Renumber) -> StoredEvent:
    """The event about the same episodes under other ids."""
    match event:
        case Preference(left=left, right=right):
            left, right = _segment(left, renumber), _segment(right, renumber)
            return msgspec.structs.replace(event, left=left, right=right)
        case Takeover(executed=executed, counterfactual=other):
            other = None if other is None else _segment(other, renumber)
            return msgspec.structs.replace(event, executed=_segment(executed, renumber), counterfactual=other)
        case Demonstration(episode=episode, alternatives=others):
            others = tuple(renumber(id) for id in others)
            return msgspec.structs.replace(event, episode=renumber(episode), alternatives=others)
        case Evaluation(episode=episode) | Outcome(episode=episode) | Removal(episode=episode):
            return msgspec.structs.replace(event, episode=renumber(episode))
        case Undo():
            return event


def _segment(segment: Segment, renumber: Renumber) -> Segment:
    return msgspec.structs.replace(segment, episode=renumber(segment.episode))
