"""A run in lockstep that is killed again and again until it is done."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.killed.processes import TINY, kill_group, start, watched
from benchmarks.killed.recorder import Recorder

END_S = 240.0


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
            process, said = self._started(recorder.run), recorder.run.with_suffix(".log")
            if rng.random() < 0.9:  # the rest dies while it is loaded
                watched(process, recorder.look, END_S, partial(_is_longer, said, said.stat().st_size))
            ended = watched(process, recorder.look, rng.uniform(0.0, 8.0))
            kill_group(process)
            if ended is None:
                return recorder.complaints()
            if ended:
                return [f"it ended with {ended}: {said.read_text()[-500:]}"]
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


def _is_longer(file: Path, size: int) -> bool:
    return file.stat().st_size > size
