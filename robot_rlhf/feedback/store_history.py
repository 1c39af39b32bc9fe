"""The record of what was said, looked back at: newest first, with what was taken back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from robot_rlhf.feedback import store_codec as codec
from robot_rlhf.feedback.store_codec import Row, StoredEvent
from robot_rlhf.feedback.store_file import StoreError, sqlite_errors


class Entry(NamedTuple):
    """An event at its place in the record, and the place of the first undo that took it back, or None."""

    seq: int
    event: StoredEvent
    undone_by: int | None


_ENTRIES = (
    "SELECT event.seq, event.payload, undo.place FROM feedback AS event LEFT JOIN "
    "(SELECT target, MIN(seq) AS place FROM feedback WHERE target IS NOT NULL GROUP BY target) AS undo "
    "ON undo.target = event.id"
)


class History:
    """Questions about a store's record; `Store.history`. Every method raises StoreError as the store does."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._connection = path, connection

    def entries(
        self,
        *,
        kind: str | None = None,
        operator: str | None = None,
        since_ns: int | None = None,
        text: str | None = None,
    ) -> Iterator[Entry]:
        """The record from its newest event back, with undone events and the undos, one at a time. `text` is
        looked for in the stored event, whatever its case."""
        rows = self._connection.execute(
            f"{_ENTRIES} WHERE (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR operator = ?2) "
            "AND (?3 IS NULL OR time_ns >= ?3) AND (?4 IS NULL OR instr(lower(payload), lower(?4))) "
            "ORDER BY event.seq DESC",
            (kind, operator, since_ns, text),
        )
        with sqlite_errors(self._path):
            for seq, payload, undone_by in rows:
                yield Entry(seq, codec.decode_event(payload), undone_by)

    def find(self, start: str) -> Entry:
        """The event whose id begins with `start`. StoreError where there is none, or more than one."""
        rows = self._rows(
            f"{_ENTRIES} WHERE substr(id, 1, ?2) = ?1 ORDER BY id = ?1 DESC LIMIT 2", (start, len(start))
        )
        exact = [row for row in rows if codec.decode_event(row[1]).id == start]
        if len(exact or rows) != 1:
            what = "no event's id begins" if not rows else "the ids of more than one event begin"
            raise StoreError(f"{what} with {start!r} in {self._path}: feedback list tells the ids")
        seq, payload, undone_by = (exact or rows)[0]
        return Entry(seq, codec.decode_event(payload), undone_by)

    def undone(self) -> int:
        """How many events were taken back."""
        ((count,),) = self._rows("SELECT COUNT(DISTINCT target) FROM feedback")
        return int(count)

    def counts_by_operator(self) -> dict[str, dict[str, int]]:
        """Operator -> how many events that stand by kind, removals among them; in alphabetical order."""
        rows = self._rows(
            "SELECT operator, kind, COUNT(*) FROM standing GROUP BY operator, kind ORDER BY operator, kind"
        )
        counts: dict[str, dict[str, int]] = {}
        for operator, kind, count in rows:
            counts.setdefault(operator, {})[kind] = int(count)
        return counts

    def _rows(self, sql: str, values: Row = ()) -> list[Row]:
        with sqlite_errors(self._path):
            return self._connection.execute(sql, values).fetchall()
