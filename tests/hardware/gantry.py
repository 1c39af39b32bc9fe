"""A driver by somebody who has read docs/hardware.md and nothing else: three rails, no gripper.

`Rails` stands for the vendor's library: it takes a velocity for so many seconds, and follows it with a lag.
"""

from __future__ import annotations

import math
import time

import numpy as np

from hardware.robot import Applied, Command, FaultError, RobotSpec, RobotState, SafeState, Vector

HZ = 50.0


class Rails:
    """What the vendor gives: position (3,) m, velocity (3,) m/s, and a watchdog."""

    LAG_S = 0.03

    def __init__(self) -> None:
        self.position, self.velocity = np.array([0.5, 0.0, 0.3]), np.zeros(3)
        self._wanted, self._until_s, self._now_s = np.zeros(3), 0.0, time.monotonic()
        self.jammed = False

    def move(self, velocity: Vector, for_s: float) -> None:
        self.update()
        self._wanted, self._until_s = np.array(velocity), self._now_s + for_s

    def update(self) -> None:
        now_s = time.monotonic()
        while self._now_s < now_s:
            step_s = min(0.005, now_s - self._now_s)
            wanted = self._wanted if self._now_s < self._until_s and not self.jammed else np.zeros(3)
            self.velocity += (wanted - self.velocity) * (1.0 - math.exp(-step_s / self.LAG_S))
            self.velocity[np.abs(self.velocity) < 1e-6] = 0.0
            self.position += self.velocity * step_s
            self._now_s += step_s


class Gantry:
    """A `Robot`."""

    def __init__(self, rails: Rails, low_m: Vector, high_m: Vector) -> None:
        self._rails, self._seq = rails, 0
        self._spec = RobotSpec(
            name="gantry",
            joint_names=("x", "y", "z"),
            joint_low_rad=low_m,  # rails: metres where others have radians
            joint_high_rad=high_m,
            joint_speed_limit_rad_s=np.full(3, 0.3),
            workspace_low_m=low_m,
            workspace_high_m=high_m,
            max_speed_m_s=0.25,
            max_turn_rad_s=0.1,
            max_acceleration_m_s2=1.0,
            control_hz=HZ,
            gripper=False,
            safe_state=SafeState.BRAKE,
            simulated=False,
        )

    @property
    def spec(self) -> RobotSpec:
        return self._spec

    def read(self) -> RobotState:
        self._rails.update()
        self._seq += 1
        return RobotState(
            seq=self._seq,
            time_ns=time.monotonic_ns(),
            joint_pos_rad=self._rails.position.copy(),
            joint_vel_rad_s=self._rails.velocity.copy(),
            tool_pos_m=self._rails.position.copy(),
            tool_quat_xyzw=np.array([1.0, 0.0, 0.0, 0.0]),
            tool_twist=np.concatenate([self._rails.velocity, np.zeros(3)]),
            gripper=0.0,
            faults=("a rail is jammed",) if self._rails.jammed else (),
        )

    def send(self, command: Command) -> Applied:
        if self._rails.jammed:
            raise FaultError("a rail is jammed")
        self._rails.move(command.twist[:3], command.valid_for_s)
        return Applied(command)

    def stop(self) -> None:
        self._rails.move(np.zeros(3), 0.0)

    def close(self) -> None:
        self.stop()

    def clear_fault(self) -> None:
        """Somebody has freed the rail."""
        self._rails.jammed = False


def make(size_m: str = "0.4") -> Gantry:
    """The driver `tests.hardware.gantry:make`."""
    half = float(size_m) / 2.0
    middle = np.array([0.5, 0.0, 0.3])
    return Gantry(Rails(), middle - half, middle + half)
