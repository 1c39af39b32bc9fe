"""Specs and commands check themselves when made, name what is wrong, and cannot be changed after."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.drivers.fake import FAKE_SPEC
from hardware.robot import Command, Source, vector


def command(**changes: Any) -> Command:
    fields: dict[str, Any] = {"seq": 0, "twist": np.zeros(6), "gripper": 1.0, "valid_for_s": 0.1}
    return Command(**{**fields, "source": Source.SCRIPT, **changes})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"twist": np.zeros(3)}, r"twist has shape \(3,\), expected \(6,\)"),
        ({"twist": [0.0, 0.0, float("nan"), 0.0, 0.0, 0.0]}, "twist is .*nan.*finite"),
        ({"twist": np.full(6, np.inf)}, "twist is .*inf.*finite"),
        ({"gripper": -0.1}, "gripper is -0.1"),
        ({"gripper": 1.1}, "gripper is 1.1"),
        ({"gripper": float("nan")}, "gripper is nan"),
        ({"valid_for_s": 0.0}, "valid_for_s is 0.0"),
        ({"valid_for_s": 11.0}, "valid_for_s is 11.0"),
        ({"valid_for_s": float("nan")}, "valid_for_s is nan"),
        ({"seq": -1}, "seq is -1"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_by_the_name_of_the_bad_value(
    changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        command(**changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"joint_low_rad": np.zeros(6)}, r"joint_low_rad has shape \(6,\), expected \(7,\)"),
        ({"joint_names": ("one",)}, "joint_low_rad has shape"),
        ({"joint_high_rad": np.full(7, -9.0)}, "joint_low_rad must be below"),
        ({"workspace_low_m": FAKE_SPEC.workspace_high_m}, "workspace_low_m must be below"),
        ({"workspace_high_m": [0.5, 0.5, float("inf")]}, "workspace_high_m is .*finite"),
        ({"max_speed_m_s": 0.0}, "max_speed_m_s is 0.0"),
        ({"max_turn_rad_s": float("nan")}, "max_turn_rad_s is nan"),
        ({"max_acceleration_m_s2": -1.0}, "max_acceleration_m_s2 is -1.0"),
        ({"control_hz": float("inf")}, "control_hz is inf"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused_by_the_name_of_the_bad_value(
    changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        replace(FAKE_SPEC, **changes)


def test_commands_and_specs_cannot_be_changed_once_made() -> None:
    made = command()
    with pytest.raises(FrozenInstanceError):
        made.gripper = 0.0  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        made.twist[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        FAKE_SPEC.workspace_high_m[2] = 9.0


def test_a_command_does_not_share_its_twist_with_whoever_made_it() -> None:
    mine = np.zeros(6)
    made = command(twist=mine)
    mine[0] = 1.0
    assert made.twist[0] == 0.0


@given(st.lists(st.floats(), max_size=8), st.integers(0, 8))
def test_a_vector_is_finite_and_of_the_size_asked_for_or_refused(values: list[float], size: int) -> None:
    if len(values) == size and np.isfinite(values).all():
        assert vector(values, size, "values").tolist() == values
    else:
        with pytest.raises(ValueError, match="values"):
            vector(values, size, "values")
