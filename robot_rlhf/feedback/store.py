"""The durable record of a run: everything that happens is written down before it is used.

One SQLite file, `run.db`. A write method that returned has its data on the disk (write-ahead log,
synchronous=FULL): killing the process at any moment loses nothing acknowledged. One process writes,
any number read meanwhile; an object belongs to the thread that made it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from robot_rlhf.feedback import store_file, store_migration
from robot_rlhf.feedback.store_codec import StoredEvent
from robot_rlhf.feedback.store_episodes import EpisodeTables, Truth
from robot_rlhf.feedback.store_events import EventTables
from robot_rlhf.feedback.store_file import StoreError
from robot_rlhf.feedback.store_history import History
from robot_rlhf.feedback.store_ledger import Checkpoint, LedgerTables, OperatorSeconds

__all__ = ["Checkpoint", "OperatorSeconds", "Store", "StoreError", "StoredEvent", "Truth"]


class Store(EpisodeTables, EventTables, LedgerTables):
    """A run's episodes, feedback, queries, operator time, checkpoints' index and notes.

    Every method raises StoreError, with one line for a person, when the file or the data is not in
    order; nothing of the failed call is stored then.
    """

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

    @property
    def history(self) -> History:
        """The same record, looked back at: with what was taken back, and by whom what was said."""
        return History(self.path, self._connection)
