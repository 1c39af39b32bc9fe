"""The console's look: colours, sizes of text, corners. Colours that carry meaning are Okabe and Ito's,
which are told apart by people who see red and green alike; each comes with a word and an icon as well.

Sizes are in points, one pixel each at a UI scale of 1.
"""

from __future__ import annotations

Colour = tuple[int, int, int]

# Okabe and Ito (2008), Color Universal Design
ORANGE: Colour = (230, 159, 0)
SKY: Colour = (86, 180, 233)
GREEN: Colour = (0, 158, 115)
YELLOW: Colour = (240, 228, 66)
BLUE: Colour = (0, 114, 178)
VERMILLION: Colour = (213, 94, 0)
PURPLE: Colour = (204, 121, 167)

BACKGROUND: Colour = (13, 17, 23)
PANEL: Colour = (22, 28, 36)
RAISED: Colour = (33, 41, 52)
LINE: Colour = (49, 60, 74)
TEXT: Colour = (233, 238, 243)
MUTED: Colour = (158, 170, 183)
FAINT: Colour = (118, 130, 144)
INK: Colour = (10, 13, 17)
"""Text and icons on a coloured ground."""

GOOD: Colour = (38, 190, 145)
"""GREEN, lightened until text in it can be read on the dark ground; as a ground it takes INK."""
WARN: Colour = ORANGE
ALARM: Colour = (240, 112, 48)
"""VERMILLION, lightened as GOOD is."""
_READABLE = {VERMILLION: ALARM, GREEN: GOOD, BLUE: SKY}

LEFT: Colour = SKY
RIGHT: Colour = ORANGE
"""The two clips of a pair."""

TINY, SMALL, BODY, LEAD, TITLE, HUGE = 12, 13, 15, 18, 23, 32
"""Text sizes."""
GAP, PAD, RADIUS = 8, 14, 10
"""Between things, inside a panel, a panel's corners."""

LEAST_SCALE, MOST_SCALE = 1.0, 3.0
DESIGN_SIZE = (1280, 800)
"""The window, in points, that the layouts are drawn for; they hold down to half of it."""


def fitting_scale(size: tuple[int, int]) -> float:
    """The UI scale at which a window of this size in pixels shows what it is designed for, in quarters."""
    fit = min(size[0] / DESIGN_SIZE[0], size[1] / DESIGN_SIZE[1])
    return checked_scale(max(LEAST_SCALE, min(MOST_SCALE, int(fit * 4) / 4)))


def checked_scale(scale: float) -> float:
    """`scale` itself; ValueError if it is not from 1 to 3."""
    if not LEAST_SCALE <= scale <= MOST_SCALE:
        raise ValueError(f"the UI scale is {scale}: it must be from {LEAST_SCALE:g} to {MOST_SCALE:g}")
    return scale


def as_ink(colour: Colour) -> Colour:
    """A colour of meaning as it is used for text on the dark grounds."""
    return _READABLE.get(colour, colour)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """`one` with a share 0..1 of `other`."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(one, other, strict=True))
    return r, g, b


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of WCAG 2, 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    linear = [c / 12.92 if (c := v / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for v in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
