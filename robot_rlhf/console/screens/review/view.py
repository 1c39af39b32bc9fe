"""What the Review screen looks like: the list at the left, the selected episode with its timelines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pygame

from hardware.appearance import SceneDescription
from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.parts import (
    Cap,
    cap_width,
    card,
    columns,
    cut_bottom,
    cut_top,
    draw_cap,
    hint_row,
)
from robot_rlhf.console.drawing.theme import Colour
from robot_rlhf.console.input.actions import ACTIONS, Action
from robot_rlhf.console.scene.camera import Viewpoint
from robot_rlhf.console.scene.picture import Picture
from robot_rlhf.console.screens.clip_parts import Lanes, clock, timelines
from robot_rlhf.console.screens.clips import Playhead, Reel
from robot_rlhf.console.screens.model import Model
from robot_rlhf.console.screens.review.episode_list import draw_list, role_words
from robot_rlhf.feedback.messages import EpisodeLine


@dataclass(frozen=True, eq=False)
class Review:
    """The episode that is looked at. `reward` is what the learned reward says of its steps; may be empty."""

    episode: int
    reel: Reel
    reward: tuple[float, ...]
    head: Playhead

    def begun(self, now_ns: int, speed: float) -> Review:
        """The same from the start."""
        return replace(self, head=Playhead(self.reel.duration_s, now_ns, speed=speed))


@dataclass(frozen=True, eq=False)
class ReviewState:
    """All that a frame is drawn from. `line` is the selected one, `saying` the episodes of which
    something was said that does not show in `lines` yet."""

    model: Model
    now_ns: int
    lines: tuple[EpisodeLine, ...]
    line: EpisodeLine | None
    review: Review | None
    view: Viewpoint | None
    saying: frozenset[int]
    holding: Mapping[Action, float]
    watches: bool


def draw_review(canvas: Canvas, state: ReviewState, picture: Callable[[SceneDescription], Picture]) -> None:
    """The whole screen."""
    canvas.fill(canvas.area, theme.BACKGROUND)
    edge = canvas.px(theme.PAD)
    foot, rest = cut_bottom(canvas.area, canvas.px(44))
    _foot(canvas, foot.inflate(-2 * edge, 0), state)
    body = pygame.Rect(edge, edge, rest.width - 2 * edge, rest.height - edge)
    if state.line is None:
        canvas.panel(body, theme.PANEL)
        words = "They are listed here as they are recorded: demonstrations first, then the policy's."
        card(canvas, body, "clock", "No episodes yet", words, theme.MUTED)
        return
    width = canvas.px(min(300, canvas.points[0] * 0.32))
    listing = pygame.Rect(body.x, body.y, width, body.height)
    draw_list(canvas, listing, state.lines, state.line.episode, state.saying, state.model.hz)
    left = body.x + width + edge
    main = pygame.Rect(left, body.y, body.right - left, body.height)
    actions, main = cut_bottom(main, canvas.px(52), canvas.px(12))
    _episode(canvas, main, state, state.line, picture)
    _actions(canvas, actions, state, state.line)


# -- the episode ------------------------------------------------------------------------------------


def _episode(
    canvas: Canvas,
    area: pygame.Rect,
    state: ReviewState,
    line: EpisodeLine,
    picture: Callable[[SceneDescription], Picture],
) -> None:
    canvas.panel(area, theme.PANEL)
    inset = canvas.px(theme.PAD)
    head, rest = cut_top(area, canvas.px(46))
    _title(canvas, head.inflate(-2 * inset, 0), state, line)
    review, welcome = state.review, state.model.welcome
    if review is None or welcome is None or state.view is None:
        canvas.text("loading", rest.center, theme.BODY, theme.MUTED, anchor="center")
        return
    time_s, length_s = review.head.at(state.now_ns), review.reel.duration_s
    objects = any(not prop.is_marker for prop in welcome.description.props)
    reward = review.reward if len(review.reward) > 1 else ()
    lanes = Lanes(gripper=welcome.uses_gripper, objects=objects, drivers=True, reward=reward)
    if rest.height - lanes.height(canvas) < canvas.px(200):  # a small window: the driver alone
        lanes = Lanes(gripper=False, objects=False, drivers=True)
    height = lanes.height(canvas)
    strips, view = cut_bottom(rest, height + 2 * canvas.px(12))
    if view.height > 0:
        picture(welcome.description).draw(canvas.surface, view, review.reel.at(time_s), state.view)
        clock(canvas, (view.right - canvas.px(8), view.bottom - canvas.px(8)), time_s, length_s)
        if not review.head.playing:
            canvas.icon(
                "pause", (view.x + canvas.px(14), view.bottom - canvas.px(12)), 26, theme.TEXT, "bottomleft"
            )
    strips = strips.inflate(-2 * inset, -2 * canvas.px(12))
    timelines(canvas, strips, review.reel, time_s, length_s, lanes)
    if line.removed:
        canvas.veil(view, theme.BACKGROUND, 0.6)
        canvas.text(
            "Removed: nothing is learned from it", view.center, theme.LEAD, bold=True, anchor="center"
        )


def _title(canvas: Canvas, area: pygame.Rect, state: ReviewState, line: EpisodeLine) -> None:
    title = canvas.text(f"Episode {line.episode}", area.midleft, theme.LEAD, bold=True, anchor="midleft")
    words = f"{role_words(line)}, {line.steps / state.model.hz:.1f} s"
    if 0 < line.operator_fraction < 1:
        words += f", {line.operator_fraction:.0%} driven by a person"
    if line.episode in state.saying:
        mark, colour = "saving", theme.MUTED
    elif line.removed:
        mark, colour = "removed", theme.MUTED
    elif line.mark is None:
        mark, colour = "not marked", theme.MUTED
    else:
        mark, colour = ("success", theme.GOOD) if line.mark else ("failure", theme.ALARM)
    chip = canvas.chip(mark, area.midright, colour, anchor="midright")
    room = chip.x - title.right - canvas.px(30)
    if room > canvas.px(60):
        at = (title.right + canvas.px(14), area.centery + canvas.px(1))
        canvas.text(words, at, theme.SMALL, theme.MUTED, anchor="midleft", width=room)


# -- what can be done -------------------------------------------------------------------------------


def undo_words(line: EpisodeLine) -> str:
    """What undo would do to the episode; empty where there is nothing."""
    if line.removed:
        return "Bring back" if line.removed_id else ""
    return "Unmark" if line.mark is not None and line.mark_id else ""


def _actions(canvas: Canvas, area: pygame.Rect, state: ReviewState, line: EpisodeLine) -> None:
    free = line.episode not in state.saying and not state.watches
    here = free and not line.removed
    undo = undo_words(line)
    buttons: list[tuple[Action, str, Colour, bool, bool]] = [
        (Action.SUCCESS, "Success", theme.GOOD, here and line.mark is not True, line.mark is True),
        (Action.FAILURE, "Failure", theme.ALARM, here and line.mark is not False, line.mark is False),
        (Action.DELETE, "Remove", theme.MUTED, here, line.removed),
        (Action.UNDO, undo or "No undo", theme.MUTED, free and bool(undo), False),
    ]
    for place, (action, words, colour, live, done) in zip(
        columns(area, len(buttons), canvas.px(10)), buttons, strict=True
    ):
        held = state.holding.get(action, 0.0) if live else 0.0
        _button(
            canvas,
            place,
            state.model.caps(action),
            words,
            colour,
            live=live,
            done=done,
            held=held,
            needs_hold=ACTIONS[action].hold_s > 0,
        )


def _button(
    canvas: Canvas,
    area: pygame.Rect,
    caps: Sequence[Cap],
    words: str,
    colour: Colour,
    *,
    live: bool,
    done: bool,
    held: float,
    needs_hold: bool,
) -> None:
    """Bright while it can be used, with its colour where it is so already; `held` fills it from the left."""
    ground = theme.mixed(theme.PANEL, colour, 0.30 if done else 0.10)
    outline = theme.mixed(theme.PANEL, colour, 0.8 if live or done else 0.25)
    ink = theme.TEXT if live or done else theme.FAINT
    canvas.panel(area, ground, outline=outline, thickness=1.5)
    if held > 0:
        full = area.inflate(-canvas.px(4), -canvas.px(4))
        full.width = max(canvas.px(16), round(full.width * held))
        canvas.panel(full, theme.mixed(theme.PANEL, colour, 0.55), radius=8)
    height, gap = canvas.px(26), canvas.px(9)
    muted = theme.MUTED if live else theme.FAINT
    room = area.width - 2 * canvas.px(8)
    caps_width = sum(cap_width(canvas, cap, height) + gap for cap in caps)
    hold_width = canvas.width("hold", theme.SMALL) + gap if needs_hold else 0
    text_width = canvas.width(words, theme.BODY, True)
    if hold_width + caps_width + text_width > room:
        hold_width = 0
    if caps_width + text_width > room:  # the button above its words
        height = canvas.px(20)
        x = area.centerx - sum(cap_width(canvas, cap, height) for cap in caps) // 2
        for cap in caps:
            x = draw_cap(canvas, cap, (x, area.centery - canvas.px(10)), height=height).right
        below = (area.centerx, area.centery + canvas.px(13))
        canvas.text(words, below, theme.SMALL, ink, bold=True, anchor="center", width=room)
        return
    x = area.centerx - (hold_width + caps_width + text_width) // 2
    if hold_width:
        canvas.text("hold", (x, area.centery), theme.SMALL, muted, anchor="midleft")
        x += hold_width
    for cap in caps:
        x = draw_cap(canvas, cap, (x, area.centery), height=height).right + gap
    canvas.text(words, (x, area.centery), theme.BODY, ink, bold=True, anchor="midleft")


def _foot(canvas: Canvas, area: pygame.Rect, state: ReviewState) -> None:
    caps = state.model.caps
    pace = [*caps(Action.SLOWER), *caps(Action.FASTER)]
    walk = [*caps(Action.PREVIOUS_EPISODE), *caps(Action.NEXT_EPISODE)]
    scrub = caps(Action.SCRUB)[::-1]  # backward first
    head = state.review.head if state.review is not None else None
    hints: list[tuple[Sequence[Cap], str]] = [(walk, "choose")]
    if head is not None:
        hints += [
            (caps(Action.PLAY), "pause" if head.playing else "play"),
            (scrub, "back and forth"),
            (pace, f"speed {head.speed:g}×"),
            (caps(Action.ORBIT_X), "look around, or drag"),
        ]
    ways = [(caps(Action.TO_ARM), "back to the arm"), (caps(Action.STOP), "STOP")]
    hint_row(canvas, area, [*hints, *ways])
