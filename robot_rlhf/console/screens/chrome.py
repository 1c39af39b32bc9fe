"""What stands around every screen: the strip at the top with the screens' names, the link and the pad, and
what lies over everything when the session cannot be heard."""

from __future__ import annotations

from collections.abc import Sequence

import pygame

from robot_rlhf.console.drawing import parts, theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.theme import Colour
from robot_rlhf.console.input.actions import Action, Context
from robot_rlhf.console.input.snapshot import Device
from robot_rlhf.console.screens.model import Model, Screen, Shared
from robot_rlhf.feedback.messages import Phase

STRIP = 38
"""The strip's height in points."""
ROUND: Sequence[Context] = (Context.DRIVE, Context.PREFER, Context.REVIEW)
"""The screens that the screen button goes round."""
TITLES = {
    Context.DRIVE: "Drive",
    Context.PREFER: "Prefer",
    Context.REVIEW: "Review",
    Context.HELP: "Help",
    Context.BIND: "Buttons",
}
PHASES: dict[Phase, tuple[str, str, Colour]] = {
    Phase.POLICY: ("POLICY", "policy", theme.SKY),
    Phase.OPERATOR: ("HUMAN", "hand", theme.ORANGE),
    Phase.HOLD: ("HOLD", "pause", theme.YELLOW),
    Phase.STOPPED: ("STOP", "stop", theme.VERMILLION),
}
"""Who has the arm, as a word, an icon and a colour."""
GOOD_MS, FAIR_MS = 50.0, 150.0
"""Round trips below the first are good, below the second fair."""
SILENT_S = 1.0
_NOTICE_ON_DRIVE = 60  # below the banner


def draw_window(canvas: Canvas, shared: Shared, screen: Screen) -> None:
    """One picture of the whole window: the strip at the top, a screen, and what lies over it."""
    model, whole = shared.model, canvas.area
    strip = pygame.Rect(0, 0, whole.width, canvas.px(STRIP))
    body = pygame.Rect(0, strip.bottom, whole.width, max(1, whole.height - strip.height))
    inner = canvas.within(body)
    needs_session = screen.context in ROUND
    if needs_session and model.welcome is None:
        draw_searching(inner, inner.area, model)
    else:
        screen.draw(inner)
        if needs_session and not model.connected and model.silent_s > SILENT_S:
            draw_silence(inner, inner.area, model)
    draw_notice(inner, inner.area, model, _NOTICE_ON_DRIVE if screen.context is Context.DRIVE else 6)
    draw_strip(canvas, strip, model, screen.context)


def link_colour(milliseconds: float) -> Colour:
    if milliseconds < GOOD_MS:
        return theme.GOOD
    return theme.WARN if milliseconds < FAIR_MS else theme.ALARM


def draw_strip(canvas: Canvas, area: pygame.Rect, model: Model, shown: Context) -> None:
    """The screens' names with the shown one marked; at the right what is amiss, the link and the pad."""
    canvas.fill(area, theme.PANEL)
    canvas.fill(pygame.Rect(area.x, area.bottom - canvas.px(1), area.width, canvas.px(1)), theme.LINE)
    left = _tabs(canvas, area, model, shown)
    _status(canvas, area, model, shown, left)


def _tabs(canvas: Canvas, area: pygame.Rect, model: Model, shown: Context) -> int:
    x = area.x + canvas.px(theme.PAD)
    keys = {ROUND[-1]: Action.SCREEN, Context.HELP: Action.HELP}
    contexts = [*ROUND, Context.BIND if shown is Context.BIND else Context.HELP]
    for context in contexts:
        current = context is shown
        colour = theme.TEXT if current else theme.MUTED
        place = canvas.text(
            TITLES[context], (x, area.centery), theme.BODY, colour, bold=current, anchor="midleft"
        )
        right = place.right
        waiting = model.status.pairs_waiting if model.status is not None else 0
        if context is Context.PREFER and waiting:
            right = canvas.chip(
                str(waiting), (right + canvas.px(6), area.centery), theme.PURPLE, anchor="midleft"
            ).right
        if current:
            under = pygame.Rect(x, area.bottom - canvas.px(3), right - x, canvas.px(3))
            canvas.fill(under, theme.SKY)
        if context in keys and canvas.points[0] >= 900:
            at = (right + canvas.px(10), area.centery)
            right = parts.draw_cap(canvas, model.caps(keys[context])[0], at, height=canvas.px(20)).right
        x = right + canvas.px(20)
    return x


def _status(canvas: Canvas, area: pygame.Rect, model: Model, shown: Context, left: int) -> None:
    x, y, gap = area.right - canvas.px(theme.PAD), area.centery, canvas.px(16)
    room = x - left - gap

    def put(icon: str, words: str, colour: Colour, muted: bool = True) -> None:
        nonlocal x, room
        width = canvas.width(words, theme.SMALL) + canvas.px(16 + 6)
        if width > room:
            return
        text = canvas.text(
            words, (x, y), theme.SMALL, theme.MUTED if muted else colour, anchor="midright", bold=not muted
        )
        canvas.icon(icon, (text.x - canvas.px(6), y), 16, colour, "midright")
        x -= width + gap
        room -= width + gap

    pad = model.pad
    if model.device is Device.PAD and pad is not None:
        battery = f"{pad.family.value} pad" + (f", {pad.battery}" if pad.battery else "")
        put("pad", battery, theme.ALARM if pad.battery in ("empty", "low") else theme.MUTED)
    else:
        put("keyboard", "keyboard", theme.MUTED)
    if model.round_trip_ms is not None and model.connected:
        put("link", f"{model.round_trip_ms[0]:.0f} ms", link_colour(model.round_trip_ms[1]))
    elif model.connected:
        put("link", "link", theme.MUTED)
    else:
        put("link", "no link", theme.ALARM, False)
    if model.unsaved:
        put("clock", f"{model.unsaved} not saved yet", theme.WARN, False)
    moment = model.moment
    if moment is not None and shown is not Context.DRIVE:
        word, icon, colour = PHASES[moment.phase]
        put(icon, word, theme.as_ink(colour), False)


def draw_notice(canvas: Canvas, area: pygame.Rect, model: Model, top: float) -> None:
    """The newest notice in the middle of `area`, `top` points below its upper edge."""
    notice = model.notice
    if notice is None or model.now_ns - notice.since_ns > notice.lasts_ns:
        return
    colour = theme.ALARM if notice.bad else theme.GOOD
    width = min(area.width - canvas.px(40), canvas.width(notice.text, theme.BODY) + canvas.px(64))
    place = pygame.Rect(0, 0, width, canvas.px(40))
    place.midtop = (area.centerx, area.y + canvas.px(top))
    canvas.panel(place, theme.RAISED, radius=10, outline=colour, thickness=1.5)
    icon = canvas.icon(
        "warning" if notice.bad else "check",
        (place.x + canvas.px(14), place.centery),
        18,
        colour,
        "midleft",
    )
    canvas.text(
        notice.text,
        (icon.right + canvas.px(10), place.centery),
        theme.BODY,
        anchor="midleft",
        width=place.right - icon.right - canvas.px(22),
    )


def draw_searching(canvas: Canvas, area: pygame.Rect, model: Model) -> None:
    """Instead of a screen, before the session has answered."""
    canvas.fill(area, theme.BACKGROUND)
    if model.refusal:
        parts.card(canvas, area, "warning", "The session refused this console", model.refusal, theme.ALARM)
        return
    if model.rejection:
        _draw_rejection(canvas, area, model)
        return
    title = f"Looking for the session at {model.address} ..."
    words = "It is shown here as soon as it answers. Nothing needs to be pressed."
    if model.now_ns and model.silent_s > 10.0:
        words = (
            f"Nothing was heard for {model.silent_s:.0f} s. Is a session running there, and is this its "
            "address? This window goes on looking."
        )
    parts.card(canvas, area, "link", title, words, theme.SKY)


def draw_silence(canvas: Canvas, area: pygame.Rect, model: Model) -> None:
    """Over a screen whose session has fallen silent."""
    canvas.veil(area, theme.BACKGROUND, 0.72)
    if model.rejection:
        _draw_rejection(canvas, area, model)
        return
    words = "Takeover counts as released; the arm is held or stopped at its own end. This window tries again."
    if model.unsaved:
        words += f" {model.unsaved} answers are kept here and sent again."
    parts.card(
        canvas, area, "warning", f"The session has been silent for {model.silent_s:.0f} s", words, theme.WARN
    )


def _draw_rejection(canvas: Canvas, area: pygame.Rect, model: Model) -> None:
    words = f"{model.rejection[:1].upper()}{model.rejection[1:]}. This window goes on trying."
    if model.unsaved:
        words += f" {model.unsaved} answers are kept here and sent once it is let in."
    parts.card(canvas, area, "warning", "This console is not let in", words, theme.ALARM)
