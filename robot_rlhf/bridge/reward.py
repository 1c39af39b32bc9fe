"""The reward that a run learned from feedback, in the place of an environment's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Dict
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.commands.export import learned_reward
from robot_rlhf.commands.trained import read_learner
from robot_rlhf.data.stream import Reward
from robot_rlhf.data.tasks import task_facts
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import RunError, read_config
from sim.pictured import STATE

Float32 = NDArray[np.float32]
Observation: TypeAlias = Float32 | Mapping[str, NDArray[Any]]
"""As `sim.env.TaskEnv` gives it, or of a run that sees as `sim.pictured.PicturedEnv` does."""


class LearnedReward(gymnasium.Wrapper[Any, Float32, Any, Float32], RecordConstructorArgs):
    """An environment whose reward is what the run at `run` learned from its operator: that of its newest
    checkpoint, as the run's own policy learns from it. The environment's own reward goes nowhere.

    Where the run sees, the environment must show what its cameras do, as `sim.pictured.make_env` makes it.
    Raises RunError where no reward model was fitted, and ValueError for an environment that the reward is
    not about: another observation, or another control rate.
    """

    def __init__(self, env: gymnasium.Env[Any, Float32], run: str | os.PathLike[str]) -> None:
        RecordConstructorArgs.__init__(self, run=os.fspath(run))
        gymnasium.Wrapper.__init__(self, env)
        self._judge = Judge(Path(run))
        check_fits(env, Path(run))
        self._seen: Tensor | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        obs, info = self.env.reset(seed=seed, options=options)
        self._seen = self._judge.seen(obs)
        return obs, info

    def step(self, action: Float32) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self._seen is None:
            raise gymnasium.error.ResetNeeded("call reset before the first step")
        obs, _, terminated, truncated, info = self.env.step(action)
        seen = self._judge.seen(obs)
        reward = self._judge.reward(self._seen, seen)
        self._seen = seen
        return obs, reward, terminated, truncated, info


class Judge:
    """The learned reward of a run, a step at a time; RunError where there is none yet."""

    def __init__(self, run: Path) -> None:
        _, learner = read_learner(run)
        if learner is None or learner.reward.version == 0:
            raise RunError(_unfitted(run))
        self._reward, self._encoder = learner.reward, learner.encoder

    def seen(self, obs: Observation) -> Tensor:
        """What the reward is told of an observation, (1, n)."""
        if self._encoder is None:
            return torch.from_numpy(np.asarray(obs)[None])
        assert isinstance(obs, Mapping)
        views = np.stack([obs[camera].transpose(2, 0, 1) for camera in self._encoder.cameras])
        with torch.no_grad():
            told: Tensor = self._encoder(torch.from_numpy(obs[STATE][None]), torch.from_numpy(views[None]))
        return told

    def reward(self, before: Tensor, after: Tensor) -> float:
        """The reward of the step between two of these."""
        return float(self._reward.score(before, after)[0])


def fitted(run: Path) -> Reward:
    """The learned reward of a run, an episode at a time; RunError where there is none yet."""
    reward = learned_reward(run)
    if reward.facts.version == 0:
        raise RunError(_unfitted(run))
    return reward


def _unfitted(run: Path) -> str:
    return f"{run} has no fitted reward model yet: let it train for longer, or --resume it"


def check_fits(env: gymnasium.Env[Any, Float32], run: Path) -> None:
    """Raises ValueError where the run's reward is not about this environment."""
    config = read_config(run)
    task = task_facts(config.task, bool(config.camera_names))
    space = env.observation_space
    if config.camera_names:
        _check_shown(space, config, task.obs_size, run)
    elif space.shape != (task.obs_size,):
        raise ValueError(
            f"the environment's observations have shape {space.shape}, and the reward of "
            f"{run} is about {task.name}, which has {task.obs_size} numbers"
        )
    hz = getattr(env.unwrapped, "control_hz", config.control_hz)
    if hz != config.control_hz:
        raise ValueError(
            f"the environment makes {hz:g} steps a second, and the reward of {run} is about "
            f"{config.control_hz:g}: a step would mean something else"
        )


def _check_shown(space: gymnasium.Space[Any], config: RunConfig, state_size: int, run: Path) -> None:
    wanted = {STATE: (state_size,)} | dict.fromkeys(config.camera_names, (config.camera_px,) * 2 + (3,))
    shown = {name: part.shape for name, part in space.items()} if isinstance(space, Dict) else {}
    wrong = [name for name, shape in wanted.items() if shown.get(name) != shape]
    if wrong:
        raise ValueError(
            f"the environment shows {shown.get(wrong[0])} of {wrong[0]!r}, and the reward of {run} is about "
            f"{wanted[wrong[0]]}: sim.pictured.make_env({config.task!r}, cameras={config.camera_names}, "
            f"camera_px={config.camera_px})"
        )
