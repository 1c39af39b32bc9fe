"""Small files that are for their owner alone: made so, refused otherwise, and changed as a whole."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


class SecurityError(Exception):
    """Keys that cannot be made, read or revoked; one line names the value and what is valid."""


def read(file: Path, kind: type[T]) -> T:
    """The struct that a file holds. SecurityError where others can open it or it holds no such struct."""
    with file.open("rb") as opened:
        mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
        if mode & 0o077:
            raise SecurityError(f"{file} is open to others (mode {mode:04o}): chmod 600 {file}")
        data = opened.read()
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise SecurityError(f"{file} is not what robot-rlhf keys writes: {error}") from error


def create(file: Path, content: msgspec.Struct) -> None:
    """A new file for its owner alone, on disk when this returns. SecurityError where there is one."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
            opened.flush()
            os.fsync(opened.fileno())
    except FileExistsError as error:
        raise SecurityError(f"{file} exists, and no key file is written over") from error


def replace(file: Path, content: msgspec.Struct) -> None:
    """The file with a new content, all of it or nothing, also when the power fails."""
    fresh = file.with_name(f".{file.name}.new")
    fresh.unlink(missing_ok=True)
    create(fresh, content)
    fresh.replace(file)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time changes the folder."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def io_errors() -> Iterator[None]:
    """What the system says of a file, as a SecurityError."""
    try:
        yield
    except FileNotFoundError as error:
        raise SecurityError(
            f"{error.filename} does not exist: robot-rlhf keys make NAME makes keys"
        ) from error
    except OSError as error:
        raise SecurityError(f"{error.filename}: {error.strerror}") from error


def fingerprint(found: os.stat_result) -> tuple[int, ...]:
    """What differs once a file has been changed, replaced or given another mode."""
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size, found.st_mode
