"""The Help screen: the controls as they are bound now, what the states mean, and how to be safe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import pygame

from robot_rlhf.console.drawing import parts, theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.parts import Cap
from robot_rlhf.console.input.actions import ACTIONS, Action, Context, live
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.input.labels import action_label
from robot_rlhf.console.input.snapshot import Device
from robot_rlhf.console.screens.chrome import PHASES
from robot_rlhf.console.screens.model import Model, Shared
from robot_rlhf.feedback.link import OperatorLink
from robot_rlhf.feedback.messages import Phase

SAFETY = (
    "STOP works on every screen and does not wait for anything. It is no emergency stop: next to a real "
    "arm keep the hardware's own button within reach, and stay out of its way while it has power."
)
_STATES: Sequence[tuple[Phase, str]] = (
    (Phase.POLICY, "the learned policy drives; hold to take over"),
    (Phase.OPERATOR, "you, or another operator, drive"),
    (Phase.HOLD, "nobody drives; the arm stands still under power"),
    (Phase.STOPPED, "stopped until somebody clears it"),
)
Row: TypeAlias = tuple[Action | str, str]
"""What is pressed, an action or keys that are always the same, and what that does."""
_FIRST = (Action.STOP, Action.SCREEN, Action.HELP)
_CLOSE: Row = ("Ctrl+Q", "close the window")
_HELD = (
    (Action.CONFIRM, "enough demonstrations (hold 1 s)"),
    (Action.CONFIRM, "end and evaluate (hold twice)"),
    (Action.CAMERA_LEFT, "workspace box on, off (hold)"),
    (Action.CAMERA_RIGHT, "skip a step of the guide (hold)"),
)


class HelpScreen:
    """Changes nothing; it is left by the help button."""

    context = Context.HELP
    captures = False

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def enter(self, link: OperatorLink, now_ns: int) -> None:
        pass

    def update(self, commands: Commands, link: OperatorLink, now_ns: int) -> None:
        pass

    def draw(self, canvas: Canvas) -> None:
        model = self._shared.model
        canvas.fill(canvas.area, theme.BACKGROUND)
        gap = canvas.px(12)
        area = canvas.area.inflate(-2 * gap, -2 * gap)
        width = canvas.points[0]
        foot, area = parts.cut_bottom(area, canvas.px(64 if width >= 900 else 84), gap)
        _draw_safety(canvas, foot)
        pads = [Device.PAD] if model.pad is not None else []
        devices = [*pads, Device.KEYS] if width >= 1200 else [model.device]
        if width < 900:  # what clips are answered with stands on their own screens
            for place, title, actions in zip(
                parts.columns(area, 2, gap), ("Driving", "Saying"), (_driving(), _saying()), strict=True
            ):
                _draw_actions(canvas, place, model, title, actions, devices)
            return
        left, middle, right = parts.columns(area, 3, gap)
        _draw_actions(canvas, left, model, "Driving", _driving(), devices)
        _draw_actions(canvas, middle, model, "Saying", _saying(), devices)
        top, low = parts.cut_top(right, right.height * (62 if width >= 1200 else 55) // 100, gap)
        _draw_actions(canvas, top, model, "Comparing and looking back", _clips(), devices)
        _draw_states(canvas, low)


def _driving() -> list[Row]:
    names = (
        Action.TAKEOVER,
        Action.PRECISION,
        Action.X,
        Action.Y,
        Action.Z,
        Action.YAW,
        Action.GRIP,
        Action.CAMERA_LEFT,
        Action.CAMERA_RIGHT,
    )
    return [*_worded(_FIRST), _CLOSE, *_worded(names)]


def _saying() -> list[Row]:
    taken = {action for action, _ in _driving()}
    return [*_worded(action for action in live(Context.DRIVE) if action not in taken), *_HELD]


def _clips() -> list[Row]:
    taken = {action for action, _ in (*_driving(), *_saying())}
    both = dict.fromkeys((*live(Context.PREFER), *live(Context.REVIEW)))
    return _worded(action for action in both if action not in taken)


def _worded(actions: Iterable[Action]) -> list[Row]:
    return [(action, ACTIONS[action].words) for action in actions]


def _draw_actions(
    canvas: Canvas,
    area: pygame.Rect,
    model: Model,
    title: str,
    actions: Sequence[Row],
    devices: Sequence[Device],
) -> None:
    """A panel of what to press on each device, and what it does."""
    inner = canvas.panel(area)
    canvas.text(title, inner.topleft, theme.LEAD, bold=True)
    _, rest = parts.cut_top(inner, canvas.px(26), canvas.px(2))
    step = max(canvas.px(17), min(canvas.px(44), rest.height // max(1, len(actions))))
    height = min(canvas.px(22), step - canvas.px(2))
    shares = {Device.PAD: 22, Device.KEYS: 25} if len(devices) > 1 else dict.fromkeys(devices, 36)
    for index, (action, words) in enumerate(actions):
        y = rest.y + index * step + step // 2
        if y + step // 2 > rest.bottom + canvas.px(2):
            return
        x = rest.x
        for device in devices:
            width = rest.width * shares[device] // 100
            _caps(canvas, _names(model, action, device), x, y, width, height)
            x += width
        fits = canvas.width(words, theme.SMALL) <= rest.right - x
        size = theme.SMALL if fits else theme.TINY
        canvas.text(words, (x, y), size, anchor="midleft", width=rest.right - x)


def _names(model: Model, action: Action | str, device: Device) -> list[Cap]:
    if not isinstance(action, Action):
        return [Cap(action, False)] if device is Device.KEYS else []
    label = action_label(model.bindings, action, device, model.family, joiner="\n")
    return [Cap(name, device is Device.PAD) for name in label.split("\n")]


def _caps(canvas: Canvas, caps: Sequence[Cap], x: int, y: int, width: int, height: int) -> None:
    end = x + width - canvas.px(6)
    for cap in caps:
        short = Cap(_short(cap.label), cap.pad)
        if x + parts.cap_width(canvas, short, height) > end:
            return
        x = parts.draw_cap(canvas, short, (x, y), height=height).right + canvas.px(4)


def _short(label: str) -> str:
    for long, brief in (("left stick ", "L "), ("right stick ", "R "), ("left/right", "x"), ("up/down", "y")):
        label = label.replace(long, brief)
    return label


def _draw_states(canvas: Canvas, area: pygame.Rect) -> None:
    inner = canvas.panel(area)
    canvas.text("Who has the arm", inner.topleft, theme.LEAD, bold=True)
    _, rest = parts.cut_top(inner, canvas.px(26), canvas.px(4))
    step = min(canvas.px(46), rest.height // len(_STATES))
    for index, (phase, meaning) in enumerate(_STATES):
        word, icon, ground = PHASES[phase]
        colour = theme.as_ink(ground)
        row = pygame.Rect(rest.x, rest.y + index * step, rest.width, step)
        if row.bottom > rest.bottom + canvas.px(2) or step < canvas.px(18):
            return
        mark = canvas.icon(icon, row.midleft, 18, colour, "midleft")
        name = canvas.text(
            word, (mark.right + canvas.px(8), row.centery), theme.SMALL, colour, bold=True, anchor="midleft"
        )
        x = max(name.right + canvas.px(10), rest.x + canvas.px(100))
        width = max(1, row.right - x)
        height = canvas.paragraph_height(meaning, width, theme.SMALL)
        room = pygame.Rect(x, max(row.y, row.centery - height // 2), width, row.height)
        canvas.paragraph(meaning, room, theme.SMALL, theme.MUTED, most=2)


def _draw_safety(canvas: Canvas, area: pygame.Rect) -> None:
    canvas.panel(area, theme.PANEL, outline=theme.VERMILLION, thickness=1.5)
    inner = area.inflate(-2 * canvas.px(16), -2 * canvas.px(8))
    mark = canvas.icon("stop", inner.midleft, 30, theme.ALARM, "midleft")
    left = mark.right + canvas.px(14)
    room = pygame.Rect(left, inner.y, inner.right - left, inner.height)
    height = canvas.paragraph_height(SAFETY, room.width, theme.BODY)
    size = theme.BODY if height <= room.height else theme.SMALL
    height = min(room.height, canvas.paragraph_height(SAFETY, room.width, size))
    canvas.paragraph(SAFETY, pygame.Rect(room.x, room.centery - height // 2, room.width, height), size)
