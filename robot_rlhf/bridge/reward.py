"""The reward that a run learned from feedback, in the place of an environment's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from robot_rlhf.commands.export import learned_reward
from robot_rlhf.commands.trained import read_learner
from robot_rlhf.data.stream import Reward
from robot_rlhf.data.tasks import task_facts
from robot_rlhf.session.run_folder import RunError, read_config

Float32 = NDArray[np.float32]


class LearnedReward(gymnasium.Wrapper[Float32, Float32, Float32, Float32], RecordConstructorArgs):
    """An environment whose reward is what the run at `run` learned from its operator: that of its newest
    checkpoint, as the run's own policy learns from it. The environment's own reward goes nowhere.

    Raises RunError where no reward model was fitted, and ValueError for an environment that the reward is
    not about: another observation, or another control rate.
    """

    def __init__(self, env: gymnasium.Env[Float32, Float32], run: str | os.PathLike[str]) -> None:
        RecordConstructorArgs.__init__(self, run=os.fspath(run))
        gymnasium.Wrapper.__init__(self, env)
        refuse_pictures(Path(run))
        self._score = scorer(Path(run))
        check_fits(env, Path(run))
        self._seen: Float32 | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32, dict[str, Any]]:
        obs, info = self.env.reset(seed=seed, options=options)
        self._seen = obs
        return obs, info

    def step(self, action: Float32) -> tuple[Float32, float, bool, bool, dict[str, Any]]:
        if self._seen is None:
            raise gymnasium.error.ResetNeeded("call reset before the first step")
        obs, _, terminated, truncated, info = self.env.step(action)
        reward = self._score(self._seen, obs)
        self._seen = obs
        return obs, reward, terminated, truncated, info


def fitted(run: Path) -> Reward:
    """The learned reward of a run; RunError where there is none yet."""
    reward = learned_reward(run)
    if reward.facts.version == 0:
        raise RunError(f"{run} has no fitted reward model yet: let it train for longer, or --resume it")
    return reward


def scorer(run: Path) -> Callable[[Float32, Float32], float]:
    """(obs (n,), next_obs (n,)) -> the learned reward of that step; RunError where there is none yet."""
    fitted(run)
    _, learner = read_learner(run)
    assert learner is not None
    model = learner.reward

    def score(obs: Float32, next_obs: Float32) -> float:
        return float(model.score(torch.from_numpy(obs[None]), torch.from_numpy(next_obs[None]))[0])

    return score


def refuse_pictures(run: Path) -> None:
    """Raises RunError for a run whose reward is about what its own encoder makes of pictures."""
    cameras = read_config(run).cameras
    if cameras:
        raise RunError(f"the reward of {run} is about pictures ({cameras}): it cannot be had alone so far")


def check_fits(env: gymnasium.Env[Float32, Float32], run: Path) -> None:
    """Raises ValueError where the run's reward is not about this environment."""
    config = read_config(run)
    task = task_facts(config.task)
    if env.observation_space.shape != (task.obs_size,):
        raise ValueError(
            f"the environment's observations have shape {env.observation_space.shape}, and the reward of "
            f"{run} is about {task.name}, which has {task.obs_size} numbers"
        )
    hz = getattr(env.unwrapped, "control_hz", config.control_hz)
    if hz != config.control_hz:
        raise ValueError(
            f"the environment makes {hz:g} steps a second, and the reward of {run} is about "
            f"{config.control_hz:g}: a step would mean something else"
        )
