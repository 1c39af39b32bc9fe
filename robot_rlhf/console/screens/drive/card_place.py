"""Where a card over the camera hides least of what matters, without hopping about."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum

import pygame

Point = tuple[float, float]
STAYS_NS = 1_500_000_000
"""A card that has moved stays for so long at least."""


class Corner(Enum):
    """The places there are, in the order in which they are liked."""

    UPPER_LEFT = "upper left"
    LOWER_LEFT = "lower left"
    UPPER_RIGHT = "upper right"
    LOWER_RIGHT = "lower right"


def corners(area: pygame.Rect, size: tuple[int, int]) -> Mapping[Corner, pygame.Rect]:
    """A card of that size in every corner of `area`."""
    width, height = size
    right, low = area.right - width, area.bottom - height
    return {
        Corner.UPPER_LEFT: pygame.Rect(area.x, area.y, width, height),
        Corner.LOWER_LEFT: pygame.Rect(area.x, low, width, height),
        Corner.UPPER_RIGHT: pygame.Rect(right, area.y, width, height),
        Corner.LOWER_RIGHT: pygame.Rect(right, low, width, height),
    }


def clearance(place: pygame.Rect, points: Sequence[Point]) -> float:
    """How far the nearest of the points lies from a card, in pixels: 0 for one that it hides, infinite
    where there are none."""
    return min((_distance(place, point) for point in points), default=math.inf)


class Placer:
    """Keeps the corner until something that matters comes close, and another is clearly better."""

    def __init__(self) -> None:
        self.corner = Corner.UPPER_LEFT
        self._moved_ns: int | None = None

    def place(
        self, places: Mapping[Corner, pygame.Rect], points: Sequence[Point], near_px: float, now_ns: int
    ) -> pygame.Rect:
        """The card's place at a moment. `points` are to be seen, and no nearer to it than `near_px`, where
        that can be."""
        here = clearance(places[self.corner], points)
        rests = self._moved_ns is None or now_ns - self._moved_ns >= STAYS_NS
        if here < near_px and rests:
            best = max(places, key=lambda corner: min(clearance(places[corner], points), 4 * near_px))
            if clearance(places[best], points) >= here + near_px:
                self.corner, self._moved_ns = best, now_ns
        return places[self.corner]


def _distance(place: pygame.Rect, point: Point) -> float:
    x, y = point
    aside = max(place.left - x, 0.0, x - place.right)
    above = max(place.top - y, 0.0, y - place.bottom)
    return math.hypot(aside, above)
