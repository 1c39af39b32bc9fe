"""A prop as it is drawn: boxes that are solid, or of glass where it is a marker."""

from __future__ import annotations

import numpy as np
import pygame
from numpy.typing import NDArray

from hardware.appearance import PartLook, PropLook, rotation
from robot_rlhf.console.scene.camera import Projection
from robot_rlhf.console.scene.ground import fill, outline, shade
from robot_rlhf.console.scene.mesh import lit

Array = NDArray[np.float64]

CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
_MARKER_ALPHA = 105
_SIDES = np.array([[4, 6, 7, 5], [0, 1, 3, 2], [2, 3, 7, 6], [0, 4, 5, 1], [1, 5, 7, 3], [0, 2, 6, 4]])
_OUTWARD = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.float64)


class Box:
    """A box of a prop that is at `pose` (7,), and which of its faces look at the eye."""

    def __init__(self, look: PropLook, part: PartLook, pose: Array, projection: Projection) -> None:
        self.look = look
        turn = rotation(pose[3:])
        self.centre_m: Array = pose[:3] + turn @ np.array(part.at_m)
        half = np.array(part.half_extents_m)
        self.corners_m: Array = self.centre_m + (CORNERS * half) @ turn.T
        normals = _OUTWARD @ turn.T
        offsets = (normals * self.centre_m).sum(axis=1) + np.abs(_OUTWARD @ half)
        self._looking = np.flatnonzero(normals @ projection.eye_m > offsets)
        self._normals, self._offsets = normals[self._looking], offsets[self._looking]
        self.axes: Array = turn.T
        self._colours = lit(np.tile(look.rgba[:3], (len(self._looking), 1)), self._normals, projection)
        camera = projection.to_camera(self.corners_m)
        self.depth_m = float(np.linalg.norm(camera.mean(axis=0)))
        self._sides = [projection.cut(camera[_SIDES[side]]) for side in self._looking]
        points = [point for side in self._sides for point in side]
        self.low_px = np.array(points).min(axis=0) if points else np.zeros(2)
        self.high_px = np.array(points).max(axis=0) if points else np.zeros(2)

    def before(self, points_m: Array) -> NDArray[np.bool_]:
        """(n,): which points the box cannot hide: those outside a face that looks at the eye. The others
        cannot hide the box."""
        if not len(self._looking):
            return np.ones(len(points_m), dtype=np.bool_)
        outside: NDArray[np.bool_] = (points_m @ self._normals.T > self._offsets).any(axis=1)
        return outside

    def paint(self, canvas: pygame.Surface) -> None:
        """Fill its visible faces and draw their edges."""
        if not any(self._sides):
            return
        if self.look.is_marker:
            self._glaze(canvas)
            return
        for colour, side in zip(self._colours, self._sides, strict=True):
            if side:
                fill(canvas, shade(colour), side)
        for colour, side in zip(self._colours, self._sides, strict=True):
            if side:
                outline(canvas, shade(colour * 0.9), side)

    def _glaze(self, canvas: pygame.Surface) -> None:
        bright = shade(np.minimum(np.array(self.look.rgba[:3]) * 200 + 55, 255))
        seen = pygame.Rect(*(self.low_px - 1).astype(int), *(self.high_px - self.low_px + 3).astype(int))
        seen = seen.clip(canvas.get_rect())
        if not seen.width or not seen.height:
            return
        glass = pygame.Surface(seen.size, pygame.SRCALPHA)
        for colour, side in zip(self._colours, self._sides, strict=True):
            if side:
                fill(glass, (*shade(colour), _MARKER_ALPHA), [(x - seen.x, y - seen.y) for x, y in side])
        canvas.blit(glass, seen)
        for side in self._sides:
            if side:
                outline(canvas, bright, side)
