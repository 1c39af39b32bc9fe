"""Whatever is asked of an arm, what is let through keeps every limit and says which of them acted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hardware.clock import ManualClock
from hardware.drivers.fake import FAKE_SPEC, FakeArm
from hardware.limits import expire, limit
from hardware.robot import Applied, Command, Limit, RobotSpec, RobotState, Source, Vector

SLACK = 1.0 + 1e-6
REST = np.zeros(6)
CENTRE = (FAKE_SPEC.workspace_low_m + FAKE_SPEC.workspace_high_m) / 2.0

twists = arrays(np.float64, 6, elements=st.floats(-1e3, 1e3) | st.floats(-0.3, 0.3))
wild = arrays(np.float64, 6, elements=st.floats(allow_nan=False, allow_infinity=False))
periods = st.floats(1e-3, 0.2)
openings = st.floats(0.0, 1.0)
anywhere = arrays(np.float64, 3, elements=st.floats(-1.0, 2.0))


@st.composite
def specs(draw: st.DrawFn) -> RobotSpec:
    return replace(
        FAKE_SPEC,
        max_speed_m_s=draw(st.floats(0.01, 3.0)),
        max_turn_rad_s=draw(st.floats(0.01, 6.0)),
        max_acceleration_m_s2=draw(st.floats(0.05, 20.0)),
        gripper=draw(st.booleans()),
    )


def ask(twist: Vector, gripper: float = 0.0, seq: int = 0) -> Command:
    return Command(seq=seq, twist=twist, gripper=gripper, valid_for_s=0.1, source=Source.POLICY)


def at(tool_pos_m: Vector, tool_twist: Vector = REST) -> RobotState:
    return replace(FakeArm(ManualClock()).read(), tool_pos_m=tool_pos_m, tool_twist=tool_twist)


def admissible(twist: Vector, state: RobotState, spec: RobotSpec, dt_s: float) -> Applied:
    """What the limits could have let through before, at this place."""
    return limit(ask(twist), state, Applied(ask(twist)), spec, dt_s)


@given(twist=wild, before=wild, place=anywhere, gripper=openings, spec=specs(), dt_s=periods)
def test_speed_turn_and_wall_are_never_exceeded_whatever_was_applied_before(
    twist: Vector, before: Vector, place: Vector, gripper: float, spec: RobotSpec, dt_s: float
) -> None:
    applied = limit(ask(twist, gripper), at(place), Applied(ask(before)), spec, dt_s).command.twist
    assert np.linalg.norm(applied[:3]) <= spec.max_speed_m_s * SLACK
    assert np.linalg.norm(applied[3:]) <= spec.max_turn_rad_s * SLACK
    next_place = place + applied[:3] * dt_s
    assert (next_place <= np.maximum(place, spec.workspace_high_m) + 1e-9).all()
    assert (next_place >= np.minimum(place, spec.workspace_low_m) - 1e-9).all()


@given(twist=twists, before=twists, place=anywhere, spec=specs(), dt_s=periods)
def test_velocity_and_turning_change_by_no_more_than_the_acceleration_allows(
    twist: Vector, before: Vector, place: Vector, spec: RobotSpec, dt_s: float
) -> None:
    state = at(place)
    previous = admissible(before, state, spec, dt_s)
    change = limit(ask(twist), state, previous, spec, dt_s).command.twist - previous.command.twist
    assert np.linalg.norm(change[:3]) <= spec.max_acceleration_m_s2 * dt_s * SLACK + 1e-9
    turn_acceleration = spec.max_acceleration_m_s2 * spec.max_turn_rad_s / spec.max_speed_m_s
    assert np.linalg.norm(change[3:]) <= turn_acceleration * dt_s * SLACK + 1e-9


@given(twist=twists, before=twists, place=anywhere, gripper=openings, spec=specs(), dt_s=periods)
def test_limiting_what_was_limited_changes_nothing_and_names_nothing(
    twist: Vector, before: Vector, place: Vector, gripper: float, spec: RobotSpec, dt_s: float
) -> None:
    state, previous = at(place), Applied(ask(before))
    once = limit(ask(twist, gripper), state, previous, spec, dt_s)
    twice = limit(once.command, state, previous, spec, dt_s)
    assert twice.limits == ()
    assert twice.command is once.command


@given(twist=twists, before=twists, place=anywhere, gripper=openings, spec=specs(), dt_s=periods)
def test_limits_are_named_exactly_when_the_command_was_changed(
    twist: Vector, before: Vector, place: Vector, gripper: float, spec: RobotSpec, dt_s: float
) -> None:
    command = ask(twist, gripper)
    applied = limit(command, at(place), Applied(ask(before)), spec, dt_s)
    changed = applied.command.gripper != gripper or not np.array_equal(applied.command.twist, twist)
    assert changed == bool(applied.limits)
    assert len(set(applied.limits)) == len(applied.limits)


@given(twist=twists, dt_s=periods)
def test_when_only_speed_and_turn_are_cut_the_directions_are_kept(twist: Vector, dt_s: float) -> None:
    spec = replace(FAKE_SPEC, max_acceleration_m_s2=1e6)
    applied = limit(ask(twist), at(CENTRE), None, spec, dt_s)
    assume(Limit.WORKSPACE not in applied.limits)
    assert set(applied.limits) <= {Limit.SPEED, Limit.TURN}
    for wanted, got in ((twist[:3], applied.command.twist[:3]), (twist[3:], applied.command.twist[3:])):
        np.testing.assert_allclose(got * np.linalg.norm(wanted), wanted * np.linalg.norm(got), atol=1e-9)


@pytest.mark.parametrize(
    ("twist", "gripper", "named"),
    [
        ([0.01, 0.0, 0.0, 0.0, 0.0, 0.0], 1.0, ()),
        ([9.0, 0.0, 0.0, 0.0, 0.0, 0.0], 1.0, (Limit.SPEED, Limit.ACCELERATION)),
        ([0.0, 0.0, 0.0, 0.0, 9.0, 0.0], 1.0, (Limit.TURN, Limit.ACCELERATION)),
        ([0.2, 0.0, 0.0, 0.0, 0.0, 0.0], 1.0, (Limit.ACCELERATION,)),
    ],
)
def test_each_limit_is_named_for_what_it_cut(
    twist: list[float], gripper: float, named: tuple[Limit, ...]
) -> None:
    assert limit(ask(np.array(twist), gripper), at(CENTRE), None, FAKE_SPEC, 0.01).limits == named


def test_outward_motion_at_the_wall_is_cut_on_that_axis_alone() -> None:
    place = np.array([CENTRE[0], CENTRE[1], FAKE_SPEC.workspace_low_m[2]])
    twist = np.array([0.1, 0.0, -0.1, 0.0, 0.0, 0.0])
    applied = limit(ask(twist), at(place), None, FAKE_SPEC, 0.1)
    assert applied.limits == (Limit.WORKSPACE,)
    np.testing.assert_array_equal(applied.command.twist, [0.1, 0.0, 0.0, 0.0, 0.0, 0.0])


@given(axis=st.integers(0, 2), side=st.sampled_from([-1, 1]), beyond_m=st.floats(0.0, 0.5), dt_s=periods)
def test_beyond_the_wall_the_way_back_is_free_and_the_way_on_is_closed(
    axis: int, side: int, beyond_m: float, dt_s: float
) -> None:
    spec = replace(FAKE_SPEC, max_acceleration_m_s2=1e3)
    wall = spec.workspace_high_m if side > 0 else spec.workspace_low_m
    place = CENTRE.copy()
    place[axis] = wall[axis] + side * beyond_m
    outward = np.zeros(6)
    outward[axis] = side * spec.max_speed_m_s
    back = limit(ask(-outward), at(place), None, spec, dt_s)
    assert back.limits == ()
    on = limit(ask(outward), at(place), None, spec, dt_s)
    assert on.limits == (Limit.WORKSPACE,)
    assert not on.command.twist.any()


@given(
    direction=arrays(np.float64, 3, elements=st.floats(-1.0, 1.0)),
    spec=specs(),
    dt_s=periods,
)
def test_an_arm_driven_outwards_for_long_slows_down_and_never_passes_the_wall(
    direction: Vector, spec: RobotSpec, dt_s: float
) -> None:
    assume(np.linalg.norm(direction) > 0.1)
    place, previous = CENTRE.copy(), Applied(ask(REST))
    command = ask(np.concatenate([direction * 100.0, np.zeros(3)]))
    for _ in range(100):
        applied = limit(command, at(place), previous, spec, dt_s)
        change = applied.command.twist[:3] - previous.command.twist[:3]
        assert (np.abs(change) <= spec.max_acceleration_m_s2 * dt_s * SLACK + 1e-9).all()
        place, previous = place + applied.command.twist[:3] * dt_s, applied
        assert (place >= spec.workspace_low_m - 1e-9).all()
        assert (place <= spec.workspace_high_m + 1e-9).all()


@given(before=twists, place=anywhere, spec=specs(), dt_s=periods)
def test_asked_for_zero_the_arm_slows_down_every_period_until_it_rests(
    before: Vector, place: Vector, spec: RobotSpec, dt_s: float
) -> None:
    state = at(place)
    applied = admissible(before, state, spec, dt_s)
    periods_needed = int(np.ceil(spec.max_speed_m_s / (spec.max_acceleration_m_s2 * dt_s)))
    assume(periods_needed <= 100)
    for _ in range(periods_needed + 1):
        slower = limit(ask(REST), state, applied, spec, dt_s)
        assert set(slower.limits) <= {Limit.ACCELERATION}
        assert np.linalg.norm(slower.command.twist) <= np.linalg.norm(applied.command.twist)
        applied = slower
    assert not applied.command.twist.any()


def test_without_a_previous_command_the_measured_twist_is_where_it_starts_from() -> None:
    moving = np.array([0.2, 0.0, 0.0, 0.0, 0.0, 0.0])
    applied = limit(ask(REST), at(CENTRE, moving), None, FAKE_SPEC, 0.01)
    np.testing.assert_allclose(applied.command.twist, [0.18, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert applied.limits == (Limit.ACCELERATION,)


@given(gripper=openings)
def test_an_arm_without_a_gripper_ignores_it_and_says_so(gripper: float) -> None:
    applied = limit(ask(REST, gripper), at(CENTRE), None, replace(FAKE_SPEC, gripper=False), 0.1)
    assert applied.command.gripper == 0.0
    assert applied.limits == ((Limit.GRIPPER,) if gripper else ())


def test_only_twist_and_gripper_of_a_command_are_ever_changed() -> None:
    command = ask(np.full(6, 100.0), gripper=0.5, seq=17)
    applied = limit(command, at(CENTRE), None, FAKE_SPEC, 0.1).command
    assert (applied.seq, applied.valid_for_s, applied.source) == (17, 0.1, Source.POLICY)
    assert applied.gripper == 0.5


def test_an_expired_command_slows_to_rest_and_leaves_the_gripper_as_told() -> None:
    previous = Applied(ask(np.array([0.25, 0.0, 0.0, 0.0, 0.0, 0.0]), gripper=0.3))
    first = expire(at(CENTRE), previous, FAKE_SPEC, 0.1)
    assert first.limits == (Limit.EXPIRED, Limit.ACCELERATION)
    second = expire(at(CENTRE), first, FAKE_SPEC, 0.1)
    assert second.limits == (Limit.EXPIRED,)
    assert not second.command.twist.any()
    assert second.command.gripper == 0.3


@pytest.mark.parametrize("dt_s", [0.0, -0.1, float("nan"), float("inf")])
def test_a_period_that_is_none_is_refused(dt_s: float) -> None:
    with pytest.raises(ValueError, match="dt_s"):
        limit(ask(REST), at(CENTRE), None, FAKE_SPEC, dt_s)


def test_a_measurement_that_is_not_finite_is_refused_by_name() -> None:
    nowhere = np.array([np.nan, 0.0, 0.3])
    with pytest.raises(ValueError, match="tool_pos_m"):
        limit(ask(REST), at(nowhere), None, FAKE_SPEC, 0.1)
    with pytest.raises(ValueError, match="tool_twist"):
        limit(ask(REST), at(CENTRE, np.full(6, np.inf)), None, FAKE_SPEC, 0.1)
