"""What was said, in the store: feedback events, append-only, and the questions that were asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from robot_rlhf.feedback import store_codec as codec
from robot_rlhf.feedback.store_codec import StoredEvent
from robot_rlhf.feedback.store_database import Database
from robot_rlhf.feedback.store_file import StoreError
from robot_rlhf.feedback.types import Feedback, Kind, Preference, Query, Undo, Withdrawal


class EventTables(Database):
    """Feedback and queries."""

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
        known: set[int] = set()
        if learnable:
            known = {int(id) for (id,) in self._run("SELECT id FROM episodes")} - self.removed()
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

    def counts(self) -> dict[Kind, int]:
        """How many events there are of each kind, without undone ones; every kind is named."""
        rows = self._run(
            "SELECT kind, COUNT(*) FROM standing WHERE kind != ? GROUP BY kind", (codec.REMOVAL,)
        )
        return dict.fromkeys(Kind, 0) | {Kind(kind): int(count) for kind, count in rows}

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
