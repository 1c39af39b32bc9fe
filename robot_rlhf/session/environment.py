"""The environment that a run's config names."""

from __future__ import annotations

from robot_rlhf.session.config import RunConfig
from sim.cell import Cell
from sim.env import TaskEnv
from sim.viewpoint import CORNER


def environment(config: RunConfig, *, end_on_success: bool = False, cell: Cell | None = None) -> TaskEnv:
    """The task of `config` before its cameras and its arm, simulated here unless there is a `cell`. Where a
    simulation stands in for a served arm, so do its cameras: what they see is not what the policy saw."""
    cameras = config.camera_names
    if cameras and config.robot and cell is None:
        cameras = (CORNER.name,)
    return TaskEnv(
        config.task,
        config.control_hz,
        end_on_success,
        cell,
        arm=config.arm,
        randomise=config.randomise,
        cameras=cameras,
        camera_px=config.camera_px,
    )
