"""Brings the file of an older schema version forward, and makes the copy of it that stays beside.

Whenever the process is killed, the file is a sound one of the old version or of the new one.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from robot_rlhf.feedback.store_file import (
    DiskError,
    connect,
    fresh_draft,
    sqlite_errors,
    sync_folder,
    version_of,
)
from robot_rlhf.feedback.store_schema import SCHEMA_VERSION, STEPS


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Makes the file at `path` one of today's version, where it is older; `connection` is its one writer's.

    A whole copy as it was is on the disk first, as `run.db.v1` for version 1. StoreError where there is no
    room for it or anything else fails; the file is as it was then.
    """
    with sqlite_errors(path):
        version = version_of(connection)
        if version >= SCHEMA_VERSION:
            return
        copy_database(connection, path.with_name(f"{path.name}.v{version}"))
        connection.execute("BEGIN IMMEDIATE")
        try:
            for step in range(version, SCHEMA_VERSION):
                for statement in STEPS[step]:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has ended it already
                connection.execute("ROLLBACK")
            raise


def copy_database(connection: sqlite3.Connection, to: Path) -> None:
    """Copies what `connection` sees at one moment to the file `to`, by SQLite's own backup.

    It appears there whole and synced, or not at all, and takes the place of what was there. Others may
    write to the database meanwhile. StoreError where `to` cannot be written.
    """
    draft = fresh_draft(to)
    try:
        with sqlite_errors(to), contextlib.closing(connect(draft, "mode=rwc")) as copy:
            connection.backup(copy)
        _sync_file(draft)
        draft.replace(to)
        sync_folder(to.parent)
    except BaseException as error:
        fresh_draft(to)
        if isinstance(error, OSError):
            raise DiskError(f"{to}: {error.strerror}") from error
        raise


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
