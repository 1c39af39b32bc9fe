"""The newcomer's guide as a card over the main camera. On the render thread."""

from __future__ import annotations

import pygame

from robot_rlhf.console import parts, theme
from robot_rlhf.console.canvas import Canvas
from robot_rlhf.console.guide import SKIP, Card
from robot_rlhf.console.screen import Model


def draw_guide(canvas: Canvas, area: pygame.Rect, model: Model, card: Card) -> None:
    """A step at the lower left of `area`."""
    margin, pad = canvas.px(14), canvas.px(14)
    width = min(canvas.px(430), area.width - 2 * margin)
    inner = width - 2 * pad
    words = model.spelled(card.sentences)
    probe = pygame.Rect(0, 0, inner, area.height)
    text = parts.flow(canvas, probe, words, size=theme.BODY, draws=False)
    height = min(text + canvas.px(96), area.height - 2 * margin)
    place = pygame.Rect(area.x + margin, area.bottom - margin - height, width, height)
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
    room = pygame.Rect(x, y, inner, place.bottom - canvas.px(36) - y)
    y += parts.flow(canvas, room, words, size=theme.BODY, colour=theme.TEXT)
    _draw_ticks(canvas, pygame.Rect(x, place.bottom - canvas.px(38), inner, canvas.px(26)), card)


def _draw_skip(canvas: Canvas, at: tuple[int, int], model: Model, card: Card) -> int:
    """The hint for the skip button, up to the right edge at `at`; returns its left edge."""
    words = f"hold to {'close' if card.number == card.of else 'skip'}"
    caps = model.caps(SKIP)
    left = at[0] - parts.hint_width(canvas, caps, words, theme.TINY)
    parts.hint(canvas, caps, words, (left, at[1]), size=theme.TINY, held=card.skipping)
    return left


def _draw_ticks(canvas: Canvas, area: pygame.Rect, card: Card) -> None:
    x = area.x
    for words, done in card.ticks:
        width = canvas.width(words, theme.SMALL) + canvas.px(22)
        if x + width > area.right:
            return
        colour = theme.GOOD if done else theme.FAINT
        mark = canvas.icon("check" if done else "circle", (x, area.centery), 15, colour, "midleft")
        x = canvas.text(
            words,
            (mark.right + canvas.px(5), area.centery),
            theme.SMALL,
            theme.TEXT if done else theme.MUTED,
            anchor="midleft",
        ).right + canvas.px(12)
