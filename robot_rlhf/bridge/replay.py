"""A run's episodes as the replay buffer of Stable-Baselines3, with the learned reward in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from gymnasium.spaces import Box

from robot_rlhf.bridge.reward import fitted, refuse_pictures
from robot_rlhf.data import stream
from robot_rlhf.data.stream import Export, Which
from robot_rlhf.feedback.store import Store
from robot_rlhf.session.run_folder import DATABASE, read_config

if TYPE_CHECKING:
    from stable_baselines3.common.buffers import ReplayBuffer


def replay_buffer(
    run: str | os.PathLike[str], size: int | None = None, episodes: Which = "all", device: str = "cpu"
) -> ReplayBuffer:
    """The transitions of the run at `run`: what was executed, and the reward learned from its operator.

    An episode that ran out of time ended there, but its value goes on: its last step is marked as a timeout,
    which Stable-Baselines3 then does not take for an end. `size` is the buffer's, by default just enough;
    leave room for what an agent adds. Raises RunError where no reward was fitted, DataError where there are
    no such episodes, ValueError for a buffer that is too small.
    """
    from stable_baselines3.common.buffers import ReplayBuffer

    path = Path(run)
    refuse_pictures(path)
    export = stream.plan(
        path,
        control_hz=read_config(path).control_hz,
        robot="",
        software="",
        which=episodes,
        reward=fitted(path),
    )
    steps = _steps(export)
    size = steps if size is None else size
    if size < steps:
        raise ValueError(f"a buffer of {size} transitions is too small for the {steps} of {path}")
    seen = Box(-np.inf, np.inf, (export.task.obs_size,), np.float32)
    acted = Box(-1.0, 1.0, (export.task.action_size,), np.float32)
    buffer = ReplayBuffer(size, seen, acted, device=device, handle_timeout_termination=True)
    for record in export.records():
        obs, action = record.episode.obs, record.episode.action
        for step in range(record.episode.length):
            buffer.add(
                obs[step : step + 1],
                obs[step + 1 : step + 2],
                action[step : step + 1],
                record.reward[step : step + 1],
                record.done[step : step + 1],
                [{"TimeLimit.truncated": bool(record.truncated[step])}],
            )
    return buffer


def _steps(export: Export) -> int:
    with Store.open_readonly(export.path / DATABASE) as store:
        lengths = store.episode_steps()
    return sum(lengths[id] for id in export.ids)
