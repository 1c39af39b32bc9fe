"""What the workers of these tests do. They import it by its name."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Number:
    """A task that is a number."""

    value: int

    @property
    def name(self) -> str:
        return f"number {self.value}"


def numbers(count: int) -> list[Number]:
    return [Number(value) for value in range(count)]


def squared(task: Number) -> int:
    return task.value**2


def threads(task: Number) -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


def refused(task: Number) -> int:
    if task.value == 3:
        raise ValueError("three is not wanted")
    return task.value


class OddError(Exception):
    """Cannot be made again from what it says."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def oddly_refused(task: Number) -> int:
    raise OddError(task.value, 7)


def unsendable(task: Number) -> object:
    return lambda: task


def deadly(task: Number) -> int:
    """Kills whoever does number 2."""
    if task.value == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return task.value


@dataclass(frozen=True)
class Once:
    """Kills the first worker that does a number of `victims`, and keeps a line in `folder` of every number
    that was done."""

    folder: Path
    victims: frozenset[int]

    def __call__(self, task: Number) -> int:
        if task.value in self.victims:
            try:
                (self.folder / f"killed-{task.value}").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return task.value


@dataclass
class Counter:
    """Counts what it was asked, and says so when it is closed."""

    folder: Path
    asked: int = 0

    def __call__(self, task: Number) -> int:
        self.asked += 1
        return self.asked

    def close(self) -> None:
        (self.folder / f"closed-{os.getpid()}").write_text(str(self.asked))


class Watched:
    """Tasks that are counted as they are taken."""

    def __init__(self, count: int) -> None:
        self.taken, self._count = 0, count

    def __iter__(self) -> Iterator[Number]:
        for value in range(self._count):
            self.taken += 1
            yield Number(value)


class Resting:
    """Says that it is at work, on the standard output, and never ends."""

    def __call__(self, task: Number) -> int:
        print("at work", flush=True)
        signal.pause()
        return task.value
