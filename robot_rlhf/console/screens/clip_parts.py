"""What stands around a clip: its frame, and under it what hand, object and driver did over the time.

People overlook what is small in the picture, so the fingers' opening is a curve of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pygame

from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.theme import Colour
from robot_rlhf.console.screens.clips import Bools, Reel, runs

OPENING: Colour = (122, 138, 156)
HOLDING: Colour = theme.GOOD
MOVING: Colour = theme.YELLOW
POLICY: Colour = theme.SKY
OPERATOR: Colour = theme.ORANGE

_LABELS = 58  # points, left of the strips
_BLINK_S = 0.5  # an object that rests for less is drawn as moving on
_REWARD, _CURVE, _STRIP, _BETWEEN = 44, 30, 15, 6


@dataclass(frozen=True)
class Lanes:
    """Which strips are shown, from the top: the learned reward of each step where there is one, the
    gripper, whether an object moves, who drives."""

    gripper: bool
    objects: bool
    drivers: bool
    reward: tuple[float, ...] = ()

    def height(self, canvas: Canvas) -> int:
        """Pixels that `timelines` takes."""
        points = [_REWARD] * bool(self.reward) + [_CURVE] * self.gripper
        points += [_STRIP] * (self.objects + self.drivers)
        return sum(map(canvas.px, points)) + canvas.px(_BETWEEN) * max(0, len(points) - 1)


def timelines(
    canvas: Canvas, area: pygame.Rect, reel: Reel, time_s: float, loop_s: float, lanes: Lanes
) -> None:
    """The reel's strips on a common time from 0 to `loop_s`, a cursor across them at `time_s`; what lies
    past the reel's own end is left dark."""
    strip = pygame.Rect(area)
    strip.x += canvas.px(_LABELS)
    strip.width -= canvas.px(_LABELS)
    share = reel.duration_s / loop_s if loop_s > 0 else 1.0
    own = pygame.Rect(strip.x, strip.y, max(1, round(strip.width * share)), strip.height)
    y = area.y
    if reward := lanes.reward:
        lane = pygame.Rect(own.x, y, own.width, canvas.px(_REWARD))
        _label(canvas, area.x, lane, "reward")
        canvas.panel(lane, theme.RAISED, radius=3)
        reach = max(1.0, max(map(abs, reward)))
        inner = lane.inflate(0, -canvas.px(6))
        canvas.sparkline(inner, reward, theme.PURPLE, low=-reach, high=reach, zero=True)
        y = lane.bottom + canvas.px(_BETWEEN)
    if lanes.gripper:
        lane = pygame.Rect(own.x, y, own.width, canvas.px(_CURVE))
        _label(canvas, area.x, lane, "gripper")
        _opening(canvas, lane, reel)
        y = lane.bottom + canvas.px(_BETWEEN)
    if lanes.objects:
        lane = pygame.Rect(own.x, y, own.width, canvas.px(_STRIP))
        _label(canvas, area.x, lane, "object")
        moving = _joined(reel.moving, round(_BLINK_S * reel.hz))
        canvas.timeline(lane, shares(moving), MOVING)
        _words(canvas, lane, moving, "moves")
        y = lane.bottom + canvas.px(_BETWEEN)
    if lanes.drivers:
        lane = pygame.Rect(own.x, y, own.width, canvas.px(_STRIP))
        _label(canvas, area.x, lane, "driver")
        driver_strip(canvas, lane, reel)
    x = strip.x + round((strip.width - 1) * min(1.0, time_s / loop_s if loop_s > 0 else 0.0))
    over = canvas.px(3)
    canvas.fill(
        pygame.Rect(x - canvas.px(1), area.y - over, canvas.px(2), area.height + 2 * over), theme.TEXT
    )


def _joined(flags: Bools, gap: int) -> Bools:
    """`flags` with pauses of at most `gap` filled in."""
    joined = flags.copy()
    for first, past in runs(~flags):
        if first > 0 and past < len(flags) and past - first <= gap:
            joined[first:past] = True
    return joined


def driver_strip(canvas: Canvas, lane: pygame.Rect, reel: Reel) -> None:
    """Who drove each step, by colour and by word."""
    canvas.timeline(lane, shares(reel.operator), OPERATOR, track=theme.mixed(theme.PANEL, POLICY, 0.6))
    _words(canvas, lane, reel.operator, "human")
    _words(canvas, lane, ~reel.operator, "policy")


def shares(flags: Bools) -> Sequence[tuple[float, float]]:
    """The stretches that are True as shares of the whole, for `Canvas.timeline`."""
    count = max(1, len(flags))
    return [(first / count, past / count) for first, past in runs(flags)]


def _label(canvas: Canvas, x: int, lane: pygame.Rect, word: str) -> None:
    canvas.text(word, (x, lane.centery), theme.TINY, theme.MUTED, anchor="midleft")


def _words(canvas: Canvas, lane: pygame.Rect, flags: Bools, word: str) -> None:
    """The word in the middle of every stretch that has room for it."""
    width = canvas.width(word, theme.TINY, True) + canvas.px(10)
    for start, end in shares(flags):
        left, right = lane.x + round(lane.width * start), lane.x + round(lane.width * end)
        if right - left >= width:
            middle = ((left + right) // 2, lane.centery)
            canvas.text(word, middle, theme.TINY, theme.INK, bold=True, anchor="center")


def _opening(canvas: Canvas, lane: pygame.Rect, reel: Reel) -> None:
    """The fingers' opening as a hill, coloured and named where they hold something."""
    canvas.panel(lane, theme.RAISED, radius=3)
    count = len(reel.opening)
    step = (lane.width - 1) / max(1, count - 1)
    places = [
        (lane.x + index * step, lane.bottom - 1 - float(value) * (lane.height - 3))
        for index, value in enumerate(reel.opening)
    ]
    _hill(canvas, lane, places, OPENING)
    for first, past in runs(reel.holding):
        part = places[max(0, first - 1) : past]
        if len(part) > 1:
            _hill(canvas, lane, part, HOLDING)
            left, right = round(part[0][0]), round(part[-1][0])
            middle = round(max(y for _, y in part) + lane.bottom) // 2
            if canvas.width("holds", theme.TINY, True) + canvas.px(12) < right - left:
                canvas.text(
                    "holds", ((left + right) // 2, middle), theme.TINY, theme.INK, bold=True, anchor="center"
                )


def _hill(canvas: Canvas, lane: pygame.Rect, places: Sequence[tuple[float, float]], colour: Colour) -> None:
    if len(places) < 2:
        return
    ground = [(places[-1][0], lane.bottom - 1), (places[0][0], lane.bottom - 1)]
    pygame.draw.polygon(
        canvas.surface,
        theme.mixed(theme.RAISED, colour, 0.75),
        [(math.floor(x), y) for x, y in (*places, *ground)],
    )
    pygame.draw.aalines(canvas.surface, colour, False, places)


def clock(canvas: Canvas, at: tuple[int, int], time_s: float, duration_s: float) -> None:
    """'1.3 / 2.0 s' on a dark ground, its lower right corner at `at`."""
    text = f"{time_s:.1f} / {duration_s:.1f} s"
    width = canvas.width(text, theme.SMALL, True) + canvas.px(16)
    place = pygame.Rect(0, 0, width, canvas.line_height(theme.SMALL) + canvas.px(6))
    place.bottomright = at
    canvas.panel(place, theme.BACKGROUND, radius=6)
    canvas.text(text, place.center, theme.SMALL, theme.TEXT, bold=True, anchor="center")
