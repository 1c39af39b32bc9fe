"""The durable record of a run: everything that happens is written down before it is used.

One SQLite file, `run.db`. A write method that returned has its data on the disk (write-ahead log,
synchronous=FULL): killing the process at any moment loses nothing acknowledged. One process writes,
any number read meanwhile; an object belongs to the thread that made it.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.feedback import store_codec as codec
from robot_rlhf.feedback import store_file, store_migration
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store_codec import Row, StoredEvent
from robot_rlhf.feedback.store_file import StoreError
from robot_rlhf.feedback.store_history import History
from robot_rlhf.feedback.types import Feedback, Kind, Preference, Query, Undo, Withdrawal

__all__ = ["Checkpoint", "OperatorSeconds", "Store", "StoreError", "StoredEvent", "Truth"]


class OperatorSeconds(NamedTuple):
    """Booked operator time: `active_s` at work, `attended_s` that plus the time spent watching."""

    active_s: float
    attended_s: float


class Truth(NamedTuple):
    """The simulation's own judgement of an episode: task reward (T,) float32, and success."""

    task_reward: NDArray[np.float32]
    success: bool


class Checkpoint(NamedTuple):
    """A saved state of the learner; `path` is relative to the run's folder, with forward slashes."""

    step: int
    path: str
    created_ns: int


class Store:
    """A run's episodes, feedback, queries, operator time, checkpoints' index and notes.

    Every method raises StoreError, with one line for a person, when the file or the data is not in
    order; nothing of the failed call is stored then.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: sqlite3.Connection | None) -> None:
        """Used by `create`, `open` and `open_readonly`. `lock` is the writer's, None for a reader."""
        self.path = path
        self._connection = connection
        self._lock = lock
        self._depth = 0

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> Store:
        """A new, empty store at `path`, which must not exist, opened for writing."""
        store_file.create_file(Path(path))
        return cls.open(path)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """The store at `path` for reading and writing. StoreError while another process has it so.

        The file of an older version is brought forward; it stays beside as it was, as `run.db.v1`.
        """
        path = Path(path)
        with contextlib.ExitStack() as undone:
            connection = undone.enter_context(contextlib.closing(store_file.open_for_writing(path)))
            lock = undone.enter_context(contextlib.closing(store_file.lock_writer(path)))
            store_migration.migrate(connection, path)
            undone.pop_all()
        return cls(path, connection, lock)

    @classmethod
    def open_readonly(cls, path: str | os.PathLike[str]) -> Store:
        """The store at `path` for reading, also while another process writes. One of an older version is
        read as it is."""
        path = Path(path)
        return cls(path, store_file.open_for_reading(path), None)

    @classmethod
    def open_untouched(cls, path: str | os.PathLike[str]) -> Store:
        """The store at `path` for a look that leaves every file as it was, and does not read it all first."""
        path = Path(path)
        return cls(path, store_file.open_untouched(path), None)

    def close(self) -> None:
        """Close the file. Calling it twice is fine."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()

    def copy(self, to: Path) -> None:
        """Copy the store as it is at one moment to the file `to`, whole and synced or not at all; another
        process may write meanwhile."""
        store_migration.copy_database(self._connection, to)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is stored together when the block ends, or not at all when it raises.

        Blocks may nest: an inner one that raises takes back its own part only, and is durable when the
        outermost ends. For a reader it is one moment's view of the whole store.
        """
        name = f"level_{self._depth}"
        outermost = self._depth == 0
        if outermost:
            self._run("BEGIN" if self._lock is None else "BEGIN IMMEDIATE")
        elif not self._connection.in_transaction:
            raise StoreError(f"{self.path}: an error has ended this transaction, nothing of it is stored")
        else:
            self._run(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
            self._run("COMMIT" if outermost else f"RELEASE {name}")
        except BaseException:
            if self._connection.in_transaction:  # a full disk has ended it already
                self._run("ROLLBACK" if outermost else f"ROLLBACK TO {name}")
                if not outermost:
                    self._run(f"RELEASE {name}")
            raise
        finally:
            self._depth -= 1

    # Episodes

    def add_episode(
        self,
        episode: Episode,
        truth: tuple[NDArray[np.float32], bool] | None = None,
        pictures: Mapping[str, Sequence[bytes]] | None = None,
    ) -> None:
        """Store an episode, and where it was simulated the task's own (reward (T,), success), which
        only a report may read. `pictures` are JPEGs by camera, the i-th seen together with obs[i], T+1 of
        each. StoreError when its id is taken, and for pictures that are not as said."""
        row = codec.episode_row(episode)
        seen = {
            camera: codec.pictures_bytes(frames, episode.id, camera, episode.length + 1)
            for camera, frames in (pictures or {}).items()
        }
        with self.transaction():
            if self._run("SELECT 1 FROM episodes WHERE id = ?", (episode.id,)):
                raise StoreError(f"episode {episode.id} is stored already, use {self.next_episode_id()}")
            marks = ", ".join("?" * len(row))
            self._run(f"INSERT INTO episodes ({codec.EPISODE_COLUMNS}) VALUES ({marks})", row)
            if truth is not None:
                reward, success = truth
                data = codec.reward_bytes(reward, episode)
                self._run("INSERT INTO truth VALUES (?, ?, ?)", (episode.id, data, bool(success)))
            for camera, blob in seen.items():
                self._run("INSERT INTO pictures VALUES (?, ?, ?)", (episode.id, camera, blob))

    def add_packed_episode(
        self, row: Row, judged: tuple[bytes, bool] | None, pictures: Mapping[str, bytes]
    ) -> None:
        """Store the values of `store_codec.EPISODE_COLUMNS`, with the task's own judgement and what cameras
        saw, all as they are stored and found to be sound. An episode that is there stays as it is."""
        with self.transaction():
            marks = ", ".join("?" * len(row))
            self._run(f"INSERT OR IGNORE INTO episodes ({codec.EPISODE_COLUMNS}) VALUES ({marks})", row)
            if judged is not None:
                self._run("INSERT OR IGNORE INTO truth VALUES (?, ?, ?)", (row[0], *judged))
            for camera, data in pictures.items():
                self._run("INSERT OR IGNORE INTO pictures VALUES (?, ?, ?)", (row[0], camera, data))

    def next_episode_id(self) -> int:
        """The id for the next episode. Never one that feedback or booked time already speaks about:
        both may be older than their episode, which is lost when the process dies while it runs."""
        ((highest,),) = self._run(
            "SELECT MAX(id) FROM (SELECT MAX(id) AS id FROM episodes UNION ALL "
            "SELECT MAX(last_episode) FROM feedback UNION ALL SELECT MAX(episode) FROM operator_time)"
        )
        return 0 if highest is None else int(highest) + 1

    def episode(self, id: int) -> Episode:
        """The episode of that id."""
        rows = self._run(f"SELECT {codec.EPISODE_COLUMNS} FROM episodes WHERE id = ?", (id,))
        if not rows:
            raise StoreError(f"there is no episode {id} in {self.path}")
        return codec.episode_from_row(rows[0])

    def episodes(self, ids: Iterable[int] | None = None, role: Role | None = None) -> list[Episode]:
        """Episodes in the order of their ids: all, those of `ids` (each must exist), those of `role`."""
        chosen = self.episode_steps(role).keys() if ids is None else sorted(set(ids))
        found = [self.episode(id) for id in chosen]
        return [episode for episode in found if role is None or episode.role is role]

    def each_episode(self, ids: Iterable[int] | None = None) -> Iterator[Episode]:
        """Episodes one after another, so that a run of any length can be gone through: all in the order of
        their ids, or those of `ids` in theirs."""
        for id in self.episode_steps() if ids is None else ids:
            yield self.episode(id)

    def episode_steps(self, role: Role | None = None) -> dict[int, int]:
        """Episode id -> number of steps, in the order of ids, without loading any arrays."""
        value = None if role is None else role.value
        rows = self._run("SELECT id, steps FROM episodes WHERE ?1 IS NULL OR role = ?1 ORDER BY id", (value,))
        return {int(id): int(steps) for id, steps in rows}

    def cameras(self, episode: int) -> tuple[str, ...]:
        """The names of the cameras whose pictures of this episode are stored, in alphabetical order."""
        if not self._has_pictures():
            return ()
        rows = self._run("SELECT camera FROM pictures WHERE episode = ? ORDER BY camera", (episode,))
        return tuple(camera for (camera,) in rows)

    def all_cameras(self) -> tuple[str, ...]:
        """The names of the cameras whose pictures of any episode are stored, in alphabetical order."""
        if not self._has_pictures():
            return ()
        return tuple(name for (name,) in self._run("SELECT DISTINCT camera FROM pictures ORDER BY camera"))

    def pictures(self, episode: int, camera: str) -> tuple[bytes, ...]:
        """What a camera saw of an episode: T+1 JPEGs, the i-th together with obs[i]."""
        rows = self._has_pictures() and self._run(
            "SELECT frames, steps FROM pictures JOIN episodes ON id = episode "
            "WHERE episode = ? AND camera = ?",
            (episode, camera),
        )
        if not rows:
            there = ", ".join(self.cameras(episode)) or "none"
            raise StoreError(
                f"camera {camera!r} has no pictures of episode {episode}, those that have: {there}"
            )
        ((blob, steps),) = rows
        return codec.pictures_from_bytes(blob, episode, camera, steps + 1)

    def _has_pictures(self) -> bool:
        """False in a file of version 1, which a reader leaves as it is."""
        return bool(self._run("SELECT 1 FROM sqlite_master WHERE name = 'pictures'"))

    def truth(self) -> dict[int, Truth]:
        """Episode id -> the simulation's own judgement. For the report; learning must never see it."""
        rows = self._run("SELECT episode, task_reward, success FROM truth ORDER BY episode")
        return {id: Truth(codec.reward_from_bytes(data, id), bool(success)) for id, data, success in rows}

    # Feedback

    def add_feedback(self, event: StoredEvent) -> bool:
        """Store an event; it is on the disk when this returns (inside `transaction`, when that ends).

        True when it was new, False when the same event was there already, so that sending twice is
        harmless. StoreError when its id is taken by a different event, or when an Undo names no stored
        event or another Undo.
        """
        payload = codec.encode_event(event)
        with self.transaction():
            stored = self._run("SELECT payload FROM feedback WHERE id = ?", (event.id,))
            if stored:
                if codec.decode_event(stored[0][0]) != event:
                    raise StoreError(f"feedback id {event.id!r} is taken by a different event")
                return False
            if isinstance(event, Undo):
                self._check_undo(event)
            columns = ", ".join(codec.EVENT_COLUMNS)
            marks = ", ".join("?" * len(codec.EVENT_COLUMNS))
            self._run(
                f"INSERT INTO feedback (seq, {columns}, payload) "
                f"SELECT COALESCE(MAX(seq), 0) + 1, {marks}, ? FROM feedback",
                (*codec.event_columns(event), payload),
            )
        return True

    def _check_undo(self, undo: Undo) -> None:
        rows = self._run("SELECT kind FROM feedback WHERE id = ?", (undo.target,))
        if not rows:
            raise StoreError(f"undo {undo.id!r} names {undo.target!r}, which is no stored event")
        if rows[0][0] == "undo":
            raise StoreError(f"undo {undo.id!r} names another undo: to bring an event back, send it anew")

    def add_many(self, events: Iterable[StoredEvent]) -> int:
        """Store several events in one transaction: all or none. Returns how many were new."""
        with self.transaction():
            return sum(self.add_feedback(event) for event in events)

    def feedback(self, kinds: Collection[Kind] | None = None, *, learnable: bool = False) -> list[Feedback]:
        """Events of these kinds (all by default) in the order they were stored, without undone ones.

        `learnable` leaves out events about an episode that was removed, or that is not stored: it still
        runs, or was lost when the process was killed.
        """
        rows = self._run("SELECT kind, payload FROM standing ORDER BY seq")
        wanted = {kind.value for kind in (Kind if kinds is None else kinds)}
        events = [codec.decode_event(payload) for kind, payload in rows if kind in wanted]
        known = self.episode_steps().keys() - self.removed() if learnable else frozenset[int]()
        return [
            event
            for event in events
            if not isinstance(event, Withdrawal) and (not learnable or codec.episodes_of(event) <= known)
        ]

    def removed(self) -> set[int]:
        """The episodes that are taken out of what is learned from."""
        rows = self._run("SELECT DISTINCT last_episode FROM standing WHERE kind = ?", (codec.REMOVAL,))
        return {int(id) for (id,) in rows}

    def all_events(self) -> list[StoredEvent]:
        """The whole record in the order it was stored, with undone events and the undos."""
        rows = self._run("SELECT payload FROM feedback ORDER BY seq")
        return [codec.decode_event(payload) for (payload,) in rows]

    @property
    def history(self) -> History:
        """The same record, looked back at: with what was taken back, and by whom what was said."""
        return History(self.path, self._connection)

    def counts(self) -> dict[Kind, int]:
        """How many events there are of each kind, without undone ones; every kind is named."""
        rows = self._run(
            "SELECT kind, COUNT(*) FROM standing WHERE kind != ? GROUP BY kind", (codec.REMOVAL,)
        )
        return dict.fromkeys(Kind, 0) | {Kind(kind): int(count) for kind, count in rows}

    # Queries

    def add_query(self, query: Query) -> None:
        """Store a query before it is asked. The same one again is fine; StoreError when its id is
        taken by a different one."""
        with self.transaction():
            stored = self._run("SELECT payload FROM queries WHERE id = ?", (query.id,))
            if not stored:
                row = (query.id, codec.encode_query(query))
                self._run("INSERT INTO queries (id, payload) VALUES (?, ?)", row)
            elif codec.decode_query(stored[0][0]) != query:
                raise StoreError(f"query id {query.id!r} is taken by a different query")

    def queries(self, answered: bool | None = None, *, skip: int = 0) -> list[Query]:
        """Queries in the order they were stored, without the first `skip`: all, or those with (True) or
        without (False) an answer that was not taken back."""
        rows = self._run("SELECT payload FROM queries ORDER BY seq LIMIT -1 OFFSET ?", (skip,))
        queries = [codec.decode_query(payload) for (payload,) in rows]
        if answered is None:
            return queries
        answers = {e.query for e in self.feedback({Kind.PREFERENCES}) if isinstance(e, Preference)}
        return [query for query in queries if (query.id in answers) == answered]

    # Operator time

    def book(self, activity: str, active_s: float, attended_s: float, episode: int | None = None) -> None:
        """Enter operator time in the ledger. `attended_s` includes `active_s`."""
        if not (math.isfinite(attended_s) and 0.0 <= active_s <= attended_s):
            raise StoreError(
                f"{activity!r} books {active_s} s active and {attended_s} s attended: "
                "both must be finite, from 0, and attended includes active"
            )
        with self.transaction():
            self._run(
                "INSERT INTO operator_time (activity, active_s, attended_s, episode) VALUES (?, ?, ?, ?)",
                (activity, active_s, attended_s, episode),
            )

    def operator_seconds(self, episodes: Collection[int] | None = None) -> OperatorSeconds:
        """All booked operator time, or what was booked for `episodes`."""
        chosen = "1" if episodes is None else f"episode IN ({','.join('?' * len(episodes))})"
        ((active, attended),) = self._run(
            f"SELECT TOTAL(active_s), TOTAL(attended_s) FROM operator_time WHERE {chosen}",
            tuple(episodes or ()),
        )
        return OperatorSeconds(active, attended)

    def operator_seconds_by_activity(self) -> dict[str, OperatorSeconds]:
        """Activity -> booked time, in the order the activities first appeared."""
        rows = self._run(
            "SELECT activity, TOTAL(active_s), TOTAL(attended_s) FROM operator_time "
            "GROUP BY activity ORDER BY MIN(seq)"
        )
        return {activity: OperatorSeconds(active, attended) for activity, active, attended in rows}

    # Checkpoints and notes

    def record_checkpoint(self, step: int, path: str, created_ns: int) -> None:
        """Note that the learner's state after environment step `step` lies, complete, in the file
        `path`, relative to the run's folder so that the folder can be moved."""
        parts = PurePosixPath(path)
        if not parts.name or parts.is_absolute() or ".." in parts.parts:
            raise StoreError(f"checkpoint path {path!r} must be relative to the run's folder and inside it")
        with self.transaction():
            row = (step, path, created_ns)
            self._run("INSERT INTO checkpoints (step, path, created_ns) VALUES (?, ?, ?)", row)

    def latest_checkpoints(self, count: int = 1) -> list[Checkpoint]:
        """The last `count` recorded checkpoints, newest first; fewer where there are fewer."""
        rows = self._run("SELECT step, path, created_ns FROM checkpoints ORDER BY seq DESC LIMIT ?", (count,))
        return [Checkpoint(*row) for row in rows]

    def meta(self, key: str) -> str | None:
        """The note under `key`, or None."""
        rows = self._run("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def set_meta(self, key: str, value: str) -> None:
        """Write or replace the note under `key`."""
        with self.transaction():
            self._run("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

    def execute(self, sql: str, values: Row = ()) -> list[Row]:
        """The rows of a statement that only reads, for `store_log`, which knows the tables too."""
        return self._run(sql, values)

    def _run(self, sql: str, values: Row = ()) -> list[Row]:
        with store_file.sqlite_errors(self.path):
            return self._connection.execute(sql, values).fetchall()
