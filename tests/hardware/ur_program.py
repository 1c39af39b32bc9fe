"""The arm of the fake controller, and the program that ur-rtde has it run, known by its registers alone.

A command stands in `input_int_register_0`, its numbers in the double registers from 0 on; what the program
says of it in `output_int_register_0` is READY or DONE. 0 is no command. As in the program itself, a speed is
said to the arm again and again by a thread of the program, for `time` each: it does not end by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from hardware.robot import Vector

CYCLE_S = 0.008
"""The controller's."""
READY, DONE = 1, 2
NOTHING = 0
_SPEED_TOOL, _SPEED_STOP, _SET_WATCHDOG, _END = 10, 15, 35, 255
_BRAKES_M_S2 = 10.0  # and rad/s^2: without a program, and in a safety stop


class Arm:
    """A tool that turns and moves, and joints that are not modelled. Base frame; twists are m/s and rad/s."""

    def __init__(self) -> None:
        self.pos_m: Vector = np.array([0.3, -0.2, 0.4])
        self.quat_xyzw: Vector = np.array([1.0, 0.0, 0.0, 0.0])  # pointing down
        self.twist: Vector = np.zeros(6)
        self.joint_pos_rad = np.array([0.0, -1.57, 1.57, -1.57, -1.57, 0.0])

    @property
    def pose(self) -> Vector:
        """Position in m and rotation vector in rad, as the controller says it."""
        axis, w = self.quat_xyzw[:3], float(self.quat_xyzw[3])
        sine = float(np.linalg.norm(axis))
        angle = 2.0 * math.atan2(sine, w)
        return np.concatenate([self.pos_m, axis * (angle / sine if sine > 0.0 else 2.0)])

    def move(self, twist: Vector, acceleration: float) -> None:
        """One cycle towards `twist`."""
        for part in (slice(0, 3), slice(3, 6)):
            change = twist[part] - self.twist[part]
            far = float(np.linalg.norm(change))
            step = acceleration * CYCLE_S
            self.twist = self.twist.copy()
            self.twist[part] += change if far <= step else change * (step / far)
        self.pos_m = self.pos_m + self.twist[:3] * CYCLE_S
        half = self.twist[3:] * (CYCLE_S / 2.0)  # so small an angle is its own sine
        x, y, z = half
        turn = np.array([[1.0, -z, y, x], [z, 1.0, -x, y], [-y, x, 1.0, z], [-x, -y, -z, 1.0]])
        turned = turn @ self.quat_xyzw
        self.quat_xyzw = turned / np.linalg.norm(turned)

    def brake(self) -> None:
        """One cycle towards rest, as fast as it can."""
        self.move(np.zeros(6), _BRAKES_M_S2)

    @property
    def stands(self) -> bool:
        return not self.twist.any()


class Program:
    """The program while it runs."""

    def __init__(self) -> None:
        self.says = READY
        self.is_over = False
        self.watchdog_s: float | None = None
        self.not_known: list[int] = []
        """Commands that a test's client should not have given."""
        self._is_done = False
        self._braking: float | None = None
        self._newest: tuple[Vector, float, float] | None = None
        self._speed: tuple[Vector, float] = (np.zeros(6), 1.0)
        self._lasts_s = 0.0

    def cycle(self, inputs: Mapping[str, float], arm: Arm) -> None:
        """What it does in one."""
        if self._braking is not None:
            arm.move(np.zeros(6), self._braking)
            if arm.stands:
                self._braking, self.says = None, DONE
            return
        command = int(inputs["input_int_register_0"])
        numbers = [inputs[f"input_double_register_{index}"] for index in range(8)]
        if command in (NOTHING, _SPEED_TOOL):
            self._is_done, self.says = False, READY
        if command == _SPEED_TOOL:
            self._newest = (np.array(numbers[:6]), numbers[6], numbers[7])
        elif command != NOTHING and not self._is_done:
            self._is_done, self.says = True, DONE
            self._do(command, numbers[0])
        self._go(arm)

    def _do(self, command: int, number: float) -> None:
        if command == _SPEED_STOP:
            self._newest, self._lasts_s, self._braking, self.says = None, 0.0, number, READY
        elif command == _SET_WATCHDOG:
            self.watchdog_s = 1.0 / number
        elif command == _END:
            self.is_over = True
        else:
            self.not_known.append(command)

    def _go(self, arm: Arm) -> None:
        if self._newest is None:
            arm.brake()
            return
        if self._lasts_s <= 0.0:
            twist, acceleration, self._lasts_s = self._newest
            self._speed = (twist, acceleration)
        self._lasts_s -= CYCLE_S
        arm.move(*self._speed)
