"""What the Bind screen looks like: the table of actions, and what is going on at its right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pygame

from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.parts import Cap, cap_width, cut_bottom, cut_top, draw_cap, hint, hint_row
from robot_rlhf.console.input.actions import ACTIONS, BINDABLE, Action, Context, Kind
from robot_rlhf.console.input.bindings import Bindings
from robot_rlhf.console.input.rebinding import LISTEN_NS, Clash, Listening, Place, Told, changed, places
from robot_rlhf.console.input.snapshot import Device, UnknownPad
from robot_rlhf.console.screens.bind.wizard_view import Wizardry, draw_wizard, wizard_hints
from robot_rlhf.console.screens.model import Model

_ROW = 34  # points
_SCREENS = {Context.DRIVE: "Drive", Context.PREFER: "Prefer", Context.REVIEW: "Review"}


@dataclass(frozen=True, eq=False)
class BindState:
    """All that a frame is drawn from. `all_held` 0..1: how long 'everything to default' is held."""

    model: Model
    now_ns: int
    bindings: Bindings
    place: Place
    row: int
    listening: Listening | None
    clash: Clash | None
    told: Told
    all_held: float
    unknown: tuple[UnknownPad, ...]
    wizard: Wizardry | None


def draw_bind(canvas: Canvas, state: BindState) -> None:
    """The whole screen."""
    canvas.fill(canvas.area, theme.BACKGROUND)
    edge = canvas.px(theme.PAD)
    foot, rest = cut_bottom(canvas.area, canvas.px(44))
    body = pygame.Rect(edge, edge, rest.width - 2 * edge, rest.height - edge)
    if state.wizard is not None:
        hint_row(canvas, foot.inflate(-2 * edge, 0), wizard_hints(state.wizard))
        draw_wizard(canvas, body, state.wizard)
        return
    hint_row(canvas, foot.inflate(-2 * edge, 0), _table_hints(state))
    if canvas.points[0] >= 900:
        side = canvas.px(350)
        right = pygame.Rect(body.right - side, body.y, side, body.height)
        _side(canvas, right, state)
        body = pygame.Rect(body.x, body.y, right.x - edge - body.x, body.height)
    else:
        below, body = cut_bottom(body, min(canvas.px(112), body.height // 2), canvas.px(10))
        _side(canvas, below, state)
    _table(canvas, body, state)


# -- the table --------------------------------------------------------------------------------------


def _table(canvas: Canvas, area: pygame.Rect, state: BindState) -> None:
    canvas.panel(area, theme.PANEL)
    inset = canvas.px(theme.PAD)
    inner = area.inflate(-2 * inset, 0)
    head = cut_top(area, canvas.px(40))[0]
    where = canvas.points[0] >= 1000
    words = inner.width * (28 if where else 36) // 100
    tags = inner.width * 16 // 100 if where else 0
    pad_x = inner.x + words + tags
    keys_x = pad_x + (inner.right - pad_x) * 55 // 100
    columns = [(inner.x, "Action"), (pad_x, "Gamepad"), (keys_x, "Keyboard")]
    if where:
        columns.append((inner.x + words, "Screens"))
    for x, title in columns:
        canvas.text(title, (x, head.centery), theme.SMALL, theme.MUTED, bold=True, anchor="midleft")
    canvas.fill(pygame.Rect(area.x, head.bottom, area.width, canvas.px(1)), theme.LINE)
    height = canvas.px(_ROW)
    top = head.bottom + canvas.px(5)
    room = max(1, (area.bottom - canvas.px(5) - top) // height)
    first = min(max(0, state.row - room // 2), max(0, len(BINDABLE) - room))
    for index, action in enumerate(BINDABLE[first : first + room]):
        row = pygame.Rect(area.x, top + index * height, area.width, height)
        chosen = first + index == state.row
        if chosen:
            canvas.panel(row.inflate(-canvas.px(12), 0), theme.RAISED, radius=8)
        elif first + index and ACTIONS[action].contexts != ACTIONS[BINDABLE[first + index - 1]].contexts:
            canvas.fill(
                pygame.Rect(inner.x, row.y, inner.width, canvas.px(1)),
                theme.mixed(theme.PANEL, theme.LINE, 0.6),
            )
        name = canvas.text(
            _capital(ACTIONS[action].words),
            (inner.x, row.centery),
            theme.SMALL,
            theme.TEXT,
            bold=chosen,
            anchor="midleft",
            width=words - canvas.px(22),
        )
        if changed(state.bindings, action):
            canvas.icon("dot", (name.right + canvas.px(9), row.centery), 14, theme.SKY)
        if where:
            at = (inner.x + words, row.centery)
            canvas.text(
                _screens(action), at, theme.TINY, theme.MUTED, anchor="midleft", width=tags - canvas.px(8)
            )
        for device, x, right in ((Device.PAD, pad_x, keys_x), (Device.KEYS, keys_x, inner.right)):
            _inputs(canvas, x, row, right - canvas.px(8), state, action, device)
    if len(BINDABLE) > room:
        rail = pygame.Rect(area.right - canvas.px(8), top, canvas.px(4), room * height)
        canvas.panel(rail, theme.RAISED, radius=2)
        length = max(rail.width, rail.height * room // len(BINDABLE))
        thumb = pygame.Rect(rail.x, rail.y + rail.height * first // len(BINDABLE), rail.width, length)
        canvas.panel(thumb, theme.FAINT, radius=2)


def _inputs(
    canvas: Canvas, x: int, row: pygame.Rect, right: int, state: BindState, action: Action, device: Device
) -> None:
    """An action's inputs on a device; the cursor's framed, or asking while something is waited for."""
    height = canvas.px(22)
    for place in places(state.bindings, action):
        if place.device is not device:
            continue
        here = place == state.place
        cap = state.model.cap_of(device, state.bindings.table(device)[action][place.slot])
        if here and state.listening is not None:
            cap = Cap("press …", False)
        width = cap_width(canvas, cap, height)
        if x + width > right:
            return
        if here:
            ring = pygame.Rect(x - canvas.px(4), row.centery - height // 2 - canvas.px(4), width, height)
            ring.width += canvas.px(8)
            ring.height += canvas.px(8)
            colour = theme.YELLOW if state.listening is not None else theme.SKY
            canvas.panel(ring, theme.RAISED, radius=9, outline=colour, thickness=2)
        x = draw_cap(canvas, cap, (x, row.centery), height=height).right + canvas.px(10)


def _screens(action: Action) -> str:
    """On which screens an action counts, in words."""
    contexts = ACTIONS[action].contexts
    if contexts == frozenset(Context):
        return "everywhere"
    return ", ".join(word for context, word in _SCREENS.items() if context in contexts)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# -- what is going on -------------------------------------------------------------------------------


def _side(canvas: Canvas, area: pygame.Rect, state: BindState) -> None:
    inner = canvas.panel(area, theme.PANEL)
    action = state.place.action
    device = "Gamepad" if state.place.device is Device.PAD else "Keyboard"
    y = inner.y
    title = _capital(ACTIONS[action].words)
    y += canvas.paragraph(
        title, pygame.Rect(inner.x, y, inner.width, inner.bottom - y), theme.LEAD, bold=True, most=2
    )
    which = f"{device}, {_slot(state)}{_where(action)}"
    if inner.height > canvas.px(100):
        canvas.text(which, (inner.x, y), theme.SMALL, theme.MUTED, width=inner.width)
        y += canvas.line_height(theme.SMALL) + canvas.px(8)
    y += canvas.px(6)
    box = pygame.Rect(inner.x, y, inner.width, max(0, inner.bottom - y))
    if state.listening is not None:
        _listening(canvas, box, state, state.listening)
    elif state.clash is not None:
        _clash(canvas, box, state, state.clash)
    elif state.told.text:
        colour = theme.ALARM if state.told.bad else theme.GOOD
        icon = "warning" if state.told.bad else "check"
        _message(canvas, box, icon, state.told.text, colour)
    elif state.unknown:
        words = f"{state.unknown[0].name} is not known yet. Press T, and each of its controls is asked for."
        _message(canvas, box, "pad", words, theme.YELLOW)
    else:
        words = "Choose a place with the arrows or the D-pad, then Enter or A, then press what is to give it."
        canvas.paragraph(words, box, theme.BODY, theme.MUTED)
    if box.height > canvas.px(320):
        _reset_note(canvas, box, state)


def _slot(state: BindState) -> str:
    place = state.place
    count = len(state.bindings.table(place.device)[place.action])
    if count < 2:
        return ""
    if ACTIONS[place.action].kind is Kind.AXIS:
        return "first direction, " if place.slot == 0 else "second direction, "
    return f"place {place.slot + 1} of {count}, "


def _where(action: Action) -> str:
    screens = _screens(action)
    return screens if screens == "everywhere" else f"on {screens}"


def _message(canvas: Canvas, area: pygame.Rect, icon: str, text: str, colour: theme.Colour) -> int:
    """An icon and words beside it; returns the height."""
    if area.height <= 0:
        return 0
    canvas.icon(icon, (area.x, area.y), 20, colour, "topleft")
    left = canvas.px(30)
    words = pygame.Rect(area.x + left, area.y, area.width - left, area.height)
    return max(canvas.px(22), canvas.paragraph(text, words, theme.BODY))


def _listening(canvas: Canvas, area: pygame.Rect, state: BindState, listening: Listening) -> None:
    on_pad = listening.place.device is Device.PAD
    is_axis = ACTIONS[listening.place.action].kind is Kind.AXIS
    pair = len(state.bindings.table(listening.place.device)[listening.place.action]) > 1
    what = (
        "Move a stick" if on_pad and is_axis and not pair else "Press a button" if on_pad else "Press a key"
    )
    left = 1.0 - (state.now_ns - listening.since_ns) / LISTEN_NS
    if area.height < canvas.px(120):
        canvas.text(f"{what} …", area.topleft, theme.LEAD, theme.YELLOW, bold=True, width=area.width)
        return
    ring = (area.centerx, area.y + canvas.px(52))
    canvas.ring(ring, 44, left, theme.YELLOW, width=5)
    canvas.icon("pad" if on_pad else "keyboard", ring, 40, theme.YELLOW)
    y = area.y + canvas.px(112)
    canvas.text(f"{what} …", (area.centerx, y), theme.LEAD, bold=True, anchor="midtop")
    y += canvas.line_height(theme.LEAD) + canvas.px(8)
    words = "A press on the other device, or waiting, leaves everything as it is."
    rest = pygame.Rect(area.x, y, area.width, max(0, area.bottom - y))
    canvas.paragraph(words, rest, theme.SMALL, theme.MUTED, centred=True)


def _clash(canvas: Canvas, area: pygame.Rect, state: BindState, clash: Clash) -> None:
    cap = state.model.cap_of(clash.place.device, clash.name)
    other = ACTIONS[clash.other].words
    text = f"{cap.label} gives '{other}' already ({_where(clash.other)})."
    if clash.swap is None:
        text += " The two cannot change places."
    y = area.y + _message(canvas, area, "warning", text, theme.WARN) + canvas.px(14)
    if y + canvas.px(24) > area.bottom:
        return
    x = area.x
    if clash.swap is not None:
        x = hint(canvas, _own(state, "a", "Enter"), "let them change places", (x, y + canvas.px(12))).right
        y += canvas.px(32)
    if y + canvas.px(24) <= area.bottom:
        hint(canvas, _own(state, "b", "Backspace"), "leave it", (area.x, y + canvas.px(12)))


def _reset_note(canvas: Canvas, area: pygame.Rect, state: BindState) -> None:
    count = sum(changed(state.bindings, action) for action in BINDABLE)
    y = area.bottom - canvas.px(16)
    if not count:
        canvas.text("All as by default.", (area.x, y), theme.SMALL, theme.MUTED, anchor="midleft")
        return
    dot = canvas.icon("dot", (area.x, y), 14, theme.SKY, "midleft")
    words = f"{count} {'differs' if count == 1 else 'differ'} from the defaults"
    canvas.text(words, (dot.right + canvas.px(6), y), theme.SMALL, theme.MUTED, anchor="midleft")


# -- the foot ---------------------------------------------------------------------------------------


def _own(state: BindState, button: str, key: str) -> list[Cap]:
    """A key or button of this screen's own, as it is called on the device in use."""
    if state.model.device is Device.PAD:
        return [state.model.cap_of(Device.PAD, button)]
    return [Cap(key, False)]


def _table_hints(state: BindState) -> list[tuple[Sequence[Cap], str]]:
    pad = state.model.device is Device.PAD
    names = ("up", "down", "left", "right")
    arrows = [Cap(f"D-pad {name}" if pad else name, pad) for name in names]
    if state.listening is not None:
        return []
    held = f"hold: all to default {state.all_held:.0%}" if state.all_held > 0 else "hold: all to default"
    hints: list[tuple[Sequence[Cap], str]] = [
        (arrows, "choose"),
        (_own(state, "a", "Enter"), "change"),
        (_own(state, "x", "Delete"), "to default"),
        (_own(state, "y", "R"), held),
    ]
    if state.unknown:
        hints.append(([Cap("T", False)], "teach the new pad"))
    return [*hints, (state.model.caps(Action.SCREEN), "back")]
