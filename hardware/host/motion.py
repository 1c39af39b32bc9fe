"""The arm, moved as far as the guard and the limits let it. No sockets."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from hardware.host.guard import Guard, Safety
from hardware.host.standstill import STANDS_S, Standstill
from hardware.limits import limit
from hardware.robot import Applied, Command, Robot, RobotError, RobotState

_LASTS_TURNS = 3  # the arm's own watchdog: if the loop hangs, it stops after so many


@runtime_checkable
class Clearable(Protocol):
    """An arm whose faults can be cleared by software."""

    def clear_fault(self) -> None:
        """Forget all faults. Nothing moves before the next command. It may wait for the arm, which was
        stopped before; its states then wait too. Raises RobotError where it cannot be."""
        ...


class Motion:
    """Of `robot`. Call `turn` once a control period."""

    def __init__(self, robot: Robot, guard: Guard) -> None:
        self._robot, self._spec, self._guard = robot, robot.spec, guard
        self.reading: RobotState | None = None
        """The newest; None where the arm could not be read."""
        self._standstill = Standstill(self._spec.control_hz)
        self._following: Command | None = None
        self._applied: Applied | None = None  # what the limits let through of it
        self._before: Applied | None = None  # the same when this turn began

    def turn(self) -> RobotState | None:
        """Read the arm, and have it follow what is due."""
        self.reading = self._read()
        self._before = self._applied
        self.follow(self._guard.due(time.monotonic_ns()))  # a reading may take longer than a command lasts
        return self.reading

    def _read(self) -> RobotState | None:
        try:
            reading = self._robot.read()
            reading.check(len(self._spec.joint_names))
        except (RobotError, ValueError) as error:
            self._fail(str(error) if isinstance(error, RobotError) else f"its state makes no sense: {error}")
            return None
        if reading.faults and self._guard.safety is not Safety.STOPPED:
            self._fail(", ".join(reading.faults))
        applied = self._applied
        if self._standstill.seen(reading, None if applied is None else applied.command.twist):
            self._fail(f"it reads the same for {STANDS_S} s though it is told to move")
        return reading if applied is None else replace(reading, applied=_joined(applied, reading.applied))

    def _faults(self) -> str:
        """What the arm says is wrong; empty where it says nothing, or cannot be read."""
        try:
            return ", ".join(self._robot.read().faults)
        except RobotError:
            return ""

    def _fail(self, fault: str) -> None:
        """The arm itself says that something is wrong."""
        if self._guard.safety is not Safety.STOPPED:
            self._guard.stop(f"fault: {fault}")
        self.halt()

    def follow(self, command: Command | None) -> Applied | None:
        """Carry out what is due, or come to rest; what the limits let through, None where nothing was.
        However many commands come in one turn, the velocity changes by one turn's acceleration."""
        if self._guard.safety is Safety.STOPPED:
            self.halt()
            return None
        if command is None and self._following is None:
            return None
        lasts_s = _LASTS_TURNS / self._spec.control_hz
        last = self._following if command is None else command
        assert last is not None and self.reading is not None  # what is followed answers a state
        twist = np.zeros(6) if command is None else command.twist
        wanted = Command(last.seq, twist, last.gripper, lasts_s, last.source)
        ours = limit(wanted, self.reading, self._before, self._spec, 1.0 / self._spec.control_hz)
        try:
            applied = _joined(ours, self._robot.send(ours.command))
        except RobotError as error:
            self._fail(self._faults() or str(error))
            return None
        self._applied = applied
        at_rest = command is None and not applied.command.twist.any()
        self._following = None if at_rest else last
        return applied

    def halt(self) -> None:
        """Zero velocity as fast as the arm can."""
        self._robot.stop()
        self._following = self._applied = self._before = None

    def clear(self) -> None:
        """Have an arm that is stopped forget its faults. Raises RobotError where it cannot."""
        if self._guard.safety is Safety.STOPPED and isinstance(self._robot, Clearable):
            self._robot.clear_fault()


def _joined(ours: Applied, theirs: Applied | None) -> Applied:
    """What an arm carries out of what it was sent, and all limits that cut it on its way there; where it says
    nothing of that, what it was sent."""
    if theirs is None or theirs.command.seq != ours.command.seq:
        return ours
    also = tuple(one for one in theirs.limits if one not in ours.limits)
    return Applied(theirs.command, ours.limits + also)
