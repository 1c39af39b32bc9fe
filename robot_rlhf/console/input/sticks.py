"""From a raw stick to a deflection that is meant: rest position, dead zone, curve, and keys as sticks.

Everything here is a function or a small state of plain numbers; times are monotonic nanoseconds.
"""

from __future__ import annotations

import math

Sticks = tuple[float, float, float, float]
"""(leftx, lefty, rightx, righty), each in [-1, 1]."""

DEAD_ZONE = 0.15
OUTER = 0.95
LINEAR, CUBIC = 0.4, 0.6
CALIBRATION_NS = 1_000_000_000
REST_TREMOR = 0.03  # how far an axis may wander and still be at rest
LARGEST_OFFSET = 0.2  # what lies further out is a thumb, not a worn spring
FROZEN_NS = 1_500_000_000
FROZEN_LOW, FROZEN_HIGH = 0.05, 0.95
RAMP_NS = 150_000_000
PRESS_AT, RELEASE_AT = 0.5, 0.3


def expo(deflection: float) -> float:
    """0.4 x + 0.6 x^3: fine in the middle, all of it at the end."""
    return deflection * (LINEAR + CUBIC * deflection * deflection)


def shape(x: float, y: float) -> tuple[float, float]:
    """A stick's deflection after the radial dead zone and the curve. The direction stays; the length is
    0 up to DEAD_ZONE and 1 from OUTER on, so a stick with a square gate reaches no further than 1."""
    length = math.hypot(x, y)
    if length <= DEAD_ZONE:
        return 0.0, 0.0
    wanted = expo(min(1.0, (length - DEAD_ZONE) / (OUTER - DEAD_ZONE)))
    return x / length * wanted, y / length * wanted


def from_rest(value: float, rest: float) -> float:
    """An axis counted from where it rests, both ends staying where they are."""
    return (value - rest) / (1.0 - rest if value > rest else 1.0 + rest)


class Rest:
    """Where one pad's sticks rest: zero until they have lain still near the middle for 1 s, then what
    was last seen there. A thumb that was taken for rest is forgotten 1 s after it lets go."""

    def __init__(self) -> None:
        self._offsets: Sticks = (0.0, 0.0, 0.0, 0.0)
        self._first: Sticks = (math.inf,) * 4
        self._since_ns = 0

    @property
    def offsets(self) -> Sticks:
        return self._offsets

    def correct(self, raw: Sticks) -> Sticks:
        """The sticks counted from their rest position."""
        a, b, c, d = self._offsets
        x, y, z, w = raw
        return from_rest(x, a), from_rest(y, b), from_rest(z, c), from_rest(w, d)

    def watch(self, raw: Sticks, now_ns: int) -> None:
        """Take in what the sticks do while nobody drives."""
        a, b, c, d = self._first
        x, y, z, w = raw
        if max(abs(x - a), abs(y - b), abs(z - c), abs(w - d)) > REST_TREMOR:
            self._first, self._since_ns = raw, now_ns
        elif now_ns - self._since_ns >= CALIBRATION_NS and max(map(abs, self._first)) <= LARGEST_OFFSET:
            self._offsets = self._first

    def forget(self) -> None:
        """Start counting anew: what comes now does not follow on what came before."""
        self._first = (math.inf,) * 4


class FrozenWatch:
    """Tells sticks that a pad keeps repeating from sticks that a hand holds: no hand is bit-identical
    for 1.5 s. Rest and end stops are honest."""

    def __init__(self) -> None:
        self._last: Sticks | None = None
        self._since_ns = 0

    def frozen(self, raw: Sticks, corrected: Sticks, now_ns: int) -> bool:
        if raw != self._last:
            self._last, self._since_ns = raw, now_ns
            return False
        if now_ns - self._since_ns < FROZEN_NS:
            return False
        left, right = math.hypot(*corrected[:2]), math.hypot(*corrected[2:])
        return FROZEN_LOW < left < FROZEN_HIGH or FROZEN_LOW < right < FROZEN_HIGH

    def forget(self) -> None:
        """Start counting anew: what came until now was not from the pad."""
        self._last = None


class Ramp:
    """Two keys as an axis: it grows to its end within 150 ms and is gone at once on release."""

    def __init__(self) -> None:
        self._direction = 0
        self._since_ns = 0

    def value(self, plus: bool, minus: bool, now_ns: int) -> float:
        direction = int(plus) - int(minus)
        if direction != self._direction:
            self._direction, self._since_ns = direction, now_ns
        return direction * min(1.0, (now_ns - self._since_ns) / RAMP_NS)


class Trigger:
    """A trigger as a button: down from 0.5 on, up below 0.3."""

    def __init__(self) -> None:
        self.down = False

    def moved(self, value: float) -> bool:
        """Whether this value pressed or released it."""
        down = value >= (RELEASE_AT if self.down else PRESS_AT)
        changed, self.down = down != self.down, down
        return changed
