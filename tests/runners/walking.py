"""Episodes as tasks of a runner. Apart from `work`, whose workers need no physics."""

from __future__ import annotations

import functools
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rlhf.runners.serial import SerialRunner
from robot_rlhf.session.seeds import Purpose, generator, seed_of
from sim.env import TaskEnv


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


_STEPS = 30


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


@functools.cache
def walked_alone(episodes: int) -> list[bytes]:
    """What comes of those walks one after the other, in this process."""
    return list(SerialRunner().map(Walker(), walks(episodes)))
