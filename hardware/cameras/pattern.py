"""A test pattern: colour bars, a hand that turns once a second, and the number of the picture."""

from __future__ import annotations

import math
import time

import numpy as np

from hardware.cameras import number_of, size_of
from hardware.cameras.jpeg import cv2, encoded
from hardware.clock import MonotonicClock, Ticker

_BARS = np.array(
    [[235, 235, 235], [16, 235, 235], [235, 235, 16], [16, 235, 16],
     [235, 16, 235], [16, 16, 235], [235, 16, 16], [16, 16, 16]], np.uint8
)  # fmt: skip  # blue first
_QUALITY = 80
_INK = (255, 255, 255)


class PatternCamera:
    """`hz` pictures a second of `pixels`, width and height. How old one is can be read off its hand."""

    def __init__(self, pixels: tuple[int, int], hz: float) -> None:
        self._width, self._height = pixels
        self._ticker, self._count = Ticker(MonotonicClock(), hz), 0
        columns = np.arange(self._width) * len(_BARS) // self._width
        self._ground = np.broadcast_to(_BARS[columns], (self._height, self._width, 3)) // 2

    def picture(self) -> bytes:
        self._ticker.wait()
        self._count += 1
        pixels = self._ground.copy()
        middle, length = (self._width // 2, self._height // 2), 0.4 * self._height
        angle = 2.0 * math.pi * (time.monotonic() % 1.0)
        tip = round(middle[0] + length * math.sin(angle)), round(middle[1] - length * math.cos(angle))
        thickness = max(1, self._height // 80)
        cv2.circle(pixels, middle, round(length), _INK, thickness)
        cv2.line(pixels, middle, tip, _INK, thickness)
        at, scale = (self._width // 20, self._height // 8), self._height / 480
        cv2.putText(pixels, str(self._count), at, cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, thickness)
        return encoded(pixels, _QUALITY)

    def close(self) -> None:
        """There is no device."""


def make(size: str = "640x480", hz: str = "30") -> PatternCamera:
    """`size` in pixels."""
    return PatternCamera(size_of(size), number_of(hz, "hz", 0.1, 100.0))
