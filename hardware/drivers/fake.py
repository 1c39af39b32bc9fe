"""An arm that exists only as arithmetic: for tests, and for trying a session without any arm.

It does what the protocol promises the way a robot PC does: a loop at `control_hz` runs the limits
towards the newest command, watches its validity, and moves the tool exactly as applied. The loop runs
inside `read` and `send`, catching up with the clock, so that no thread is needed and a manual clock
makes it repeatable to the bit.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from hardware.clock import NS_PER_S, Clock, MonotonicClock
from hardware.limits import expire, limit
from hardware.robot import (
    Applied,
    Command,
    FaultError,
    RobotError,
    RobotSpec,
    RobotState,
    SafeState,
    Source,
    Vector,
    vector,
)

# Joint ranges and speeds as Franka publishes them for the Panda; the tool is kept to 0.25 m/s, the
# usual speed with a person in reach.
FAKE_SPEC = RobotSpec(
    name="fake",
    joint_names=tuple(f"joint{number}" for number in range(1, 8)),
    joint_low_rad=vector([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973], 7, "joint_low_rad"),
    joint_high_rad=vector([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973], 7, "joint_high_rad"),
    joint_speed_limit_rad_s=vector(
        [2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61], 7, "joint_speed_limit_rad_s"
    ),
    workspace_low_m=vector([0.2, -0.4, 0.0], 3, "workspace_low_m"),
    workspace_high_m=vector([0.8, 0.4, 0.7], 3, "workspace_high_m"),
    max_speed_m_s=0.25,
    max_turn_rad_s=1.0,
    max_acceleration_m_s2=2.0,
    control_hz=100.0,
    gripper=True,
    safe_state=SafeState.HOLD,
    simulated=True,
)

GRIPPER_SPEED_PER_S = 2.0  # fully open to closed in half a second


class FakeArm:
    """A `Robot` of pure kinematics. It starts at rest in the middle of its workspace, gripper open.

    The tool follows the applied twist exactly and at once. Joints are not modelled: their readings stay
    in the middle of their ranges. Not for use from several threads.
    """

    def __init__(self, clock: Clock, spec: RobotSpec = FAKE_SPEC) -> None:
        self._clock = clock
        self._spec = spec
        self._period_ns = round(NS_PER_S / spec.control_hz)
        self._joint_pos_rad = (spec.joint_low_rad + spec.joint_high_rad) / 2.0
        self._tool_pos_m: Vector = (spec.workspace_low_m + spec.workspace_high_m) / 2.0
        self._tool_quat_xyzw: Vector = np.array([1.0, 0.0, 0.0, 0.0])  # pointing down
        self._gripper = 1.0 if spec.gripper else 0.0
        self._now_ns = clock.now_ns()
        self._tick_ns = self._now_ns  # when the running control period began
        self._wanted: Command | None = None
        self._expires_ns = 0
        rest = Command(seq=0, twist=np.zeros(6), gripper=self._gripper, valid_for_s=1.0, source=Source.SCRIPT)
        self._before = Applied(rest)  # in force at the end of the control period before this one
        self._applied: Applied | None = None
        self._faults: tuple[str, ...] = ()
        self._seq = 0
        self._closed = False

    @property
    def spec(self) -> RobotSpec:
        return self._spec

    def read(self) -> RobotState:
        """The state at the clock's time. Raises RobotError once the arm is closed."""
        self._require_open()
        self._catch_up()
        self._seq += 1
        return self._state()

    def send(self, command: Command) -> Applied:
        """As `Robot.send`; the result is what is applied until the control period ends. However often it
        is called in one period, the command changes by one period's acceleration. Raises RobotError once
        the arm is closed."""
        self._require_open()
        self._catch_up()
        if self._faults:
            raise FaultError(
                f"command {command.seq} refused: {self._spec.name} has the faults {list(self._faults)}; "
                "clear_fault() first"
            )
        self._wanted = command
        self._expires_ns = self._now_ns + round(command.valid_for_s * NS_PER_S)
        self._applied = limit(command, self._state(), self._before, self._spec, self._period_s)
        return self._applied

    def stop(self) -> None:
        self._catch_up()
        self._halt()

    def close(self) -> None:
        if not self._closed:
            self.stop()
            self._closed = True

    def fail(self, fault: str) -> None:
        """Put the arm in `fault`: it stops and refuses commands until `clear_fault`."""
        self._catch_up()
        self._halt()
        self._faults = (*self._faults, fault)

    def clear_fault(self) -> None:
        """Forget all faults. Nothing moves before the next command."""
        self._faults = ()

    @property
    def _period_s(self) -> float:
        return self._period_ns / NS_PER_S

    def _require_open(self) -> None:
        if self._closed:
            raise RobotError(f"{self._spec.name} is closed; make a new one")

    def _state(self) -> RobotState:
        twist = np.zeros(6) if self._applied is None else self._applied.command.twist
        return RobotState(
            seq=self._seq,
            time_ns=self._now_ns,
            joint_pos_rad=self._joint_pos_rad.copy(),
            joint_vel_rad_s=np.zeros_like(self._joint_pos_rad),
            tool_pos_m=self._tool_pos_m.copy(),
            tool_quat_xyzw=self._tool_quat_xyzw.copy(),
            tool_twist=twist.copy(),
            gripper=self._gripper,
            faults=self._faults,
            applied=self._applied,
        )

    def _halt(self) -> None:
        """Zero velocity at once, and no command in force; the gripper stays where it is."""
        self._wanted = None
        if self._applied is not None:
            rest = replace(self._applied.command, twist=np.zeros(6), gripper=self._gripper)
            self._before = self._applied = Applied(rest)

    def _catch_up(self) -> None:
        """Run every control period that has ended, then the running one up to the clock's time."""
        now_ns = self._clock.now_ns()
        while self._tick_ns + self._period_ns <= now_ns:
            if self._at_rest():
                self._tick_ns += (now_ns - self._tick_ns) // self._period_ns * self._period_ns
                break
            self._move_until(self._tick_ns + self._period_ns)
            self._tick_ns += self._period_ns
            self._begin_period()
        self._move_until(now_ns)

    def _at_rest(self) -> bool:
        """Whether time alone changes nothing any more."""
        if self._applied is None:
            return True
        still = not self._applied.command.twist.any()
        return self._wanted is None and still and self._gripper == self._applied.command.gripper

    def _begin_period(self) -> None:
        if self._applied is None:
            return
        self._before = self._applied
        if self._wanted is not None and self._now_ns < self._expires_ns:
            self._applied = limit(self._wanted, self._state(), self._before, self._spec, self._period_s)
        elif self._wanted is not None or self._applied.command.twist.any():
            self._wanted = None
            self._applied = expire(self._state(), self._applied, self._spec, self._period_s)

    def _move_until(self, time_ns: int) -> None:
        """Carry the applied twist and the gripper's travel on to `time_ns`."""
        elapsed_s = (time_ns - self._now_ns) / NS_PER_S
        self._now_ns = time_ns
        if self._applied is None or elapsed_s <= 0.0:
            return
        command = self._applied.command
        self._tool_pos_m = self._tool_pos_m + command.twist[:3] * elapsed_s
        self._tool_quat_xyzw = _turned(self._tool_quat_xyzw, command.twist[3:] * elapsed_s)
        travel = GRIPPER_SPEED_PER_S * elapsed_s
        left = command.gripper - self._gripper
        self._gripper = (
            command.gripper if abs(left) <= travel else self._gripper + math.copysign(travel, left)
        )


def make(simulated: str = "yes", hz: str = "100") -> FakeArm:
    """The driver `fake`, at `hz` control periods a second. With `simulated=no` it says that it is a real arm,
    so that a host asks of it what it asks of those."""
    if simulated not in ("yes", "no"):
        raise ValueError(f"simulated is {simulated!r}: it must be yes or no")
    if not hz.isdecimal() or not 1 <= int(hz) <= 1000:
        raise ValueError(f"hz is {hz!r}: it must be a whole number from 1 to 1000")
    spec = replace(FAKE_SPEC, simulated=simulated == "yes", control_hz=float(hz))
    return FakeArm(MonotonicClock(), spec)


def _turned(quat_xyzw: Vector, rotation_rad: Vector) -> Vector:
    """`quat_xyzw` turned by a rotation vector in the base frame; of unit length."""
    angle = math.hypot(*rotation_rad)
    if angle == 0.0:
        return quat_xyzw
    x, y, z = rotation_rad * (math.sin(angle / 2.0) / angle)
    w = math.cos(angle / 2.0)
    left_product = np.array([[w, -z, y, x], [z, w, -x, y], [-y, x, w, z], [-x, -y, -z, w]])
    product = left_product @ quat_xyzw
    return np.asarray(product / np.linalg.norm(product))
