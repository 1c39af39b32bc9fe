"""Where the picture is seen from, and where on the screen a place in the world then lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hardware.appearance import View

Array = NDArray[np.float64]
Point = tuple[float, float]

NEAR_M = 0.04  # what is closer to the eye is not drawn
_NEAREST_M, _FURTHEST_M = 0.15, 4.0
_LOWEST_DEG, _HIGHEST_DEG = 2.0, 89.0  # never from under the table
_MARGIN = 0.1  # what lies this many pictures' sizes outside the picture is not drawn
_GUARD = 3.0  # what reaches further out than this is cut


@dataclass(frozen=True)
class Viewpoint:
    """An eye on a sphere around a target; see `hardware.appearance.View` for the angles.

    `target_m` counts from the tool where the eye follows it, otherwise from the base frame.
    """

    target_m: tuple[float, float, float]
    distance_m: float
    azimuth_deg: float
    elevation_deg: float
    field_deg: float = 40.0
    follows_tool: bool = False

    @staticmethod
    def of(view: View) -> Viewpoint:
        """One of the description's default views."""
        return Viewpoint(
            view.target_m,
            view.distance_m,
            view.azimuth_deg,
            view.elevation_deg,
            view.field_deg,
            view.follows_tool,
        )

    def orbited(self, azimuth_deg: float, elevation_deg: float) -> Viewpoint:
        """The eye moved around the target by these angles; it stays above the table's horizon."""
        turned = (self.azimuth_deg + azimuth_deg + 180.0) % 360.0 - 180.0
        raised = min(max(self.elevation_deg + elevation_deg, _LOWEST_DEG), _HIGHEST_DEG)
        return replace(self, azimuth_deg=turned, elevation_deg=raised)

    def zoomed(self, factor: float) -> Viewpoint:
        """The eye closer by a factor above 1, further away below 1, within 0.15 to 4 m.

        ValueError for a factor that is not above 0.
        """
        if not factor > 0.0:
            raise ValueError(f"zoom factor {factor}: it must be above 0")
        return replace(self, distance_m=min(max(self.distance_m / factor, _NEAREST_M), _FURTHEST_M))

    def placed(self, tool_pos_m: Sequence[float] | Array) -> Viewpoint:
        """The same view with its target in the base frame."""
        if not self.follows_tool:
            return self
        x, y, z = (float(a) + float(b) for a, b in zip(self.target_m, tool_pos_m, strict=True))
        return replace(self, target_m=(x, y, z), follows_tool=False)

    def quarter_turns(self) -> int:
        """By how many quarter turns about the vertical the base frame's x is turned to point away from the
        viewer, to the nearest: 0 to 3. Sticks that are turned as much move the arm as it is seen."""
        return round((self.azimuth_deg + 180.0) / 90.0) % 4

    def axes(self) -> Array:
        """(3, 3): the screen's right, the screen's down and the line of sight, as rows in the base frame."""
        azimuth, elevation = math.radians(self.azimuth_deg), math.radians(self.elevation_deg)
        sin, cos, rise, flat = math.sin(azimuth), math.cos(azimuth), math.sin(elevation), math.cos(elevation)
        return np.array(
            [[-sin, cos, 0.0], [rise * cos, rise * sin, -flat], [-flat * cos, -flat * sin, -rise]]
        )


class Projection:
    """The base frame through a viewpoint (placed, see there) onto a picture of that size, in pixels
    from its left top corner."""

    def __init__(self, view: Viewpoint, width: int, height: int) -> None:
        self.axes = view.axes()
        self.eye_m: Array = np.asarray(view.target_m) - view.distance_m * self.axes[2]
        self.focal_px = height / 2 / math.tan(math.radians(view.field_deg) / 2)
        self.centre_px: Array = np.array([width / 2, height / 2])
        self._frame = self._planes_at(width, height, _MARGIN)
        self._planes = self._planes_at(width, height, _GUARD)

    def _planes_at(self, width: int, height: int, margin: float) -> Array:
        """(5, 4): inside is where each plane . (x, y, z, 1) >= 0; the first stands before the eye."""
        across, down = ((0.5 + margin) * size / self.focal_px for size in (width, height))
        return np.array(
            [[0, 0, 1, -NEAR_M], [1, 0, across, 0], [-1, 0, across, 0], [0, 1, down, 0], [0, -1, down, 0]]
        )

    def to_camera(self, points_m: Array) -> Array:
        """(..., 3): right, down and ahead of the eye in m."""
        return (points_m - self.eye_m) @ self.axes.T

    def to_screen(self, camera: Array) -> Array:
        """(..., 2) in pixels, for points in front of the eye."""
        return camera[..., :2] * (self.focal_px / camera[..., 2:]) + self.centre_px

    def inside(self, camera: Array) -> NDArray[np.bool_]:
        """(...): whether points from `to_camera` are ahead and not far outside the picture."""
        return np.asarray((camera @ self._planes[:, :3].T + self._planes[:, 3] >= 0.0).all(axis=-1))

    def beyond(self, camera: Array) -> NDArray[np.bool_]:
        """(..., 5): beyond which sides of the picture points from `to_camera` lie, the eye's back first; a
        convex thing beyond one with all its corners is not seen."""
        return np.asarray(camera @ self._frame[:, :3].T + self._frame[:, 3] < 0.0)

    def polygon(self, points_m: Array) -> list[Point]:
        """A convex polygon (n, 3) on the screen, cut to what can be seen (Sutherland and Hodgman 1974);
        empty where nothing is left."""
        return self.cut(self.to_camera(points_m))

    def cut(self, camera: Array) -> list[Point]:
        """`polygon` for points from `to_camera`."""
        if not self.inside(camera).all():
            for plane in self._planes:
                camera = _halved(camera, plane)
                if len(camera) < 3:
                    return []
        points: list[Point] = [(x, y) for x, y in self.to_screen(camera).tolist()]
        return points

    def segment(self, start_m: Array, end_m: Array) -> tuple[Point, Point] | None:
        """A line's ends on the screen, cut to what can be seen; None where nothing is left."""
        return self.segments(np.stack([start_m, end_m])[None])[0]

    def segments(self, ends_m: Array) -> list[tuple[Point, Point] | None]:
        """`segment` for lines (n, 2, 3)."""
        camera = self.to_camera(ends_m)
        heights = camera @ self._planes[:, :3].T + self._planes[:, 3]
        first, last = heights[:, 0], heights[:, 1]
        span = np.where(first == last, 1.0, first - last)
        crossing = np.where((first < 0) != (last < 0), first / span, 0.0)
        low = np.where(first < 0, crossing, 0.0).max(axis=1)[:, None]
        high = np.where((last < 0) & (first >= 0), crossing, 1.0).min(axis=1)[:, None]
        seen = (low < high)[:, 0] & ~((first < 0) & (last < 0)).any(axis=1)
        start, along = camera[:, 0], camera[:, 1] - camera[:, 0]
        cut = np.where(
            seen[:, None, None], np.stack([start + low * along, start + high * along], axis=1), 1.0
        )
        found: list[tuple[Point, Point] | None] = []
        for line, (a, b) in zip(seen.tolist(), self.to_screen(cut).tolist(), strict=True):
            found.append(((a[0], a[1]), (b[0], b[1])) if line else None)
        return found


def _halved(polygon: Array, plane: Array) -> Array:
    """What is left of a polygon on the inner side of a plane."""
    heights = (polygon @ plane[:3] + plane[3]).tolist()
    kept: list[Array] = []
    for index, height in enumerate(heights):
        before = heights[index - 1]
        if (height >= 0.0) != (before >= 0.0):
            kept.append(
                polygon[index - 1] + (polygon[index] - polygon[index - 1]) * (before / (before - height))
            )
        if height >= 0.0:
            kept.append(polygon[index])
    return np.array(kept).reshape(-1, 3)
