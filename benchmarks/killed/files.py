"""What is killed while it only works on files: a migration, and a backup of a run that is written to."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.killed.processes import ROOT, kill_group, start
from benchmarks.query_speed import make_episode
from robot_rlhf.feedback.store import Store, StoreError
from robot_rlhf.feedback.types import Outcome
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import DATABASE, RunFolder
from robot_rlhf.verify import verify


def _marks(start_: int, count: int) -> Iterator[Outcome]:
    for i in range(start_, start_ + count):
        yield Outcome(id=f"mark-{i}", operator="ann", session="s", time_ns=i, episode=i, success=True)


@dataclass
class Migration:
    """A writer that opens a file of version 1."""

    folder: Path
    kills: int = 0
    span_s: float = 0.0

    @property
    def acknowledged(self) -> int:
        return 2_000 * (self.kills > 0)

    def kill(self, rng: np.random.Generator) -> list[str]:
        old = self._old()
        run = self.folder / f"migration-{self.kills}"
        self.kills += 1
        shutil.copytree(old.parent, run)
        process = self._opening(run)
        time.sleep(rng.uniform(0.0, self.span_s))
        kill_group(process)
        found = self._complaints(run / DATABASE)
        Store.open(run / DATABASE).close()
        found += self._complaints(run / DATABASE)
        shutil.rmtree(run)
        return found

    def finish(self) -> list[str]:
        return []

    def _complaints(self, path: Path) -> list[str]:
        try:
            with Store.open_readonly(path) as store:
                events, episodes = store.all_events(), store.episodes()
        except StoreError as error:
            return [str(error)]
        if events != list(_marks(0, 2_000)) or len(episodes) != 20:
            return [f"{path} has {len(events)} events and {len(episodes)} episodes, expected 2000 and 20"]
        return []

    def _old(self) -> Path:
        path = self.folder / "version-1" / DATABASE
        if not path.exists():
            path.parent.mkdir()
            rng = np.random.default_rng(0)
            with Store.create(path) as store, store.transaction():
                for id in range(20):
                    store.add_episode(make_episode(id, rng))
                store.add_many(_marks(0, 2_000))
            with contextlib.closing(sqlite3.connect(path)) as connection:
                connection.executescript(
                    "DROP TABLE pictures; DROP INDEX feedback_by_episode; DROP INDEX operator_time_by_episode"
                )
                connection.execute("PRAGMA user_version = 1")
            run = shutil.copytree(path.parent, self.folder / "trial")
            process, began = self._opening(run), time.monotonic()
            process.wait()
            self.span_s = 1.2 * (time.monotonic() - began)
        return path

    def _opening(self, run: Path) -> subprocess.Popen[bytes]:
        """A process that is about to open the file."""
        code = (
            "import sys; from robot_rlhf.feedback.store import Store\n"
            "print('ready', flush=True); Store.open(sys.argv[1])"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(run / DATABASE)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        return process


@dataclass
class Backup:
    """A backup, while this process writes to the run."""

    folder: Path
    written: int = 0
    kills: int = 0
    _run: RunFolder | None = None

    @property
    def acknowledged(self) -> int:
        return self.written

    def kill(self, rng: np.random.Generator) -> list[str]:
        run = self._writing()
        out = self.folder / f"copy-{self.kills}"
        self.kills += 1
        before, left = self.written, rng.integers(0, 25)
        log = self.folder / "backup.log"
        process = start(["-m", "robot_rlhf.cli", "backup", str(run.path), "--out", str(out)], log)
        while left > 0 and process.poll() is None:  # a write takes a few milliseconds
            run.store.add_many(_marks(self.written, 1))
            self.written += 1
            left -= any(self.folder.glob(f".{out.name}.*"))
        kill_group(process)
        found = self._complaints(run.path, self.written)
        return found + (self._complaints(out, before) if out.exists() else [])

    def finish(self) -> list[str]:
        run = self._writing()
        out = self.folder / "copy-whole"
        start(
            ["-m", "robot_rlhf.cli", "backup", str(run.path), "--out", str(out)], self.folder / "b.log"
        ).wait()
        run.close()
        return self._complaints(out, self.written) + self._complaints(run.path, self.written)

    def _complaints(self, run: Path, at_least: int) -> list[str]:
        found = [str(one) for one in verify(run) if not one.harmless]
        with Store.open_untouched(run / DATABASE) as store:
            events = store.all_events()
        if len(events) < at_least or events != list(_marks(0, len(events))):
            found.append(f"{run} has {len(events)} events, expected the {at_least} and none twice")
        return found

    def _writing(self) -> RunFolder:
        if self._run is None:
            self._run = RunFolder.create(self.folder / "written", RunConfig(task="reach"))
        return self._run
