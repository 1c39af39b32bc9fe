"""The simulated arm in real time, as a driver: behind a host it is an arm like any other.

Physics steps up to the machine's monotonic clock whenever the arm is read or told something. Where it has
fallen far behind, since nobody asked or the machine was busy, the time between is left out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hardware.robot import Applied, Command, RobotSpec, RobotState
from sim.task import Layout, make_task

try:
    from sim.arms.model import make_arm
    from sim.cell import SimCell
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(f'{error}: pip install "robot-rlhf[sim]"', name=error.name) from error

CONTROL_HZ = 100.0
_LATEST_NS = 100_000_000


class RealTimeArm:
    """A `Robot`: a simulated arm at a start of `task`, drawn by `seed`."""

    def __init__(self, task: str, seed: int, arm: str = "panda") -> None:
        """Raises ValueError for a task or an arm that there is not."""
        chosen, model = make_task(task), make_arm(arm)
        spec = replace(model.spec, control_hz=CONTROL_HZ)
        self._cell = SimCell(chosen.props, replace(model, spec=spec))
        start = chosen.layout(np.random.default_rng(seed))
        self.lay_out(start.tool_pos_m, 1.0 if chosen.uses_gripper else 0.0, start.poses)

    @property
    def spec(self) -> RobotSpec:
        return self._cell.robot.spec

    def read(self) -> RobotState:
        self._catch_up()
        return self._cell.robot.read()

    def send(self, command: Command) -> Applied:
        self._catch_up()
        return self._cell.robot.send(command)

    def stop(self) -> None:
        self._cell.robot.stop()

    def close(self) -> None:
        self._cell.robot.close()
        self._cell.close()

    def objects(self) -> Mapping[str, NDArray[np.float64]]:
        """Where things are, by name (7,): m and quaternion xyzw."""
        return self._cell.poses()

    def lay_out(
        self, tool_pos_m: NDArray[np.float64], opening: float, poses: Mapping[str, NDArray[np.float64]]
    ) -> None:
        """Put the tool (3,), the gripper and the things there. Raises ValueError for what cannot be."""
        unknown = [name for name in poses if name not in self._cell.poses()]
        if unknown:
            raise ValueError(f"there is no {unknown[0]!r} here (there are {list(self._cell.poses())})")
        self._cell.lay_out(Layout(tool_pos_m, poses), opening)
        self._zero_ns = time.monotonic_ns() - self._cell.now_ns()

    def _catch_up(self) -> None:
        now_ns = time.monotonic_ns() - self._zero_ns
        behind_ns = now_ns - self._cell.now_ns()
        if behind_ns > _LATEST_NS:
            self._zero_ns += behind_ns
            now_ns -= behind_ns
        self._cell.wait(now_ns - self._cell.now_ns())


def make(task: str = "pick_cube", seed: str = "0", arm: str = "panda") -> RealTimeArm:
    """The driver `sim`."""
    if not seed.isdecimal():
        raise ValueError(f"seed is {seed!r}: it must be a whole number from 0")
    return RealTimeArm(task, int(seed), arm)
