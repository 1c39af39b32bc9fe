"""What an arm's host and its clients say to each other. SI units, base frame, quaternions xyzw.

Nothing here can execute: numbers, texts, and arrays as little-endian bytes of known length. `hello` agrees
on all that follows; a client that speaks another version is refused by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np

from hardware.host.guard import Safety, Why
from hardware.robot import (
    Applied,
    Command,
    Limit,
    RobotSpec,
    RobotState,
    SafeState,
    Source,
    Vector,
    pose,
)
from hardware.transport import array_bytes, array_from

VERSION = 1
MAX_JOINTS = 32
MAX_PICTURE_BYTES = 1 << 20
MAX_SEEN_BYTES = MAX_PICTURE_BYTES + 1_024

MAX_TEXT = 500
MAX_EVENTS = 25  # an answer, so that there is room for the longest texts
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Name = Annotated[str, msgspec.Meta(max_length=100)]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Bytes = Annotated[bytes, msgspec.Meta(max_length=8 * MAX_JOINTS)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag=True):
    """A message is exactly its fields."""


# -- asked of the host, and its answers ------------------------------------------------------------------


class Hello(_Message, frozen=True):
    """The first thing a client says: which version of these messages it speaks, and its name."""

    version: int
    schema: Name
    name: Name


class Take(_Message, frozen=True):
    """The arm, please, to lead it as `source`; in place of `lease`, which is had so far, or is empty."""

    source: Source
    lease: Name


class Renew(_Message, frozen=True):
    """The same lease for longer."""

    lease: Name


class Release(_Message, frozen=True):
    """It is given back."""

    lease: Name


class Clear(_Message, frozen=True):
    """A stop is cleared, and so are the arm's faults. It is the newest of `stops` that are known of: what
    waits on its way while there is another clears nothing."""

    stops: Number


class Arm(_Message, frozen=True):
    """The arm may move again, after so many `stops`."""

    stops: Number


class Lay(_Message, frozen=True):
    """Put a simulated arm and the things before it at a start: the tool (m), the gripper's opening, and the
    things by name (7,). For whoever has its lease."""

    lease: Name
    tool_pos_m: Bytes
    opening: Share
    poses: dict[Name, Bytes]


class Ping(_Message, frozen=True):
    """Are you there? `client_ns` comes back."""

    client_ns: Number


class Ask(_Message, frozen=True):
    """What is the newest state?"""


class Since(_Message, frozen=True):
    """What came to pass after the event of this number?"""

    number: Number


class Welcome(_Message, frozen=True):
    """Who the host is, and at which of its ports the rest is heard and said. `spec` is of the arm;
    `attended` says that it moves only while a person is heard of, `lays_out` that `Lay` is for it; it was
    stopped `stops` times so far. `cameras` by name: the port where each publishes."""

    session: Name
    stops: Number
    spec: SpecMessage
    attended: bool
    lays_out: bool
    commands_port: Port
    stop_port: Port
    states_port: Port
    cameras: dict[Name, Port]


class Leased(_Message, frozen=True):
    """The lease, which lasts `seconds` unless it is renewed. Commands under it answer states after number
    `since`."""

    lease: Name
    seconds: float
    since: int


class Laid(_Message, frozen=True):
    """Arm and things are there, as the states after number `since` show."""

    since: int


class Done(_Message, frozen=True):
    """What was asked is done."""


class Refused(_Message, frozen=True):
    """It is not, and why."""

    why: Why | None
    text: Text


class Events(_Message, frozen=True):
    """The events after that number that the host still knows, the first `MAX_EVENTS` of them."""

    events: tuple[Happened, ...]


class Pong(_Message, frozen=True):
    """Yes: when the question was received and answered, on the host's clock."""

    client_ns: Number
    received_ns: Number
    answered_ns: Number


# -- commands and stops ----------------------------------------------------------------------------------


class Move(_Message, frozen=True):
    """A command: see `hardware.host.guard.Wish`. `twist` is six numbers, m/s and rad/s."""

    session: Name
    lease: Name
    seq: Number
    twist: Bytes
    gripper: Share
    lasts_s: float
    based_on: Number
    dead_man: bool


class Followed(_Message, frozen=True):
    """What the limits let through of a command, and which of them acted."""

    seq: Number
    twist: Bytes
    gripper: Share
    limits: tuple[Limit, ...]


class NotFollowed(_Message, frozen=True):
    """A command that was refused, and why."""

    seq: Number
    why: Why | None
    text: Text


class Stop(_Message, frozen=True):
    """Stop now. Nobody needs a lease for that."""

    reason: Text


class Present(_Message, frozen=True):
    """A person is there."""


# -- published -------------------------------------------------------------------------------------------


class State(_Message, frozen=True):
    """One reading of the arm, and what may be done with it: see `hardware.robot.RobotState`. `told` is the
    number of the newest event."""

    session: Name
    seq: Number
    host_ns: Number
    wall_ns: Number
    joint_pos_rad: Bytes
    joint_vel_rad_s: Bytes
    tool_pos_m: Bytes
    tool_quat_xyzw: Bytes
    tool_twist: Bytes
    gripper: Share
    wrench: Bytes | None
    faults: tuple[Text, ...]
    safety: Safety
    reason: Text
    holder: Name
    source: Source | None
    last_command: int
    applied: Followed | None
    late_ms: float
    told: Number
    stops: Number


class Objects(_Message, frozen=True):
    """Where things are that a simulated arm stands before, by name (7,), in the state of number `seq`."""

    session: Name
    seq: Number
    poses: dict[Name, Bytes]


class Happened(_Message, frozen=True):
    """Something came to pass, the `number`-th since the host began, which was then stopped `stops` times."""

    number: Number
    stops: Number
    wall_ns: Number
    text: Text


class Picture(_Message, frozen=True):
    """What a camera saw, a JPEG; the `seq`-th since it began, `taken_ns` on the clock of `State.host_ns`."""

    camera: Name
    seq: Number
    taken_ns: Number
    wall_ns: Number
    jpeg: Annotated[bytes, msgspec.Meta(max_length=MAX_PICTURE_BYTES)]


class Blind(_Message, frozen=True):
    """A camera gives no picture now, and why."""

    camera: Name
    text: Text


class SpecMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A `RobotSpec` as it travels."""

    name: Name
    joint_names: tuple[Name, ...]
    joint_low_rad: tuple[float, ...]
    joint_high_rad: tuple[float, ...]
    joint_speed_limit_rad_s: tuple[float, ...]
    workspace_low_m: tuple[float, ...]
    workspace_high_m: tuple[float, ...]
    max_speed_m_s: float
    max_turn_rad_s: float
    max_acceleration_m_s2: float
    control_hz: float
    gripper: bool
    safe_state: SafeState
    simulated: bool
    home_m: tuple[float, ...]
    looks: Name

    @staticmethod
    def of(spec: RobotSpec) -> SpecMessage:
        values = {field.name: getattr(spec, field.name) for field in fields(spec)}
        plain: dict[str, Any] = {
            name: tuple(value.tolist()) if isinstance(value, np.ndarray) else value
            for name, value in values.items()
        }
        return SpecMessage(**plain)

    def spec(self) -> RobotSpec:
        """Raises ValueError where it makes no sense."""
        if not 1 <= len(self.joint_names) <= MAX_JOINTS:
            raise ValueError(f"the arm has {len(self.joint_names)} joints, expected 1 to {MAX_JOINTS}")
        return RobotSpec(**{name: getattr(self, name) for name in self.__struct_fields__})


ToHost: TypeAlias = Hello | Take | Renew | Release | Clear | Arm | Lay | Ping | Ask | Since
FromHost: TypeAlias = Welcome | Leased | Laid | Done | Refused | Pong | State | Events
FromCommands: TypeAlias = Followed | NotFollowed
ToStop: TypeAlias = Stop | Present
Published: TypeAlias = State | Objects | Happened
Seen: TypeAlias = Picture | Blind


@cache  # a host answers many a hello between two turns of its loop
def schema() -> str:
    """A short name of everything above, which differs whenever a message does."""
    whole = msgspec.json.schema_components((ToHost, FromHost, Move, FromCommands, ToStop, Published, Seen))
    return hashlib.sha256(msgspec.json.encode(whole, order="deterministic")).hexdigest()[:16]


def text(said: object) -> str:
    """In words, as far as a message has room for them: one that is too long would be refused whole."""
    return str(said)[:MAX_TEXT]


def numbers(values: Vector) -> bytes:
    """A vector's bytes."""
    return array_bytes(values, "<f8")


def vector(data: bytes, size: int, name: str) -> Vector:
    """The inverse; ValueError where there are not `size` finite numbers."""
    array = array_from(data, "<f8", (size,), name)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is {array.tolist()}: every number must be finite")
    return array


def poses(said: Mapping[str, bytes]) -> dict[str, Vector]:
    """Where things are, by name (7,): m and quaternion xyzw. Raises ValueError where it makes no sense."""
    return {name: pose(vector(data, 7, name), name) for name, data in said.items()}


def followed(applied: Applied) -> Followed:
    """What was let through, as it travels."""
    command = applied.command
    return Followed(
        seq=command.seq, twist=numbers(command.twist), gripper=command.gripper, limits=applied.limits
    )


def applied(said: Followed, source: Source, lasts_s: float) -> Applied:
    """The inverse. Raises ValueError where it makes no sense."""
    command = Command(said.seq, vector(said.twist, 6, "twist"), said.gripper, lasts_s, source)
    return Applied(command, said.limits)


def state(said: State, joints: int) -> RobotState:
    """A published state as a reading of the arm, `time_ns` on the host's clock. Raises ValueError where it
    makes no sense."""
    what = said.applied
    return RobotState(
        seq=said.seq,
        time_ns=said.host_ns,
        joint_pos_rad=vector(said.joint_pos_rad, joints, "joint_pos_rad"),
        joint_vel_rad_s=vector(said.joint_vel_rad_s, joints, "joint_vel_rad_s"),
        tool_pos_m=vector(said.tool_pos_m, 3, "tool_pos_m"),
        tool_quat_xyzw=vector(said.tool_quat_xyzw, 4, "tool_quat_xyzw"),
        tool_twist=vector(said.tool_twist, 6, "tool_twist"),
        gripper=said.gripper,
        wrench=None if said.wrench is None else vector(said.wrench, 6, "wrench"),
        faults=said.faults,
        applied=None if what is None else applied(what, said.source or Source.SCRIPT, 1.0),
    )


def reading(state: RobotState) -> dict[str, Any]:
    """The fields of a `State` that the arm's own reading gives."""
    vectors = ("joint_pos_rad", "joint_vel_rad_s", "tool_pos_m", "tool_quat_xyzw", "tool_twist")
    return {
        **{name: numbers(getattr(state, name)) for name in vectors},
        "gripper": float(state.gripper),
        "wrench": None if state.wrench is None else numbers(state.wrench),
        "faults": tuple(map(text, state.faults)),
        "applied": None if state.applied is None else followed(state.applied),
    }
