"""The simulated arm in real time, as a driver: behind a host it is an arm like any other.

Physics steps up to the machine's monotonic clock whenever the arm is read or told something. Where it has
fallen far behind, since nobody asked or the machine was busy, the time between is left out.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hardware.robot import Applied, Command, RobotSpec, RobotState
from sim.arm import PANDA_SPEC, SimArm
from sim.task import make_task
from sim.world import World

CONTROL_HZ = 100.0
_LATEST_NS = 100_000_000


class RealTimeArm:
    """A `Robot`: the simulated Panda at a start of `task`, drawn by `seed`."""

    def __init__(self, task: str, seed: int) -> None:
        """Raises ValueError for a task that there is not."""
        chosen = make_task(task)
        self._world = World(chosen.props)
        self._arm = SimArm(self._world, replace(PANDA_SPEC, control_hz=CONTROL_HZ))
        self._world.seal()
        layout = chosen.layout(np.random.default_rng(seed))
        self._arm.reset(layout.tool_pos_m)
        for name, pose in layout.poses.items():
            self._world.place(name, pose)
        self._zero_ns = time.monotonic_ns() - self._world.now_ns()

    @property
    def spec(self) -> RobotSpec:
        return self._arm.spec

    def read(self) -> RobotState:
        self._catch_up()
        return self._arm.read()

    def send(self, command: Command) -> Applied:
        self._catch_up()
        return self._arm.send(command)

    def stop(self) -> None:
        self._arm.stop()

    def close(self) -> None:
        self._arm.close()
        self._world.close()

    def objects(self) -> dict[str, NDArray[np.float64]]:
        """Where things are, by name (7,): m and quaternion xyzw."""
        return self._world.poses()

    def _catch_up(self) -> None:
        now_ns = time.monotonic_ns() - self._zero_ns
        behind_ns = now_ns - self._world.now_ns()
        if behind_ns > _LATEST_NS:
            self._zero_ns += behind_ns
            now_ns -= behind_ns
        self._world.wait_until(now_ns)


def make(task: str = "pick_cube", seed: str = "0") -> RealTimeArm:
    """The driver `sim`."""
    if not seed.isdecimal():
        raise ValueError(f"seed is {seed!r}: it must be a whole number from 0")
    return RealTimeArm(task, int(seed))
