"""`backup`: a sound copy of a run, also while it is being written to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.store_file import sync_folder
from robot_rlhf.session.run_folder import CHECKPOINTS, DATABASE, RunError, read_config

_TRIES = 10


class BackedUp(msgspec.Struct, frozen=True, kw_only=True):
    """The copy, and how many events and episodes are in it."""

    run: str
    out: str
    episodes: int
    events: int

    def lines(self) -> list[str]:
        return [f"{self.out} has {self.episodes:,} episodes and {self.events:,} events of {self.run}"]


def back_up(run: Path, out: Path) -> BackedUp:
    """Copy the run at `run` to the folder `out`, which must not exist; it appears whole and synced.

    The logs are copied before the database and the checkpoints after it, so that whatever a line or a
    checkpoint speaks of is there. RunError, StoreError or OSError where it cannot be; then there is no `out`.
    """
    read_config(run)
    if out.exists():
        raise RunError(f"{out} exists: choose another --out, a backup replaces nothing")
    if out.resolve().is_relative_to(run.resolve()):
        raise RunError(f"{out} lies in the run itself: choose a place outside")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.tmp")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # what a backup that was killed left
        draft.mkdir()
        for item in sorted(run.iterdir()):
            if item.is_dir() and item.name != CHECKPOINTS:
                shutil.copytree(item, draft / item.name)
            elif item.is_file() and not item.name.startswith((DATABASE, ".")):
                shutil.copyfile(item, draft / item.name)
        (draft / CHECKPOINTS).mkdir()
        with Store.open_readonly(run / DATABASE) as store:
            _copy_state(run, store, draft)
        _sync(draft)
        draft.rename(out)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    sync_folder(out.parent)
    with Store.open_untouched(out / DATABASE) as copy:
        events = sum(1 for _ in copy.history.entries())
        return BackedUp(run=str(run), out=str(out), episodes=len(copy.episode_steps()), events=events)


def _copy_state(run: Path, store: Store, draft: Path) -> None:
    """The database as it is at one moment, and the checkpoints that it names. A session drops old ones while
    we copy: then its database has newer ones, and is copied again."""
    for _ in range(_TRIES):
        store.copy(draft / DATABASE)
        with Store.open_untouched(draft / DATABASE) as copy:
            named = [saved.path for saved in copy.latest_checkpoints(2)]
        there = [name for name in dict.fromkeys(named) if _copied(run / name, draft / name)]
        if not named or named[0] in there:
            return
    raise RunError(f"{run / named[0]} is not there: robot-rlhf verify tells what else is missing")


def _copied(file: Path, to: Path) -> bool:
    try:
        shutil.copyfile(file, to)
    except FileNotFoundError:
        return False
    return True


def _sync(folder: Path) -> None:
    for item in (*folder.rglob("*"), folder):
        if item.is_dir():
            sync_folder(item)
        else:
            handle = os.open(item, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
