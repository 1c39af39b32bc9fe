"""The last minute of a served arm: kept in memory, and written to a file when the arm is stopped.

A file is gzip of JSON lines, each with its `kind` and `host_ns`, the host's monotonic clock: first why
(`stopped`), then every `state`, every `command` with who sent it and what became of it, and every `event`, in
order of time. SI units; arrays are lists of numbers.
"""

from __future__ import annotations

import contextlib
import gzip
import heapq
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np

from hardware import wire
from hardware.clock import NS_PER_S
from hardware.robot import RobotError

KEEPS_S = 60.0
AFTER_S = 1.0
"""How much of what follows a stop is written too: how the arm came to rest."""
FILES = 20
"""The newest are kept."""
_COMMANDS_HZ, _EVENTS = 200, 2_000  # bounds of what is kept, whoever sends however much
_CLOSES_S = 5.0
_WAITING = 2  # files that wait for the disk at most
_BREATH_S = 0.0005  # between a few lines: the interpreter runs one thread at a time, and the loop comes first
_FEW = 5

Verdict: TypeAlias = wire.Followed | wire.NotFollowed
_Said: TypeAlias = tuple[int, str, wire.Move, Verdict]
_Minute: TypeAlias = tuple[tuple[wire.State, ...], tuple[_Said, ...], tuple[tuple[int, wire.Happened], ...]]


class Recorder:
    """Is told what happens, from one thread, and writes in a thread of its own: nothing here waits for a disk
    but `close`, and that for some seconds at most."""

    def __init__(self, folder: Path, robot: str, session: str, control_hz: float) -> None:
        """Raises RobotError where `folder` cannot be made."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RobotError(f"cannot record in {folder}: {error}") from error
        self.told: deque[str] = deque(maxlen=100)
        """What became of files, in words; whoever tells of it empties it."""
        self._folder, self._robot, self._session = folder, robot, session
        self._states: deque[wire.State] = deque(maxlen=round(KEEPS_S * control_hz) + 1)
        self._commands: deque[_Said] = deque(maxlen=round(KEEPS_S * _COMMANDS_HZ))
        self._events: deque[tuple[int, wire.Happened]] = deque(maxlen=_EVENTS)
        self._is_stopped = False
        self._stopped: tuple[int, str] | None = None  # when and why, of what is not yet handed over
        self._number = 0
        self._jobs: queue.SimpleQueue[tuple[Path, dict[str, Any], _Minute] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    # -- from the loop -----------------------------------------------------------------------------------

    def state(self, state: wire.State) -> None:
        """It was published."""
        self._states.append(state)

    def command(self, now_ns: int, peer: str, move: wire.Move, verdict: Verdict) -> None:
        """It came, from `peer`, and this was answered."""
        self._commands.append((now_ns, peer, move, verdict))

    def event(self, now_ns: int, event: wire.Happened) -> None:
        """It was told."""
        self._events.append((now_ns, event))

    def turn(self, now_ns: int, stopped: str | None) -> None:
        """A turn of the loop: the arm is stopped, for that reason, or is not. What is kept when it is stopped
        is written once what follows has been seen too."""
        if stopped is not None and not self._is_stopped and self._stopped is None:
            self._stopped = (now_ns, stopped)
        self._is_stopped = stopped is not None
        since_ns = now_ns - round((KEEPS_S + AFTER_S) * NS_PER_S)
        while self._commands and self._commands[0][0] < since_ns:
            self._commands.popleft()
        while self._events and self._events[0][0] < since_ns:
            self._events.popleft()
        if self._stopped is not None and now_ns >= self._stopped[0] + AFTER_S * NS_PER_S:
            self._hand_over()

    def close(self) -> None:
        """Write what is due, and wait some seconds for it. Calling it twice is fine."""
        self._hand_over()
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(_CLOSES_S)

    def _hand_over(self) -> None:
        if self._stopped is None:
            return
        (stopped_ns, reason), self._stopped = self._stopped, None
        self._number += 1
        now = datetime.now(timezone.utc)
        path = self._folder / f"stop-{now:%Y%m%dT%H%M%SZ}-{self._session}-{self._number}.jsonl.gz"
        first = {
            "kind": "stopped",
            "host_ns": stopped_ns,
            "wall": now.isoformat(timespec="milliseconds"),
            "robot": self._robot,
            "session": self._session,
            "reason": reason,
        }
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="recorder", daemon=True)
            self._thread.start()
        if self._jobs.qsize() >= _WAITING:
            self.told.append("the last minute is not recorded: those before it are still being written")
            return
        minute = (tuple(self._states), tuple(self._commands), tuple(self._events))
        self._jobs.put((path, first, minute))

    # -- the thread of its own ---------------------------------------------------------------------------

    def _write_all(self) -> None:
        while (job := self._jobs.get()) is not None:
            path, first, minute = job
            try:
                self._write(path, first, minute)
                self._delete_old(path)
            except OSError as error:
                self.told.append(f"the last minute is not recorded in {path}: {error}")
            else:
                self.told.append(f"the last minute is in {path}")

    def _write(self, path: Path, first: dict[str, Any], minute: _Minute) -> None:
        partial = path.with_name(path.name + ".partial")
        try:
            with gzip.open(partial, "xb", compresslevel=5) as file:
                for number, line in enumerate(itertools.chain([first], _lines(minute))):
                    file.write(msgspec.json.encode(_plain(line)) + b"\n")
                    if number % _FEW == 0:
                        time.sleep(_BREATH_S)
            partial.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise

    def _delete_old(self, newest: Path) -> None:
        others = sorted(path for path in self._folder.glob("stop-*.jsonl.gz") if path != newest)
        for path in others[: max(0, len(others) - FILES + 1)]:
            path.unlink(missing_ok=True)


def _lines(minute: _Minute) -> Iterator[dict[str, Any]]:
    """Everything of the last minute, in order of time, not yet made plain."""
    states, commands, events = minute
    ends = [state.host_ns for state in states[-1:]] + [said[0] for said in commands[-1:]]
    ends += [at_ns for at_ns, _ in events[-1:]]
    merged = heapq.merge(
        ({"kind": "state", "host_ns": state.host_ns, "state": state} for state in states),
        (_command(*said) for said in commands),
        ({"kind": "event", "host_ns": at_ns, "event": event} for at_ns, event in events),
        key=lambda line: line["host_ns"],
    )
    since_ns = max(ends, default=0) - (KEEPS_S + AFTER_S) * NS_PER_S
    return itertools.dropwhile(lambda line: line["host_ns"] < since_ns, merged)


def _command(at_ns: int, peer: str, move: wire.Move, verdict: Verdict) -> dict[str, Any]:
    is_followed = isinstance(verdict, wire.Followed)
    said = {"kind": "command", "host_ns": at_ns, "peer": peer, "followed": is_followed}
    return {**said, "move": move, "answer": verdict}


def _plain(value: Any) -> Any:
    """Messages as dicts, and the bytes of arrays as lists of numbers."""
    match value:
        case msgspec.Struct():
            return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
        case dict():
            return {name: _plain(part) for name, part in value.items()}
        case bytes() if len(value) % 8 == 0:
            return np.frombuffer(value, dtype="<f8").tolist()
        case bytes():
            return value.hex()  # of a command that was refused for that
        case _:
            return value
