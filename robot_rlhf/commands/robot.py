"""`robot-rlhf robot`: what the person beside an arm asks its host, and has it do."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np

from hardware.homing import towards
from hardware.host.guard import Safety
from hardware.remote import RemoteRobot
from hardware.robot import Command, RobotError, Source
from hardware.security import ClientSecurity
from hardware.wire import SpecMessage


class Status(msgspec.Struct, frozen=True):
    """What an arm is about."""

    robot: str
    joints_rad: tuple[float, ...]
    tool_pos_m: tuple[float, ...]
    gripper: float
    safety_state: Safety
    reason: str
    faults: tuple[str, ...]
    last_command_seq: int
    lease_holder: str

    def lines(self) -> list[str]:
        """For a person."""
        tool = ", ".join(f"{value:.3f}" for value in self.tool_pos_m)
        joints = ", ".join(f"{value:.3f}" for value in self.joints_rad)
        why = f": {self.reason}" if self.reason else ""
        return [
            f"{self.robot} is {self.safety_state.value}{why}",
            f"led by {self.lease_holder or 'nobody'}, last command {self.last_command_seq}",
            f"tool at {tool} m, gripper {self.gripper:.0%} open, joints {joints} rad",
            *(f"fault: {fault}" for fault in self.faults),
        ]


class Round(msgspec.Struct, frozen=True):
    """How long a question and its answer took, the median of some."""

    round_trip_ms: float

    def lines(self) -> list[str]:
        """For a person."""
        return [f"it answers within {self.round_trip_ms:.2f} ms"]


class Described(msgspec.Struct, frozen=True):
    """What an arm is and may do."""

    spec: SpecMessage
    attended: bool
    session: str
    cameras: tuple[str, ...]

    def lines(self) -> list[str]:
        """For a person."""
        spec = self.spec
        low, high = spec.workspace_low_m, spec.workspace_high_m
        box = " x ".join(f"{a:g} to {b:g}" for a, b in zip(low, high, strict=True))
        return [
            f"{spec.name}: {len(spec.joint_names)} joints, {'a' if spec.gripper else 'no'} gripper, "
            f"{'simulated' if spec.simulated else 'real'}, {spec.control_hz:g} Hz",
            f"workspace {box} m, at most {spec.max_speed_m_s:g} m/s and {spec.max_turn_rad_s:g} rad/s",
            f"without anybody to drive it: {spec.safe_state.value}; "
            f"moves {'only beside a person' if self.attended else 'unattended too'}",
            f"cameras: {', '.join(self.cameras) or 'none'}",
        ]


class Did(msgspec.Struct, frozen=True):
    """What was asked is done, and what the arm may do since."""

    safety_state: Safety

    def lines(self) -> list[str]:
        """For a person."""
        return [f"the arm is {self.safety_state.value}"]


Answer: TypeAlias = Status | Round | Described | Did
_BLIND = ("ping", "describe", "stop", "clear-fault")  # what can be done to an arm that cannot be read
HELD_S = 0.7
_PINGS = 20
_TURN_S, _VALID_S = 0.02, 0.1


def ask(what: str, address: str, key: Path | None) -> Answer:
    """Raises RobotError where the host does not answer, or refuses."""
    security = None if key is None else ClientSecurity(key)
    robot = RemoteRobot(address, name="robot-rlhf robot", security=security, blind=what in _BLIND)
    try:
        return _answer(what, robot)
    finally:
        robot.close()


def _answer(what: str, robot: RemoteRobot) -> Answer:
    match what:
        case "ping":
            return Round(round(1e3 * float(np.median([robot.ping_s() for _ in range(_PINGS)])), 3))
        case "describe":
            welcome = robot.welcome
            return Described(welcome.spec, welcome.attended, welcome.session, tuple(welcome.cameras))
        case "stop":
            robot.stop_and_wait()
            return Did(Safety.STOPPED)
        case "clear-fault":
            robot.clear_fault()
        case "arm":
            robot.arm()
        case "home":
            return _home(robot)
        case _:
            return _status(robot)
    return Did(robot.now().safety)


def _home(robot: RemoteRobot) -> Did:
    """Bring the tool to where it waits, a real arm while the space bar is held. Asking for it arms it."""
    home_m = robot.spec.home_m
    assert home_m is not None  # a spec fills it in
    seq = 0
    with contextlib.nullcontext(lambda: True) if robot.spec.simulated else held_key() as is_held:
        while (velocity := towards(robot.read().tool_pos_m, home_m)).any():
            robot.present()
            if is_held():
                _lead(robot)
                state, seq = robot.read(), seq + 1
                gripper = state.gripper if state.applied is None else state.applied.command.gripper
                twist = np.concatenate([velocity, np.zeros(3)])
                robot.send(Command(seq, twist, gripper, _VALID_S, Source.OPERATOR))
            time.sleep(_TURN_S)
    return Did(robot.now().safety)


def _lead(robot: RemoteRobot) -> None:
    said = robot.now()
    if said.safety is Safety.STOPPED:
        raise RobotError(f"the arm is stopped: {said.reason}: clear-fault first")
    if said.safety is Safety.DISARMED:
        robot.arm()
    if robot.leading is None:
        robot.take(Source.OPERATOR)


@contextlib.contextmanager
def held_key() -> Iterator[Callable[[], bool]]:
    """Whether a key is held in this terminal: it repeats while it is, and counts for 0.7 s after each time,
    as long as a keyboard takes to begin to repeat. Raises RobotError where there is no terminal."""
    if not sys.stdin.isatty():
        raise RobotError("a real arm goes home only while the space bar is held: that takes a terminal")
    print("hold the space bar to move the arm, let go to stop it, Ctrl-C to end", file=sys.stderr, flush=True)
    terminal = sys.stdin.fileno()
    before, heard_s = termios.tcgetattr(terminal), -HELD_S

    def is_held() -> bool:
        nonlocal heard_s
        if select.select([terminal], [], [], 0.0)[0] and os.read(terminal, 256):
            heard_s = time.monotonic()
        return time.monotonic() - heard_s < HELD_S

    try:
        tty.setcbreak(terminal)
        yield is_held
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _status(robot: RemoteRobot) -> Status:
    said, reading = robot.now(), robot.read()
    return Status(
        robot=robot.spec.name,
        joints_rad=tuple(reading.joint_pos_rad.tolist()),
        tool_pos_m=tuple(reading.tool_pos_m.tolist()),
        gripper=reading.gripper,
        safety_state=said.safety,
        reason=said.reason,
        faults=reading.faults,
        last_command_seq=said.last_command,
        lease_holder=said.holder,
    )
