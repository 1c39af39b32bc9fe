"""The open database of a run: its transactions, and who may write."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from robot_rlhf.feedback import store_file, store_migration
from robot_rlhf.feedback.store_codec import Row
from robot_rlhf.feedback.store_file import StoreError


class Database:
    """What the methods of a store share; they stand by subject in `store_episodes`, `store_events` and
    `store_ledger`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: sqlite3.Connection | None) -> None:
        """Used by the ways that `Store` is opened. `lock` is the writer's, None for a reader."""
        self.path = path
        self._connection = connection
        self._lock = lock
        self._depth = 0

    def close(self) -> None:
        """Close the file. Calling it twice is fine."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()

    def copy(self, to: Path) -> None:
        """Copy the store as it is at one moment to the file `to`, whole and synced or not at all; another
        process may write meanwhile."""
        store_migration.copy_database(self._connection, to)

    def __enter__(self) -> Self:
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

    def execute(self, sql: str, values: Row = ()) -> list[Row]:
        """The rows of a statement that only reads, for `store_log`, which knows the tables too."""
        return self._run(sql, values)

    def _run(self, sql: str, values: Row = ()) -> list[Row]:
        with store_file.sqlite_errors(self.path):
            return self._connection.execute(sql, values).fetchall()
