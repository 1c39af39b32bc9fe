"""A run's episodes as the replay buffer of Stable-Baselines3, with the learned reward in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray

from robot_rlhf.bridge.reward import fitted
from robot_rlhf.data import stream
from robot_rlhf.data.pictures import StoredPictures
from robot_rlhf.data.stream import Export, Record, Which
from robot_rlhf.feedback.store import Store
from robot_rlhf.session.run_folder import DATABASE, read_config
from sim.pictured import STATE

if TYPE_CHECKING:
    from stable_baselines3.common.buffers import ReplayBuffer


def replay_buffer(
    run: str | os.PathLike[str], size: int | None = None, episodes: Which = "all", device: str = "cpu"
) -> ReplayBuffer:
    """The transitions of the run at `run`: what was executed, and the reward learned from its operator.

    Of a run that sees it is a DictReplayBuffer: `state`, and by its name what each camera saw, (3, height,
    width) uint8, as Stable-Baselines3 turns the pictures of an environment. It holds each picture twice.

    An episode that ran out of time ended there, but its value goes on: its last step is marked as a timeout,
    which Stable-Baselines3 then does not take for an end. `size` is the buffer's, by default just enough;
    leave room for what an agent adds. Raises RunError where no reward was fitted, DataError where there are
    no such episodes, ValueError for a buffer that is too small.
    """
    from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

    path = Path(run)
    config = read_config(path)
    export = stream.plan(
        path,
        control_hz=config.control_hz,
        robot="",
        software="",
        which=episodes,
        reward=fitted(path),
        cameras=config.camera_names,
    )
    steps = _steps(export)
    size = steps if size is None else size
    if size < steps:
        raise ValueError(f"a buffer of {size} transitions is too small for the {steps} of {path}")
    state = Box(-np.inf, np.inf, (export.task.obs_size,), np.float32)
    acted = Box(-1.0, 1.0, (export.task.action_size,), np.float32)
    picture = Box(0, 255, (3, config.camera_px, config.camera_px), np.uint8)
    buffer: ReplayBuffer
    if config.camera_names:
        seen = Dict({STATE: state} | dict.fromkeys(config.camera_names, picture))
        buffer = DictReplayBuffer(size, seen, acted, device=device, handle_timeout_termination=True)
    else:
        buffer = ReplayBuffer(size, state, acted, device=device, handle_timeout_termination=True)
    for record in export.records():
        observed = _observed(record, path, config.camera_names)
        for step in range(record.episode.length):
            buffer.add(
                _at(observed, step),
                _at(observed, step + 1),
                record.episode.action[step : step + 1],
                record.reward[step : step + 1],
                record.done[step : step + 1],
                [{"TimeLimit.truncated": bool(record.truncated[step])}],
            )
    return buffer


def _observed(record: Record, run: Path, cameras: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """What was seen of an episode's T + 1 moments."""
    stored = StoredPictures(run)
    seen = {camera: np.stack(list(stored.frames(record.episode, camera))) for camera in cameras}
    return {STATE: record.episode.obs} | {name: frames.transpose(0, 3, 1, 2) for name, frames in seen.items()}


def _at(observed: dict[str, NDArray[Any]], moment: int) -> Any:
    """One of these moments, as an environment alone in its row gives it."""
    one = {name: values[moment : moment + 1] for name, values in observed.items()}
    return one if len(one) > 1 else one[STATE]


def _steps(export: Export) -> int:
    with Store.open_readonly(export.path / DATABASE) as store:
        lengths = store.episode_steps()
    return sum(lengths[id] for id in export.ids)
