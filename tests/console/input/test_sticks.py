"""The shape of a stick: properties that hold for every deflection."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.console.input.sticks import DEAD_ZONE, OUTER, Ramp, Trigger, expo, from_rest, shape

DEFLECTIONS = st.floats(-1.0, 1.0)
ANGLES = st.floats(-math.pi, math.pi)


def along(angle: float, length: float) -> tuple[float, float]:
    return length * math.cos(angle), length * math.sin(angle)


@given(DEFLECTIONS, DEFLECTIONS)
def test_the_shape_is_odd_and_within_one(x: float, y: float) -> None:
    shaped = shape(x, y)
    assert shape(-x, -y) == (-shaped[0], -shaped[1])
    assert math.hypot(*shaped) <= 1.0 + 1e-12
    assert max(map(abs, shaped)) <= 1.0  # as OperatorInput demands


@given(ANGLES, st.floats(0.0, 1.4), st.floats(0.0, 1.4))
def test_further_out_is_never_slower(angle: float, one: float, other: float) -> None:
    near, far = sorted((one, other))
    assert math.hypot(*shape(*along(angle, near))) <= math.hypot(*shape(*along(angle, far))) + 1e-12


@given(ANGLES, st.floats(0.0, DEAD_ZONE - 1e-9))
def test_the_dead_zone_is_still(angle: float, length: float) -> None:
    assert shape(*along(angle, length)) == (0.0, 0.0)


@given(ANGLES, st.floats(OUTER, 1.5))
def test_the_end_is_all_of_it_in_the_direction_of_the_thumb(angle: float, length: float) -> None:
    assert shape(*along(angle, length)) == pytest.approx(along(angle, 1.0), abs=1e-9)


def test_the_curve_is_the_one_in_the_note() -> None:
    assert [expo(x) for x in (0.0, 0.5, 1.0, -0.5)] == pytest.approx([0.0, 0.275, 1.0, -0.275])
    assert shape(0.55, 0.0) == pytest.approx((0.275, 0.0))  # halfway between dead zone and outer end


@given(DEFLECTIONS, st.floats(-0.2, 0.2))
def test_a_worn_rest_is_zero_and_the_ends_stay(value: float, rest: float) -> None:
    assert from_rest(rest, rest) == 0.0
    assert from_rest(1.0, rest) == pytest.approx(1.0)
    assert from_rest(-1.0, rest) == pytest.approx(-1.0)
    assert -1.0 - 1e-12 <= from_rest(value, rest) <= 1.0 + 1e-12


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 10**9)), max_size=20))
def test_a_ramp_never_pushes_against_its_keys(presses: list[tuple[bool, bool, int]]) -> None:
    ramp, now_ns = Ramp(), 0
    for plus, minus, later_ns in presses:
        now_ns += later_ns
        value = ramp.value(plus, minus, now_ns)
        assert -1.0 <= value <= 1.0
        assert value * (plus - minus) >= 0.0
        assert value == 0.0 or plus != minus


@given(st.lists(st.floats(0.0, 1.0), max_size=30))
def test_a_trigger_is_down_above_its_upper_and_up_below_its_lower_threshold(values: list[float]) -> None:
    trigger = Trigger()
    for value in values:
        before = trigger.down
        assert trigger.moved(value) == (before != trigger.down)
        assert trigger.down if value >= 0.5 else before or not trigger.down
        assert not trigger.down if value < 0.3 else not before or trigger.down
