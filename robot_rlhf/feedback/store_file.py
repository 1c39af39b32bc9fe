"""The file `run.db`: what makes it ours, how it is opened, and what is said when it cannot be.

Nothing is touched before the file is known to be a sound database of a version that we read, so a
wrong file stays as it was. One process writes (a lock beside the file sees to it), any number read
meanwhile. An older version is read as it is; a writer brings it forward first (`store_migration`).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from robot_rlhf.feedback.store_schema import APPLICATION_ID, OLDEST_VERSION, SCHEMA, SCHEMA_VERSION

_IN_WORDS = {  # SQLite's own wording -> ours
    "disk is full": "the disk is full; free some space, nothing stored so far is lost",
    "readonly database": "it is open for reading only",
    "is locked": "it is open for writing elsewhere; end that program first",
    "disk I/O error": "the disk failed to read or write (full, removed, or a network folder gone?)",
    "unable to open": "it cannot be opened; check the permissions of the file and of its folder",
}


class StoreError(Exception):
    """The store cannot do what was asked. One line that names the file or the value, and what is valid."""


class DiskError(StoreError):
    """The file could not be read or written now, whatever the data: trying again later may work."""


@contextlib.contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turns what SQLite reports about the file or the data into a StoreError of one line. Wrong use of
    the library (a closed connection, another thread) is a bug and passes through as it is."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except OverflowError as error:
        raise StoreError(f"{path}: a number does not fit into 64 bits") from error
    except sqlite3.Error as error:
        message = str(error)
        damaged = "malformed" in message or "not a database" in message
        known = next((ours for theirs, ours in _IN_WORDS.items() if theirs in message), message)
        if damaged:
            raise StoreError(_damaged(path, message)) from error
        failing = known != message or isinstance(error, sqlite3.OperationalError)
        raise (DiskError if failing else StoreError)(f"{path}: {known}") from error


def create_file(path: Path) -> None:
    """Makes an empty store at `path`, which must not exist. It appears there whole or not at all."""
    if path.exists():
        raise StoreError(f"{path} exists already: open it, or choose another folder")
    if not path.parent.is_dir():
        raise StoreError(f"{path.parent} is not a folder: create it before the store")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise StoreError(f"{path.parent} is read-only: choose a folder that can be written to")
    draft = fresh_draft(path)
    with sqlite_errors(path), contextlib.closing(connect(draft, "mode=rwc")) as connection:
        connection.executescript(SCHEMA)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(f"{path}: SQLite has no write-ahead log in this folder; use a local disk")
    draft.rename(path)
    sync_folder(path.parent)


def fresh_draft(path: Path) -> Path:
    """Where a database that is to appear at `path` is made. What another attempt left there is deleted."""
    draft = path.with_name(path.name + ".new")
    for suffix in ("", "-journal", "-wal", "-shm"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    return draft


def open_for_writing(path: Path) -> sqlite3.Connection:
    """A durable connection: a commit that returned has reached the disk."""
    looked_at = _inspect(path)
    # Mode bits count for root as well, whom the system would let through.
    if not path.stat().st_mode & 0o222 or not os.access(path, os.W_OK):
        raise StoreError(f"{path} is read-only: make it writable (chmod u+w) or work on a copy")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise StoreError(f"{path.parent} is read-only: the store needs to write beside {path.name}")
    connection = connect(path, "mode=rw")
    try:
        with sqlite_errors(path):
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            _check(connection, path, pages=not looked_at)
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Sees what the writer commits, while it commits it; a store that
    was closed cleanly can be read from a folder that is read-only."""
    looked_at = _inspect(path)
    writable_folder = os.access(path.parent, os.W_OK | os.X_OK)
    if writable_folder or _beside(path, "-shm").exists():
        mode = "mode=ro"
    elif _log_is_empty(path):
        mode = "mode=ro&immutable=1"
    else:
        raise StoreError(f"{path} was not closed cleanly and its folder is read-only: work on a copy of it")
    connection = connect(path, mode)
    try:
        with sqlite_errors(path):
            _check(connection, path, pages=not looked_at)
    except BaseException:
        connection.close()
        raise
    return connection


def open_untouched(path: Path) -> sqlite3.Connection:
    """A connection for looking at a file and changing none: not even the log and its index appear beside a
    file that was closed cleanly, as they do with `open_for_reading`. Its pages are not checked."""
    _inspect(path, pages=False)
    still = _log_is_empty(path) and not has_writer(path)
    connection = connect(path, "mode=ro&immutable=1" if still else "mode=ro")
    try:
        with sqlite_errors(path):
            _check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def has_writer(path: Path) -> bool:
    """Whether some process has the store open for writing now."""
    lock = _beside(path, ".lock")
    if not lock.exists():
        return False
    with contextlib.closing(connect(lock, "mode=ro", timeout_s=0.0)) as connection:
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        except sqlite3.OperationalError:
            return True
    return False


def lock_writer(path: Path) -> sqlite3.Connection:
    """Takes the place of the one writer of `path`; free again when the connection is closed or its
    process ends, however it ends."""
    lock = connect(path.with_name(path.name + ".lock"), "mode=rwc", timeout_s=0.0)
    try:
        with sqlite_errors(path):
            lock.execute("PRAGMA journal_mode = MEMORY")
            lock.execute("BEGIN EXCLUSIVE")
    except BaseException:
        lock.close()
        raise
    return lock


def connect(path: Path, options: str, timeout_s: float = 10.0) -> sqlite3.Connection:
    """A connection with SQLite's own transactions; `options` as in sqlite.org/uri.html."""
    with sqlite_errors(path):
        uri = f"{path.absolute().as_uri()}?{options}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout_s)


def _inspect(path: Path, pages: bool = True) -> bool:
    """Raises unless `path` is a store of a version that we read, and with `pages` a sound one; changes and
    creates nothing. Returns whether the pages were looked at, which takes a second for 200 MB.

    It goes through SQLite although the header could be read directly: closing any other handle of a
    file drops the POSIX locks that SQLite holds on it elsewhere in the process
    (sqlite.org/howtocorrupt.html, 2.2).
    """
    if path.is_dir():
        raise StoreError(f"{path} is a folder: name the file, usually run.db inside the run's folder")
    if not path.exists():
        raise StoreError(f"{path} does not exist: name the folder of a run that has begun")
    if not os.access(path, os.R_OK):
        raise StoreError(f"{path} may not be read: check its permissions")
    with sqlite_errors(path):
        try:
            with contextlib.closing(connect(path, "mode=ro&immutable=1")) as connection:
                _check_version(connection, path)
                if not pages or not _log_is_empty(path):  # pages may be half-way from the log to the file
                    return False
                _check_pages(connection, path)
                return True
        except sqlite3.DatabaseError:
            if _log_is_empty(path):
                raise
        # Half-way is where a full disk leaves it, too: shorter than it says, and whole with the log alone.
        with contextlib.closing(connect(path, "mode=ro")) as connection:
            _check_version(connection, path)
    return False


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the schema as this connection sees it now."""
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    return int(version)


def _check(connection: sqlite3.Connection, path: Path, pages: bool) -> None:
    _check_version(connection, path)  # again: what the log holds may be newer than what the file does
    if pages:
        _check_pages(connection, path)


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    ((application_id,),) = connection.execute("PRAGMA application_id").fetchall()
    if application_id != APPLICATION_ID:
        raise StoreError(f"{path} is no run database of robot-rlhf")
    version = version_of(connection)
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema version {version}, this program reads up to {SCHEMA_VERSION}: "
            "open it with a newer robot-rlhf"
        )
    if version < OLDEST_VERSION:
        raise StoreError(_damaged(path, f"schema version {version}, which never was"))


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    rows = connection.execute("PRAGMA quick_check(1)").fetchall()
    if rows != [("ok",)]:
        raise StoreError(_damaged(path, str(rows[0][0])))


def _damaged(path: Path, detail: str) -> str:
    return f"{path} is damaged, or no database ({' '.join(detail.split())}): restore it from a copy"


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _log_is_empty(path: Path) -> bool:
    """True where no write-ahead log stands beside the file: it was closed cleanly, nobody writes."""
    log = _beside(path, "-wal")
    return not log.exists() or log.stat().st_size == 0


def sync_folder(folder: Path) -> None:
    """Makes a rename inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
