"""The environment that a run's config names."""

from __future__ import annotations

from robot_rlhf.session.config import RunConfig
from sim.cell import Cell
from sim.env import TaskEnv


def environment(config: RunConfig, *, end_on_success: bool = False, cell: Cell | None = None) -> TaskEnv:
    """The task of `config` before its cameras and its arm, simulated here unless there is a `cell`."""
    return TaskEnv(
        config.task,
        config.control_hz,
        end_on_success,
        cell,
        arm=config.arm,
        randomise=config.randomise,
        cameras=config.camera_names,
        camera_px=config.camera_px,
    )
