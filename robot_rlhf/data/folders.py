"""A folder that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from robot_rlhf.data.errors import DataError


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `target` when the block ends.

    It is written beside `target`, synced, then renamed, so that whatever the moment at which the process or
    the machine stops, `target` is not there or is whole. `target` must not exist or be an empty folder. When
    the block raises, what was written is removed and all is as it was; a process that was killed leaves its
    draft, `.NAME.*.tmp`, which may be deleted. Raises DataError.
    """
    refuse_taken(target)
    made = [folder for folder in target.absolute().parents if not folder.exists()]
    draft = target.absolute().with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
        yield draft
        _sync(draft)
        draft.rename(target)
        _sync_one(target.absolute().parent)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()
        if isinstance(error, OSError) and error.errno is not None:
            why = os.strerror(error.errno)  # HDF5's own text is a paragraph
            raise DataError(f"cannot write to {target}: {why}") from error
        raise


def refuse_taken(target: Path) -> None:
    """Raises DataError where `new_folder` would: before much work is done for nothing."""
    if target.is_symlink() or (target.exists() and not _is_empty_folder(target)):
        raise DataError(f"{target} exists and is not an empty folder: choose another --out")


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _sync(folder: Path) -> None:
    """All that lies in `folder` has reached the disk when this returns."""
    for place, _, files in os.walk(folder):
        for name in files:
            _sync_one(Path(place) / name)
        _sync_one(Path(place))


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
