"""Where a camera stands: in the room, or on the tool, with which it moves then."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hardware.appearance import rotation

Array = NDArray[np.float64]
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Viewpoint:
    """A camera `distance_m` away from what it looks at, with a field of view `field_deg` high.

    It looks along y turned by `yaw_deg` about z, `pitch_deg` upwards (PyBullet's angles), in the robot's base
    frame; in the tool's, whose origin lies between the fingertips and whose z goes out of the hand, where it
    is `on_tool`.
    """

    name: str
    look_at_m: Triple
    distance_m: float
    yaw_deg: float
    pitch_deg: float
    field_deg: float = 45.0
    on_tool: bool = False

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.look_at_m, self.yaw_deg))):
            raise ValueError(f"viewpoint {self.name}: look_at_m and yaw_deg must be finite")
        for name, value, low, high in (
            ("distance_m", self.distance_m, 0.05, 10.0),
            ("pitch_deg", self.pitch_deg, -90.0, 90.0),
            ("field_deg", self.field_deg, 5.0, 120.0),
        ):
            if not low <= value <= high:
                raise ValueError(f"viewpoint {self.name}: {name} is {value}, expected {low:g} to {high:g}")

    def placed(self, tool_pos_m: Array, tool_quat_xyzw: Array) -> tuple[Array, Array, Array]:
        """(eye, target, up), each (3,), in the base frame, with the tool there."""
        yaw, pitch = math.radians(self.yaw_deg), math.radians(self.pitch_deg)
        sin, cos, rise, flat = math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch)
        ahead, up = np.array([-sin * flat, cos * flat, rise]), np.array([sin * rise, -cos * rise, flat])
        target: Array = np.array(self.look_at_m)
        if self.on_tool:
            turn = rotation(tool_quat_xyzw)
            ahead, up, target = turn @ ahead, turn @ up, tool_pos_m + turn @ target
        return target - self.distance_m * ahead, target, up


CORNER = Viewpoint("corner", (0.42, 0.0, 0.23), 1.2, 50.0, -28.0)
"""The whole arm from ahead and its right, for people."""
VIEWPOINTS = {
    view.name: view
    for view in (
        CORNER,
        Viewpoint("front", (0.48, 0.0, 0.16), 0.95, 115.0, -30.0, 36.0),
        Viewpoint("side", (0.48, 0.0, 0.16), 0.95, 15.0, -20.0, 36.0),
        Viewpoint("top", (0.50, 0.0, 0.05), 1.2, -90.0, -89.0),
        Viewpoint("wrist", (0.02, 0.0, 0.04), 0.20, 90.0, 60.0, 75.0, on_tool=True),
    )
}


def viewpoint_named(name: str) -> Viewpoint:
    """The viewpoint of that name. Raises ValueError naming those there are."""
    if name not in VIEWPOINTS:
        raise ValueError(f"no viewpoint {name!r}: there are {', '.join(VIEWPOINTS)}")
    return VIEWPOINTS[name]
