"""The database as SQLite sees it, and what stands in its small tables."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator

from robot_rlhf.feedback.store_ledger import is_inside
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import DATABASE
from robot_rlhf.verify.finding import Finding


def pages(connection: sqlite3.Connection) -> Iterator[Finding]:
    """The file's pages, indices and constraints, and that no row points at one that is not there."""
    for (line,) in connection.execute("PRAGMA integrity_check(20)"):
        if line != "ok":
            yield Finding(DATABASE, f"SQLite finds it damaged: {' '.join(str(line).split())}")
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield Finding(DATABASE, f"row {row} of {table} points at a row of {parent} that is not there")


def types(connection: sqlite3.Connection) -> Iterator[Finding]:
    """That every value is of its column's type: SQLite itself would take any."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        for _, column, type_, needed, _, _ in connection.execute(f"PRAGMA table_info({table})").fetchall():
            valid = [type_.lower()] if needed else [type_.lower(), "null"]
            marks = ", ".join("?" * len(valid))
            ((wrong,),) = connection.execute(
                f"SELECT COUNT(*) FROM {table} WHERE typeof({column}) NOT IN ({marks})", valid
            )
            if wrong:
                yield Finding(DATABASE, f"{column} of {table} is not {type_} in {wrong:,} rows")


def notes(connection: sqlite3.Connection, config: RunConfig | None) -> Iterator[Finding]:
    """That the run is the one that its config describes."""
    if config is None:
        return
    known = dict(connection.execute("SELECT key, value FROM meta"))
    for key, expected in (("task", config.task), ("seed", str(config.seed))):
        if known.get(key) != expected:
            yield Finding(DATABASE, f"its {key} is {known.get(key)!r}, config.toml says {expected!r}")


def operator_time(connection: sqlite3.Connection, steps: dict[int, int]) -> Iterator[Finding]:
    """That what is booked can be time that somebody spent."""
    rows = connection.execute("SELECT seq, activity, active_s, attended_s, episode FROM operator_time")
    for seq, activity, active, attended, episode in rows:
        where = f"operator time {seq} ({activity})"
        numbers = isinstance(active, float) and isinstance(attended, float)
        if not (numbers and math.isfinite(attended) and 0.0 <= active <= attended):
            yield Finding(DATABASE, f"{where}: {active!r} s active of {attended!r} s attended cannot be")
        if episode is not None and episode not in steps:
            yield Finding(DATABASE, f"{where} is of episode {episode}, which was not stored", harmless=True)


def checkpoint_index(connection: sqlite3.Connection) -> Iterator[Finding]:
    """That every checkpoint was entered with a place inside the run."""
    for seq, step, path in connection.execute("SELECT seq, step, path FROM checkpoints"):
        if not is_inside(str(path)) or not step >= 0:
            yield Finding(DATABASE, f"checkpoint {seq} is step {step} in {path!r}, which is not in the run")
