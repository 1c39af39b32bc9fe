"""What an operator's hands do at one moment, as plain values: what devices make and controls read.

Names of pad inputs are SDL's GameController names, which say a place on the pad and not a number on
some model; names of keys are pygame's. SDL's axes run right and DOWN for positive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

STICK_AXES = ("leftx", "lefty", "rightx", "righty")
TRIGGERS = ("lefttrigger", "righttrigger")
AXES = (*STICK_AXES, *TRIGGERS)
"""The pad's axes in SDL's order: the order of `PadState.axes`."""
BUTTONS = (
    *("a", "b", "x", "y", "back", "guide", "start", "leftstick", "rightstick"),
    *("leftshoulder", "rightshoulder", "dpup", "dpdown", "dpleft", "dpright"),
    *("misc1", "paddle1", "paddle2", "paddle3", "paddle4", "touchpad"),
)
"""The pad's buttons in SDL's order."""


class Device(str, Enum):
    """Where an input sits; the value is its section in the bindings file."""

    PAD = "pad"
    KEYS = "keys"


class Family(Enum):
    """Whose words stand on a pad's buttons."""

    XBOX = "Xbox"
    PLAYSTATION = "PlayStation"
    NINTENDO = "Nintendo"


@dataclass(frozen=True, slots=True)
class PadState:
    """A pad that SDL knows. `id` is SDL's instance: a pad that comes back has a new one.

    `axes` stand in the order of AXES: sticks in [-1, 1], triggers in [0, 1]. `battery` is SDL's word
    ('empty', 'low', 'medium', 'full', 'max', 'wired'), None where SDL does not say.
    """

    id: int
    name: str
    family: Family
    axes: tuple[float, float, float, float, float, float] = (0.0,) * 6
    buttons: frozenset[str] = frozenset()
    battery: str | None = None


@dataclass(frozen=True, slots=True)
class UnknownPad:
    """A joystick that SDL has no mapping for, with its raw inputs: axes in [-1, 1], hats as (x, y)."""

    id: int
    name: str
    guid: str
    axes: tuple[float, ...]
    buttons: tuple[bool, ...]
    hats: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """A key or pad button that went down or up. `other` marks a pad that is not the one in use: of it
    only STOP counts.

    It happened no later than `time_ns` (monotonic) and no earlier than `after_ns`, which is None where
    `time_ns` is exact.
    """

    device: Device
    name: str
    down: bool
    time_ns: int
    other: bool = False
    after_ns: int | None = field(default=None, compare=False)

    @property
    def earliest_ns(self) -> int:
        """The earliest moment at which it can have happened."""
        return self.time_ns if self.after_ns is None else self.after_ns


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is held at `time_ns` (monotonic), and in order what changed since the last one.

    `focus`: the window has the keyboard. `pad` is the one in use, None without any.
    """

    time_ns: int
    focus: bool = True
    keys: frozenset[str] = frozenset()
    pad: PadState | None = None
    edges: tuple[Edge, ...] = ()
    unknown: tuple[UnknownPad, ...] = ()
