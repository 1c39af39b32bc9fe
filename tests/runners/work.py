"""What the workers of these tests do. They import it by its name."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rlhf.session.seeds import Purpose, generator, seed_of
from sim.env import TaskEnv


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


@dataclass(frozen=True)
class Walk:
    """An episode of random actions."""

    task: str
    seed: int
    index: int

    @property
    def name(self) -> str:
        return f"walk {self.index} of {self.task}"


def walks(episodes: int) -> list[Walk]:
    return [Walk(task, 5, index) for task in ("reach", "pick_cube") for index in range(episodes)]


_STEPS = 40


class Walker:
    """Walks: every number of its first steps, as bytes. Keeps the environment for the next."""

    def __init__(self) -> None:
        self._envs: dict[str, TaskEnv] = {}

    def __call__(self, walk: Walk) -> bytes:
        if walk.task not in self._envs:
            self._envs[walk.task] = TaskEnv(walk.task)
        env = self._envs[walk.task]
        rng = generator(walk.seed, Purpose.EXPLORE, walk.index)
        obs, _ = env.reset(seed=seed_of(walk.seed, Purpose.START, walk.index))
        rows = [obs]
        for _ in range(_STEPS):
            obs, reward, _, _, info = env.step(rng.uniform(-1, 1, env.axes).astype(np.float32))
            rows.append(
                np.concatenate([obs, env.scene.pack(), info["executed"], [reward]]).astype(np.float32)
            )
            self.stepped(walk)
        return b"".join(row.tobytes() for row in rows)

    def stepped(self, walk: Walk) -> None:
        """A step was done."""

    def close(self) -> None:
        for env in self._envs.values():
            env.close()
        self._envs.clear()


class Doomed(Walker):
    """On one node of a cluster a walk stops after its first step, for ever, and says so through a pipe."""

    def __init__(self, node: str, pipe: Path) -> None:
        super().__init__()
        self._node, self._pipe = node, pipe

    def stepped(self, walk: Walk) -> None:
        import ray

        if ray.get_runtime_context().get_node_id() == self._node:
            self._pipe.write_text(walk.name)
            signal.pause()


class Resting:
    """Says that it is at work, on the standard output, and never ends."""

    def __call__(self, task: Number) -> int:
        print("at work", flush=True)
        signal.pause()
        return task.value
