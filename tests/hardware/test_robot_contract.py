"""What every Robot promises, held against each of them: add a factory to RIGS and it is tested too.

Only displacements, bounds and orders are asserted, with room for the tracking error of an arm with
mass; what is exact for one driver alone stands in that driver's own test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from hardware.clock import NS_PER_S, Clock, ManualClock
from hardware.drivers.fake import FakeArm
from hardware.robot import Command, Limit, Robot, RobotError, RobotState, Source, Vector
from sim.arm import SimArm
from sim.arms.model import ARMS, make_arm
from sim.world import World

WALL_SLACK_M = 0.01
REST_M_S = 0.005


@dataclass
class Rig:
    """A robot at its start, the clock that drives it, and a hand that sends it commands."""

    robot: Robot
    clock: Clock
    period_s: float  # between two commands
    seq: int = 0

    def wait(self, seconds: float) -> RobotState:
        self.clock.wait_until(self.clock.now_ns() + round(seconds * NS_PER_S))
        return self.robot.read()

    def command(self, twist: Vector, gripper: float = 1.0, valid_for_s: float | None = None) -> Command:
        self.seq += 1
        return Command(self.seq, twist, gripper, valid_for_s or 2.0 * self.period_s, Source.SCRIPT)

    def drive(self, twist: Vector, seconds: float, gripper: float = 1.0) -> list[RobotState]:
        """Send the same wish every period for `seconds`; the state after each."""
        states = []
        for _ in range(max(1, round(seconds / self.period_s))):
            self.robot.send(self.command(twist, gripper))
            states.append(self.wait(self.period_s))
        return states

    def along(self, axis: int, fraction: float = 0.5) -> Vector:
        """A twist along an axis at a fraction of the arm's top speed."""
        twist = np.zeros(6)
        twist[axis] = fraction * self.robot.spec.max_speed_m_s
        return twist


def fake() -> Rig:
    clock = ManualClock(start_ns=5 * NS_PER_S)
    return Rig(FakeArm(clock), clock, period_s=0.02)


def simulated(name: str) -> Rig:
    world = World()  # it is its own clock: time moves, physics steps
    arm = SimArm(world, make_arm(name))
    world.seal()
    return Rig(arm, world, period_s=0.1)


RIGS: dict[str, Callable[[], Rig]] = {"fake": fake, **{name: partial(simulated, name) for name in ARMS}}


@pytest.fixture(params=sorted(RIGS))
def make(request: pytest.FixtureRequest) -> Callable[[], Rig]:
    return RIGS[request.param]


@pytest.fixture
def rig(make: Callable[[], Rig]) -> Iterator[Rig]:
    made = make()
    yield made
    made.robot.close()


def speed_m_s(state: RobotState) -> float:
    return float(np.linalg.norm(state.tool_twist[:3]))


def test_it_is_a_robot_at_rest_in_its_workspace_and_without_faults(rig: Rig) -> None:
    assert isinstance(rig.robot, Robot)
    state, spec = rig.robot.read(), rig.robot.spec
    assert (spec.workspace_low_m <= state.tool_pos_m).all()
    assert (state.tool_pos_m <= spec.workspace_high_m).all()
    assert speed_m_s(state) <= REST_M_S
    assert state.faults == ()
    assert state.applied is None


def test_a_state_has_the_shapes_that_the_spec_and_the_units_promise(rig: Rig) -> None:
    state, joints = rig.robot.read(), len(rig.robot.spec.joint_names)
    assert state.joint_pos_rad.shape == state.joint_vel_rad_s.shape == (joints,)
    assert (rig.robot.spec.joint_low_rad <= state.joint_pos_rad).all()
    assert (state.joint_pos_rad <= rig.robot.spec.joint_high_rad).all()
    assert (state.tool_pos_m.shape, state.tool_twist.shape) == ((3,), (6,))
    np.testing.assert_allclose(np.linalg.norm(state.tool_quat_xyzw), 1.0, atol=1e-6)
    assert 0.0 <= state.gripper <= 1.0
    assert state.wrench is None or state.wrench.shape == (6,)


def test_reading_takes_no_time_and_neither_time_nor_seq_go_back(rig: Rig) -> None:
    first, second = rig.robot.read(), rig.robot.read()
    assert first.time_ns == second.time_ns
    states = [second, *rig.drive(rig.along(0), 5 * rig.period_s)]
    for before, after in pairwise(states):
        assert after.time_ns > before.time_ns
        assert after.seq > before.seq


def test_a_state_read_before_is_not_changed_by_what_happens_after(rig: Rig) -> None:
    state = rig.robot.read()
    kept = state.tool_pos_m.copy(), state.tool_quat_xyzw.copy(), state.joint_pos_rad.copy()
    rig.drive(np.full(6, 0.05), 0.5)
    for before, now in zip(kept, (state.tool_pos_m, state.tool_quat_xyzw, state.joint_pos_rad), strict=True):
        np.testing.assert_array_equal(before, now)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_the_tool_goes_where_the_twist_points(rig: Rig, axis: int, side: float) -> None:
    start = rig.robot.read().tool_pos_m
    twist = rig.along(axis, 0.2 * side)
    moved = rig.drive(twist, 0.4)[-1].tool_pos_m - start
    wanted = twist[:3] * 0.4
    assert np.dot(moved, wanted) > 0.9 * np.linalg.norm(moved) * np.linalg.norm(wanted)
    assert 0.5 * np.linalg.norm(wanted) <= np.linalg.norm(moved) <= 1.1 * np.linalg.norm(wanted)


def test_what_was_applied_is_what_send_returned_and_stands_in_the_state(rig: Rig) -> None:
    returned = rig.robot.send(rig.command(rig.along(1, 0.3)))
    applied = rig.robot.read().applied
    assert applied is not None
    assert applied.limits == returned.limits
    np.testing.assert_array_equal(applied.command.twist, returned.command.twist)


def test_no_wish_makes_it_faster_than_its_spec(rig: Rig) -> None:
    spec = rig.robot.spec
    greedy = np.array([30.0, -20.0, 10.0, 0.0, 0.0, 50.0])
    applied = rig.robot.send(rig.command(greedy))
    assert {Limit.SPEED, Limit.TURN} <= set(applied.limits)
    for state in rig.drive(greedy, 1.0):
        assert state.applied is not None
        assert np.linalg.norm(state.applied.command.twist[:3]) <= spec.max_speed_m_s * (1 + 1e-6)
        assert np.linalg.norm(state.applied.command.twist[3:]) <= spec.max_turn_rad_s * (1 + 1e-6)
        assert speed_m_s(state) <= 1.2 * spec.max_speed_m_s


def test_a_command_that_runs_out_stops_the_arm_and_says_expired(rig: Rig) -> None:
    rig.robot.send(rig.command(rig.along(0), valid_for_s=2.0 * rig.period_s))
    stopped = rig.wait(1.0)
    assert speed_m_s(stopped) <= REST_M_S
    assert stopped.applied is not None
    assert Limit.EXPIRED in stopped.applied.limits
    assert not stopped.applied.command.twist.any()
    later = rig.wait(2.0)
    np.testing.assert_allclose(later.tool_pos_m, stopped.tool_pos_m, atol=0.002)


def test_the_newest_command_replaces_the_one_before(rig: Rig) -> None:
    rig.drive(rig.along(0), 0.4)
    rig.robot.send(rig.command(rig.along(0), valid_for_s=5.0))
    turned_back = rig.drive(rig.along(0, -0.5), 0.8)
    assert turned_back[-1].tool_twist[0] < 0.0
    assert turned_back[-1].tool_pos_m[0] < turned_back[len(turned_back) // 2].tool_pos_m[0]


def test_a_flood_of_commands_in_one_instant_changes_the_speed_no_more_than_one_does(rig: Rig) -> None:
    rig.drive(rig.along(1, -1.0), 0.4)
    flood = [rig.robot.send(rig.command(rig.along(1, 1.0))).command.twist for _ in range(20)]
    np.testing.assert_array_equal(flood[0], flood[-1])


def test_zero_means_stop(rig: Rig) -> None:
    rig.drive(rig.along(1), 0.4)
    assert speed_m_s(rig.drive(np.zeros(6), 0.8)[-1]) <= REST_M_S


def test_stop_ends_a_command_that_is_still_valid(rig: Rig) -> None:
    rig.robot.send(rig.command(rig.along(2), valid_for_s=5.0))
    rig.wait(0.2)
    rig.robot.stop()
    stopped = rig.wait(0.5)
    assert speed_m_s(stopped) <= REST_M_S
    np.testing.assert_allclose(rig.wait(1.0).tool_pos_m, stopped.tool_pos_m, atol=0.002)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [-1, 1])
def test_it_stays_within_its_workspace_and_comes_back_from_the_wall(rig: Rig, axis: int, side: int) -> None:
    spec = rig.robot.spec
    across_s = float((spec.workspace_high_m - spec.workspace_low_m)[axis] / spec.max_speed_m_s)
    driven = rig.drive(rig.along(axis, side), across_s + 0.5)
    for state in driven:
        assert (state.tool_pos_m >= spec.workspace_low_m - WALL_SLACK_M).all()
        assert (state.tool_pos_m <= spec.workspace_high_m + WALL_SLACK_M).all()
    back = rig.drive(rig.along(axis, -0.5 * side), 0.6)
    assert side * (driven[-1].tool_pos_m[axis] - back[-1].tool_pos_m[axis]) > 0.01


def test_the_gripper_closes_and_opens_as_told_in_finite_time(rig: Rig) -> None:
    if not rig.robot.spec.gripper:
        return
    closing = [state.gripper for state in rig.drive(np.zeros(6), 2.0, gripper=0.0)]
    opening = [state.gripper for state in rig.drive(np.zeros(6), 2.0, gripper=1.0)]
    assert closing[0] > 0.1
    assert closing[-1] < 0.1
    assert opening[-1] > 0.9
    assert all(0.0 <= opening <= 1.0 for opening in closing + opening)


def test_the_same_commands_give_the_same_states(make: Callable[[], Rig]) -> None:
    runs = []
    for _ in range(2):
        rig = make()
        states = rig.drive(rig.along(0, 0.7), 0.3) + rig.drive(rig.along(2, -0.4), 0.3, gripper=0.2)
        runs.append(np.array([[*state.tool_pos_m, *state.tool_quat_xyzw, state.gripper] for state in states]))
        rig.robot.close()
    np.testing.assert_array_equal(runs[0], runs[1])


def test_a_closed_robot_refuses_commands_and_may_be_closed_again(rig: Rig) -> None:
    rig.robot.close()
    rig.robot.close()
    with pytest.raises(RobotError, match="closed"):
        rig.robot.send(rig.command(np.zeros(6)))
