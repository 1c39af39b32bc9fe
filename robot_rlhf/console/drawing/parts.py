"""Parts of a screen that are made of several: buttons as they look on the device, hints, banners, cards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pygame

from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.theme import Colour

# What a face button looks like, by the label that labels.py gives it: an icon, or a letter, and its colour.
_FACES: dict[str, tuple[str, Colour]] = {
    "cross": ("cross", (122, 170, 233)),
    "circle": ("circle", (240, 112, 110)),
    "square": ("square", (222, 142, 200)),
    "triangle": ("triangle", (64, 206, 160)),
}
_LETTERS: dict[str, Colour] = {
    "A": (110, 200, 110),
    "B": (240, 112, 110),
    "X": (110, 170, 240),
    "Y": (242, 200, 80),
}
_ARROWS = ("up", "down", "left", "right")


@dataclass(frozen=True)
class Cap:
    """What to press, as it is called on the device: 'RB', 'cross', 'D-pad up', 'Space'. `pad` says
    that it sits on a pad and not on a keyboard."""

    label: str
    pad: bool


def cap_width(canvas: Canvas, cap: Cap, height: int) -> int:
    """Pixels that `draw_cap` takes."""
    if (cap.pad and (cap.label in _LETTERS or cap.label in _FACES)) or _arrow(cap):
        return height
    return max(height, canvas.width(cap.label, theme.SMALL, True) + canvas.px(16))


def draw_cap(
    canvas: Canvas, cap: Cap, at: tuple[int, int], *, height: int, anchor: str = "midleft"
) -> pygame.Rect:
    """The button, key or direction of the D-pad. Returns where it stands."""
    place = pygame.Rect(0, 0, cap_width(canvas, cap, height), height)
    setattr(place, anchor, at)
    points = height / canvas.scale
    if cap.pad and cap.label in _FACES:
        icon, colour = _FACES[cap.label]
        canvas.panel(place, theme.RAISED, radius=points / 2, outline=colour, thickness=1.5)
        canvas.icon(icon, place.center, points * 0.62, colour)
    elif cap.pad and cap.label in _LETTERS:
        canvas.panel(place, _LETTERS[cap.label], radius=points / 2)
        canvas.text(cap.label, place.center, theme.SMALL, theme.INK, bold=True, anchor="center")
    elif arrow := _arrow(cap):
        canvas.panel(place, theme.RAISED, radius=6, outline=theme.FAINT, thickness=1.2)
        canvas.icon(arrow, place.center, points * 0.6, theme.TEXT)
    else:
        radius = points / 2.6 if cap.pad else 6
        canvas.panel(place, theme.RAISED, radius=radius, outline=theme.FAINT, thickness=1.2)
        canvas.text(cap.label, place.center, theme.SMALL, theme.TEXT, bold=True, anchor="center")
    return place


def _arrow(cap: Cap) -> str:
    word = cap.label.removeprefix("D-pad ").lower() if cap.pad else cap.label.lower()
    return word if word in _ARROWS and (not cap.pad or cap.label.startswith("D-pad")) else ""


def hint_width(canvas: Canvas, caps: Sequence[Cap], words: str, size: float = theme.SMALL) -> int:
    """Pixels that `hint` takes."""
    height = canvas.px(22)
    return (
        sum(cap_width(canvas, cap, height) + canvas.px(4) for cap in dict.fromkeys(caps))
        + canvas.px(4)
        + canvas.width(words, size)
    )


def hint(
    canvas: Canvas,
    caps: Sequence[Cap],
    words: str,
    at: tuple[int, int],
    *,
    colour: Colour = theme.MUTED,
    size: float = theme.SMALL,
    held: float = 0.0,
) -> pygame.Rect:
    """Buttons followed by what they do, from the middle of the left edge on; `held` 0..1 is drawn as a
    ring around the first while it is held. Returns where it stands."""
    height = canvas.px(22)
    start = pygame.Rect(at[0], at[1] - height // 2, 0, height)
    x = at[0]
    for index, cap in enumerate(dict.fromkeys(caps)):
        place = draw_cap(canvas, cap, (x, at[1]), height=height)
        if held > 0 and index == 0:
            canvas.ring(place.center, 17, held, theme.YELLOW, width=4)
        x = place.right + canvas.px(4)
    text = canvas.text(words, (x + canvas.px(4), at[1]), size, colour, anchor="midleft")
    return start.union(text)


def hint_row(
    canvas: Canvas, area: pygame.Rect, hints: Sequence[tuple[Sequence[Cap], str]], *, gap: float = 18
) -> None:
    """As many hints as fit, from the left, in the middle of the area's height."""
    x = area.x
    for caps, words in hints:
        if x + hint_width(canvas, caps, words) > area.right:
            return
        x = hint(canvas, caps, words, (x, area.centery)).right + canvas.px(gap)


def banner(
    canvas: Canvas, area: pygame.Rect, icon: str, word: str, colour: Colour, *, loud: bool = False
) -> pygame.Rect:
    """A coloured strip with an icon and a large word at its left; returns what is left of it. The colour
    is full behind the word, and behind all of it where it is `loud` (then INK can be read on it)."""
    canvas.fill(area, colour if loud else theme.mixed(theme.PANEL, colour, 0.24))
    pad = canvas.px(theme.PAD)
    width = canvas.px(26 + 10 + 18) + pad + canvas.width(word, theme.TITLE, True)
    canvas.fill(pygame.Rect(area.x, area.y, width, area.height), colour)
    canvas.fill(pygame.Rect(area.x, area.bottom - canvas.px(4), area.width, canvas.px(4)), colour)
    mark = canvas.icon(icon, (area.x + pad, area.centery), 26, theme.INK, "midleft")
    text = canvas.text(
        word, (mark.right + canvas.px(10), area.centery), theme.TITLE, theme.INK, bold=True, anchor="midleft"
    )
    left = text.right + canvas.px(36)
    return pygame.Rect(left, area.y, max(0, area.right - pad - left), area.height)


def card(canvas: Canvas, within: pygame.Rect, icon: str, title: str, words: str, colour: Colour) -> None:
    """A message in the middle of `within`, over what is drawn there."""
    width = min(within.width - canvas.px(40), canvas.px(520))
    if width < canvas.px(120):
        return
    inner = width - canvas.px(48)
    body = canvas.paragraph_height(words, inner, theme.BODY) if words else 0
    head = canvas.paragraph_height(title, inner, theme.LEAD, True)
    height = canvas.px(24 + 34 + 12 + 24 + 8) + head + body
    place = pygame.Rect(0, 0, width, min(height, within.height))
    place.center = within.center
    canvas.panel(place, theme.PANEL, radius=14, outline=colour, thickness=2)
    top = place.y + canvas.px(24)
    canvas.icon(icon, (place.centerx, top), 34, colour, "midtop")
    top += canvas.px(34 + 12)
    left = place.x + canvas.px(24)
    room = place.bottom - canvas.px(12)
    top += canvas.paragraph(
        title, pygame.Rect(left, top, inner, room - top), theme.LEAD, theme.TEXT, bold=True, centred=True
    ) + canvas.px(8)
    if words and room > top:
        canvas.paragraph(
            words, pygame.Rect(left, top, inner, room - top), theme.BODY, theme.MUTED, centred=True
        )


def labelled_value(
    canvas: Canvas, area: pygame.Rect, label: str, value: str, colour: Colour = theme.TEXT
) -> None:
    """A row of the area's height: a muted label at its left, the value at its right."""
    place = canvas.text(value, area.midright, theme.SMALL, colour, bold=True, anchor="midright")
    room = place.x - area.x - canvas.px(6)
    if room > canvas.px(16):
        canvas.text(label, area.midleft, theme.SMALL, theme.MUTED, anchor="midleft", width=room)


# -- dividing an area -------------------------------------------------------------------------------


def cut_top(area: pygame.Rect, height: int, gap: int = 0) -> tuple[pygame.Rect, pygame.Rect]:
    """The upper part of an area and what is left below a gap."""
    height = max(0, min(height, area.height))
    rest = max(0, area.height - height - gap)
    return (
        pygame.Rect(area.x, area.y, area.width, height),
        pygame.Rect(area.x, area.bottom - rest, area.width, rest),
    )


def cut_bottom(area: pygame.Rect, height: int, gap: int = 0) -> tuple[pygame.Rect, pygame.Rect]:
    """The lower part of an area and what is left above a gap."""
    height = max(0, min(height, area.height))
    rest = max(0, area.height - height - gap)
    return (
        pygame.Rect(area.x, area.bottom - height, area.width, height),
        pygame.Rect(area.x, area.y, area.width, rest),
    )


def columns(area: pygame.Rect, count: int, gap: int) -> list[pygame.Rect]:
    """Equally wide columns with gaps between them."""
    width = (area.width - gap * (count - 1)) / count
    edges = [area.x + round(i * (width + gap)) for i in range(count)]
    return [pygame.Rect(x, area.y, max(0, round(width)), area.height) for x in edges]


# -- sentences with buttons in them -----------------------------------------------------------------

GAP_TOKEN = "|"
"""In a sentence: a wider gap."""


def flow(
    canvas: Canvas,
    area: pygame.Rect,
    words: Sequence[str | Sequence[Cap]],
    *,
    size: float = theme.BODY,
    colour: Colour = theme.TEXT,
    bold: bool = False,
    draws: bool = True,
) -> int:
    """A sentence with buttons, broken into lines as wide as the area, from its top; what does not fit is
    left out. Returns the height that it takes; with `draws=False` it is only measured."""
    cap_height = canvas.px(22)
    line = max(cap_height, canvas.line_height(size)) + canvas.px(4)
    space = canvas.width(" ", size, bold) + canvas.px(1)
    x, y, gap = area.x, area.y + line // 2, 0
    for token in _tokens(words):
        if token == GAP_TOKEN:
            gap = canvas.px(16)
            continue
        if isinstance(token, str):
            width = canvas.width(token, size, bold)
            if token[0] in ",.:;":
                gap = 0
        else:
            width = sum(cap_width(canvas, cap, cap_height) for cap in token)
            width += canvas.px(3) * (len(token) - 1)
            gap = max(gap, canvas.px(6))
        if x > area.x and x + gap + width > area.right:
            x, y, gap = area.x, y + line, 0
        x += gap if x > area.x else 0
        if draws and y + line // 2 <= area.bottom + canvas.px(2):
            if isinstance(token, str):
                canvas.text(token, (x, y), size, colour, bold=bold, anchor="midleft", width=area.width)
            else:
                left = x
                for cap in token:
                    left = draw_cap(canvas, cap, (left, y), height=cap_height).right + canvas.px(3)
        x += width
        gap = space if isinstance(token, str) else canvas.px(6)
    return y + line // 2 - area.y


def _tokens(words: Sequence[str | Sequence[Cap]]) -> Iterator[str | tuple[Cap, ...]]:
    """Words and groups of buttons one by one. Buttons that follow each other are one group, each once."""
    group: dict[Cap, None] = {}
    for part in (*words, ""):
        if not isinstance(part, str):
            group |= dict.fromkeys(part)
            continue
        if group:
            yield tuple(group)
            group = {}
        yield from part.split()
