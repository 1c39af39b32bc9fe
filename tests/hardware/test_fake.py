"""What the fake arm promises beyond the contract: exact kinematics, control periods, and faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.clock import NS_PER_S, ManualClock
from hardware.drivers.fake import FAKE_SPEC, GRIPPER_SPEED_PER_S, FakeArm
from hardware.robot import Command, FaultError, Limit, RobotError, RobotSpec, Source

FORWARD = (0.2, 0.0, 0.0, 0.0, 0.0, 0.0)
TURNING = (0.0, 0.0, 0.0, 0.0, 0.0, 0.5)
REST = (0.0,) * 6


def ask(twist: tuple[float, ...], gripper: float = 1.0, valid_for_s: float = 10.0) -> Command:
    return Command(0, np.array(twist), gripper, valid_for_s, Source.SCRIPT)


def arm(spec: RobotSpec = FAKE_SPEC) -> tuple[FakeArm, ManualClock]:
    clock = ManualClock()
    return FakeArm(clock, spec), clock


def after(clock: ManualClock, seconds: float) -> None:
    clock.advance(round(seconds * NS_PER_S))


def test_it_ramps_up_by_the_acceleration_limit_one_control_period_at_a_time() -> None:
    robot, clock = arm()
    speeds = [float(robot.send(ask(FORWARD)).command.twist[0])]
    for _ in range(10):
        after(clock, 0.01)
        speeds.append(float(robot.read().tool_twist[0]))
    np.testing.assert_allclose(speeds, [0.02 * n for n in range(1, 11)] + [0.2])


def test_a_flood_of_commands_earns_no_more_acceleration_than_one() -> None:
    robot, clock = arm()
    for _ in range(3):
        flood = [robot.send(ask(FORWARD)).command.twist[0] for _ in range(100)]
        assert len(set(flood)) == 1
        after(clock, 0.01)
    assert robot.read().tool_twist[0] == pytest.approx(0.08)


@given(waits_ms=st.lists(st.integers(0, 500), max_size=10))
def test_how_often_it_is_read_does_not_change_where_it_goes(waits_ms: list[int]) -> None:
    (watched, watched_clock), (alone, alone_clock) = arm(), arm()
    command = ask((0.05, -0.02, 0.01, 0.0, 0.2, 0.1), gripper=0.3, valid_for_s=2.005)
    for robot in (watched, alone):
        robot.send(command)
    for wait_ms in waits_ms:
        watched_clock.advance(wait_ms * NS_PER_S // 1000)
        watched.read()
    alone_clock.wait_until(watched_clock.now_ns())
    np.testing.assert_allclose(watched.read().tool_pos_m, alone.read().tool_pos_m, atol=1e-9)
    np.testing.assert_allclose(watched.read().tool_quat_xyzw, alone.read().tool_quat_xyzw, atol=1e-9)
    assert watched.read().gripper == pytest.approx(alone.read().gripper)


def test_a_turn_goes_about_the_axis_of_the_base_by_the_angle_asked_for() -> None:
    robot, clock = arm(replace(FAKE_SPEC, max_acceleration_m_s2=1e6))
    robot.send(ask(TURNING, valid_for_s=4.0))
    after(clock, 10.0)
    turned, angle = robot.read().tool_quat_xyzw, 0.5 * 4.0
    np.testing.assert_allclose(turned, [np.cos(angle / 2), np.sin(angle / 2), 0.0, 0.0], atol=1e-9)


def test_the_gripper_travels_at_its_own_finite_speed_and_goes_on_after_the_command_ran_out() -> None:
    robot, clock = arm()
    robot.send(ask(REST, gripper=0.0, valid_for_s=0.1))
    after(clock, 0.2)
    assert robot.read().gripper == pytest.approx(1.0 - 0.2 * GRIPPER_SPEED_PER_S)
    after(clock, 10.0)
    assert robot.read().gripper == 0.0


def test_hours_of_rest_cost_no_time_to_catch_up_with() -> None:
    robot, clock = arm()
    robot.send(ask(FORWARD, valid_for_s=0.5))
    after(clock, 365 * 24 * 3600.0)
    state = robot.read()
    assert state.time_ns == clock.now_ns()
    assert state.applied is not None
    assert state.applied.limits == (Limit.EXPIRED,)
    robot.send(ask(FORWARD))
    after(clock, 0.1)
    assert robot.read().tool_pos_m[0] > state.tool_pos_m[0]


def test_in_a_fault_it_stands_still_and_refuses_by_name_until_a_person_clears_it() -> None:
    robot, clock = arm()
    robot.send(ask(FORWARD))
    after(clock, 0.3)
    robot.fail("reflex")
    struck = robot.read()
    assert struck.faults == ("reflex",)
    assert not struck.tool_twist.any()
    with pytest.raises(FaultError, match="reflex"):
        robot.send(ask(FORWARD))
    robot.stop()
    after(clock, 1.0)
    robot.clear_fault()
    after(clock, 1.0)
    np.testing.assert_array_equal(robot.read().tool_pos_m, struck.tool_pos_m)
    robot.send(ask(FORWARD))
    after(clock, 0.2)
    assert robot.read().tool_pos_m[0] > struck.tool_pos_m[0]


def test_stop_halts_tool_and_gripper_at_once() -> None:
    robot, clock = arm()
    robot.send(ask(FORWARD, gripper=0.0))
    after(clock, 0.25)
    robot.stop()
    stopped = robot.read()
    assert not stopped.tool_twist.any()
    after(clock, 5.0)
    assert robot.read().gripper == stopped.gripper
    np.testing.assert_array_equal(robot.read().tool_pos_m, stopped.tool_pos_m)


def test_without_a_gripper_the_opening_reads_zero_whatever_is_asked() -> None:
    robot, clock = arm(replace(FAKE_SPEC, gripper=False))
    assert robot.send(ask(REST, gripper=1.0)).limits == (Limit.GRIPPER,)
    after(clock, 1.0)
    assert robot.read().gripper == 0.0


def test_once_closed_it_is_not_read_either() -> None:
    robot, _ = arm()
    robot.close()
    with pytest.raises(RobotError, match="closed"):
        robot.read()
