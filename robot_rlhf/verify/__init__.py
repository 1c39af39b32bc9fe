"""Whether a run's folder is sound. Nothing is written, and no more than one episode is in memory."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from robot_rlhf.feedback import store_file
from robot_rlhf.feedback.store_file import StoreError, sqlite_errors
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import ARM, CONFIG, DATABASE, GROUP, RunError, read_arm, read_config
from robot_rlhf.verify import checkpoints, database, episodes, feedback, logs
from robot_rlhf.verify.finding import Finding, capped

__all__ = ["Finding", "verify"]


def verify(run: Path) -> Iterator[Finding]:
    """What is not as it should be in the run at `run`, as it is found. It may be worked on meanwhile.

    Raises RunError where there is no run at all.
    """
    if not (run / CONFIG).exists() and not (run / DATABASE).exists():
        raise RunError(f"{run} is not a run folder: it has neither {CONFIG} nor {DATABASE}")
    config: RunConfig | None = None
    try:
        config = read_config(run)
        read_arm(run)
    except RunError as error:
        yield Finding(CONFIG if config is None else ARM, str(error))
    path = run / DATABASE
    try:
        connection = store_file.open_untouched(path)
    except StoreError as error:
        yield Finding(DATABASE, str(error))
        return
    with contextlib.closing(connection):
        connection.execute("BEGIN")  # one moment of it, whoever writes meanwhile
        yield from _guarded(path, lambda: database.pages(connection))
        wrong = list(_guarded(path, lambda: database.types(connection)))
        yield from wrong
        if not wrong:
            yield from _guarded(path, lambda: _contents(run, connection, config))


def _contents(run: Path, connection: sqlite3.Connection, config: RunConfig | None) -> Iterator[Finding]:
    path = run / DATABASE
    steps = episodes.steps_by_episode(connection)
    cameras = () if config is None else config.camera_names
    is_alone = not connection.execute("SELECT 1 FROM meta WHERE key = ?", (GROUP,)).fetchall()
    checks: list[Callable[[], Iterable[Finding]]] = [
        lambda: database.notes(connection, config),
        lambda: episodes.episodes(connection),
        lambda: episodes.truths(connection, steps),
        lambda: episodes.pictures(connection, steps, cameras),
        lambda: feedback.queries(connection, steps),
        lambda: feedback.events(connection, steps),
        lambda: feedback.undone(connection),
        lambda: feedback.answers(connection),
        lambda: database.operator_time(connection, steps),
        lambda: database.checkpoint_index(connection),
        lambda: checkpoints.checkpoints(run, connection, config),
        lambda: logs.metric_lines(run, steps if is_alone else None),
        lambda: logs.last_word(run, connection if is_alone else None, config),
    ]
    for check in checks:
        yield from _guarded(path, check)


def _guarded(path: Path, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What a check finds; what it cannot read for damage is a finding too."""
    try:
        with sqlite_errors(path):
            yield from capped(check())
    except StoreError as error:
        yield Finding(DATABASE, str(error))
