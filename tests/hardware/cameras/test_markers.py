"""The tracker of markers in docs/hardware.md, as it stands there, before a picture of a marker."""

from __future__ import annotations

import textwrap
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from hardware.cameras.jpeg import encoded
from hardware.perception import Perception, PerceptionError
from tests.hardware.cameras.test_served import host
from tests.hardware.host.served import until

DOC = Path(__file__).parents[3] / "docs" / "hardware.md"
MARKER, SIDE_M = 7, 0.03
AT_M, TURN_RAD = np.array([0.42, -0.05, 0.04]), 0.4  # of the cube's upper face, in the base frame, about z
EYE_M = np.array([0.40, 0.0, 0.45])  # of a camera that looks straight down, its x along the base's


def tracker() -> dict[str, Any]:
    """The names of the block that defines it."""
    blocks = DOC.read_text(encoding="utf-8").split("\n\n    import cv2\n")
    assert len(blocks) == 2
    code = textwrap.dedent("    import cv2\n" + blocks[1].split("    make = Markers\n")[0])
    names: dict[str, Any] = {}
    exec(compile(code, str(DOC), "exec"), names)
    return names


def seen(lens: np.ndarray, base_from_camera: np.ndarray) -> np.ndarray:
    """What such a camera sees of the marker: 640 x 480, on white."""
    pixels = 200
    paper = np.full((2 * pixels, 2 * pixels), 255, np.uint8)
    inner = slice(pixels // 2, pixels // 2 + pixels)
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    paper[inner, inner] = cv2.aruco.generateImageMarker(dictionary, MARKER, pixels)
    corners = SIDE_M * np.array([[-1, 1], [1, 1], [1, -1], [-1, -1]])  # of the paper, twice the marker
    turned = corners @ np.array([[np.cos(TURN_RAD), np.sin(TURN_RAD)], [-np.sin(TURN_RAD), np.cos(TURN_RAD)]])
    there = np.column_stack([turned + AT_M[:2], np.full(4, AT_M[2]), np.ones(4)])
    rays = (lens @ (np.linalg.inv(base_from_camera) @ there.T)[:3]).T
    image = (rays[:, :2] / rays[:, 2:]).astype(np.float32)
    size = 2.0 * pixels
    flat = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32)
    warped = cv2.warpPerspective(
        paper, cv2.getPerspectiveTransform(flat, image), (640, 480), borderValue=255, flags=cv2.INTER_AREA
    )
    return np.repeat(warped[:, :, None], 3, axis=2)


def test_the_tracker_of_the_guide_sees_where_a_marker_lies(tmp_path: Path) -> None:
    names = tracker()
    looking_down = np.diag([1.0, -1.0, -1.0, 1.0])
    looking_down[:3, 3] = EYE_M
    names["BASE_FROM_CAMERA"] = looking_down
    (tmp_path / "0.jpg").write_bytes(encoded(seen(names["LENS"], looking_down), 95))
    with host(f"bench=file:{tmp_path},hz=20") as (_, names["HOST"]), closing(names["Markers"]()) as markers:
        assert isinstance(markers, Perception)
        pose = markers.poses()["cube"]
        np.testing.assert_allclose(pose[:3], AT_M, atol=0.003)
        upright = np.array([0.0, 0.0, np.sin(TURN_RAD / 2), np.cos(TURN_RAD / 2)])
        assert abs(float(pose[3:] @ upright)) > np.cos(np.deg2rad(5.0) / 2)
        assert np.linalg.norm(pose[3:]) == pytest.approx(1.0)

        (tmp_path / "0.jpg").write_bytes(encoded(np.full((480, 640, 3), 255, np.uint8), 95))
        until(lambda: "cube" not in markers.poses())
        (tmp_path / "0.jpg").unlink()

        def is_blind() -> bool:
            try:
                markers.poses()
            except PerceptionError as error:
                return "bench" in str(error)
            return False

        until(is_blind)
