"""Text in two weights from the one font that pygame brings along, so that nothing needs installing.

That font is bold. The regular weight is made of it: a glyph is drawn large, its edges are taken off,
and it is scaled down, at one of three offsets within a pixel. Lines are put together from such glyphs
and kept. Belongs to one thread.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
import pygame
from numpy.typing import NDArray

from robot_rlhf.console.drawing.theme import Colour

_OVER = 6  # glyphs are drawn so many times larger
_PHASES = 3  # offsets within a pixel
_THIN = 0.019  # what the regular weight loses at each edge, of the size
_CLOSER = 0.01  # and how much closer its letters stand
_CAPITAL = 0.72  # height of a capital, of the size
_SLANTED = "/\\"  # they lose in both directions at once
_EM = 0.6875  # pygame's default font counts its size so
_KEPT_LINES = 1500
_ELLIPSIS = "…"


class Face:
    """One size (pixels) and weight."""

    def __init__(self, size_px: int, bold: bool) -> None:
        self._font = pygame.font.Font(None, max(1, round(size_px * _OVER / _EM)))
        self._thin = 0.0 if bold else _THIN * size_px * _OVER
        self._closer = 0.0 if bold else _CLOSER * size_px
        self._glyphs: dict[tuple[str, int], pygame.Surface] = {}
        self._advances: dict[str, float] = {}
        self.height = -(-self._font.size("Ág")[1] // _OVER)
        self.middle = round(self._font.get_ascent() / _OVER - _CAPITAL * size_px / 2)
        """Pixels from the top to the middle of a capital."""

    def width(self, text: str) -> int:
        """Pixels that a line takes."""
        return round(sum(self._advance(char) for char in text))

    def render(self, text: str, colour: Colour) -> pygame.Surface:
        """A line on a transparent ground."""
        line = pygame.Surface((max(1, self.width(text) + 1), self.height), pygame.SRCALPHA)
        line.fill((255, 255, 255, 0))
        at = 0.0
        for char in text:
            whole = int(at)
            phase = int((at - whole) * _PHASES)
            line.blit(self._glyph(char, phase), (whole, 0), special_flags=pygame.BLEND_RGBA_MAX)
            at += self._advance(char)
        line.fill((*colour, 255), special_flags=pygame.BLEND_RGBA_MULT)
        return line

    def _advance(self, char: str) -> float:
        if char not in self._advances:
            self._advances[char] = self._font.size(char)[0] / _OVER - self._closer
        return self._advances[char]

    def _glyph(self, char: str, phase: int) -> pygame.Surface:
        if (char, phase) not in self._glyphs:
            self._glyphs[char, phase] = self._drawn(char, phase)
        return self._glyphs[char, phase]

    def _drawn(self, char: str, phase: int) -> pygame.Surface:
        alpha = pygame.surfarray.array_alpha(self._font.render(char, True, (255, 255, 255)))
        depth = self._thin * (0.5 if char in _SLANTED else 1.0)
        alpha = _eroded(_eroded(alpha, depth, axis=0), 0.8 * depth, axis=1)
        offset = phase * _OVER // _PHASES
        width = -(-(alpha.shape[0] + offset) // _OVER)
        field = np.zeros((width * _OVER, self.height * _OVER), np.uint8)
        field[offset : offset + alpha.shape[0], : alpha.shape[1]] = alpha
        small = field.reshape(width, _OVER, self.height, _OVER).mean(axis=(1, 3))
        glyph = pygame.Surface((width, self.height), pygame.SRCALPHA)
        glyph.fill((255, 255, 255, 0))
        pixels = pygame.surfarray.pixels_alpha(glyph)
        pixels[:] = small.astype(np.uint8)
        del pixels  # unlocks the surface
        return glyph


def _eroded(alpha: NDArray[np.uint8], depth: float, axis: int) -> NDArray[np.uint8]:
    """Edges moved inwards by so many pixels along an axis, in parts of a pixel as well."""
    whole, steps = alpha, math.ceil(depth)
    for step in range(1, steps + 1):
        before = alpha
        alpha = np.minimum(alpha, np.minimum(np.roll(whole, step, axis), np.roll(whole, -step, axis)))
        if step == steps:
            share = depth - (steps - 1)
            alpha = (before * (1.0 - share) + alpha * share).astype(np.uint8)
    return alpha


class Lettering:
    """Lines of text at a UI scale. Sizes are in points, widths in pixels."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self._faces: dict[tuple[int, bool], Face] = {}
        self._lines: OrderedDict[tuple[str, float, Colour, bool], pygame.Surface] = OrderedDict()

    def face(self, size: float, bold: bool = False) -> Face:
        key = (max(6, round(size * self.scale)), bold)
        if key not in self._faces:
            self._faces[key] = Face(*key)
        return self._faces[key]

    def line(self, text: str, size: float, colour: Colour, bold: bool = False) -> pygame.Surface:
        """One line; not to be drawn into."""
        key = (text, size, colour, bold)
        if key not in self._lines:
            self._lines[key] = self.face(size, bold).render(text, colour)
            if len(self._lines) > _KEPT_LINES:
                self._lines.popitem(last=False)
        self._lines.move_to_end(key)
        return self._lines[key]

    def fitted(self, text: str, size: float, bold: bool, width: int) -> str:
        """`text`, or as much of it as fits followed by an ellipsis."""
        face = self.face(size, bold)
        if face.width(text) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if face.width(text[:middle].rstrip() + _ELLIPSIS) <= width:
                low = middle
            else:
                high = middle - 1
        return text[:low].rstrip() + _ELLIPSIS

    def wrapped(self, text: str, size: float, bold: bool, width: int, most: int | None = None) -> list[str]:
        """Lines no wider than `width`, broken between words; of more than `most` the last is cut off."""
        face, lines = self.face(size, bold), [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if not lines[-1] or face.width(longer) <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        if most is not None and len(lines) > most:
            lines = [*lines[: most - 1], " ".join(lines[most - 1 :])]
        return [self.fitted(line, size, bold, width) for line in lines]
