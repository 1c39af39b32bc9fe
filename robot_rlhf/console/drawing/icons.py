"""Icons as shapes on a 24 x 24 grid, smooth-edged, in one colour; drawn once a size and kept by who asks.

The bundled font has no arrows, ticks or pad symbols, so these are ours.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pygame

from robot_rlhf.console.drawing.theme import Colour

_OVER = 4
_GRID = 24.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Fill:
    """A filled polygon; `hole` cuts out of what was drawn before it."""

    points: Sequence[Point]
    hole: bool = False


@dataclass(frozen=True)
class Line:
    """A line with round ends through some points."""

    points: Sequence[Point]
    width: float = 2.6


@dataclass(frozen=True)
class Disc:
    """A disc, or a ring where `width` is above 0."""

    centre: Point
    radius: float
    width: float = 0.0
    hole: bool = False


Shape: TypeAlias = Fill | Line | Disc


def _arc(centre: Point, radius: float, start_deg: float, end_deg: float, steps: int = 20) -> list[Point]:
    angles = [math.radians(start_deg + (end_deg - start_deg) * i / steps) for i in range(steps + 1)]
    return [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angles]


def _polygon(centre: Point, radius: float, corners: int, turn_deg: float) -> list[Point]:
    return _arc(centre, radius, turn_deg, turn_deg + 360.0, corners)[:-1]


def _box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


_PALM = [(6.5, 12.0), (18.5, 12.0), (18.5, 16.5), (16.0, 21.5), (9.5, 21.5), (6.5, 18.0)]
_THUMB_UP: list[Shape] = [
    Fill([(9.0, 11.0), (12.5, 3.0), (15.0, 4.0), (14.5, 9.0), (20.5, 9.5), (19.0, 20.0), (9.0, 20.0)]),
    Fill(_box(3.5, 11.0, 7.3, 20.0)),
]


def _flipped(shapes: Sequence[Shape]) -> list[Shape]:
    return [Fill([(x, _GRID - y) for x, y in s.points], s.hole) for s in shapes if isinstance(s, Fill)]


ICONS: Mapping[str, Sequence[Shape]] = {
    "check": [Line([(4.5, 12.5), (10.0, 18.0), (20.0, 6.5)], 3.2)],
    "cross": [Line([(5.5, 5.5), (18.5, 18.5)], 3.2), Line([(18.5, 5.5), (5.5, 18.5)], 3.2)],
    "equal": [Line([(5.0, 9.0), (19.0, 9.0)], 3.0), Line([(5.0, 15.5), (19.0, 15.5)], 3.0)],
    "question": [
        Line([*_arc((12.0, 8.5), 4.6, 180.0, 420.0), (12.0, 14.5)], 2.8),
        Disc((12.0, 19.6), 1.8),
    ],
    "stop": [
        Fill(_polygon((12.0, 12.0), 11.0, 8, 22.5)),
        Fill(_box(6.5, 10.2, 17.5, 13.8), hole=True),
    ],
    "pause": [Fill(_box(5.5, 4.0, 10.0, 20.0)), Fill(_box(14.0, 4.0, 18.5, 20.0))],
    "play": [Fill([(6.0, 3.5), (20.5, 12.0), (6.0, 20.5)])],
    "hand": [
        Fill(_PALM),
        *[Line([(x, 12.5), (x, top)], 2.5) for x, top in ((7.8, 6.0), (11.1, 3.8), (14.4, 4.4), (17.3, 7.0))],
        Line([(7.5, 17.0), (4.0, 12.6)], 2.5),
    ],
    "policy": [
        Line([(6.0, 6.5), (12.0, 12.0), (6.0, 17.5)], 1.5),
        Line([(18.5, 7.0), (12.0, 12.0), (18.5, 17.0)], 1.5),
        *[
            Disc(p, r)
            for p, r in (
                ((5.5, 6.0), 2.9),
                ((5.5, 18.0), 2.9),
                ((12.0, 12.0), 3.6),
                ((18.8, 6.6), 2.9),
                ((18.8, 17.4), 2.9),
            )
        ],
    ],
    "record": [Disc((12.0, 12.0), 8.0)],
    "dot": [Disc((12.0, 12.0), 5.0)],
    "circle": [Disc((12.0, 12.0), 8.6, 2.6)],
    "square": [Line([*_box(4.8, 4.8, 19.2, 19.2), (4.8, 4.8)], 2.6)],
    "triangle": [Line([(12.0, 3.8), (20.6, 18.8), (3.4, 18.8), (12.0, 3.8)], 2.6)],
    "warning": [
        Fill([(12.0, 2.5), (22.5, 21.0), (1.5, 21.0)]),
        Fill(_box(10.7, 9.0, 13.3, 15.2), hole=True),
        Disc((12.0, 17.9), 1.5, hole=True),
    ],
    "left": [Fill([(5.0, 12.0), (16.5, 4.5), (16.5, 19.5)])],
    "right": [Fill([(19.0, 12.0), (7.5, 4.5), (7.5, 19.5)])],
    "up": [Fill([(12.0, 5.0), (4.5, 16.5), (19.5, 16.5)])],
    "down": [Fill([(12.0, 19.0), (4.5, 7.5), (19.5, 7.5)])],
    "thumb_up": _THUMB_UP,
    "thumb_down": _flipped(_THUMB_UP),
    "undo": [
        Line([(8.0, 8.5), (14.0, 8.5), *_arc((14.0, 13.5), 5.0, -90.0, 90.0), (9.0, 18.5)], 2.4),
        Fill([(2.5, 8.5), (9.5, 3.5), (9.5, 13.5)]),
    ],
    "clock": [Disc((12.0, 12.0), 9.2, 2.2), Line([(12.0, 7.0), (12.0, 12.4), (15.5, 14.4)], 2.2)],
    "link": [
        *[Line(_arc((12.0, 18.0), r, -135.0, -45.0), 2.4) for r in (6.0, 11.0)],
        Disc((12.0, 18.0), 2.2),
    ],
    "battery": [Line([*_box(3.0, 7.0, 19.0, 17.0), (3.0, 7.0)], 2.0), Fill(_box(20.0, 10.0, 22.0, 14.0))],
    "eye": [
        Line(_arc((12.0, 17.5), 10.5, -148.0, -32.0), 2.2),
        Line(_arc((12.0, 6.5), 10.5, 148.0, 32.0), 2.2),
        Disc((12.0, 12.0), 3.2),
    ],
    "gauge": [
        Line(_arc((12.0, 15.0), 9.0, 180.0, 360.0), 2.4),
        Line([(12.0, 15.0), (16.5, 9.5)], 2.4),
        Disc((12.0, 15.0), 2.2),
    ],
    "pad": [
        Fill([(5.5, 6.0), (18.5, 6.0), (21.0, 9.0), (23.0, 18.0), (20.5, 19.5), (16.5, 15.5)]),
        Fill([(5.5, 6.0), (18.5, 6.0), (16.5, 15.5), (7.5, 15.5), (3.5, 19.5), (1.0, 18.0), (3.0, 9.0)]),
        Disc((8.0, 10.7), 1.9, hole=True),
        Disc((16.0, 10.7), 1.9, hole=True),
    ],
    "keyboard": [
        Fill(_box(2.0, 6.0, 22.0, 18.0)),
        *[Fill(_box(x, 8.4, x + 2.2, 10.6), hole=True) for x in (4.4, 8.7, 13.0, 17.3)],
        Fill(_box(6.5, 13.2, 17.5, 15.4), hole=True),
    ],
    "flag": [Line([(5.5, 3.5), (5.5, 21.0)], 2.2), Fill([(6.5, 4.0), (20.0, 8.2), (6.5, 12.6)])],
    "bin": [
        Fill([(5.5, 8.5), (18.5, 8.5), (17.3, 21.0), (6.7, 21.0)]),
        Line([(4.0, 6.0), (20.0, 6.0)], 2.2),
        Line([(9.5, 3.5), (14.5, 3.5)], 2.2),
    ],
    "pin": [Disc((12.0, 12.0), 8.6, 2.4), Disc((12.0, 12.0), 3.0)],
}


def icon_names() -> tuple[str, ...]:
    return tuple(ICONS)


def drawn_icon(name: str, size_px: int, colour: Colour) -> pygame.Surface:
    """The icon on a transparent ground. Raises ValueError for a name that is none."""
    if name not in ICONS:
        raise ValueError(f"no icon named {name!r} (there are {', '.join(ICONS)})")
    size_px = max(4, size_px)
    big = pygame.Surface((size_px * _OVER, size_px * _OVER), pygame.SRCALPHA)
    big.fill((*colour, 0))
    factor = size_px * _OVER / _GRID
    for shape in ICONS[name]:
        _draw(big, shape, colour, factor)
    return pygame.transform.smoothscale(big, (size_px, size_px))


def _draw(surface: pygame.Surface, shape: Shape, colour: Colour, factor: float) -> None:
    ink = (*colour, 0) if not isinstance(shape, Line) and shape.hole else (*colour, 255)
    match shape:
        case Fill(points=points):
            pygame.draw.polygon(surface, ink, [(x * factor, y * factor) for x, y in points])
        case Disc(centre=(x, y), radius=radius, width=width):
            ring = max(1, round(width * factor)) if width else 0
            pygame.draw.circle(surface, ink, (x * factor, y * factor), (radius + width / 2) * factor, ring)
        case Line(points=points, width=width):
            half = width * factor / 2
            placed = [pygame.Vector2(x * factor, y * factor) for x, y in points]
            for one, other in itertools.pairwise(placed):
                if (along := other - one).length() > 0:
                    aside = pygame.Vector2(-along.y, along.x).normalize() * half
                    corners = [one + aside, other + aside, other - aside, one - aside]
                    pygame.draw.polygon(surface, ink, corners)
            for point in placed:
                pygame.draw.circle(surface, ink, point, half)
