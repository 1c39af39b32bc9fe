"""The environment that a run's config asks for."""

from __future__ import annotations

from robot_rlhf.session.config import RunConfig
from sim.cell import Cell
from sim.env import TaskEnv


def environment(config: RunConfig, *, end_on_success: bool = False, cell: Cell | None = None) -> TaskEnv:
    """With the task, rate and cameras of `config`; before `cell`, or an arm that is simulated here."""
    return TaskEnv(
        config.task,
        config.control_hz,
        end_on_success,
        cell,
        cameras=config.camera_names,
        camera_px=config.camera_px,
    )
