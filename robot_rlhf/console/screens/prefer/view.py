"""What the Prefer screen looks like: two clips, their timelines, and four answers that lie as the buttons
of the pad lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.scene.camera import Viewpoint
from robot_rlhf.console.scene.picture import Picture
from robot_rlhf.console.screens.clip_parts import Lanes, clock, timelines
from robot_rlhf.console.screens.clips import Reel
from robot_rlhf.console.screens.model import Model
from robot_rlhf.console.screens.prefer.comparison import Answer, Fate, Question
from robot_rlhf.feedback.messages import Stage
from robot_rlhf.feedback.types import Choice

_FLASH_NS = 350_000_000
_NOUN = {
    Choice.LEFT: "left is better",
    Choice.RIGHT: "right is better",
    Choice.EQUAL: "equally good",
    Choice.CANNOT_TELL: "cannot tell",
}
_NEUTRAL: Colour = (150, 163, 178)
_ROOMY = 580  # points of height from which everything is shown


@dataclass(frozen=True, eq=False)
class PreferState:
    """All that a frame is drawn from. `worked`: pairs and minutes since the last rest."""

    model: Model
    now_ns: int
    view: Viewpoint | None
    question: Question | None
    answer: Answer | None
    answered: int
    resting: bool
    worked: tuple[int, float]
    watches: bool


def draw_prefer(canvas: Canvas, state: PreferState, picture: Callable[[SceneDescription], Picture]) -> None:
    """The whole screen."""
    canvas.fill(canvas.area, theme.BACKGROUND)
    roomy = canvas.points[1] >= _ROOMY
    edge = canvas.px(theme.PAD)
    head, rest = cut_top(canvas.area, canvas.px(66 if roomy else 40))
    foot, rest = cut_bottom(rest, canvas.px(44 if roomy else 30))
    _head(canvas, head.inflate(-2 * edge, 0), state, roomy)
    _foot(canvas, foot.inflate(-2 * edge, 0), state)
    body = rest.inflate(-2 * edge, 0)
    welcome, question = state.model.welcome, state.question
    if question is None or welcome is None or state.view is None:
        canvas.panel(body, theme.PANEL)
        icon, title, words = _nothing(state)
        card(canvas, body, icon, title, words, theme.MUTED)
        return
    answers, clips = cut_bottom(body, canvas.px(92 if roomy else 56), canvas.px(12 if roomy else 8))
    left, right = columns(clips, 2, edge)
    paint = picture(welcome.description)
    for area, reel, colour, word, action in (
        (left, question.left, theme.LEFT, "Left", Action.CHOOSE_LEFT),
        (right, question.right, theme.RIGHT, "Right", Action.CHOOSE_RIGHT),
    ):
        label = _Title(word, colour, _both_caps(state.model, action))
        _clip(canvas, area, state, question, reel, label, paint, roomy)
    _answers(canvas, answers, state)
    if state.resting:
        _rest(canvas, body, state)


# -- head and foot ----------------------------------------------------------------------------------


def _head(canvas: Canvas, area: pygame.Rect, state: PreferState, roomy: bool) -> None:
    status, model = state.model.status, state.model
    told = [("answered here", str(state.answered))]
    if status is not None:
        told.append(("waiting", str(status.pairs_waiting)))
        agreement = status.self_agreement
        told.append(("self-agreement", "–" if agreement is None else f"{agreement:.0%}"))
    x = area.right
    for label, value in reversed(told):
        width = max(canvas.width(label, theme.TINY), canvas.width(value, theme.LEAD, True))
        if roomy:
            canvas.text(value, (x, area.centery + canvas.px(4)), theme.LEAD, bold=True, anchor="bottomright")
            label_at = (x, area.centery + canvas.px(6))
            canvas.text(label, label_at, theme.TINY, theme.MUTED, anchor="topright")
        else:
            place = canvas.text(value, (x, area.centery), theme.BODY, bold=True, anchor="midright")
            label_at = (place.x - canvas.px(5), area.centery)
            width = place.right - canvas.text(label, label_at, theme.TINY, theme.MUTED, anchor="midright").x
        x -= width + canvas.px(26 if roomy else 14)
    room = x - area.x
    if not roomy:
        canvas.text("Which is better?", area.midleft, theme.LEAD, bold=True, anchor="midleft", width=room)
        return
    middle = area.centery + canvas.px(4)
    canvas.text("Which is better?", (area.x, middle), theme.TITLE, bold=True, anchor="bottomleft", width=room)
    goal = model.welcome.goal if model.welcome is not None else ""
    canvas.text(goal, (area.x, middle + canvas.px(2)), theme.SMALL, theme.MUTED, anchor="topleft", width=room)


def _foot(canvas: Canvas, area: pygame.Rect, state: PreferState) -> None:
    """At the right the last answer and its undo, at the left what else can be done."""
    right = _last_answer(canvas, area, state)
    caps = state.model.caps
    hints: list[tuple[Sequence[Cap], str]] = [
        (caps(Action.TO_ARM), "back to the arm"),
        (caps(Action.SCREEN), "next screen"),
        (caps(Action.STOP), "STOP"),
    ]
    if state.question is not None:
        pace = [*caps(Action.SLOWER), *caps(Action.FASTER)]
        speed = state.question.head.speed
        hints = [(pace, f"speed {speed:g}×"), (caps(Action.ORBIT_X), "look around, or drag"), *hints]
    hint_row(canvas, pygame.Rect(area.x, area.y, max(0, right - canvas.px(16) - area.x), area.height), hints)


def _last_answer(canvas: Canvas, area: pygame.Rect, state: PreferState) -> int:
    """Returns the left edge of what it took."""
    last = state.answer
    if last is None or not last.is_news(state.now_ns):
        return area.right
    icon, colour, words = {
        Fate.SENT: ("clock", theme.MUTED, f"{_NOUN[last.choice]}, saving"),
        Fate.SAVED: ("check", theme.GOOD, f"{_NOUN[last.choice]}, saved"),
        Fate.REFUSED: ("warning", theme.ALARM, f"not saved: {last.reason}"),
        Fate.TAKEN_BACK: ("undo", theme.GOOD, "answer taken back"),
    }[last.fate]
    if last.undo_id and last.fate in (Fate.SENT, Fate.SAVED):
        icon, colour, words = "undo", theme.MUTED, "taking it back"
        if last.reason:
            icon, colour, words = "warning", theme.ALARM, f"not taken back: {last.reason}"
    x, left_s = area.right, last.undo_left_s(state.now_ns)
    if left_s > 0:
        text = f"undo {left_s:.0f} s"
        x = canvas.text(text, (x, area.centery), theme.SMALL, theme.MUTED, anchor="midright").x - canvas.px(7)
        for cap in state.model.caps(Action.UNDO):
            x = draw_cap(canvas, cap, (x, area.centery), height=canvas.px(22), anchor="midright").x
        x -= canvas.px(14)
    most = max(canvas.px(60), (area.width * 2) // 3 - (area.right - x))
    place = canvas.text(
        words, (x, area.centery), theme.SMALL, colour, bold=True, anchor="midright", width=most
    )
    mark = canvas.icon(icon, (place.x - canvas.px(6), area.centery), 16, colour, "midright")
    return mark.x


# -- the clips --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Title:
    word: str
    colour: Colour
    caps: tuple[Cap, ...]


def _clip(
    canvas: Canvas,
    area: pygame.Rect,
    state: PreferState,
    question: Question,
    reel: Reel,
    title: _Title,
    picture: Picture,
    roomy: bool,
) -> None:
    canvas.panel(area, theme.PANEL)
    bar, rest = cut_top(area, canvas.px(36 if roomy else 26))
    canvas.panel(bar, title.colour, radius=theme.RADIUS)
    canvas.fill(pygame.Rect(bar.x, bar.centery, bar.width, bar.bottom - bar.centery), title.colour)
    inset = canvas.px(theme.PAD)
    canvas.text(title.word, (bar.x + inset, bar.centery), theme.LEAD, theme.INK, bold=True, anchor="midleft")
    welcome = state.model.welcome
    assert welcome is not None and state.view is not None
    loop_s, time_s = question.head.duration_s, question.head.at(state.now_ns)
    drivers = bool(question.left.operator.any() or question.right.operator.any())
    objects = any(not prop.is_marker for prop in welcome.description.props)
    lanes = Lanes(gripper=welcome.uses_gripper, objects=objects, drivers=drivers)
    height = lanes.height(canvas) if roomy else 0
    if height:
        strips, rest = cut_bottom(rest, height + 2 * canvas.px(12))
        strips = strips.inflate(-2 * inset, -2 * canvas.px(12))
        timelines(canvas, strips, reel, min(time_s, reel.duration_s), loop_s, lanes)
    else:
        line, rest = cut_bottom(rest, canvas.px(14))
        line = line.inflate(-2 * inset, -canvas.px(8))
        canvas.bar(line, time_s / loop_s if loop_s > 0 else 1.0, title.colour)
    if rest.height > 0:
        picture.draw(canvas.surface, rest, reel.at(time_s), state.view)
    corner = rest.right - canvas.px(8), rest.bottom - canvas.px(8)
    clock(canvas, corner, min(time_s, reel.duration_s), reel.duration_s)


# -- the answers ------------------------------------------------------------------------------------


def _answers(canvas: Canvas, area: pygame.Rect, state: PreferState) -> None:
    """Left and right at the sides, equal above cannot tell between them: as the pad's buttons lie."""
    gap = canvas.px(10)
    side = (area.width - 2 * gap) * 3 // 8
    left = pygame.Rect(area.x, area.y, side, area.height)
    right = pygame.Rect(area.right - side, area.y, side, area.height)
    middle = pygame.Rect(left.right + gap, area.y, right.x - left.right - 2 * gap, area.height)
    half = (middle.height - canvas.px(8)) // 2
    upper, lower = cut_top(middle, half)[0], cut_bottom(middle, half)[0]
    for place, choice, action, colour, size in (
        (left, Choice.LEFT, Action.CHOOSE_LEFT, theme.LEFT, theme.TITLE),
        (right, Choice.RIGHT, Action.CHOOSE_RIGHT, theme.RIGHT, theme.TITLE),
        (upper, Choice.EQUAL, Action.CHOOSE_EQUAL, _NEUTRAL, theme.BODY),
        (lower, Choice.CANNOT_TELL, Action.CANNOT_TELL, _NEUTRAL, theme.BODY),
    ):
        _answer(canvas, place, state, choice, _both_caps(state.model, action), colour, size)


def _answer(
    canvas: Canvas,
    area: pygame.Rect,
    state: PreferState,
    choice: Choice,
    caps: Sequence[Cap],
    colour: Colour,
    size: float,
) -> None:
    """A button: bright for a moment after it was chosen, dim while no answer is taken yet."""
    last, question = state.answer, state.question
    chosen = (
        last is not None
        and last.choice is choice
        and not last.undo_id
        and state.now_ns - last.given_ns < _FLASH_NS
    )
    shut = question is not None and not question.is_open(state.now_ns)
    ground = colour if chosen else theme.mixed(theme.PANEL, colour, 0.14)
    ink = theme.INK if chosen else theme.mixed(theme.TEXT, theme.PANEL, 0.5) if shut else theme.TEXT
    outline = theme.mixed(theme.PANEL, colour, 0.35 if shut else 0.8)
    canvas.panel(area, ground, outline=outline, thickness=1.5)
    words = _NOUN[choice].capitalize()
    height = min(canvas.px(30 if size > theme.BODY else 24), area.height - canvas.px(8))
    if area.height < canvas.px(60):
        size = min(size, theme.BODY)
    gap = canvas.px(6)
    widths = [cap_width(canvas, cap, height) for cap in caps]
    room = area.width - 2 * canvas.px(12)
    while caps and sum(widths) + gap * len(caps) + canvas.px(4) + canvas.width(words, size, True) > room:
        if len(caps) == 1:
            break
        caps, widths = caps[1:], widths[1:]
    taken = sum(widths) + gap * len(caps) + canvas.px(4)
    text_width = min(canvas.width(words, size, True), max(0, room - taken))
    x = area.centerx - (taken + text_width) // 2
    for cap in caps:
        x = draw_cap(canvas, cap, (x, area.centery), height=height).right + gap
    canvas.text(
        words, (x + canvas.px(4), area.centery), size, ink, bold=True, anchor="midleft", width=text_width + 1
    )


def _both_caps(model: Model, action: Action) -> tuple[Cap, ...]:
    """The places that give an answer: on a pad the D-pad's and the face button's."""
    names = model.bindings.table(model.device)[action]
    return tuple(model.cap_of(model.device, name) for name in names[:2])


# -- instead of clips -------------------------------------------------------------------------------


def _nothing(state: PreferState) -> tuple[str, str, str]:
    """Why there is no pair: icon, title, words."""
    model, back = state.model, f"{state.model.label(Action.TO_ARM)}: back to the arm."
    status, stage = model.status, model.moment.stage if model.moment is not None else None
    if model.welcome is None or status is None:
        return "link", "No session yet", f"Nobody has answered at {model.address}."
    if state.watches:
        return "eye", "You are watching", f"Pairs are for those who take part. {back}"
    if status.pairs_waiting > 0:
        return "clock", "The next pair is on its way", "It comes as soon as the session has cut its clips."
    if stage in (Stage.LABELLING, Stage.DONE):
        return "check", "All pairs are answered", back
    if status.counts.get("preferences", 0) or state.answered:
        words = f"More come after the next fit of the reward. {back}"
        return "check", "All pairs are answered", words
    words = f"They come after the first fit of the reward, once the policy has driven. {back}"
    return "clock", "No pairs yet", words


def _rest(canvas: Canvas, area: pygame.Rect, state: PreferState) -> None:
    canvas.veil(area)
    pairs, minutes = state.worked
    words = (
        f"You have compared {pairs} pairs in {max(1, round(minutes))} min. Tired eyes answer at random, and "
        "the reward learns that too. Nothing is lost while you are away; any answer button goes on."
    )
    card(canvas, area, "clock", "Time for a break", words, theme.YELLOW)
