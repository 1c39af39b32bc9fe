"""`wandb`, and --wandb of those that train: a run's metrics, passed on to Weights & Biases as they come.

Always by a process of its own that reads the run's folder, so that a slow network, a dead one or none is
nothing to whoever trains.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import msgspec

from robot_rlhf.commands.arguments import Mirror
from robot_rlhf.commands.extras import need
from robot_rlhf.commands.summaries import summary_of
from robot_rlhf.commands.telling import say
from robot_rlhf.commands.usage import PROGRAM
from robot_rlhf.feedback.store_file import has_writer
from robot_rlhf.report.wandb_board import Board, BoardError
from robot_rlhf.session import processes
from robot_rlhf.session.run_folder import DATABASE, RunError, RunFolder, read_config

_EVERY_S = 2.0
_ALONE_S = 20.0  # a run that nobody works on for so long is not gone on with
_LAST_S = 30.0  # what is left may take to be sent


class Mirrored(msgspec.Struct, frozen=True, kw_only=True):
    """How many lines were passed on, and where to. `is_sent`: at W&B, not in a folder for `wandb sync`."""

    run: str
    count: int
    place: str
    is_sent: bool

    def lines(self) -> list[str]:
        """The same for a person."""
        sends = "" if self.is_sent else f": wandb sync {self.place} sends them"
        return [f"{self.count} lines of {self.run} are in {self.place}{sends}"]


def mirror(asked: Mirror) -> Mirrored:
    """Pass on what a run has, and as long as a session works on it what comes. RunError where there is no
    run, BoardError where W&B does not take it."""
    need("wandb", "wandb")
    terminal = sys.stdin
    with open(os.devnull) as nothing:
        sys.stdin = nothing  # so that W&B does not ask for a key
        try:
            return _mirror(asked.run, asked.project, asked.group, alone_s=0.0)
        finally:
            sys.stdin = terminal


def _mirror(run: Path, project: str, group: str, alone_s: float) -> Mirrored:
    board = Board(run, project, asdict(read_config(run)), group)
    since = time.monotonic()
    while True:
        if has_writer(run / DATABASE):
            since = time.monotonic()
        elif summary_of(run) is not None or time.monotonic() - since >= alone_s:
            break
        board.add()
        time.sleep(_EVERY_S)
    board.add()
    board.close(summary_of(run))
    return Mirrored(run=str(run), count=board.count, place=board.place, is_sent=not board.is_offline)


@contextlib.contextmanager
def mirrored(run: Path, project: str, group: str = "") -> Iterator[None]:
    """Meanwhile the run at `run`, which may begin only now, is passed on to that project; to none where it is
    empty. At the end the rest has half a minute; what did not go is said."""
    if not project:
        yield
        return
    need("--wandb", "wandb")
    command = [sys.executable, "-m", "robot_rlhf.commands.mirror", str(run), project, group]
    process = processes.start(command)
    yield  # where it is left by an error the process ends by itself, a moment after the run has
    try:
        process.wait(_LAST_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        say(f"W&B does not have all of {run} yet: wandb sync {run / 'wandb'}/*run-* sends the rest")


def main(run: Path, project: str, group: str) -> int:
    """The process beside a run."""
    since = time.monotonic()
    while not RunFolder.is_begun(run):
        if time.monotonic() - since > _ALONE_S:
            return 1
        time.sleep(_EVERY_S)
    try:
        told = _mirror(run, project, group, _ALONE_S)
    except (BoardError, RunError, OSError) as error:
        line = " ".join(str(error).split())
        say(f"{line}: the run goes on without; later: {PROGRAM} wandb {run} --project {project}")
        return 1
    for line in told.lines():
        say(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
