"""The simulated Panda beyond what every robot promises: how exactly it does what it is told.

The bounds are this arm's stated accuracy; `benchmarks/tracking.py` measures it in more places.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from hardware.robot import Command, Limit, RobotError, RobotState, Source
from sim.arm import SimArm
from sim.arms.panda import PANDA, PANDA_SPEC
from sim.world import TIMESTEP_NS, World

Array = NDArray[np.float64]

PERIOD_S = 0.1
SPEED_ERROR = 0.01  # of the commanded speed, on average once the arm has got going
LEAD_M = 0.004  # distance from where the commands lead, at any moment
TILT_RAD = 0.02
STARTS_M = ((0.45, 0.0, 0.25), (0.55, 0.12, 0.18), (0.40, -0.12, 0.22))


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture
def arm(world: World) -> SimArm:
    arm = SimArm(world)
    world.seal()
    world.rewind()
    return arm


def told(
    velocity_m_s: Array, seq: int = 0, valid_for_s: float = 2 * PERIOD_S, gripper: float = 1.0
) -> Command:
    return Command(seq, np.concatenate([velocity_m_s, np.zeros(3)]), gripper, valid_for_s, Source.SCRIPT)


def along(axis: int, speed_m_s: float) -> Array:
    velocity = np.zeros(3)
    velocity[axis] = speed_m_s
    return velocity


def drive(world: World, arm: SimArm, velocity_m_s: Array, seconds: float) -> tuple[list[RobotState], Array]:
    """The state after every physics step, and where the applied commands lead by then (F, 3) m."""
    states, led = [], []
    point = arm.read().tool_pos_m.copy()
    for seq in range(round(seconds / PERIOD_S)):
        applied = arm.send(told(velocity_m_s, seq)).command.twist[:3]
        for _ in range(round(PERIOD_S * 1e9 / TIMESTEP_NS)):
            world.wait_until(world.now_ns() + TIMESTEP_NS)
            point = point + applied * (TIMESTEP_NS / 1e9)
            states.append(arm.read())
            led.append(point)
    return states, np.stack(led)


def tilt_rad(state: RobotState) -> float:
    """The angle between the tool and straight down."""
    x, y, _, _ = state.tool_quat_xyzw
    return float(2 * np.arccos(min(1.0, np.hypot(x, y))))


@pytest.mark.parametrize("speed_m_s", [0.1, 0.15])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [-1, 1])
def test_tool_velocities_are_tracked_within_the_stated_error(
    world: World, arm: SimArm, speed_m_s: float, axis: int, side: int
) -> None:
    velocity = along(axis, side * speed_m_s)
    for start_m in STARTS_M:
        world.rewind()
        arm.reset(np.array(start_m))
        states, led = drive(world, arm, velocity, 0.8)
        steady = np.mean([state.tool_twist[:3] for state in states[len(states) // 2 :]], axis=0)
        assert np.linalg.norm(steady - velocity) <= SPEED_ERROR * speed_m_s
        places = np.array([state.tool_pos_m for state in states])
        assert np.linalg.norm(places - led, axis=1).max() <= LEAD_M
        assert max(tilt_rad(state) for state in states) <= TILT_RAD


def test_slow_velocities_move_the_tool_too(world: World, arm: SimArm) -> None:
    states, led = drive(world, arm, along(1, 0.01), 2.0)
    assert np.linalg.norm(states[-1].tool_pos_m - led[-1]) <= 0.001


def test_a_diagonal_is_a_straight_line(world: World, arm: SimArm) -> None:
    arm.reset(np.array([0.45, -0.1, 0.2]))
    start = arm.read().tool_pos_m
    velocity = np.array([0.05, 0.1, 0.05])
    states, _ = drive(world, arm, velocity, 1.5)
    direction = velocity / np.linalg.norm(velocity)
    moved = np.array([state.tool_pos_m for state in states]) - start
    off_line = moved - np.outer(moved @ direction, direction)
    assert np.linalg.norm(off_line, axis=1).max() <= 0.002


def test_after_its_time_a_command_moves_nothing_and_the_arm_stands_still(world: World, arm: SimArm) -> None:
    arm.send(told(along(1, 0.15), valid_for_s=0.2))
    world.wait_until(world.now_ns() + 200_000_000)
    applied = arm.read().applied
    assert applied is not None
    assert applied.command.twist.any()  # for as long as it was valid
    world.wait_until(world.now_ns() + 500_000_000)
    stopped = arm.read()
    assert stopped.applied is not None
    assert stopped.applied.limits == (Limit.EXPIRED,)
    assert not stopped.applied.command.twist.any()
    world.wait_until(world.now_ns() + 10_000_000_000)
    later = arm.read()
    np.testing.assert_allclose(later.tool_pos_m, stopped.tool_pos_m, atol=1e-4)
    assert np.abs(later.joint_vel_rad_s).max() < 1e-3


def test_it_stands_still_before_anything_was_sent(world: World, arm: SimArm) -> None:
    before = arm.read()
    world.wait_until(world.now_ns() + 5_000_000_000)
    after = arm.read()
    np.testing.assert_allclose(after.tool_pos_m, before.tool_pos_m, atol=1e-3)
    assert after.applied is None


def test_a_push_against_the_table_winds_nothing_up(world: World, arm: SimArm) -> None:
    arm.reset(np.array([0.5, 0.0, 0.08]))
    drive(world, arm, along(2, -0.15), 3.0)
    pressed = arm.read().tool_pos_m[2]
    drive(world, arm, along(2, 0.1), 0.3)
    assert arm.read().tool_pos_m[2] - pressed > 0.02


def test_a_reset_puts_the_tool_at_rest_where_it_was_told(world: World, arm: SimArm) -> None:
    for place_m in ((0.3, -0.3, 0.02), (0.6, 0.3, 0.4), (0.5, 0.0, 0.2)):
        world.rewind()
        arm.reset(np.array(place_m))
        state = arm.read()
        np.testing.assert_allclose(state.tool_pos_m, place_m, atol=1e-4)
        assert tilt_rad(state) < 1e-3
        assert not state.joint_vel_rad_s.any()
        assert state.gripper == 1.0
        assert (PANDA_SPEC.joint_low_rad < state.joint_pos_rad).all()
        assert (state.joint_pos_rad < PANDA_SPEC.joint_high_rad).all()
    arm.reset(None)
    np.testing.assert_allclose(arm.read().joint_pos_rad, PANDA.home_rad)


def test_a_place_out_of_reach_is_refused_by_name(arm: SimArm) -> None:
    with pytest.raises(ValueError, match=r"no posture reaches \[1\.5, 0\.0, 0\.5\]"):
        arm.reset(np.array([1.5, 0.0, 0.5]))


def test_a_closed_arm_says_so(arm: SimArm) -> None:
    arm.close()
    with pytest.raises(RobotError, match="closed"):
        arm.send(told(np.zeros(3)))
