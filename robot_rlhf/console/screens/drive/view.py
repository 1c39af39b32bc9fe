"""How the Drive screen looks: cameras, banner, what was said, hints and the guide. On the render thread."""

from __future__ import annotations

import pygame

from robot_rlhf.console.drawing import parts, theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.screens.drive.asks import State, is_mine, state_of
from robot_rlhf.console.screens.drive.camera import Cameras
from robot_rlhf.console.screens.drive.panels import draw_panels
from robot_rlhf.console.screens.drive.state import UNDO_NS, DriveState, Said
from robot_rlhf.console.screens.model import Model, Shared
from robot_rlhf.feedback.messages import Stage

_BANNER, _SAID, _HINTS = 52, 40, 34  # heights in points
_MAIN_SHARE = 0.70
_INSET_EVERY = 2  # the second view is drawn with every second picture
_FRAME = 7  # of HUMAN, in points
_HANDLED = (Action.SUCCESS, Action.FAILURE, Action.DISCARD, Action.CLEAR_FAULT)


class DriveView:
    """Draws the states of one Drive screen."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._cameras = Cameras(shared)

    def draw(self, canvas: Canvas, state: DriveState) -> None:
        """Everything, over the whole canvas."""
        model = self._shared.model
        canvas.fill(canvas.area, theme.BACKGROUND)
        if model.moment is None or model.status is None:
            return
        banner = state_of(model)
        strip, body = parts.cut_top(canvas.area, canvas.px(_BANNER))
        _draw_banner(canvas, strip, model, banner)
        body = body.inflate(-2 * canvas.px(12), -2 * canvas.px(10))
        gap = canvas.px(theme.GAP)
        low = canvas.points[1] < 420
        main_width = round(body.width * _MAIN_SHARE) - gap
        left = pygame.Rect(body.x, body.y, main_width, body.height)
        side = pygame.Rect(left.right + gap, body.y, body.right - left.right - gap, body.height)
        hints, left = parts.cut_bottom(left, 0 if low else canvas.px(_HINTS))
        said, left = parts.cut_bottom(left, canvas.px(_SAID), 0 if low else gap // 2)
        camera = pygame.Rect(left.x, left.y, left.width, max(1, left.height - gap))
        self._cameras.draw_main(canvas, camera, model, state, banner)
        _draw_said(canvas, said, model, state)
        if not low:
            _draw_hints(canvas, hints, model, state)
        inset, rest = parts.cut_top(side, min(side.width // 2, side.height // 3), gap)
        self._cameras.draw_inset(canvas, inset, model, state)
        draw_panels(canvas, rest, model, state)


# -- the banner -------------------------------------------------------------------------------------


def _draw_banner(canvas: Canvas, area: pygame.Rect, model: Model, banner: State) -> None:
    rest = parts.banner(canvas, area, banner.icon, banner.word, banner.colour, loud=banner.loud)
    words = model.spelled(banner.asked)
    ink = theme.INK if banner.loud else theme.TEXT
    for size in (theme.LEAD, theme.BODY, theme.SMALL):
        bold = banner.loud and size != theme.LEAD
        height = parts.flow(canvas, rest, words, size=size, bold=bold, draws=False)
        if height <= canvas.px(30) or size == theme.SMALL:
            top = max(area.y, area.centery - height // 2)
            room = pygame.Rect(rest.x, top, rest.width, area.bottom - top)
            parts.flow(canvas, room, words, size=size, colour=ink, bold=bold)
            return


# -- below the camera -------------------------------------------------------------------------------


def _draw_said(canvas: Canvas, area: pygame.Rect, model: Model, state: DriveState) -> None:
    """The last mark or press with its fate and undo; the newest news beside it."""
    canvas.panel(area, theme.PANEL, radius=8)
    inner = area.inflate(-2 * canvas.px(12), 0)
    said = state.said
    left = inner.x
    if said is not None and (said.undo_left_s(model.now_ns) > 0.0 or model.now_ns - said.at_ns < UNDO_NS):
        left = _draw_last(canvas, inner, model, said) + canvas.px(20)
    if model.news:
        room = inner.right - left
        if room > canvas.px(120):
            canvas.text(
                model.news[-1].text,
                (inner.right, inner.centery) if left > inner.x else (left, inner.centery),
                theme.SMALL,
                theme.MUTED,
                anchor="midright" if left > inner.x else "midleft",
                width=room,
            )
    elif left == inner.x:
        canvas.text("Nothing said yet", inner.midleft, theme.SMALL, theme.FAINT, anchor="midleft")


def _draw_last(canvas: Canvas, inner: pygame.Rect, model: Model, said: Said) -> int:
    colour = theme.GOOD if said.good else theme.ALARM
    if said.is_mark:
        icon = "check" if said.good else "cross"
    else:
        icon = "thumb_up" if said.good else "thumb_down"
    mark = canvas.icon(icon, (inner.x, inner.centery), 18, colour, "midleft")
    left = mark.right + canvas.px(8)
    words = canvas.text(
        said.words,
        (left, inner.centery),
        theme.SMALL,
        bold=True,
        anchor="midleft",
        width=inner.width // 2,
    )
    fate, ink = _fate(said)
    x = canvas.text(
        fate,
        (words.right + canvas.px(10), inner.centery),
        theme.SMALL,
        ink,
        anchor="midleft",
        width=inner.width // 3,
    ).right
    left_s = said.undo_left_s(model.now_ns)
    if left_s > 0.0 and x + canvas.px(150) < inner.right:
        ring = (x + canvas.px(24), inner.centery)
        canvas.ring(ring, 9, left_s * 1e9 / UNDO_NS, theme.SKY, width=3)
        x = parts.hint(
            canvas,
            model.caps(Action.UNDO),
            f"undo, {left_s:.0f} s",
            (ring[0] + canvas.px(16), inner.centery),
        ).right
    return x


def _fate(said: Said) -> tuple[str, theme.Colour]:
    if said.taken_back:
        return "taken back", theme.MUTED
    if said.refused:
        return f"not taken: {said.refused}", theme.ALARM
    return ("saved", theme.GOOD) if said.saved else ("on its way ...", theme.WARN)


def _draw_hints(canvas: Canvas, area: pygame.Rect, model: Model, state: DriveState) -> None:
    moment, caps = model.moment, model.caps
    assert moment is not None
    stop = (caps(Action.STOP), "STOP")
    take = (caps(Action.TAKEOVER), "take over" if model.latched else "hold to drive")
    move = ([*caps(Action.X), *caps(Action.Y)], "move")
    height = (caps(Action.Z), "up/down")
    grip = [(caps(Action.GRIP), "open/close")] if model.welcome and model.welcome.uses_gripper else []
    precision = (caps(Action.PRECISION), "precise")
    mark = [(caps(Action.SUCCESS), "success"), (caps(Action.FAILURE), "failure")]
    press = [(caps(Action.GOOD), "good"), (caps(Action.BAD), "bad")]
    again = (caps(Action.DISCARD), "start over")
    if is_mine(model) or moment.stage in (Stage.TELEOP, Stage.READY):
        hints = [stop, take, move, height, *grip, precision, again]
    elif moment.stage is Stage.DEMONSTRATION:
        hints = [stop, take, *mark, again, move, height, *grip]
    elif moment.stage in (Stage.EPISODE, Stage.MARK):
        hints = [stop, take, *press, *mark, again, (caps(Action.CONFIRM), "next")]
    else:
        hints = [stop, (caps(Action.SCREEN), "screens"), (caps(Action.HELP), "help")]
    parts.hint_row(canvas, area, hints)
