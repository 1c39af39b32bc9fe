"""What every arm is to the rest of the project: one spec, one state, one command, one protocol.

Units are SI and stand in the names; quaternions are (x, y, z, w); poses and twists are in the
robot's base frame. A command is a velocity, never an offset, so that zero means stop and a command
that runs out is safe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_UNIT_WITHIN = 1e-3
_SHOWN = 200  # letters of a value that makes no sense


class RobotError(Exception):
    """Something about the arm or what was asked of it; the message names the value and what is valid."""


class StaleStateError(RobotError):
    """The newest state is older than the caller allowed."""


class FaultError(RobotError):
    """The arm is in a fault and does not move until a person clears it."""


class SafeState(Enum):
    """What the arm does when nothing may drive it any more."""

    HOLD = "hold"  # zero velocity under power
    BRAKE = "brake"  # brakes engage, power may go
    LIMP = "limp"  # falls without power: never cut it while the arm is raised


class Source(Enum):
    """Who a command comes from."""

    POLICY = "policy"
    OPERATOR = "operator"
    SCRIPT = "script"


class Limit(Enum):
    """A limit that changed a command on its way to the arm."""

    EXPIRED = "expired"
    SPEED = "speed"
    TURN = "turn"
    ACCELERATION = "acceleration"
    WORKSPACE = "workspace"
    GRIPPER = "gripper"


def vector(value: Sequence[float] | Vector, size: int, name: str) -> Vector:
    """`value` as a read-only float64 vector of `size` finite numbers, or a ValueError naming `name`."""
    array = np.array(value, dtype=np.float64)
    if array.shape != (size,):
        raise ValueError(f"{name} has shape {array.shape}, expected ({size},)")
    numbers = array.tolist()
    if not all(map(math.isfinite, numbers)):  # a fifth of numpy's time for so few
        raise ValueError(f"{name} is {numbers}: every number must be finite")
    array.setflags(write=False)
    return array


def pose(value: object, name: str) -> Vector:
    """`value` as a read-only pose (7,), m and quaternion xyzw, or a ValueError naming `name`. A quaternion's
    length may be off by 0.001, and is 1 in the result."""
    try:
        array = np.array(value, dtype=np.float64)
        shown = array.tolist() if array.ndim else value
    except (TypeError, ValueError):
        array, shown = np.empty(0), value
    if array.shape != (7,) or not np.isfinite(array).all():
        raise ValueError(
            f"{name} is {str(shown)[:_SHOWN]}: a pose is 7 finite numbers, m and quaternion xyzw"
        )
    length = float(np.linalg.norm(array[3:]))
    if abs(length - 1.0) > _UNIT_WITHIN:
        raise ValueError(f"{name} is {shown}: its quaternion has length {length:.4g}, it must be 1")
    array[3:] /= length
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class RobotSpec:
    """What an arm is and what it may do. Arrays have one entry a joint, or x, y, z."""

    name: str
    joint_names: tuple[str, ...]
    joint_low_rad: Vector
    joint_high_rad: Vector
    joint_speed_limit_rad_s: Vector
    workspace_low_m: Vector
    workspace_high_m: Vector
    max_speed_m_s: float
    max_turn_rad_s: float
    max_acceleration_m_s2: float
    control_hz: float
    gripper: bool
    safe_state: SafeState
    simulated: bool
    home_m: Vector | None = None
    """Where its tool waits, (3,); None: in the middle of the workspace."""
    looks: str = ""
    """How it is drawn: "panda", or else its hand alone, at the tool."""

    def __post_init__(self) -> None:
        joints = len(self.joint_names)
        for name in ("joint_low_rad", "joint_high_rad", "joint_speed_limit_rad_s"):
            object.__setattr__(self, name, vector(getattr(self, name), joints, name))
        for name in ("workspace_low_m", "workspace_high_m"):
            object.__setattr__(self, name, vector(getattr(self, name), 3, name))
        middle = (self.workspace_low_m + self.workspace_high_m) / 2.0
        home = middle if self.home_m is None else self.home_m
        object.__setattr__(self, "home_m", vector(home, 3, "home_m"))
        if not (self.joint_low_rad < self.joint_high_rad).all():
            raise ValueError("joint_low_rad must be below joint_high_rad for every joint")
        if not (self.workspace_low_m < self.workspace_high_m).all():
            raise ValueError("workspace_low_m must be below workspace_high_m on every axis")
        for name in ("max_speed_m_s", "max_turn_rad_s", "max_acceleration_m_s2", "control_hz"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}: it must be positive and finite")


@dataclass(frozen=True, eq=False)
class Command:
    """A tool velocity to hold for at most `valid_for_s` seconds.

    `twist` is (vx, vy, vz in m/s, wx, wy, wz in rad/s); `gripper` is the wanted opening,
    0 closed to 1 open.
    """

    seq: int
    twist: Vector
    gripper: float
    valid_for_s: float
    source: Source

    def __post_init__(self) -> None:
        object.__setattr__(self, "twist", vector(self.twist, 6, "twist"))
        if not 0.0 <= self.gripper <= 1.0:
            raise ValueError(f"gripper is {self.gripper}: it must be from 0 (closed) to 1 (open)")
        if not 0.0 < self.valid_for_s <= 10.0:
            raise ValueError(f"valid_for_s is {self.valid_for_s}: it must be above 0 and at most 10")
        if self.seq < 0:
            raise ValueError(f"seq is {self.seq}: it must not be negative")


@dataclass(frozen=True, eq=False)
class Applied:
    """What the limits let through of a command, and which of them acted."""

    command: Command
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, eq=False)
class RobotState:
    """One reading of the arm. `gripper` is the measured opening, 0 closed to 1 open.

    `tool_twist` is (m/s, rad/s) in the base frame; `wrench` is (N, Nm) at the tool, or None where the
    arm cannot measure it; `applied` is the command that the limits let through last.
    """

    seq: int
    time_ns: int
    joint_pos_rad: Vector
    joint_vel_rad_s: Vector
    tool_pos_m: Vector
    tool_quat_xyzw: Vector
    tool_twist: Vector
    gripper: float
    wrench: Vector | None = None
    faults: tuple[str, ...] = ()
    applied: Applied | None = None

    def check(self, joints: int) -> None:
        """Raises ValueError, naming it, for what is not as many finite numbers as it should be."""
        sizes = {"joint_pos_rad": joints, "joint_vel_rad_s": joints, "tool_pos_m": 3, "tool_quat_xyzw": 4}
        for name, size in (sizes | {"tool_twist": 6}).items():
            vector(getattr(self, name), size, name)
        vector([self.gripper], 1, "gripper")
        if self.wrench is not None:
            vector(self.wrench, 6, "wrench")


@runtime_checkable
class Robot(Protocol):
    """An arm: simulated, fake, or real behind a wire.

    `send` never blocks and never queues: the newest command replaces the one before it, and once its
    `valid_for_s` has run out the arm holds still. Whoever is driven by a host alone need not limit what it
    is sent: the host has.
    """

    @property
    def spec(self) -> RobotSpec:
        """What this arm is; constant for the life of the object."""
        ...

    def read(self) -> RobotState:
        """The newest state. Raises StaleStateError when there is none fresh enough."""
        ...

    def send(self, command: Command) -> Applied:
        """Replace the command in force. Returns what the limits let through; raises FaultError."""
        ...

    def stop(self) -> None:
        """Zero velocity now, whatever command is in force. Never raises because of a fault."""
        ...

    def close(self) -> None:
        """Stop and release the arm. Calling it twice is fine."""
        ...
