"""What lies under everything: the background, the table with its grid, and the shadows on it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pygame
from numpy.typing import NDArray

from hardware.appearance import Table
from robot_rlhf.console.scene.camera import Point, Projection, Viewpoint
from robot_rlhf.console.scene.mesh import lit

Array = NDArray[np.float64]
Colour = tuple[int, int, int]

_SKY_TOP, _SKY_BOTTOM = (37, 45, 58), (74, 86, 104)
_GRID_M = 0.1
_THICK_M = 0.03
_MOST_LINES = 100
_MASK_PX = 180  # shadows are drawn about this high and smoothed when enlarged
_DIRECTIONS = 28
_DARKEST, _FADE_M = 0.52, 0.22  # how much light a touching thing takes, and the height that weakens it
_SHADOW_RGB = np.array([255.0, 255.0, 245.0])
_SLANT = (-0.10, 0.12)  # m sideways a metre down


def shade(colour: Sequence[float] | Array) -> Colour:
    """A colour 0 to 255 as pygame wants it."""
    r, g, b = (int(value) for value in colour[:3])
    return r, g, b


def ring(centre_m: Array, radius_m: float, count: int = 24) -> Array:
    """(count, 3): a horizontal circle."""
    turn = np.linspace(0.0, 2 * np.pi, count, endpoint=False)
    return centre_m + radius_m * np.stack([np.cos(turn), np.sin(turn), np.zeros(count)], axis=1)


def outline(canvas: pygame.Surface, colour: Colour, points: Sequence[Point]) -> None:
    """Smooth thin lines around a polygon."""
    for index, point in enumerate(points):
        pygame.draw.aaline(canvas, colour, points[index - 1], point)


def mapped(canvas: pygame.Surface, rgb: Array) -> list[int]:
    """Colours (n, 3), 0 to 255, as the surface stores them: no list a colour for the collector to walk."""
    red, green, blue, _ = canvas.get_shifts()
    whole = rgb.astype(np.int64)
    found: list[int] = (whole[:, 0] << red | whole[:, 1] << green | whole[:, 2] << blue).tolist()
    return found


def fill(canvas: pygame.Surface, colour: Colour | tuple[int, int, int, int], points: Sequence[Point]) -> None:
    """A polygon whose rim agrees with that of `outline`: pygame alone would cut the fractions off."""
    pygame.draw.polygon(canvas, colour, [(round(x), round(y)) for x, y in points])


class Ground:
    """Draws for one table; keeps the last picture without shadows for as long as the view stays."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._low, self._high = np.array(table.low_m), np.array(table.high_m)
        self._sky = self._kept = self._mask = pygame.Surface((1, 1), 0, 32)
        self._kept_for: Viewpoint | None = None
        turn = np.linspace(0.0, 2 * np.pi, _DIRECTIONS, endpoint=False)
        self._directions = np.stack([np.cos(turn), np.sin(turn)])

    def draw(self, canvas: pygame.Surface, view: Viewpoint, projection: Projection) -> None:
        """Background and table, over the whole canvas."""
        if self._sky.get_size() != canvas.get_size():
            self._sky, self._kept = (pygame.Surface(canvas.get_size(), 0, 32) for _ in range(2))
            self._kept_for = None
            _background(self._sky)
        if view != self._kept_for:
            self._kept.blit(self._sky, (0, 0))
            self._board(self._kept, projection)
            self._kept_for = view
        canvas.blit(self._kept, (0, 0))

    def _board(self, canvas: pygame.Surface, projection: Projection) -> None:
        (x0, y0), (x1, y1), top = self._table.low_m, self._table.high_m, self._table.height_m
        corners = np.array([[x0, y0, top], [x1, y0, top], [x1, y1, top], [x0, y1, top]])
        rgb = np.array([self._table.rgb])
        below = np.array([0.0, 0.0, _THICK_M])
        outward = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
        for a, b, normal in zip(corners, np.roll(corners, -1, axis=0), outward, strict=True):
            side = projection.polygon(np.stack([a, b, b - below, a - below]))
            if side and normal @ (projection.eye_m - a) > 0:
                fill(canvas, shade(0.8 * lit(rgb, normal[None], projection)[0]), side)
                outline(canvas, shade(120 * rgb[0]), side)
        points = projection.polygon(corners)
        if points and projection.eye_m[2] > top:
            base = 255 * rgb[0]
            fill(canvas, shade(base), points)
            self._grid(canvas, projection, base)
            outline(canvas, shade(np.minimum(1.06 * base, 255)), points)

    def _grid(self, canvas: pygame.Surface, projection: Projection, base: Array) -> None:
        fine, strong = shade(0.93 * base), shade(0.86 * base)
        for axis in (0, 1):
            first = math.floor(self._low[axis] / _GRID_M) + 1
            last = min(math.ceil(self._high[axis] / _GRID_M) - 1, first + _MOST_LINES)
            for number in range(first, last + 1):
                start, end = (np.array([*corner, self._table.height_m]) for corner in (self._low, self._high))
                start[axis] = end[axis] = number * _GRID_M
                line = projection.segment(start, end)
                if line is not None:
                    pygame.draw.aaline(canvas, strong if number % 5 == 0 else fine, *line)

    def shadows(self, canvas: pygame.Surface, projection: Projection, parts: Sequence[Array]) -> None:
        """Darken the table under convex things, each (n, 3) points: the closer, the darker. Their light comes
        nearly straight from above, so that a shadow shows what is below."""
        top = self._table.height_m
        if projection.eye_m[2] <= top:
            return
        scale = max(2, round(canvas.get_height() / _MASK_PX))
        size = (-(-canvas.get_width() // scale), -(-canvas.get_height() // scale))
        if self._mask.get_size() != size:
            self._mask = pygame.Surface(size, 0, 32)
        self._mask.fill(0)
        touched = []
        for part in sorted(parts, key=lambda part: -float(part[:, 2].min())):
            fall = np.maximum(part[:, 2:] - top, 0.0)
            flat = np.clip(part[:, :2] + fall * np.array(_SLANT), self._low, self._high)
            rim = flat[(flat @ self._directions).argmax(axis=0)]
            points = projection.polygon(np.column_stack([rim, np.full(len(rim), top)]))
            if points:
                taken = _DARKEST * math.exp(-float(fall.min()) / _FADE_M) * np.array(self._table.rgb)
                small = [(x / scale, y / scale) for x, y in points]
                touched.append(pygame.draw.polygon(self._mask, shade(_SHADOW_RGB * taken), small))
        if touched:
            seen = touched[0].unionall(touched[1:]).inflate(8, 8).clip(self._mask.get_rect())
            if seen.width and seen.height:
                half = (max(seen.width // 2, 1), max(seen.height // 2, 1))  # its steps become greys
                softer = pygame.transform.smoothscale(self._mask.subsurface(seen), half)
                large = pygame.transform.smoothscale(softer, (seen.width * scale, seen.height * scale))
                canvas.blit(large, (seen.x * scale, seen.y * scale), special_flags=pygame.BLEND_RGB_SUB)


def _background(canvas: pygame.Surface) -> None:
    width, height = canvas.get_size()
    for row in range(height):
        part = row / max(height - 1, 1)
        colour = [a + (b - a) * part for a, b in zip(_SKY_TOP, _SKY_BOTTOM, strict=True)]
        canvas.fill(shade(colour), (0, row, width, 1))
