"""The environment as somebody who learns from pictures gets it: state and pictures in one observation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray

from sim.env import Float32, TaskEnv
from sim.jpeg import decode
from sim.pictures import CAMERA_PX

STATE = "state"

Observation = dict[str, NDArray[Any]]


class PicturedEnv(gymnasium.ObservationWrapper[Observation, Float32, Float32]):
    """Observation: `state`, what the arm knows of itself (`sim.task.proprioception`), and by name what each
    camera sees, (height, width, 3) uint8 RGB."""

    def __init__(self, env: TaskEnv) -> None:
        super().__init__(env)
        self._pictured = env
        spaces: dict[str, gymnasium.Space[Any]] = {STATE: env.observation_space}
        for camera, picture in decoded(env).items():
            spaces[camera] = Box(0, 255, picture.shape, np.uint8)
        self.observation_space = Dict(spaces)  # type: ignore[assignment]  # its own type is Dict[Any]

    def observation(self, observation: Float32) -> Observation:
        return {STATE: observation, **decoded(self._pictured)}


def decoded(env: TaskEnv) -> dict[str, NDArray[np.uint8]]:
    """Camera -> (height, width, 3) of what `env` saw last."""
    return {name: decode(jpeg) for name, jpeg in env.pictures.items()}


def make_env(
    task: str, *, cameras: Sequence[str] = (), camera_px: int = CAMERA_PX, **options: Any
) -> TaskEnv | PicturedEnv:
    """The environment of a task, with pictures in its observation where `cameras` are named; `options` are
    those of `TaskEnv`."""
    env = TaskEnv(task, cameras=cameras, camera_px=camera_px, **options)
    return PicturedEnv(env) if cameras else env
