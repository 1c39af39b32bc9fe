"""The Franka driver against franky-sim, which speaks the arm's own protocol, behind a host and by itself.

The simulator takes most of a core and slows down with its machine: there is one at a time, what is waited for
is waited for long, and nobody is thought to have left, or loses the arm for good, because a message was late.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks.franka import follow, pick, served
from hardware.drivers import make_driver
from hardware.host.guard import Safety
from hardware.robot import Command, FaultError, Robot, RobotError, RobotState, SafeState, Source
from tests.hardware import franka_simulator
from tests.hardware.host import served as patience
from tests.hardware.host.served import Hand, Served, travelled_m, until

SPEED_M_S = 0.05
FASTER_M_S = 0.15


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a simulated Franka."""
    program = [sys.executable, str(Path(franka_simulator.__file__))]
    simulator = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert simulator.stdout is not None
    host = simulator.stdout.readline().strip()
    assert host, "the simulator did not start"
    yield host
    simulator.communicate()  # it ends with its stdin
    assert simulator.returncode == 0


@pytest.fixture
def arm(address: str) -> Iterator[Robot]:
    with closing(connected(address)) as robot:
        yield robot


def connected(address: str) -> Robot:
    return make_driver("franka", {"host": address, "realtime": "ignore"})


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", 40.0)


class Script(Hand):
    """Drives along any axis, with somebody beside it."""

    def __init__(self, address: str) -> None:
        super().__init__(address, stale_s=10.0, timeout_s=10.0)
        self.direction, self.gripper = np.eye(3)[0], 1.0

    def lead(self) -> None:
        if self.robot.safety is Safety.STOPPED:
            self.robot.clear_fault()
        super().lead()

    def send(self, speed_m_s: float, valid_for_s: float = 0.2, axis: int = 0) -> None:
        self.robot.present()
        if not self.robot.now().holder:
            self.robot.take(self.source)
        self._seq += 1
        twist = np.concatenate([speed_m_s * np.roll(self.direction, axis), np.zeros(3)])
        self.robot.send(Command(self._seq, twist, self.gripper, valid_for_s, self.source))

    def at_rest(self) -> RobotState:
        self.robot.present()
        return super().at_rest()


@pytest.fixture
def script(address: str) -> Iterator[Script]:
    """Leads the arm, behind a host in a thread."""
    with closing(Served(partial(connected, address))) as host, closing(Script(host.address)) as one:
        host.host.guard.attended = False
        one.lead()
        yield one


def far_from(start: RobotState, state: RobotState) -> bool:
    return travelled_m(start, state) > 0.02


def fast(state: RobotState) -> bool:
    return float(np.linalg.norm(state.tool_twist[:3])) > 0.8 * SPEED_M_S


def open_by(opening: float, state: RobotState) -> bool:
    return abs(state.gripper - opening) < 0.15


def test_it_says_what_it_is_and_how_it_is(script: Script) -> None:
    spec, state = script.robot.spec, script.robot.read()
    assert (spec.name, spec.simulated, spec.safe_state) == ("franka", False, SafeState.BRAKE)
    assert spec.joint_high_rad[5] == pytest.approx(4.6216)  # an FR3's, as the arm itself tells
    assert ((spec.joint_low_rad < state.joint_pos_rad) & (state.joint_pos_rad < spec.joint_high_rad)).all()
    assert abs(state.tool_quat_xyzw[0]) == pytest.approx(1.0, abs=0.01)  # the hand points down
    assert state.wrench is not None and state.faults == ()
    assert 0.0 <= state.gripper <= 1.0


@pytest.mark.parametrize("axis", range(3))
def test_it_goes_where_it_is_told_and_rests_when_a_command_has_run_out(script: Script, axis: int) -> None:
    script.direction = np.eye(3)[axis]
    for sign in (-1.0, 1.0):
        start = script.robot.read()
        moved = script.drive(sign * SPEED_M_S, partial(far_from, start))
        step = moved.tool_pos_m - start.tool_pos_m
        assert sign * step[axis] > 0.015
        assert np.abs(np.delete(step, axis)).max() < 0.005
        assert travelled_m(moved, script.at_rest()) < 0.3 * SPEED_M_S + 0.01


def test_a_stop_holds_until_it_is_cleared_and_armed(script: Script) -> None:
    script.drive(SPEED_M_S, fast)
    before = script.robot.read()
    script.robot.stop_and_wait()
    rest = script.at_rest()
    assert travelled_m(before, rest) < 0.1 * SPEED_M_S + 0.01
    with pytest.raises(FaultError, match="is stopped"):
        script.send(SPEED_M_S)
    with pytest.raises(RobotError, match="clear it first"):
        script.robot.arm()
    script.lead()
    script.drive(-SPEED_M_S, partial(far_from, rest))


def test_a_reflex_is_a_fault_and_is_recovered_from(script: Script) -> None:
    script.direction = np.eye(3)[1]  # where there is a wall
    with suppress(FaultError):
        script.drive(FASTER_M_S, lambda state: bool(state.faults))
    until(lambda: len(script.robot.read().faults) == 2)
    hit = script.at_rest()
    assert hit.faults[0] == 'reflex ["cartesian_reflex"]'
    assert "motion aborted by reflex" in hit.faults[1]
    with pytest.raises(FaultError, match=r"is stopped: fault: .*reflex"):
        script.send(-FASTER_M_S)
    with pytest.raises(RobotError, match="clear it first"):
        script.robot.arm()
    script.lead()
    assert script.robot.read().faults == ()
    away = script.drive(-FASTER_M_S, lambda state: travelled_m(hit, state) > 0.15)
    assert away.tool_pos_m[1] < hit.tool_pos_m[1]


def test_its_hand_closes_and_opens_and_stops_on_its_way(script: Script) -> None:
    for opening in (1.0, 0.0, 1.0):
        script.gripper = opening
        script.drive(0.0, partial(open_by, opening))
    script.gripper = 0.0
    script.drive(0.0, lambda state: state.gripper < 0.8)
    script.robot.stop_and_wait()
    rest = until(lambda: opening_at_rest(script))
    assert rest > 0.1
    script.lead()
    script.gripper = 1.0
    script.drive(0.0, partial(open_by, 1.0))
    assert script.robot.read().faults == ()


def opening_at_rest(script: Script) -> float | None:
    """The opening, where it stays what it is for 0.3 s."""
    first = script.robot.read()
    later = until(lambda: state if (state := script.robot.read()).time_ns > first.time_ns + 3e8 else None)
    return float(later.gripper) if abs(later.gripper - first.gripper) < 0.01 else None


def test_a_picks_commands_are_followed(arm: Robot) -> None:
    recorded = pick(seed=0)
    start = arm.read()
    errors_m = follow(arm, recorded)
    assert travelled_m(start, arm.read()) > 0.1
    assert np.percentile(errors_m, 99) < 0.03


def test_it_can_be_closed_in_motion_and_connected_again(arm: Robot, address: str) -> None:
    def moves() -> bool:
        arm.send(Command(0, np.array([0.0, 0.0, SPEED_M_S, 0.0, 0.0, 0.0]), 1.0, 0.1, Source.SCRIPT))
        return fast(arm.read())

    until(moves)
    arm.close()
    arm.close()
    with pytest.raises(RobotError, match="is closed"):
        arm.read()
    with closing(connected(address)) as again:
        state = again.read()
        assert np.linalg.norm(state.tool_twist[:3]) < 0.005
        assert state.faults == ()


def test_it_rests_when_its_host_is_killed_and_can_be_connected_again(address: str) -> None:
    options = {"host": address, "realtime": "ignore"}
    with served(options) as (where, host), closing(Script(where)) as script:
        script.lead()
        last = script.drive(SPEED_M_S, fast)
        host.kill()
        host.wait()
        with closing(connected(address)) as again:
            state = until(lambda: now if not fast(now := again.read()) else None)
            assert travelled_m(last, state) < 0.02


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "the driver franka needs the option host="),
        ({"host": ""}, "it must be the arm's address"),
        ({"host": "127.0.0.1", "realtime": "maybe"}, "realtime is 'maybe': it must be enforce or ignore"),
        ({"host": "127.0.0.1", "gripper": "2"}, "gripper is '2': it must be yes or no"),
        ({"host": "127.0.0.1", "speed": "2"}, "no option 'speed' .there are host, realtime, gripper"),
        ({"host": "127.0.1.250", "realtime": "ignore"}, "no Franka at 127.0.1.250: .*refused"),
    ],
)
def test_what_makes_no_sense_is_named(options: dict[str, str], line: str) -> None:
    with pytest.raises(RobotError, match=line):
        make_driver("franka", options)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "franky", None)
    with pytest.raises(RobotError, match=r'pip install "robot-rlhf\[franka\]"'):
        make_driver("franka", {"host": "127.0.0.1"})
