"""The newcomer's guide as a card over the main camera. On the render thread."""

from __future__ import annotations

import numpy as np
import pygame

from robot_rlhf.console.drawing import parts, theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.scene.camera import NEAR_M, Projection, Viewpoint
from robot_rlhf.console.screens.drive.card_place import Placer, Point, corners
from robot_rlhf.console.screens.drive.guide import SKIP, Card
from robot_rlhf.console.screens.model import Model

_TICKS = 26  # height of a row of them, in points
_NEAR = 60  # points from the card to what should be seen beside it
_ABOVE, _BELOW, _ASIDE = 54, 44, 14  # points of the picture where other things stand
_TOOL, _OBJECTS, _POSE = slice(9, 12), 19, 7  # of a scene row


class GuideCard:
    """Draws the steps in the corner of the camera where they hide neither tool nor objects."""

    def __init__(self) -> None:
        self._placer = Placer()

    def draw(
        self, canvas: Canvas, area: pygame.Rect, model: Model, card: Card, view: Viewpoint, lowered: int = 0
    ) -> None:
        """A step over the camera in `area`, which looks from `view`; `lowered`: how many points more than
        always are taken at the top."""
        aside, above, below = canvas.px(_ASIDE), canvas.px(_ABOVE + lowered), canvas.px(_BELOW)
        room = pygame.Rect(
            area.x + aside,
            area.y + above,
            max(1, area.width - 2 * aside),
            max(1, area.height - above - below),
        )
        width = min(canvas.px(350), room.width)
        size = width, min(_height(canvas, width, model, card), room.height)
        points = [(x + area.x, y + area.y) for x, y in _in_sight(model, view, area.size)]
        place = self._placer.place(corners(room, size), points, canvas.px(_NEAR), model.now_ns)
        _draw_card(canvas, place, model, card)


def _in_sight(model: Model, view: Viewpoint, size: tuple[int, int]) -> list[Point]:
    """Where the tool and the objects are in a picture of that size, as far as they are in it."""
    if model.row is None:
        return []
    row = model.row.astype(np.float64)
    tool, objects = row[_TOOL], row[_OBJECTS:].reshape(-1, _POSE)[:, :3]
    projection = Projection(view.placed(tool), *size)
    camera = projection.to_camera(np.vstack([tool, objects]))
    ahead = camera[camera[:, 2] > NEAR_M]
    seen = pygame.Rect((0, 0), size)
    return [(x, y) for x, y in projection.to_screen(ahead).tolist() if seen.collidepoint(x, y)]


def _height(canvas: Canvas, width: int, model: Model, card: Card) -> int:
    inner = width - 2 * canvas.px(14)
    probe = pygame.Rect(0, 0, inner, canvas.px(1000))
    text = parts.flow(canvas, probe, model.spelled(card.sentences), size=theme.BODY, draws=False)
    return text + canvas.px(70 + _TICKS * _tick_rows(canvas, inner, card))


def _draw_card(canvas: Canvas, place: pygame.Rect, model: Model, card: Card) -> None:
    pad = canvas.px(14)
    inner = place.width - 2 * pad
    words, rows = model.spelled(card.sentences), _tick_rows(canvas, inner, card)
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
