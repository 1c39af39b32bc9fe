"""Changing bindings by pressing what is meant: which place is chosen, what was pressed for it, and what is
in its way. Pure logic; the Bind screen shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from robot_rlhf.console.input.actions import ACTIONS, BINDABLE, Action, Kind
from robot_rlhf.console.input.bindings import (
    CAPTURE,
    DEFAULT_BINDINGS,
    BindingError,
    Bindings,
    ConflictError,
)
from robot_rlhf.console.input.snapshot import STICK_AXES, TRIGGERS, Device, Snapshot

LISTEN_NS = 8_000_000_000
"""A place waits so long for a press."""
_AT_REST = 0.3


@dataclass(frozen=True)
class Place:
    """One input of an action: `slot` as in `Bindings.rebind`."""

    action: Action
    device: Device
    slot: int


@dataclass(frozen=True)
class Clash:
    """`name` was pressed for `place` but gives `other` already. `swap` are the bindings in which the two
    have changed places; None where that cannot be."""

    place: Place
    name: str
    other: Action
    swap: Bindings | None


@dataclass(frozen=True)
class Listening:
    """Waiting for a press since `since_ns`. `armed`: sticks and triggers have been at rest."""

    place: Place
    since_ns: int
    armed: bool = False


@dataclass(frozen=True)
class Told:
    """The last thing that happened, in words."""

    text: str = ""
    bad: bool = False


def places(bindings: Bindings, action: Action) -> tuple[Place, ...]:
    """The inputs of an action, the pad's first."""
    return tuple(
        Place(action, device, slot)
        for device in (Device.PAD, Device.KEYS)
        for slot in range(len(bindings.table(device)[action]))
    )


def changed(bindings: Bindings, action: Action) -> bool:
    """Whether the action has other inputs than by default."""
    return any(bindings.table(device)[action] != DEFAULT_BINDINGS.table(device)[action] for device in Device)


class Rebinding:
    """A cursor over the actions of BINDABLE and their inputs. Calls that change the bindings return True;
    the new ones are then in `bindings`."""

    def __init__(self, bindings: Bindings) -> None:
        self.bindings = bindings
        self.row, self.column = 0, 0
        self.listening: Listening | None = None
        self.clash: Clash | None = None
        self.told = Told()

    @property
    def action(self) -> Action:
        return BINDABLE[self.row]

    @property
    def place(self) -> Place:
        """The input that the cursor is on."""
        return places(self.bindings, self.action)[self.column]

    def move(self, right: int, down: int) -> None:
        """Move the cursor, held to the table's ends; up and down it stays on the same device."""
        device = self.place.device
        self.clash, self.told = None, Told()
        if down:
            self.row = min(max(self.row + down, 0), len(BINDABLE) - 1)
            there = [place.device for place in places(self.bindings, self.action)]
            if self.column >= len(there) or there[self.column] is not device:
                self.column = there.index(device)
        self.column = min(max(self.column + right, 0), len(places(self.bindings, self.action)) - 1)

    def listen(self, now_ns: int, pad: bool) -> None:
        """Wait for a press for the cursor's place; `pad`: whether there is a gamepad."""
        self.clash, self.told = None, Told()
        if self.place.device is Device.PAD and not pad:
            self.told = Told("No gamepad is connected: plug one in, or choose the keyboard's place", bad=True)
            return
        self.listening = Listening(self.place, now_ns)

    def hear(self, snapshot: Snapshot) -> bool:
        """Take a press from a snapshot that came after `listen`. A press on the other device, and no
        press for LISTEN_NS, leave everything as it is."""
        waiting = self.listening
        if waiting is None:
            return False
        name = _pressed(snapshot, waiting)
        if name is None:
            cancelled = any(edge.down and edge.device is not waiting.place.device for edge in snapshot.edges)
            if cancelled or snapshot.time_ns - waiting.since_ns > LISTEN_NS:
                self.listening, self.told = None, Told("Nothing was changed")
            elif not waiting.armed and _at_rest(snapshot):
                self.listening = replace(waiting, armed=True)
            return False
        self.listening = None
        return self._bind(waiting.place, name)

    def _bind(self, place: Place, name: str) -> bool:
        try:
            new = self.bindings.rebind(place.device, place.action, name, place.slot)
        except ConflictError as error:
            other = error.second if error.first is place.action else error.first
            if other is place.action:
                self.told = Told(f"'{ACTIONS[other].words}' has that already", bad=True)
                return False
            self.clash = Clash(place, name, other, _swapped(self.bindings, place, name, other))
            return False
        except BindingError as error:
            self.told = Told(_sentence(error), bad=True)
            return False
        return self._use(new, f"'{ACTIONS[place.action].words}' is changed")

    def swap(self) -> bool:
        """Let the two actions of the clash change places, where they can."""
        clash, self.clash = self.clash, None
        if clash is None or clash.swap is None:
            return False
        words = (
            f"'{ACTIONS[clash.place.action].words}' and '{ACTIONS[clash.other].words}' have changed places"
        )
        return self._use(clash.swap, words)

    def reset_action(self) -> bool:
        """Give the cursor's action its defaults back."""
        action, self.clash = self.action, None
        if not changed(self.bindings, action):
            self.told = Told(f"'{ACTIONS[action].words}' is as by default")
            return False
        try:
            new = Bindings(
                pad={**self.bindings.pad, action: DEFAULT_BINDINGS.pad[action]},
                keys={**self.bindings.keys, action: DEFAULT_BINDINGS.keys[action]},
            )
        except BindingError as error:
            self.told = Told(_sentence(error), bad=True)
            return False
        return self._use(new, f"'{ACTIONS[action].words}' is as by default again")

    def reset_all(self) -> bool:
        """Give every action its defaults back."""
        self.clash = None
        return self._use(DEFAULT_BINDINGS, "Everything is as by default")

    def _use(self, new: Bindings, words: str) -> bool:
        is_new, self.bindings, self.told = new != self.bindings, new, Told(words)
        self.column = min(self.column, len(places(new, self.action)) - 1)
        return is_new


def _pressed(snapshot: Snapshot, waiting: Listening) -> str | None:
    """What was pressed on the device that is waited for: an axis takes a stick, anything else no stick."""
    place = waiting.place
    takes_stick = place.device is Device.PAD and _is_stick(place)
    for edge in snapshot.edges:
        if edge.down and not edge.other and edge.device is place.device and not takes_stick:
            return edge.name
    if place.device is not Device.PAD or snapshot.pad is None or not waiting.armed:
        return None
    names = STICK_AXES if takes_stick else TRIGGERS
    moved: Mapping[str, float] = dict(zip((*STICK_AXES, *TRIGGERS), map(abs, snapshot.pad.axes), strict=True))
    furthest = max(names, key=lambda name: moved[name])
    return furthest if moved[furthest] > CAPTURE else None


def _is_stick(place: Place) -> bool:
    is_pair = len(DEFAULT_BINDINGS.pad[place.action]) == 2
    return ACTIONS[place.action].kind is Kind.AXIS and not is_pair


def _at_rest(snapshot: Snapshot) -> bool:
    return snapshot.pad is None or max(map(abs, snapshot.pad.axes)) < _AT_REST


def _swapped(bindings: Bindings, place: Place, name: str, other: Action) -> Bindings | None:
    """`place` has `name`, and `other` what was at `place`. STOP is not traded away."""
    if other is Action.STOP:
        return None
    table = bindings.table(place.device)
    mine, theirs = list(table[place.action]), list(table[other])
    theirs[theirs.index(name)], mine[place.slot] = mine[place.slot], name
    new = {**table, place.action: tuple(mine), other: tuple(theirs)}
    try:
        if place.device is Device.PAD:
            return replace(bindings, pad=new)
        return replace(bindings, keys=new)
    except BindingError:
        return None


def _sentence(error: BindingError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
