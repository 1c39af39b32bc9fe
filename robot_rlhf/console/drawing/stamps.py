"""Small pictures with smooth edges that canvases keep between frames. Belongs to one thread."""

from __future__ import annotations

import math
from collections.abc import Callable

import pygame

from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.lettering import Lettering
from robot_rlhf.console.drawing.theme import Colour

_OVER = 4  # they are drawn so many times larger
_KEPT = 1000


class Stock:
    """What canvases of one scale keep between frames: lettering and smooth-edged stamps."""

    def __init__(self, scale: float) -> None:
        self.scale = theme.checked_scale(scale)
        self.lettering = Lettering(scale)
        self._stamps: dict[tuple[object, ...], pygame.Surface] = {}

    def stamp(self, key: tuple[object, ...], make: Callable[[], pygame.Surface]) -> pygame.Surface:
        """What `make` drew for this key; not to be drawn into."""
        if key not in self._stamps:
            if len(self._stamps) >= _KEPT:
                self._stamps.clear()
            self._stamps[key] = make()
        return self._stamps[key]


def sheet(size: tuple[int, int], colour: Colour, share: float) -> pygame.Surface:
    """A see-through colour."""
    made = pygame.Surface(size)
    made.fill(colour)
    made.set_alpha(round(255 * share))
    return made


def disc(radius: int, colour: Colour) -> pygame.Surface:
    """A disc with smooth edges."""
    big = pygame.Surface((2 * radius * _OVER, 2 * radius * _OVER), pygame.SRCALPHA)
    big.fill((*colour, 0))
    pygame.draw.circle(big, colour, (radius * _OVER, radius * _OVER), radius * _OVER)
    return pygame.transform.smoothscale(big, (2 * radius, 2 * radius))


def ring(radius: int, width: int, share: float, colour: Colour, track: Colour) -> pygame.Surface:
    """A ring with smooth edges, of which a share 0..1 from the top clockwise has the colour."""
    side = 2 * radius * _OVER
    middle, outer, inner = side / 2, radius * _OVER, (radius - width) * _OVER
    big = pygame.Surface((side, side), pygame.SRCALPHA)
    big.fill((*colour, 0))
    pygame.draw.circle(big, track, (middle, middle), outer, width * _OVER)
    if share > 0:
        steps = max(2, round(72 * share))
        angles = [2 * math.pi * share * i / steps - math.pi / 2 for i in range(steps + 1)]
        far = [(middle + outer * math.cos(a), middle + outer * math.sin(a)) for a in angles]
        near = [(middle + inner * math.cos(a), middle + inner * math.sin(a)) for a in reversed(angles)]
        pygame.draw.polygon(big, colour, far + near)
    return pygame.transform.smoothscale(big, (2 * radius, 2 * radius))
