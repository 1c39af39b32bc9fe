"""A live session whose processes are killed one by one or all at once, while its operator lives on."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.killed.lockstep import END_S, LATER_S, LOADED, MOST_EVENTS
from benchmarks.killed.processes import TINY, children, free_ports, kill_group, start
from benchmarks.killed.recorder import Recorder
from hardware.transport import wait
from robot_rlhf.feedback.link import OperatorLink, Report
from robot_rlhf.feedback.live_operator import LiveOperator
from robot_rlhf.feedback.operator import OperatorConfig
from robot_rlhf.feedback.store import Store
from robot_rlhf.session.run_folder import DATABASE, RunFolder, read_config
from robot_rlhf.verify import verify

_PAIR_S = 0.2
_VICTIMS = {
    "": ("session", "learner", "everything"),
    "host": ("host", "session", "everything"),
    "learner": ("serving", "learner", "session", "everything"),
}


class _Reports(collections.deque[Report]):
    """An operator's reports, which it empties; whoever wants to know keeps them before."""

    def __init__(self, heard: Callable[[Report], None]) -> None:
        super().__init__()
        self._heard = heard

    def append(self, report: Report) -> None:
        self._heard(report)
        super().append(report)


@dataclass
class Live:
    """A live session, taught over the wire by an operator who lives in this process and is not killed.
    `beside` it: a host that serves its arm, or a `learner serve` that learns for it."""

    folder: Path
    beside: Literal["", "host", "learner"] = ""
    recorders: list[Recorder] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _other: subprocess.Popen[bytes] | None = None  # what is beside
    _link: OperatorLink | None = None
    _person: LiveOperator | None = None
    _ports: tuple[int, int] = (0, 0)

    @property
    def acknowledged(self) -> int:
        return sum(len(recorder.events) for recorder in self.recorders)

    def kill(self, rng: np.random.Generator) -> list[str]:
        for _ in range(5):
            recorder = self._going(rng)
            if rng.random() < LOADED:
                self._teach(recorder, END_S, len(recorder.events) + int(rng.integers(0, MOST_EVENTS)))
            if self._link is not None:  # it has not come to its end
                self._teach(recorder, rng.uniform(0.0, LATER_S))
            if self._process is not None and self._process.poll() is None:
                return self._killed(recorder, str(rng.choice(_VICTIMS[self.beside])))
            if not (recorder.run / "summary.json").exists():
                return [f"it ended by itself: {recorder.run.with_suffix('.log').read_text()[-500:]}"]
        return ["it always ended before it was killed"]

    def finish(self) -> list[str]:
        found = []
        for recorder in self.recorders[-1:]:
            if not (recorder.run / "summary.json").exists():
                self._going(None)
                self._teach(recorder, END_S)
                found += [] if (recorder.run / "summary.json").exists() else ["it did not come to its end"]
        self._stop()
        found += [one for recorder in self.recorders for one in recorder.complaints()]
        return found + (self.mirrored() if self.beside == "learner" else [])

    def mirrored(self) -> list[str]:
        """What is not as it should be where it was learned: all that the runs hold is there, once."""
        found, here, there = [], [], []
        for recorder in self.recorders:
            with Store.open_untouched(recorder.run / DATABASE) as store:
                here += [event.id for event in store.all_events()]
        for mirror in (self.folder / "learner").glob("run-*"):
            found += [str(one) for one in verify(mirror) if not one.harmless]
            with Store.open_untouched(mirror / DATABASE) as store:
                there += [event.id for event in store.all_events()]
        return (
            found
            if sorted(here) == sorted(there)
            else [*found, f"of {len(here)} events {len(there)} came where it was learned"]
        )

    def _killed(self, recorder: Recorder, victim: str) -> list[str]:
        assert self._process is not None
        match victim:
            case "everything":
                for process in (self._process, self._other):
                    if process is not None:
                        kill_group(process)
            case "session":
                self._process.kill()
            case "learner":  # the process that learns alone
                parent = self._other or self._process
                for pid in children(parent.pid, b"live_learner"):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            case "serving" if self._other is not None:  # whose learner, an orphan, goes by itself
                self._other.kill()
                self._other.wait()
            case "host" if self._other is not None:
                kill_group(self._other)
        self._begin_beside()
        self._teach(recorder, 1.0)  # those that were not killed have noticed, or go on
        if victim == "session":
            self._process.wait()
            kill_group(self._process)
        return recorder.complaints()

    def _going(self, rng: np.random.Generator | None) -> Recorder:
        """The session works, or works again."""
        if rng is not None and (not self.recorders or (self.recorders[-1].run / "summary.json").exists()):
            self._stop()
            self._ports = free_ports()
            self.recorders.append(Recorder(self.folder / f"{self.folder.name}-{len(self.recorders)}"))
        recorder = self.recorders[-1]
        self._begin_beside()
        if self._process is None or self._process.poll() is not None:
            if self._process is not None:
                kill_group(self._process)  # a learner whose session died may still be leaving
            where = ["--bind", f"tcp://127.0.0.1:{self._ports[0]}", "--no-window", "--operator", "console"]
            flag = {"host": "--robot", "learner": "--learner"}.get(self.beside)
            beside = [flag, f"tcp://127.0.0.1:{self._ports[1]}"] if flag else []
            words = ["train", "--task", "reach", "--seed", "0", "--resume", "--out", str(recorder.run)]
            log = recorder.run.with_suffix(".log")
            self._process = start(["-m", "robot_rlhf.cli", *words, *where, *beside, *TINY.split()], log)
        if self._link is None:
            self._link = OperatorLink(f"tcp://127.0.0.1:{self._ports[0]}", "simulated")
            self._link.reports = _Reports(recorder.saved)
        return recorder

    def _begin_beside(self) -> None:
        """What is beside works, or works again."""
        if not self.beside or (self._other is not None and self._other.poll() is None):
            return
        words = ["-m", "hardware.host", "--driver", "sim"]
        if self.beside == "learner":
            words = ["-m", "robot_rlhf.cli", "learner", "serve", "--runs", str(self.folder / "learner")]
        log = self.folder / f"{self.beside}.log"
        self._other = start([*words, "--bind", f"tcp://127.0.0.1:{self._ports[1]}"], log)

    def _teach(self, recorder: Recorder, seconds: float, events: int | None = None) -> None:
        """Be its operator for so long, until so many events were acknowledged, or until it is over."""
        assert self._link is not None and self._process is not None
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._process.poll() is None:
            if self._person is None and RunFolder.is_begun(recorder.run):
                config = read_config(recorder.run)
                rng = np.random.default_rng(len(self.recorders))
                self._person = LiveOperator(
                    self._link, OperatorConfig(), config.kinds, config.schedule.takeover_seconds, rng, _PAIR_S
                )
            if self._person is None:
                self._link.service()
            elif self._person.step():
                self._link.leave()
                self._link = None
                self._process.wait(END_S)
                break
            recorder.look()
            if events is not None and self._person is not None and len(recorder.events) >= events:
                break
            wait(self._link.endpoints, time.monotonic_ns() + 5_000_000)
        recorder.look()

    def _stop(self) -> None:
        if self._link is not None:
            self._link.close()
        for process in (self._process, self._other):
            if process is not None:
                kill_group(process)
        self._link = self._person = self._process = self._other = None
