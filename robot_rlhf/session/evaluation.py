"""Autonomous evaluation: nobody helps, the policy is deterministic, the starts are fresh."""

from __future__ import annotations

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


def evaluate(env: TaskEnv, actor: Actor, episodes: int, seed: int, stream: int = 0) -> Result:
    """Run `episodes` from starts that training never sees; `env` must end on success. The same seed and
    stream give the same starts, whoever acts."""
    if not env.end_on_success:
        raise ValueError("evaluate in an environment with end_on_success=True")
    successes: list[bool] = []
    lengths: list[int] = []
    for index in range(episodes):
        obs, _ = env.reset(seed=seed_of(seed, Purpose.EVALUATION, stream, index))
        actor.reset()
        over, steps, success = False, 0, False
        while not over:
            obs, _, terminated, truncated, info = env.step(actor.act(obs, env.pictures))
            over, steps, success = terminated or truncated, steps + 1, bool(info["is_success"])
        successes.append(success)
        lengths.append(steps)
    return Result(tuple(successes), tuple(lengths))
