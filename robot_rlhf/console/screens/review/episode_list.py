"""The list of episodes at the left of the Review screen."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import pygame

from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.parts import cut_top
from robot_rlhf.console.drawing.theme import Colour
from robot_rlhf.console.screens.clip_parts import OPERATOR, POLICY
from robot_rlhf.feedback.messages import EpisodeLine

_ROW = 44  # points
_ROLES = {"demonstration": "demonstration", "online": "policy"}


def role_words(line: EpisodeLine) -> str:
    """Why an episode was recorded, in a word."""
    return _ROLES.get(line.role, line.role)


def draw_list(
    canvas: Canvas,
    area: pygame.Rect,
    lines: Sequence[EpisodeLine],
    selected: int,
    saying: AbstractSet[int],
    hz: float,
) -> None:
    """The lines around the episode `selected`, which must be one of them, and how many there are; of those
    in `saying` something is being said."""
    canvas.panel(area, theme.PANEL)
    inset = canvas.px(theme.PAD)
    head = cut_top(area, canvas.px(46))[0]
    head = head.inflate(-2 * inset, 0)
    canvas.text("Episodes", head.midleft, theme.LEAD, bold=True, anchor="midleft")
    x = head.right
    kept = [line for line in lines if not line.removed]
    for icon, colour, mark in (("cross", theme.ALARM, False), ("check", theme.GOOD, True)):
        count = str(sum(line.mark is mark for line in kept))
        text = canvas.text(count, (x, head.centery), theme.SMALL, colour, bold=True, anchor="midright")
        x = canvas.icon(icon, (text.x - canvas.px(4), head.centery), 14, colour, "midright").x - canvas.px(12)
    canvas.fill(pygame.Rect(area.x, head.bottom, area.width, canvas.px(1)), theme.LINE)
    rows = pygame.Rect(
        area.x, head.bottom + canvas.px(6), area.width, area.bottom - head.bottom - canvas.px(12)
    )
    height = canvas.px(_ROW)
    room = max(1, rows.height // height)
    index = next(i for i, line in enumerate(lines) if line.episode == selected)
    first = min(max(0, index - room // 2), max(0, len(lines) - room))
    for place, line in enumerate(lines[first : first + room]):
        row = pygame.Rect(rows.x + canvas.px(6), rows.y + place * height, rows.width - canvas.px(18), height)
        if line.episode == selected:
            canvas.panel(row, theme.RAISED, radius=8, outline=theme.SKY, thickness=1.5)
        _row(canvas, row, line, line.steps / hz, line.episode in saying)
    if len(lines) > room:
        rail = pygame.Rect(rows.right - canvas.px(8), rows.y, canvas.px(4), rows.height)
        canvas.panel(rail, theme.RAISED, radius=2)
        top, length = first / len(lines), room / len(lines)
        thumb = pygame.Rect(
            rail.x,
            rail.y + round(top * rail.height),
            rail.width,
            max(rail.width, round(length * rail.height)),
        )
        canvas.panel(thumb, theme.FAINT, radius=2)


def _row(canvas: Canvas, area: pygame.Rect, line: EpisodeLine, length_s: float, saying: bool) -> None:
    """Number, role and length, who drove as a bar, the mark as an icon."""
    inset = canvas.px(10)
    ink = theme.FAINT if line.removed else theme.TEXT
    icon, colour = _mark_icon(line)
    if saying:
        icon, colour = "clock", theme.MUTED
    canvas.icon(icon, (area.right - inset, area.centery), 18, colour, "midright")
    number = canvas.text(
        str(line.episode), (area.x + inset, area.centery), theme.BODY, ink, bold=True, anchor="midleft"
    )
    x = max(area.x + canvas.px(48), number.right + canvas.px(10))
    room = area.right - inset - canvas.px(26) - x
    if line.removed:
        canvas.text("removed", (x, area.centery), theme.SMALL, ink, anchor="midleft", width=room)
        return
    above = (x, area.centery + canvas.px(1))
    canvas.text(role_words(line), above, theme.SMALL, ink, anchor="bottomleft", width=room)
    bar = pygame.Rect(x, area.centery + canvas.px(7), canvas.px(96), canvas.px(5))
    if bar.width >= room:
        return
    policy = theme.mixed(theme.PANEL, POLICY, 0.6)
    canvas.bar(bar, 1.0, policy)
    if line.operator_fraction > 0:
        canvas.bar(bar, line.operator_fraction, OPERATOR, track=policy)
    length = f"{length_s:.1f} s"
    if bar.width + canvas.px(8) + canvas.width(length, theme.TINY) <= room:
        at = (bar.right + canvas.px(8), bar.centery)
        canvas.text(length, at, theme.TINY, theme.MUTED, anchor="midleft")


def _mark_icon(line: EpisodeLine) -> tuple[str, Colour]:
    if line.removed:
        return "bin", theme.FAINT
    if line.mark is None:
        return "dot", theme.LINE
    return ("check", theme.GOOD) if line.mark else ("cross", theme.ALARM)
