"""An arm that is served elsewhere, in the place of the one simulated here."""

from __future__ import annotations

from pathlib import Path

from hardware.robot import RobotError
from hardware.security import ClientSecurity
from robot_rlhf.session.config import RunConfig
from sim.cell import Cell
from sim.served import ServedCell, UnseenError
from sim.task import make_task


def try_arm(config: RunConfig, key: Path | None) -> None:
    """Whether a session of `config` could be held at its arm, before a folder is made for it. Raises
    RobotError as `served` does."""
    cell = served(config, config.robot, config.perception, key)
    if cell is not None:
        cell.close()


def served(
    config: RunConfig,
    robot: str,
    perception: str,
    key: Path | None,
    advice: str = "choose another by --perception",
) -> Cell | None:
    """The arm that is served at `robot`, for the task of `config` and with its cameras; None where that is
    empty. Raises RobotError where it cannot do the task, with `advice` where the perception does not see what
    that needs."""
    if not robot:
        return None
    security = None if key is None else ClientSecurity(key)
    try:
        return ServedCell(
            make_task(config.task),
            robot,
            perception=perception,
            security=security,
            cameras=config.camera_names,
            camera_px=config.camera_px,
        )
    except UnseenError as error:
        raise RobotError(f"{error}: {advice}") from error
