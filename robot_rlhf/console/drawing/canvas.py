"""What the screens draw on: a surface, a UI scale and the parts that all screens share.

Rectangles, positions and widths are in pixels; sizes of text, gaps and radii are in points (`px` turns
points into pixels). Every part says what it took, so that the next one can be placed after it. Belongs
to one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pygame

from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.icons import drawn_icon
from robot_rlhf.console.drawing.stamps import Stock, disc, ring, sheet
from robot_rlhf.console.drawing.theme import Colour

_RING_STEPS = 60

__all__ = ["Canvas", "Stock"]


class Canvas:
    """Draws parts onto `surface`, an off-screen surface of 32 bits, at the scale of `stock`."""

    def __init__(self, surface: pygame.Surface, stock: Stock) -> None:
        self.surface, self._stock = surface, stock
        self._letters = stock.lettering
        self.scale = stock.scale

    @property
    def area(self) -> pygame.Rect:
        return self.surface.get_rect()

    def within(self, area: pygame.Rect) -> Canvas:
        """A canvas on a part of this one, with its own origin; nothing that it draws comes out of it."""
        return Canvas(self.surface.subsurface(area.clip(self.area)), self._stock)

    @property
    def points(self) -> tuple[float, float]:
        """The surface's size in points: what a layout decides by."""
        width, height = self.surface.get_size()
        return width / self.scale, height / self.scale

    def px(self, points: float) -> int:
        return max(1, round(points * self.scale)) if points > 0 else round(points * self.scale)

    # -- text ------------------------------------------------------------------------------------------

    def line_height(self, size: float) -> int:
        return self._letters.face(size).height

    def width(self, text: str, size: float = theme.BODY, bold: bool = False) -> int:
        return self._letters.face(size, bold).width(text)

    def text(
        self,
        text: str,
        at: tuple[int, int],
        size: float = theme.BODY,
        colour: Colour = theme.TEXT,
        *,
        bold: bool = False,
        anchor: str = "topleft",
        width: int | None = None,
    ) -> pygame.Rect:
        """One line; `anchor` names the point of it that lies at `at` ('topleft', 'midright', 'center'
        and so on; the middle is that of a capital). What is wider than `width` ends in an ellipsis.
        Returns where it stands."""
        if width is not None:
            text = self._letters.fitted(text, size, bold, max(0, width))
        line = self._letters.line(text, size, colour, bold)
        place = line.get_rect(**{anchor: at})
        if anchor in ("midleft", "center", "midright"):
            place.y = at[1] - self._letters.face(size, bold).middle
        self.surface.blit(line, place)
        return place

    def paragraph(
        self,
        text: str,
        area: pygame.Rect,
        size: float = theme.BODY,
        colour: Colour = theme.TEXT,
        *,
        bold: bool = False,
        most: int | None = None,
        centred: bool = False,
    ) -> int:
        """Lines broken to the area's width, at most `most` or as many as fit; returns their height."""
        step = self.line_height(size) + self.px(2)
        fit = max(1, area.height // step)
        lines = self._letters.wrapped(text, size, bold, area.width, min(fit, most or fit))
        for index, line in enumerate(lines):
            x, anchor = (area.centerx, "midtop") if centred else (area.x, "topleft")
            self.text(line, (x, area.y + index * step), size, colour, bold=bold, anchor=anchor)
        return len(lines) * step

    def lines(self, text: str, width: int, size: float = theme.BODY, bold: bool = False) -> list[str]:
        """The lines that `paragraph` would break the text into."""
        return self._letters.wrapped(text, size, bold, width)

    def paragraph_height(self, text: str, width: int, size: float = theme.BODY, bold: bool = False) -> int:
        """What `paragraph` would take with room enough."""
        return len(self.lines(text, width, size, bold)) * (self.line_height(size) + self.px(2))

    # -- grounds ---------------------------------------------------------------------------------------

    def fill(self, area: pygame.Rect, colour: Colour) -> None:
        self.surface.fill(colour, area)

    def panel(
        self,
        area: pygame.Rect,
        colour: Colour = theme.PANEL,
        *,
        radius: float = theme.RADIUS,
        outline: Colour | None = None,
        thickness: float = 1,
    ) -> pygame.Rect:
        """A ground with round corners; returns what is inside its padding."""
        if outline is not None:
            self._rounded(area, outline, radius)
            edge = self.px(thickness)
            self._rounded(area.inflate(-2 * edge, -2 * edge), colour, max(1.0, radius - thickness))
        else:
            self._rounded(area, colour, radius)
        return area.inflate(-2 * self.px(theme.PAD), -2 * self.px(theme.PAD))

    def veil(self, area: pygame.Rect, colour: Colour = theme.BACKGROUND, share: float = 0.8) -> None:
        """A colour over what is drawn already, of which 1 - `share` is still seen."""
        veil = self._stamp(("veil", area.size, colour, share), lambda: sheet(area.size, colour, share))
        self.surface.blit(veil, area)

    def frame(self, area: pygame.Rect, colour: Colour, thickness: float) -> None:
        """A frame inside the area's edge."""
        pygame.draw.rect(self.surface, colour, area, self.px(thickness))

    def _rounded(self, area: pygame.Rect, colour: Colour, radius: float) -> None:
        r = min(self.px(radius), area.width // 2, area.height // 2)
        if r <= 1:
            self.surface.fill(colour, area)
            return
        stamp = self._stamp(("disc", r, colour), lambda: disc(r, colour))
        self.surface.fill(colour, (area.x + r, area.y, area.width - 2 * r, area.height))
        self.surface.fill(colour, (area.x, area.y + r, area.width, area.height - 2 * r))
        for x, dx in ((area.x, 0), (area.right - r, r)):
            for y, dy in ((area.y, 0), (area.bottom - r, r)):
                self.surface.blit(stamp, (x, y), (dx, dy, r, r))

    # -- small parts -----------------------------------------------------------------------------------

    def icon(
        self,
        name: str,
        at: tuple[int, int],
        size: float = 18,
        colour: Colour = theme.TEXT,
        anchor: str = "center",
    ) -> pygame.Rect:
        """An icon of `icons.ICONS`."""
        pixels = self.px(size)
        stamp = self._stamp(("icon", name, pixels, colour), lambda: drawn_icon(name, pixels, colour))
        return self.surface.blit(stamp, stamp.get_rect(**{anchor: at}))

    def bar(
        self,
        area: pygame.Rect,
        share: float,
        colour: Colour = theme.SKY,
        *,
        track: Colour = theme.RAISED,
        mark: float | None = None,
    ) -> None:
        """A rounded bar, filled from the left by a share 0..1, with a mark at another share."""
        radius = area.height / 2 / self.scale
        self._rounded(area, track, radius)
        width = round(area.width * max(0.0, min(1.0, share)))
        if width > 0:
            filled = pygame.Rect(area.x, area.y, max(width, min(area.width, area.height)), area.height)
            self._rounded(filled, colour, radius)
        if mark is not None:
            self._tick(area, mark)

    def centred_bar(self, area: pygame.Rect, value: float, colour: Colour, mark: float | None = None) -> None:
        """A bar from the middle to a value -1..1, with a mark at another value."""
        self._rounded(area, theme.RAISED, area.height / 2 / self.scale)
        reach = round(area.width / 2 * max(-1.0, min(1.0, value)))
        left = area.centerx + min(0, reach)
        self.surface.fill(colour, (left, area.y, max(abs(reach), self.px(2)), area.height))
        if mark is not None:
            self._tick(area, (mark + 1) / 2)

    def ring(
        self,
        centre: tuple[int, int],
        radius: float,
        share: float,
        colour: Colour,
        *,
        width: float = 4,
        track: Colour = theme.LINE,
    ) -> None:
        """A progress ring, from the top clockwise, 0..1."""
        step = round(max(0.0, min(1.0, share)) * _RING_STEPS)
        outer, thick = self.px(radius), self.px(width)
        key = ("ring", outer, thick, step, colour, track)
        stamp = self._stamp(key, lambda: ring(outer, thick, step / _RING_STEPS, colour, track))
        self.surface.blit(stamp, stamp.get_rect(center=centre))

    def chip(
        self,
        text: str,
        at: tuple[int, int],
        colour: Colour,
        *,
        anchor: str = "topleft",
        ink: Colour = theme.INK,
    ) -> pygame.Rect:
        """A word on a coloured, rounded ground."""
        face = self._letters.face(theme.TINY, True)
        place = pygame.Rect(0, 0, face.width(text) + self.px(14), face.height + self.px(6))
        setattr(place, anchor, at)
        self._rounded(place, colour, 6)
        self.text(text, place.center, theme.TINY, ink, bold=True, anchor="center")
        return place

    def sparkline(
        self,
        area: pygame.Rect,
        values: Sequence[float],
        colour: Colour,
        *,
        low: float,
        high: float,
        slots: int | None = None,
        zero: bool = False,
        dots: bool = False,
    ) -> None:
        """Values as a line, newest at the right end of what is filled; `slots` is how many would fill
        the width. Values beyond `low` and `high` are drawn at the edge."""
        count = max(2, slots or len(values))
        span = (high - low) or 1.0

        def place(index: int, value: float) -> tuple[float, float]:
            share = (max(low, min(high, value)) - low) / span
            return (
                area.x + index * (area.width - 1) / (count - 1),
                area.bottom - 1 - share * (area.height - 1),
            )

        if zero:
            y = place(0, 0.0)[1]
            pygame.draw.line(self.surface, theme.LINE, (area.x, y), (area.right - 1, y))
        line = [place(index, value) for index, value in enumerate(values[-count:])]
        if len(line) > 1:
            if (thick := self.px(1.6)) > 1:
                pygame.draw.lines(self.surface, colour, False, line, thick)
            pygame.draw.aalines(self.surface, colour, False, line)
        if line and (dots or len(line) == 1):
            for x, y in line:
                self.icon("dot", (round(x), round(y)), 10, colour)

    def timeline(
        self,
        area: pygame.Rect,
        spans: Sequence[tuple[float, float]],
        colour: Colour,
        *,
        at: float | None = None,
        track: Colour = theme.RAISED,
    ) -> None:
        """A strip with coloured spans (start, end as shares 0..1) and a cursor at a share."""
        self._rounded(area, track, 3)
        for start, end in spans:
            left = area.x + round(area.width * max(0.0, start))
            right = area.x + round(area.width * min(1.0, end))
            if right > left:
                self.surface.fill(colour, (left, area.y, right - left, area.height))
        if at is not None:
            self._tick(area, at)

    def _tick(self, area: pygame.Rect, share: float) -> None:
        x = area.x + round(area.width * max(0.0, min(1.0, share)))
        over = self.px(3)
        self.surface.fill(theme.TEXT, (x - self.px(1), area.y - over, self.px(2), area.height + 2 * over))

    def _stamp(self, key: tuple[object, ...], make: Callable[[], pygame.Surface]) -> pygame.Surface:
        return self._stock.stamp(key, make)
