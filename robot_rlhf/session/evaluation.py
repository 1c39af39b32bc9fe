"""Autonomous evaluation: nobody helps, the policy is deterministic, the starts are fresh."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.session.seeds import Purpose, seed_of
from sim.env import TaskEnv
from sim.pictures import NO_PICTURES, Pictures

Float32 = NDArray[np.float32]


class Actor(Protocol):
    """A policy that may remember things within an episode."""

    def reset(self) -> None: ...

    def act(self, obs: Float32, pictures: Pictures = NO_PICTURES) -> Float32:
        """The action (m,) for the observation (n,), and where there are cameras for what they saw with it."""
        ...


@dataclass(frozen=True)
class Result:
    """How an evaluation went: successes (N,) and lengths in steps (N,)."""

    successes: tuple[bool, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, played: Iterable[Played]) -> Result:
        """Of episodes, in their order."""
        episodes = list(played)
        return cls(tuple(one.success for one in episodes), tuple(one.length for one in episodes))

    @property
    def succeeded(self) -> int:
        return sum(self.successes)

    @property
    def success_rate(self) -> float:
        """0 where there were no episodes."""
        return self.succeeded / max(1, len(self.successes))

    @property
    def mean_length(self) -> float:
        """In steps; 0 where there were no episodes."""
        return float(np.mean(self.lengths)) if self.lengths else 0.0


@dataclass(frozen=True)
class Start:
    """An episode of an evaluation. Where it begins follows from these three numbers, and never is where
    training begins."""

    seed: int
    stream: int
    index: int

    @property
    def name(self) -> str:
        return f"episode {self.index} of seed {self.seed}"


@dataclass(frozen=True)
class Played:
    """How an episode went; its length in steps."""

    success: bool
    length: int


def starts(episodes: int, seed: int, stream: int = 0) -> list[Start]:
    """The starts of an evaluation: the same for the same seed and stream, whoever acts, and wherever."""
    return [Start(seed, stream, index) for index in range(episodes)]


def play(env: TaskEnv, actor: Actor, start: Start) -> Played:
    """Have `actor` act alone from `start`, whatever was before; `env` must end on success."""
    if not env.end_on_success:
        raise ValueError("evaluate in an environment with end_on_success=True")
    obs, _ = env.reset(seed=seed_of(start.seed, Purpose.EVALUATION, start.stream, start.index))
    actor.reset()
    over, steps, success = False, 0, False
    while not over:
        obs, _, terminated, truncated, info = env.step(actor.act(obs, env.pictures))
        over, steps, success = terminated or truncated, steps + 1, bool(info["is_success"])
    return Played(success, steps)


def evaluate(env: TaskEnv, actor: Actor, episodes: int, seed: int, stream: int = 0) -> Result:
    """Run `episodes` of them, one after the other."""
    return Result.of(play(env, actor, start) for start in starts(episodes, seed, stream))
