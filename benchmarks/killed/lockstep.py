"""A run in lockstep that is killed again and again until it is done."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.killed.processes import TINY, kill_group, start, watched
from benchmarks.killed.recorder import Recorder
from robot_rlhf.session.run_folder import RunFolder

END_S = 240.0
LOADED, MOST_EVENTS, LATER_S = 0.9, 12, 1.5
"""This share of kills comes after fewer than so many more events, and up to so many seconds later, so that
every stage is met; the others come while everything is loaded."""


@dataclass
class Lockstep:
    """A run with a simulated operator in lockstep."""

    folder: Path
    recorders: list[Recorder] = field(default_factory=list)

    @property
    def acknowledged(self) -> int:
        return sum(len(recorder.events) for recorder in self.recorders)

    def kill(self, rng: np.random.Generator) -> list[str]:
        for _ in range(5):
            recorder = self._current()
            process = self._started(recorder.run)
            if rng.random() < LOADED:
                wanted = len(recorder.events) + int(rng.integers(0, MOST_EVENTS))
                watched(process, recorder.look, END_S, partial(_has, recorder, wanted))
            ended = watched(process, recorder.look, rng.uniform(0.0, LATER_S))
            kill_group(process)
            if ended is None:
                return recorder.complaints()
            if ended:
                return [f"it ended with {ended}: {recorder.run.with_suffix('.log').read_text()[-500:]}"]
        return ["it always ended before it was killed"]

    def finish(self) -> list[str]:
        found = []
        for recorder in self.recorders:
            if not (recorder.run / "summary.json").exists():
                process = self._started(recorder.run)
                if watched(process, recorder.look, END_S) != 0:
                    kill_group(process)
                    found.append(f"{recorder.run} was not gone on with to its end")
            found += recorder.complaints()
        return found

    def _current(self) -> Recorder:
        if not self.recorders or (self.recorders[-1].run / "summary.json").exists():
            self.recorders.append(Recorder(self.folder / f"lockstep-{len(self.recorders)}"))
        return self.recorders[-1]

    def _started(self, run: Path) -> subprocess.Popen[bytes]:
        words = ["train", "--task", "reach", "--seed", run.name.rpartition("-")[2], "--resume", "--out"]
        return start(["-m", "robot_rlhf.cli", *words, str(run), *TINY.split()], run.with_suffix(".log"))


def _has(recorder: Recorder, events: int) -> bool:
    """Whether it works, and so many events were acknowledged."""
    return RunFolder.is_begun(recorder.run) and len(recorder.events) >= events
