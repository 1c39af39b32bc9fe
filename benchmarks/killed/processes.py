"""Processes that are started to be killed, and the settings of runs that take seconds."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
TINY = (
    "--threads 1 --schedule.demonstrations 2 --schedule.alternatives 1 --schedule.episodes 8 "
    "--schedule.warmup-episodes 1 --schedule.episodes-per-fit 2 --schedule.pairs-first 2 "
    "--schedule.evaluate-every 0 --schedule.final-episodes 2 --sac.hidden 16 --sac.updates-per-step 1 "
    "--sac.batch-size 16 --sac.q-filter --reward-model.hidden 16 --reward-model.fit-steps 10 "
    "--reward-model.min-steps 5 --clone.hidden 16 --clone.steps 20 --clone.chunk 2 --clone.replan-every 2"
)
_LOOK_S = 0.02


def start(words: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """A process group of its own; what it says is added to `log`."""
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def watched(
    process: subprocess.Popen[bytes],
    look: Callable[[], None],
    seconds: float,
    until: Callable[[], bool] = lambda: False,
) -> int | None:
    """Look again and again, for so long, until the process has ended, or until that is so; how it ended, or
    None while it works."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end and not until():
        look()
        time.sleep(_LOOK_S)
    look()
    return process.poll()


def free_ports() -> tuple[int, int]:
    """One with three free above it, for a session, and one for a host."""
    while True:
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                for more in range(1, 8):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port + more))
            except OSError:
                continue
            return port, port + 4


def children(parent: int, name: bytes) -> list[int]:
    """Processes of that group whose command line has `name`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if name in (folder / "cmdline").read_bytes() and os.getpgid(int(folder.name)) == parent:
                found.append(int(folder.name))
    return found
