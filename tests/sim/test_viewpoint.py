"""Where a camera stands, without a renderer."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sim.bullet import pybullet
from sim.viewpoint import CORNER, VIEWPOINTS, Viewpoint, viewpoint_named

TOOL_M, DOWN = np.array([0.5, 0.1, 0.3]), np.array([1.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("view", VIEWPOINTS.values(), ids=lambda view: view.name)
def test_the_angles_are_pybullets_own(view: Viewpoint) -> None:
    fixed = replace(view, on_tool=False)
    ours = pybullet.computeViewMatrix(*fixed.placed(TOOL_M, DOWN))
    theirs = pybullet.computeViewMatrixFromYawPitchRoll(
        view.look_at_m, view.distance_m, view.yaw_deg, view.pitch_deg, 0.0, 2
    )
    assert np.allclose(ours, theirs, atol=1e-5)


def test_a_camera_in_the_room_stays_and_one_on_the_tool_goes_along() -> None:
    moved = TOOL_M + np.array([0.1, 0.0, -0.1])
    turned = np.array([0.0, 1.0, 0.0, 0.0])  # half about the vertical
    for tool in ((moved, DOWN), (TOOL_M, turned)):
        assert np.allclose(CORNER.placed(TOOL_M, DOWN)[0], CORNER.placed(*tool)[0])
    wrist = viewpoint_named("wrist")
    eye, target, up = wrist.placed(TOOL_M, DOWN)
    assert np.linalg.norm(eye - target) == pytest.approx(wrist.distance_m)
    assert eye[2] > target[2], "it looks down where the hand does"
    there, _, same = wrist.placed(moved, DOWN)
    assert np.allclose(there - eye, moved - TOOL_M)
    assert np.allclose(up, same)
    across, _, _ = wrist.placed(TOOL_M, turned)
    assert np.allclose(across - TOOL_M, (eye - TOOL_M) * np.array([-1, -1, 1]))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"distance_m": 0.0}, "viewpoint corner: distance_m is 0.0, expected 0.05 to 10"),
        ({"pitch_deg": -91.0}, "pitch_deg"),
        ({"field_deg": math.nan}, "field_deg"),
        ({"look_at_m": (0.0, math.inf, 0.0)}, "look_at_m"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(CORNER, **change)  # type: ignore[arg-type]


def test_an_unknown_name_is_told_those_there_are() -> None:
    with pytest.raises(ValueError, match="no viewpoint 'back': there are corner, front, side, top, wrist"):
        viewpoint_named("back")
