"""The host limits what an arm is sent: a driver that carries out whatever it gets is safe behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from hardware import wire
from hardware.drivers.fake import FAKE_SPEC
from hardware.robot import Applied, Command, Limit, RobotError, RobotSpec, RobotState, Vector
from robot_rlhf.commands import robot as command
from tests.hardware.host.served import Hand, Served, serving, until

HZ = 50.0
ACCELERATION = 1.0
SPEC = replace(FAKE_SPEC, name="trusting", control_hz=HZ, max_acceleration_m_s2=ACCELERATION)


class Trusting:
    """An arm that does as it is told, at once, and says nothing of it."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, Vector]] = []
        self.fault = ""
        self.clears = 0
        self.holds_up_s = 0.0
        self._position = (SPEC.workspace_low_m + SPEC.workspace_high_m) / 2.0
        self._twist, self._now_s, self._seq = np.zeros(6), time.monotonic(), 0

    @property
    def spec(self) -> RobotSpec:
        return SPEC

    def read(self) -> RobotState:
        self._move()
        self._seq += 1
        if self.fault == "silent":
            raise RobotError("the cable is out")
        joints = (SPEC.joint_low_rad + SPEC.joint_high_rad) / 2.0
        return RobotState(
            seq=self._seq,
            time_ns=time.monotonic_ns(),
            joint_pos_rad=joints,
            joint_vel_rad_s=0.0 * joints,
            tool_pos_m=np.full(3, np.nan) if self.fault == "mad" else self._position.copy(),
            tool_quat_xyzw=np.array([1.0, 0.0, 0.0, 0.0]),
            tool_twist=self._twist.copy(),
            gripper=1.0,
        )

    def send(self, command: Command) -> Applied:
        self._move()
        self._twist = np.array(command.twist)
        self.sent.append((self._now_s, self._twist))
        return Applied(command)

    def stop(self) -> None:
        self._move()
        self._twist = np.zeros(6)

    def close(self) -> None:
        self.stop()

    def clear_fault(self) -> None:
        self.clears += 1
        time.sleep(self.holds_up_s)
        self.fault = ""

    def _move(self) -> None:
        now_s = time.monotonic()
        self._position = self._position + self._twist[:3] * (now_s - self._now_s)
        self._now_s = now_s


Rig = tuple[Served, Trusting, Callable[..., Hand]]


@pytest.fixture
def rig() -> Iterator[Rig]:
    arm = Trusting()
    with serving(make=lambda: arm) as (served, hand):
        yield served, arm, hand


def test_many_commands_in_a_turn_gain_one_turns_speed(rig: Rig) -> None:
    _, arm, hand = rig
    one = hand()
    one.lead()
    arm.sent.clear()

    def is_fast() -> bool:
        one.send(0.25)
        return bool(arm.sent and arm.sent[-1][1][0] > 0.2)

    until(is_fast)
    times = np.array([at for at, _ in arm.sent])
    speeds = np.array([twist[0] for _, twist in arm.sent])
    assert len(times) > 2 * HZ * (times[-1] - times[0])  # several commands came in a turn
    gained = speeds[None, :] - speeds[:, None]
    took_s = np.abs(times[None, :] - times[:, None])
    assert (gained <= ACCELERATION * (took_s + 2.5 / HZ)).all()


def test_no_wall_is_passed_and_the_state_says_what_cut(rig: Rig) -> None:
    _, _, hand = rig
    one = hand()
    one.lead()
    one.drive(0.25, lambda state: state.tool_pos_m[0] > SPEC.workspace_high_m[0] - 2e-3)
    state = one.drive(0.25, lambda state: not state.tool_twist.any())
    assert state.applied is not None and Limit.WORKSPACE in state.applied.limits
    assert state.tool_pos_m[0] <= SPEC.workspace_high_m[0] + 1e-3  # turns come late on a busy machine
    one.drive(-0.25, lambda state: state.tool_twist[0] < -0.1)  # back inside is free


def test_speed_and_turn_are_cut(rig: Rig) -> None:
    _, arm, hand = rig
    one = hand()
    one.lead()
    arm.sent.clear()

    def spun() -> bool:
        twist = np.full(6, 5.0)
        one.robot.exchange(one.robot.move(len(arm.sent) + 10_000, twist, 1.0, 0.1, dead_man=False))
        one.robot.read()
        return bool(np.linalg.norm(arm.sent[-1][1][:3]) > 0.99 * SPEC.max_speed_m_s)

    until(spun)
    most = np.array([twist for _, twist in arm.sent])
    assert np.linalg.norm(most[:, :3], axis=1).max() <= SPEC.max_speed_m_s * (1.0 + 1e-6)
    assert np.linalg.norm(most[:, 3:], axis=1).max() <= SPEC.max_turn_rad_s * (1.0 + 1e-6)


def test_a_state_that_makes_no_sense_is_a_fault(rig: Rig) -> None:
    served, arm, hand = rig
    one = hand()
    one.lead()
    one.drive(0.1, lambda state: state.tool_twist[0] > 0.05)
    arm.fault = "mad"
    until(lambda: served.host.guard.reason.startswith("fault: its state makes no sense: tool_pos_m is [nan"))
    assert not arm.read().tool_twist.any()


@pytest.mark.parametrize("fault", ["silent", "mad"])
def test_the_person_beside_an_arm_that_cannot_be_read_is_served(rig: Rig, fault: str) -> None:
    served, arm, _ = rig
    arm.fault = fault
    until(lambda: served.host.guard.safety.value == "stopped")
    assert isinstance(command.ask("ping", served.address, None), command.Round)
    assert isinstance(command.ask("describe", served.address, None), command.Described)
    assert command.ask("stop", served.address, None).lines() == ["the arm is stopped"]
    with pytest.raises(RobotError, match=r"the cable is out|makes no sense"):
        command.ask("status", served.address, None)
    assert command.ask("clear-fault", served.address, None).lines() == ["the arm is disarmed"]
    assert isinstance(command.ask("status", served.address, None), command.Status)


def test_an_arm_in_motion_is_not_held_up_by_a_clear(rig: Rig) -> None:
    _, arm, hand = rig
    one, other = hand(), hand()
    arm.holds_up_s = 3.0
    one.lead()
    one.drive(0.1, lambda state: state.tool_twist[0] > 0.05)
    assert isinstance(other.robot.link.ask(wire.Clear(stops=0), wire.Done), wire.Done)
    assert arm.clears == 0
    one.drive(0.1, lambda state: state.tool_twist[0] > 0.05)


def test_whoever_clears_waits_for_an_arm_that_takes_its_time(rig: Rig) -> None:
    _, arm, hand = rig
    one = hand(timeout_s=0.5)
    one.robot.stop_and_wait()
    arm.holds_up_s = 1.0
    one.robot.clear_fault()
    assert arm.clears == 1 and one.robot.safety.value == "disarmed"
    assert not any("stood still" in text for text in one.robot.events)
