"""What is written beside the database for people and programs: metrics.jsonl and summary.json."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from robot_rlhf.feedback.types import Kind
from robot_rlhf.report import metrics, summary
from robot_rlhf.report.metrics import EpisodeEnded, Event, Moment
from robot_rlhf.session.config import RunConfig
from robot_rlhf.verify.finding import Finding

_LONGEST_LINE = 1 << 20


def metric_lines(run: Path, steps: dict[int, int] | None) -> Iterator[Finding]:
    """That every line is an event of the log, and of an episode that is stored; without `steps` the log is of
    more runs than this one."""
    path = run / metrics.NAME
    if not path.exists():
        return
    events, moments = msgspec.json.Decoder(Event), msgspec.json.Decoder(Moment)
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
            where = f"line {number}"
            if not line.endswith(b"\n"):
                torn = len(line) < _LONGEST_LINE
                what = "is torn, as a kill leaves the last one" if torn else "never ends"
                yield Finding(metrics.NAME, f"{where} {what}", harmless=torn)
                return
            try:
                event = events.decode(line)
                moments.decode(line)
            except (msgspec.DecodeError, ValueError) as error:
                yield Finding(metrics.NAME, f"{where} is no event of this log: {error}")
                continue
            if steps is not None and isinstance(event, EpisodeEnded) and event.episode not in steps:
                yield Finding(metrics.NAME, f"{where} is of episode {event.episode}, which is not stored")


def last_word(
    run: Path, connection: sqlite3.Connection | None, config: RunConfig | None
) -> Iterator[Finding]:
    """That the summary speaks of this run, and of nothing that the store has not. What was said after the
    run had ended, at `robot-rlhf label` say, is not in it. Without `connection` it is of more runs than this
    one."""
    try:
        found = summary.read_summary(run)
    except (ValueError, OSError) as error:
        yield Finding(summary.NAME, str(error))
        return
    if found is None or connection is None:
        return
    if config is not None and (found.task, found.seed) != (config.task, config.seed):
        yield Finding(summary.NAME, f"it is of {found.task}, seed {found.seed}, and the run is not")
    ((steps,),) = connection.execute("SELECT TOTAL(steps) FROM episodes WHERE role != 'counterfactual'")
    if steps != found.environment_steps:
        yield _differs("environment steps", found.environment_steps, steps)
    ((active,),) = connection.execute("SELECT TOTAL(active_s) FROM operator_time")
    if not math.isclose(active, found.operator_seconds, rel_tol=1e-6, abs_tol=1e-3):
        yield _differs("active operator seconds", found.operator_seconds, active)
    given, standing = (_counts(connection, table) for table in ("feedback", "standing"))
    for kind, count in found.feedback.items():
        if standing[kind] != count:
            # What was undone since is still in the record.
            yield _differs(kind.value, count, standing[kind], harmless=given[kind] >= count)


def _counts(connection: sqlite3.Connection, table: str) -> dict[Kind, int]:
    rows = dict(connection.execute(f"SELECT kind, COUNT(*) FROM {table} GROUP BY kind"))
    return {kind: int(rows.get(kind.value, 0)) for kind in Kind}


def _differs(what: str, said: float, stored: float, harmless: bool | None = None) -> Finding:
    later = stored > said if harmless is None else harmless
    told = f"it says {said:g} {what}, the store has {stored:g}"
    return Finding(summary.NAME, told + (", some since it was written" if later else ""), later)
