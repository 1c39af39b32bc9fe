"""The newcomer's guide as a card over the main camera. On the render thread."""

from __future__ import annotations

import pygame

from robot_rlhf.console.drawing import parts, theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.screens.drive.guide import SKIP, Card
from robot_rlhf.console.screens.model import Model

_TICKS = 26  # height of a row of them, in points


def draw_guide(canvas: Canvas, area: pygame.Rect, model: Model, card: Card) -> None:
    """A step at the upper left of `area`, under the goal: the sky, where it hides nothing of the table."""
    margin, pad = canvas.px(14), canvas.px(14)
    width = min(canvas.px(350), area.width - 2 * margin)
    inner = width - 2 * pad
    words = model.spelled(card.sentences)
    probe = pygame.Rect(0, 0, inner, area.height)
    text = parts.flow(canvas, probe, words, size=theme.BODY, draws=False)
    rows = _tick_rows(canvas, inner, card)
    height = min(text + canvas.px(70 + _TICKS * rows), area.height - canvas.px(54) - margin)
    place = pygame.Rect(area.x + margin, area.y + canvas.px(54), width, height)
    canvas.panel(place, theme.PANEL, radius=12, outline=theme.SKY, thickness=1.5)
    x, y = place.x + pad, place.y + pad
    left = _draw_skip(canvas, (place.right - pad, y + canvas.px(9)), model, card)
    middle = (x, y + canvas.px(9))
    title = canvas.text(
        card.step.value, middle, theme.LEAD, bold=True, anchor="midleft", width=left - x - canvas.px(8)
    )
    if left - title.right > canvas.px(50):
        count, at = f"{card.number} of {card.of}", (title.right + canvas.px(10), middle[1])
        canvas.text(count, at, theme.SMALL, theme.FAINT, anchor="midleft")
    y += canvas.px(30)
    below = canvas.px(12 + _TICKS * rows)
    room = pygame.Rect(x, y, inner, place.bottom - below + canvas.px(2) - y)
    y += parts.flow(canvas, room, words, size=theme.BODY, colour=theme.TEXT)
    _draw_ticks(canvas, pygame.Rect(x, place.bottom - below, inner, canvas.px(_TICKS)), card)


def _draw_skip(canvas: Canvas, at: tuple[int, int], model: Model, card: Card) -> int:
    """The hint for the skip button, up to the right edge at `at`; returns its left edge."""
    words = f"hold to {'close' if card.number == card.of else 'skip'}"
    caps = model.caps(SKIP)
    left = at[0] - parts.hint_width(canvas, caps, words, theme.TINY)
    parts.hint(canvas, caps, words, (left, at[1]), size=theme.TINY, held=card.skipping)
    return left


def _tick_rows(canvas: Canvas, width: int, card: Card) -> int:
    rows, x = 1, 0
    for words, _ in card.ticks:
        needed = canvas.width(words, theme.SMALL) + canvas.px(22)
        if x and x + needed > width:
            rows, x = rows + 1, 0
        x += needed + canvas.px(10)
    return rows


def _draw_ticks(canvas: Canvas, area: pygame.Rect, card: Card) -> None:
    x, y = area.x, area.centery
    for words, done in card.ticks:
        width = canvas.width(words, theme.SMALL) + canvas.px(22)
        if x + width > area.right:
            x, y = area.x, y + canvas.px(_TICKS)
        colour = theme.GOOD if done else theme.FAINT
        mark = canvas.icon("check" if done else "circle", (x, y), 15, colour, "midleft")
        x = canvas.text(
            words,
            (mark.right + canvas.px(5), y),
            theme.SMALL,
            theme.TEXT if done else theme.MUTED,
            anchor="midleft",
        ).right + canvas.px(12)
