"""What a run cost and how far it has come: operator time, checkpoints and notes in the store."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import NamedTuple

from robot_rlhf.feedback.store_database import Database
from robot_rlhf.feedback.store_file import StoreError


class OperatorSeconds(NamedTuple):
    """Booked operator time: `active_s` at work, `attended_s` that plus the time spent watching."""

    active_s: float
    attended_s: float


class Checkpoint(NamedTuple):
    """A saved state of the learner; `path` is relative to the run's folder, with forward slashes."""

    step: int
    path: str
    created_ns: int


def is_inside(path: str) -> bool:
    """Whether a checkpoint's path leads to a file in the run's folder, wherever that is."""
    parts = PurePosixPath(path)
    return bool(parts.name) and not parts.is_absolute() and ".." not in parts.parts


class LedgerTables(Database):
    """Operator time, checkpoints and notes."""

    def book(self, activity: str, active_s: float, attended_s: float, episode: int | None = None) -> None:
        """Enter operator time in the ledger. `attended_s` includes `active_s`."""
        if not (math.isfinite(attended_s) and 0.0 <= active_s <= attended_s):
            raise StoreError(
                f"{activity!r} books {active_s} s active and {attended_s} s attended: "
                "both must be finite, from 0, and attended includes active"
            )
        with self.transaction():
            self._run(
                "INSERT INTO operator_time (activity, active_s, attended_s, episode) VALUES (?, ?, ?, ?)",
                (activity, active_s, attended_s, episode),
            )

    def operator_seconds(self) -> OperatorSeconds:
        """All booked operator time."""
        ((active, attended),) = self._run("SELECT TOTAL(active_s), TOTAL(attended_s) FROM operator_time")
        return OperatorSeconds(active, attended)

    def operator_seconds_by_activity(
        self, episodes: Collection[int] | None = None
    ) -> dict[str, OperatorSeconds]:
        """Activity -> booked time, or what was booked for `episodes`, in the order the activities first
        appeared."""
        chosen = "1" if episodes is None else f"episode IN ({','.join('?' * len(episodes))})"
        rows = self._run(
            f"SELECT activity, TOTAL(active_s), TOTAL(attended_s) FROM operator_time WHERE {chosen} "
            "GROUP BY activity ORDER BY MIN(seq)",
            tuple(episodes or ()),
        )
        return {activity: OperatorSeconds(active, attended) for activity, active, attended in rows}

    def record_checkpoint(self, step: int, path: str, created_ns: int) -> None:
        """Note that the learner's state after environment step `step` lies, complete, in the file
        `path`, relative to the run's folder so that the folder can be moved."""
        if not is_inside(path):
            raise StoreError(f"checkpoint path {path!r} must be relative to the run's folder and inside it")
        with self.transaction():
            row = (step, path, created_ns)
            self._run("INSERT INTO checkpoints (step, path, created_ns) VALUES (?, ?, ?)", row)

    def latest_checkpoints(self, count: int = 1) -> list[Checkpoint]:
        """The last `count` recorded checkpoints, newest first; fewer where there are fewer. StoreError where
        one is said to lie outside of the run's folder, as only a file made to harm does."""
        rows = self._run("SELECT step, path, created_ns FROM checkpoints ORDER BY seq DESC LIMIT ?", (count,))
        found = [Checkpoint(*row) for row in rows]
        for one in found:
            if not is_inside(str(one.path)):
                raise StoreError(f"{self.path} names the checkpoint {one.path!r}, which is not in the run")
        return found

    def meta(self, key: str) -> str | None:
        """The note under `key`, or None."""
        rows = self._run("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def set_meta(self, key: str, value: str) -> None:
        """Write or replace the note under `key`."""
        with self.transaction():
            self._run("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))
