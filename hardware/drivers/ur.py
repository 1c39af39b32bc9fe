"""Universal Robots' arms, by ur-rtde: `pip install "robot-rlhf[ur]"`, driver `ur`.

Tool velocities go to the arm by ur-rtde's `speedL`, within the limits of the host, out of a process of
their own (`ur_process.py`), since ur-rtde's calls may wait for the controller. That says zero once a command
has run out or the host has died. Behind it stands the controller's watchdog: when nothing has been heard for
`watchdog_s`, since that process died too or the cable broke, it ends the control program, and the arm stops.
Without power its brakes engage (`SafeState.BRAKE`).

A protective stop, an emergency stop or an end of the control program stops the arm; `clear_fault` unlocks a
protective stop, not before the 5 s that the controller asks for, and starts the program anew. After a lost
connection too nothing is connected again before `clear_fault`. TCP, payload and safety limits are those that
the arm's installation sets.
"""

from __future__ import annotations

import importlib.util
import math
import re
import time
from dataclasses import replace

import msgspec
import numpy as np

from hardware.clock import NS_PER_S
from hardware.drivers.ur_link import ENDED, PROTECTIVE, Link, Order, Seen, Start
from hardware.robot import (
    Applied,
    Command,
    FaultError,
    Limit,
    RobotError,
    RobotSpec,
    RobotState,
    SafeState,
    Vector,
)

# Joints turn by two turns on every model; speeds are the lowest that are published for any of the e-Series.
UR_SPEC = RobotSpec(
    name="ur",
    joint_names=("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3"),
    joint_low_rad=np.full(6, -2.0 * math.pi),
    joint_high_rad=np.full(6, 2.0 * math.pi),
    joint_speed_limit_rad_s=np.deg2rad([120.0, 120.0, 150.0, 180.0, 180.0, 180.0]),
    workspace_low_m=np.array([-0.6, -0.6, 0.02]),
    workspace_high_m=np.array([0.6, 0.6, 0.8]),
    max_speed_m_s=0.25,
    max_turn_rad_s=0.5,
    max_acceleration_m_s2=1.0,
    control_hz=100.0,
    gripper=False,
    safe_state=SafeState.BRAKE,
    simulated=False,
)
UNLOCKS_S = 5.0
"""For so long the controller refuses to unlock a protective stop."""

_DRIVE_M_S2 = 2.0  # and rad/s^2, above what the limits ask for
_STOP_M_S2 = 4.0


class UrArm:
    """A `Robot` at a UR controller. Not for use from several threads."""

    def __init__(self, host: str, spec: RobotSpec, *, watchdog_s: float, output: str) -> None:
        """`output` is the digital output that switches the gripper, "" for none. Raises RobotError where no
        arm answers that can move."""
        self._spec = spec
        self._start = Start(host, watchdog_s, output, unlock=False)
        self._link: Link | None = Link(host)
        self._link.connect(self._start)
        self._spare: Link | None = None
        """What `clear_fault` connects; it is made as soon as that will be wanted, since it starts slowly."""
        self._lost = ""
        self._seq = 0
        self._protected_ns: int | None = None
        self._applied: Applied | None = None
        self._expires_ns = 0
        self._closed = False

    @property
    def spec(self) -> RobotSpec:
        return self._spec

    def read(self) -> RobotState:
        """Raises RobotError once closed, and once the controller is silent or gone."""
        seen = self._look()
        now_ns = time.monotonic_ns()
        if PROTECTIVE not in seen.faults:
            self._protected_ns = None
        elif self._protected_ns is None:
            self._protected_ns = now_ns
        if seen.faults:
            self._make_spare()
        self._seq += 1
        return self._state(seen, self._in_force(now_ns))

    def send(self, command: Command) -> Applied:
        seen = self._require_link().seen
        if seen.faults:
            raise FaultError(f"command {command.seq} refused: {', '.join(seen.faults)}; clear_fault() first")
        now_ns = time.monotonic_ns()
        self._applied, self._expires_ns = Applied(command), now_ns + round(command.valid_for_s * NS_PER_S)
        self._order(command.twist, _DRIVE_M_S2, command.valid_for_s)
        return self._applied

    def stop(self) -> None:
        """By a velocity of zero: `speedStop` waits for the controller, for minutes if that is silent."""
        if self._applied is not None:
            rest = replace(self._applied.command, twist=np.zeros(6))
            self._applied = Applied(rest)
        self._order(np.zeros(6), _STOP_M_S2, 0.0)

    def clear_fault(self) -> None:
        """Unlock a protective stop, and start the control program anew. Raises RobotError where it is too
        early for that, or something stops the arm that only a person beside it can end."""
        if self._closed:
            raise RobotError(f"{self._spec.name} is closed; make a new one")
        faults = [] if self._link is None else self._link.seen.faults
        if self._link is not None and not faults:
            return
        if theirs := [fault for fault in faults if fault not in (PROTECTIVE, ENDED)]:
            raise RobotError(f"{', '.join(theirs)}: end that at the arm and its pendant first")
        if self._protected_ns is not None:
            left_s = UNLOCKS_S - (time.monotonic_ns() - self._protected_ns) / NS_PER_S
            if left_s > 0.0:
                raise RobotError(
                    f"{PROTECTIVE}: look for its cause; it can be unlocked {UNLOCKS_S:g} s after it came, "
                    f"in {left_s:.1f} s"
                )
        self._lose("not connected again")
        self._applied = None
        link, self._spare = self._make_spare(), None
        try:
            link.connect(msgspec.structs.replace(self._start, unlock=True))
        except RobotError as error:
            self._lose(str(error))
            raise
        self._link = link

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._link is not None:
            self._link.finish()
            self._link = None
        if self._spare is not None:
            self._spare.kill()
            self._spare = None

    def _make_spare(self) -> Link:
        if self._spare is None:
            self._spare = Link(self._start.host)
        return self._spare

    def _require_link(self) -> Link:
        if self._closed:
            raise RobotError(f"{self._spec.name} is closed; make a new one")
        if self._link is None:
            raise FaultError(f"{self._lost}; clear_fault() connects anew")
        return self._link

    def _look(self) -> Seen:
        link = self._require_link()
        try:
            return link.look()
        except RobotError as error:
            self._lose(str(error))
            raise

    def _lose(self, reason: str) -> None:
        self._lost = reason
        if self._link is not None:
            self._link.kill()
            self._link = None
        self._make_spare()

    def _order(self, twist: Vector, acceleration_m_s2: float, lasts_s: float) -> None:
        closed = None
        if self._spec.gripper and self._applied is not None:
            closed = self._applied.command.gripper < 0.5
        vx, vy, vz, wx, wy, wz = twist.tolist()
        if self._link is not None:
            self._link.tell(Order((vx, vy, vz, wx, wy, wz), acceleration_m_s2, lasts_s, closed))

    def _in_force(self, now_ns: int) -> Applied | None:
        applied = self._applied
        if applied is not None and now_ns >= self._expires_ns and applied.command.twist.any():
            rest = replace(applied.command, twist=np.zeros(6))
            self._applied = Applied(rest, (Limit.EXPIRED,))
        return self._applied

    def _state(self, seen: Seen, applied: Applied | None) -> RobotState:
        gripper = 0.0 if seen.closed or not self._spec.gripper else 1.0
        return RobotState(
            seq=self._seq,
            time_ns=seen.time_ns,
            joint_pos_rad=np.array(seen.joint_pos_rad),
            joint_vel_rad_s=np.array(seen.joint_vel_rad_s),
            tool_pos_m=np.array(seen.pose[:3]),
            tool_quat_xyzw=_quaternion(np.array(seen.pose[3:])),
            tool_twist=np.array(seen.twist),
            gripper=gripper,
            wrench=np.array(seen.wrench),
            faults=tuple(seen.faults),
            applied=applied,
        )


def make(
    host: str,
    gripper: str = "none",
    watchdog_s: str = "0.1",
    low_m: str = "-0.6,-0.6,0.02",
    high_m: str = "0.6,0.6,0.8",
) -> UrArm:
    """The driver `ur`: the controller at the address `host`, in remote control.

    `gripper` is none, or the digital output that closes it when high: out0 to out7, tool0 or tool1.
    `watchdog_s`: after so long without a word the controller stops the arm. `low_m` and `high_m` are the
    workspace's corners in the base frame, x,y,z. Raises ValueError for what makes no sense, RobotError where
    no arm answers.
    """
    if not re.fullmatch(r"none|out[0-7]|tool[01]", gripper):
        raise ValueError(f"gripper is {gripper!r}: it must be none, out0 to out7, tool0 or tool1")
    (silence_s,) = _numbers(watchdog_s, 1, "watchdog_s")
    if not 0.05 <= silence_s <= 1.0:
        raise ValueError(f"watchdog_s is {watchdog_s}: it must be from 0.05 to 1")
    low, high = _numbers(low_m, 3, "low_m"), _numbers(high_m, 3, "high_m")
    output = "" if gripper == "none" else gripper
    spec = replace(
        UR_SPEC, workspace_low_m=np.array(low), workspace_high_m=np.array(high), gripper=bool(output)
    )
    if importlib.util.find_spec("rtde_control") is None:
        raise ModuleNotFoundError('ur-rtde is not installed: pip install "robot-rlhf[ur]"')
    return UrArm(host, spec, watchdog_s=silence_s, output=output)


def _numbers(text: str, count: int, name: str) -> list[float]:
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{name} is {text!r}: it must be {'a number' if count == 1 else 'x,y,z'}")
    return numbers


def _quaternion(rotation_rad: Vector) -> Vector:
    """Of a rotation vector, (x, y, z, w)."""
    angle = float(np.linalg.norm(rotation_rad))
    axis = rotation_rad / angle if angle > 0.0 else rotation_rad
    return np.append(axis * math.sin(angle / 2.0), math.cos(angle / 2.0))
