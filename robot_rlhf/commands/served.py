"""An arm that is served elsewhere, in the place of the one simulated here."""

from __future__ import annotations

from pathlib import Path

from hardware.robot import RobotError
from hardware.security import ClientSecurity
from sim.cell import Cell
from sim.served import ServedCell, UnseenError
from sim.task import Task, make_task


def try_arm(task: str, robot: str, perception: str, key: Path | None) -> None:
    """Whether a session of `task` could be held there, before a folder is made for it. Raises RobotError as
    `served` does."""
    cell = served(make_task(task), robot, perception, key)
    if cell is not None:
        cell.close()


def served(
    task: Task, robot: str, perception: str, key: Path | None, advice: str = "choose another by --perception"
) -> Cell | None:
    """The arm that is served at `robot`; None where that is empty. Raises RobotError where it cannot do the
    task, with `advice` where the perception does not see what that needs."""
    if not robot:
        return None
    security = None if key is None else ClientSecurity(key)
    try:
        return ServedCell(task, robot, perception=perception, security=security)
    except UnseenError as error:
        raise RobotError(f"{error}: {advice}") from error
