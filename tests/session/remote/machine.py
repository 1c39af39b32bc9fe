"""A learner's machine in a process of its own, which tests start, kill and cut off."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
TABLES = ("episodes", "feedback", "queries", "operator_time", "truth")


class Machine:
    """Where the learner is. `folder` has its mirrors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = "tcp://127.0.0.1:0"
        self._process: subprocess.Popen[str] | None = None

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def start(self, version: str = "") -> None:
        """Serve, at the same address whenever it is started again."""
        words = [sys.executable, "-m", "tests.session.remote.serve", self.address, str(self.folder)]
        self._process = subprocess.Popen(
            [*words, *([version] if version else [])],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        assert self.address

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def rows(run: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that a run's store holds but its notes and its index of checkpoints."""
    with sqlite3.connect(f"{(run / 'run.db').as_uri()}?mode=ro", uri=True) as connection:
        return {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in TABLES}
