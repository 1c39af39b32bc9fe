"""An arm that is told to move and reads the same again and again is noticed, and no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hardware.clock import ManualClock
from hardware.drivers.fake import FakeArm
from hardware.host.standstill import MOVES_M_S, MOVES_RAD_S, STANDS_S, Standstill
from hardware.robot import RobotState, Vector

HZ = 50.0
TURNS = round(STANDS_S * HZ)


def reading() -> RobotState:
    return FakeArm(ManualClock()).read()


def along(m_s: float = 0.0, rad_s: float = 0.0) -> Vector:
    return np.array([0.0, m_s, 0.0, rad_s, 0.0, 0.0])


@pytest.mark.parametrize("told", [along(m_s=0.05), along(m_s=-MOVES_M_S), along(rad_s=MOVES_RAD_S)])
def test_it_is_noticed_after_half_a_second(told: Vector) -> None:
    standstill, same = Standstill(HZ), reading()
    seen = [standstill.seen(same, told) for _ in range(TURNS + 2)]
    assert seen == [False] * TURNS + [True, True]


@pytest.mark.parametrize("told", [None, along(), along(0.9 * MOVES_M_S, 0.9 * MOVES_RAD_S)])
def test_an_arm_that_is_hardly_told_to_move_may_stand(told: Vector | None) -> None:
    standstill, same = Standstill(HZ), reading()
    assert not any(standstill.seen(same, told) for _ in range(10 * TURNS))


@pytest.mark.parametrize("what", ["joint_pos_rad", "tool_pos_m", "tool_quat_xyzw"])
def test_one_bit_that_differs_is_motion(what: str) -> None:
    standstill, one = Standstill(HZ), reading()
    values = getattr(one, what).copy()
    values[0] = np.nextafter(values[0], np.inf)
    other = replace(one, **{what: values})
    assert not any(standstill.seen(other if turn % TURNS == 0 else one, along(0.2)) for turn in range(500))


def test_a_pause_begins_it_anew() -> None:
    standstill, same = Standstill(HZ), reading()
    for _ in range(3):
        assert not any(standstill.seen(same, along(0.2)) for _ in range(TURNS - 1))
        assert not standstill.seen(same, None)
