"""A camera's pictures, as large as there is room. On the render thread."""

from __future__ import annotations

import io

import pygame

from robot_rlhf.console.drawing import parts, theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.screens.model import Seen


class Film:
    """One camera at a time; a picture is kept until another comes."""

    def __init__(self) -> None:
        self._jpeg: bytes | None = None
        self._surface: pygame.Surface | None = None
        self._size = 0, 0

    def draw(self, canvas: Canvas, area: pygame.Rect, seen: Seen | None) -> None:
        """What it sees, in the middle of `area` and in its own proportions."""
        canvas.fill(area, theme.PANEL)
        if seen is None or seen.jpeg is None:
            return
        if seen.jpeg is not self._jpeg or area.size != self._size:
            self._surface = _fitted(seen.jpeg, area.size)
            self._jpeg, self._size = seen.jpeg, area.size
        if self._surface is None:
            parts.card(canvas, area, "warning", "This picture cannot be read", "", theme.WARN)
            return
        canvas.surface.blit(self._surface, self._surface.get_rect(center=area.center))


def _fitted(jpeg: bytes, size: tuple[int, int]) -> pygame.Surface | None:
    """None for bytes that are no picture."""
    try:
        picture = pygame.image.load(io.BytesIO(jpeg), ".jpg")
    except pygame.error:
        return None
    share = min(size[0] / picture.get_width(), size[1] / picture.get_height())
    fitting = max(1, round(picture.get_width() * share)), max(1, round(picture.get_height() * share))
    return pygame.transform.smoothscale(picture, fitting)
