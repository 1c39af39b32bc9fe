"""Which stick, button or key gives which action: the table of defaults, and changing it.

A pad input is a GameController name and a key a pygame key name (see snapshot.py). Of an axis, one
name is a stick's axis and two are (plus, minus); of any other action each name does it alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from robot_rlhf.console.input.actions import ACTIONS, BINDABLE, Action, Context, Kind
from robot_rlhf.console.input.snapshot import BUTTONS, STICK_AXES, TRIGGERS, Device, Snapshot

Table = Mapping[Action, tuple[str, ...]]
CAPTURE = 0.7  # how far a stick or trigger is moved to be meant on the Bind screen

_ARROWS = ("up", "down", "left", "right")
_MODIFIERS = tuple(
    f"{side} {name}" for name in ("shift", "ctrl", "alt", "meta") for side in ("left", "right")
)
_OTHERS = (
    *("backspace", "tab", "return", "escape", "space", "delete", "insert", "home", "end", "page up"),
    *("page down", "break", "caps lock", "scroll lock", "numlock", "print screen", "menu", "alt gr"),
    *("enter", "equals", "[.]", "[/]", "[*]", "[-]", "[+]"),
)
_NUMBERED = (*(f"f{number}" for number in range(1, 16)), *(f"[{number}]" for number in range(10)))
_NAMED_KEYS = frozenset((*_ARROWS, *_MODIFIERS, *_OTHERS, *_NUMBERED))


class BindingError(ValueError):
    """A binding that cannot be: the message says what is in its way."""


class ConflictError(BindingError):
    """An input that would mean two things on one screen. `first` and `second` are the actions."""

    def __init__(self, device: Device, name: str, first: Action, second: Action, context: Context) -> None:
        what = "the pad's" if device is Device.PAD else "the key"
        super().__init__(
            f"{what} {name!r} would mean both '{ACTIONS[first].words}' and '{ACTIONS[second].words}' "
            f"on the {context.value} screen"
        )
        self.first, self.second = first, second


@dataclass(frozen=True)
class Bindings:
    """What gives each action of BINDABLE on each device. Raises BindingError for a table that lacks an
    action, names an input that is none, or gives one input two meanings in one context."""

    pad: Table
    keys: Table

    def __post_init__(self) -> None:
        for device in Device:
            table = self.table(device)
            if set(table) != set(BINDABLE):
                wrong = sorted(action.value for action in set(table) ^ set(BINDABLE))
                raise BindingError(f"the {device.value} bindings lack or do not know: {', '.join(wrong)}")
            for action, names in table.items():
                _check(device, action, names)
            for context in Context:
                _refuse_conflicts(device, table, context)

    def table(self, device: Device) -> Table:
        return self.pad if device is Device.PAD else self.keys

    def rebind(self, device: Device, action: Action, name: str, slot: int = 0) -> Bindings:
        """These bindings with `name` in an action's place `slot` (of an axis bound to two inputs 0 is
        plus, 1 is minus; of others one of its alternatives). Raises ConflictError if another action of
        the same screen has it, BindingError if the input cannot give this action."""
        names = list(self.table(device).get(action, ()))
        if not 0 <= slot < len(names):
            raise BindingError(f"'{ACTIONS[action].words}' has no place {slot} on the {device.value}")
        names[slot] = name
        changed = {**self.table(device), action: tuple(names)}
        return replace(self, pad=changed) if device is Device.PAD else replace(self, keys=changed)

    def pressed_by(self, context: Context) -> Mapping[tuple[Device, str], Action]:
        """The input of each action of `context` that is held or pressed, STOP in every context."""
        return {
            (device, name): action
            for device in Device
            for action, names in self.table(device).items()
            if context in ACTIONS[action].contexts and ACTIONS[action].kind is not Kind.AXIS
            for name in names
        }


def captured(snapshot: Snapshot) -> tuple[Device, str] | None:
    """The first input of a snapshot that somebody means when asked to press one: a key or button that
    went down, otherwise the stick axis or trigger that is moved furthest, beyond CAPTURE."""
    for edge in snapshot.edges:
        if edge.down and not edge.other:
            return edge.device, edge.name
    if snapshot.pad is None:
        return None
    moved = zip(map(abs, snapshot.pad.axes), (*STICK_AXES, *TRIGGERS), strict=True)
    far, name = max(moved)
    return (Device.PAD, name) if far > CAPTURE else None


def _check(device: Device, action: Action, names: tuple[str, ...]) -> None:
    words, is_axis = ACTIONS[action].words, ACTIONS[action].kind is Kind.AXIS
    if not names:
        raise BindingError(f"'{words}' has nothing on the {device.value}")
    if is_axis and len(names) == 1 and device is Device.PAD and action is not Action.GRIP:
        if names[0] not in STICK_AXES:
            raise BindingError(f"'{words}' is {names[0]!r}: it takes one of {', '.join(STICK_AXES)}")
        return
    if is_axis and len(names) != 2:
        raise BindingError(f"'{words}' is {list(names)}: it takes two inputs, (plus, minus)")
    for name in names:
        if device is Device.KEYS and not _is_key(name):
            raise BindingError(f"'{words}' is {name!r}, which is no key")
        if device is Device.PAD and name not in (*BUTTONS, *TRIGGERS):
            raise BindingError(f"'{words}' is {name!r}: it takes one of {', '.join((*BUTTONS, *TRIGGERS))}")


def _is_key(name: str) -> bool:
    return name in _NAMED_KEYS or (len(name) == 1 and name.isprintable() and not name.isspace())


def _refuse_conflicts(device: Device, table: Table, context: Context) -> None:
    taken: dict[str, Action] = {}
    for action, name in _uses(table, context):
        if name in taken:
            raise ConflictError(device, name, taken[name], action, context)
        taken[name] = action


def _uses(table: Table, context: Context) -> Iterator[tuple[Action, str]]:
    for action in BINDABLE:
        if context in ACTIONS[action].contexts:
            yield from ((action, name) for name in table[action])


# action: (pad, keys)
_DEFAULTS: Mapping[Action, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Action.X: (("lefty",), ("w", "s")),
    Action.Y: (("leftx",), ("a", "d")),
    Action.Z: (("righty",), ("q", "e")),
    Action.YAW: (("rightx",), ("j", "l")),
    Action.GRIP: (("lefttrigger", "righttrigger"), ("f", "g")),
    Action.TAKEOVER: (("rightshoulder",), ("space",)),
    Action.PRECISION: (("leftshoulder",), ("left shift",)),
    Action.GOOD: (("dpup",), ("up",)),
    Action.BAD: (("dpdown",), ("down",)),
    Action.CAMERA_LEFT: (("dpleft",), ("left",)),
    Action.CAMERA_RIGHT: (("dpright",), ("right",)),
    Action.SUCCESS: (("y",), ("return",)),
    Action.FAILURE: (("b",), ("backspace",)),
    Action.DISCARD: (("x",), ("r",)),
    Action.CONFIRM: (("a",), ("n",)),
    Action.UNDO: (("back",), ("u",)),
    Action.STOP: (("start",), ("escape",)),
    Action.SCREEN: (("rightstick",), ("tab",)),
    Action.HELP: (("leftstick",), ("f1",)),
    Action.TO_ARM: (("lefttrigger",), ("n",)),
    Action.CHOOSE_LEFT: (("dpleft", "x"), ("left",)),
    Action.CHOOSE_RIGHT: (("dpright", "b"), ("right",)),
    Action.CHOOSE_EQUAL: (("dpup", "y"), ("up",)),
    Action.CANNOT_TELL: (("dpdown", "a"), ("down",)),
    Action.SLOWER: (("leftshoulder",), ("c",)),
    Action.FASTER: (("rightshoulder",), ("v",)),
    Action.ORBIT_X: (("rightx",), ("l", "j")),
    Action.ORBIT_Y: (("righty",), ("i", "k")),
    Action.SCRUB: (("leftx",), ("d", "a")),
    Action.PREVIOUS_EPISODE: (("dpup",), ("up",)),
    Action.NEXT_EPISODE: (("dpdown",), ("down",)),
    Action.PLAY: (("a",), ("space",)),
    Action.DELETE: (("x",), ("delete", "r")),
}
DEFAULT_BINDINGS = Bindings(
    pad={action: pad for action, (pad, _) in _DEFAULTS.items()},
    keys={action: keys for action, (_, keys) in _DEFAULTS.items()},
)
"""The table of the design note."""
