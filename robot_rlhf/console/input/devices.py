"""The hands on this machine: pads through SDL's GameController, the keyboard through the window's events.

The main thread pumps the events and hands them to `Devices.poll`; nothing here waits for anything.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

import pygame
from pygame._sdl2 import controller

from robot_rlhf.console.input import sdl
from robot_rlhf.console.input.event_times import EventTimes, ask_for_times
from robot_rlhf.console.input.labels import family_of
from robot_rlhf.console.input.pad_mapping import keep_mapping, load_mappings, mapping_line
from robot_rlhf.console.input.snapshot import (
    AXES,
    BUTTONS,
    Device,
    Edge,
    Family,
    PadState,
    Snapshot,
    UnknownPad,
)

_AXIS_END = 32767
_PLUGGED = (pygame.CONTROLLERDEVICEADDED, pygame.CONTROLLERDEVICEREMAPPED, pygame.JOYDEVICEADDED)
_UNPLUGGED = (pygame.CONTROLLERDEVICEREMOVED, pygame.JOYDEVICEREMOVED)


class Devices:
    """Every pad and the keyboard of one window. Made after the window was opened; pads come and go.

    `complaints` says in words which kept pad mappings could not be used, which pads could not be opened,
    or why there can be none at all; the keyboard works then. Raises pygame.error without a window.
    """

    def __init__(self, pads_file: Path | None = None) -> None:
        self._pads_file = pads_file
        self._keys: set[str] = set()
        self._focus = bool(pygame.key.get_focused())
        self._pads: dict[int, _Pad] = {}
        self._unknown: dict[int, pygame.joystick.JoystickType] = {}
        self._in_use: int | None = None
        self._times = EventTimes()
        self._polled_ns: int | None = None
        try:
            ask_for_times()
            sdl.name_buttons_by_place()
            controller.init()
            pygame.joystick.init()
            self.complaints = load_mappings(pads_file)
            self._has_pads = True
            self._rescan()
        except (sdl.SDLError, pygame.error) as error:
            self.complaints = (f"there are no gamepads: {error}",)
            self._has_pads = False

    def poll(self, events: Iterable[pygame.event.Event], time_ns: int) -> Snapshot:
        """What is held at `time_ns` (monotonic), and what the events since the last poll changed, in order.
        Where nobody says when something happened, it was between the two."""
        edges: list[Edge] = []
        before_ns = time_ns if self._polled_ns is None else self._polled_ns
        self._polled_ns = time_ns
        for event in events:
            known_ns = self._times.take(event, time_ns)
            if known_ns is None:
                self._take(event, time_ns, before_ns, edges)
            else:
                self._take(event, max(known_ns, before_ns), None, edges)
        self._drop_dead_pads()
        pad = self._pads[self._in_use].state() if self._in_use is not None else None
        unknown = tuple(_unknown_state(joystick) for joystick in self._unknown.values())
        return Snapshot(time_ns, self._focus, frozenset(self._keys), pad, tuple(edges), unknown)

    def teach(self, pad: UnknownPad, answers: Mapping[str, str]) -> None:
        """Make an unknown pad a known one by a wizard's answers (see pad_mapping) and keep that for the
        next time. Raises ValueError or SDLError for answers that make no mapping; an OSError means that
        the pad works now but could not be kept."""
        line = mapping_line(pad.guid, pad.name, answers)
        sdl.add_mapping(line)
        self._rescan()
        keep_mapping(line, self._pads_file)

    def rumble(self, low: float, high: float, duration_ms: int) -> bool:
        """Let the pad in use rumble, strengths in [0, 1]; False where it does not."""
        if self._in_use is None:
            return False
        return bool(self._pads[self._in_use].controller.rumble(low, high, duration_ms))

    def close(self) -> None:
        for pad in self._pads.values():
            pad.controller.quit()
        for joystick in self._unknown.values():
            joystick.quit()
        self._pads, self._unknown, self._in_use = {}, {}, None

    def _take(self, event: pygame.event.Event, time_ns: int, after_ns: int | None, edges: list[Edge]) -> None:
        kind = event.type
        if kind in (pygame.KEYDOWN, pygame.KEYUP):
            name, down = _key_name(event.key), kind == pygame.KEYDOWN
            if name and (name in self._keys) != down:  # a repeat says nothing new
                (self._keys.add if down else self._keys.discard)(name)
                edges.append(Edge(Device.KEYS, name, down, time_ns, after_ns=after_ns))
        elif kind in (pygame.CONTROLLERBUTTONDOWN, pygame.CONTROLLERBUTTONUP):
            down = kind == pygame.CONTROLLERBUTTONDOWN
            if event.instance_id in self._pads and event.button < len(BUTTONS):
                if down:
                    self._prefer(event.instance_id)
                other = event.instance_id != self._in_use
                edges.append(Edge(Device.PAD, BUTTONS[event.button], down, time_ns, other, after_ns))
        elif kind == pygame.WINDOWFOCUSLOST:
            self._focus = False
            held = sorted(self._keys)
            edges.extend(Edge(Device.KEYS, name, False, time_ns, after_ns=after_ns) for name in held)
            self._keys.clear()
        elif kind == pygame.WINDOWFOCUSGAINED:
            self._focus = True
        elif kind in _PLUGGED:
            self._rescan()
        elif kind in _UNPLUGGED:
            self._forget(event.instance_id)

    def _prefer(self, instance: int) -> None:
        """The pad whose button is pressed is the one in use, unless something is held on the other."""
        if instance != self._in_use and (self._in_use is None or self._pads[self._in_use].is_idle()):
            self._in_use = instance

    def _rescan(self) -> None:
        """Open what is plugged in and not yet open. SDL's events name places in a list that may have
        changed since, so they are only taken as a call to look."""
        for index, instance in enumerate(sdl.instance_ids() if self._has_pads else ()):
            try:
                self._open(index, instance)
            except pygame.error as error:  # gone again, or not ours to read
                complaint = f"a gamepad cannot be opened: {error}"
                if complaint not in self.complaints:
                    self.complaints = (*self.complaints, complaint)

    def _open(self, index: int, instance: int) -> None:
        if instance < 0 or instance in self._pads:
            return
        if controller.is_controller(index):
            self._unknown.pop(instance, None)
            self._pads[instance] = _Pad(index, instance)
            self._in_use = instance if self._in_use is None else self._in_use
        elif instance not in self._unknown:
            self._unknown[instance] = pygame.joystick.Joystick(index)

    def _drop_dead_pads(self) -> None:
        for instance in [key for key, pad in self._pads.items() if not pad.controller.attached()]:
            self._forget(instance)

    def _forget(self, instance: int) -> None:
        if pad := self._pads.pop(instance, None):
            pad.controller.quit()
        if joystick := self._unknown.pop(instance, None):
            joystick.quit()
        if instance == self._in_use:
            self._in_use = next(iter(self._pads), None)


class _Pad:
    """An open pad."""

    def __init__(self, index: int, instance: int) -> None:
        self.controller = controller.Controller(index)
        self._instance = instance
        self._name = self.controller.name
        self._family: Family = family_of(sdl.controller_type(index), self._name)
        self._joystick = self.controller.as_joystick()

    def state(self) -> PadState:
        """What it reads now. Held buttons are read too, not summed up from events that may be lost."""
        get_axis, get_button = self.controller.get_axis, self.controller.get_button
        lx, ly, rx, ry, lt, rt = (max(-1.0, get_axis(number) / _AXIS_END) for number in range(len(AXES)))
        power = self._joystick.get_power_level()
        return PadState(
            id=self._instance,
            name=self._name,
            family=self._family,
            axes=(lx, ly, rx, ry, max(0.0, lt), max(0.0, rt)),
            buttons=frozenset(name for number, name in enumerate(BUTTONS) if get_button(number)),
            battery=None if power == "unknown" else power,
        )

    def is_idle(self) -> bool:
        return not self.state().buttons


def _unknown_state(joystick: pygame.joystick.JoystickType) -> UnknownPad:
    return UnknownPad(
        id=joystick.get_instance_id(),
        name=joystick.get_name(),
        guid=joystick.get_guid(),
        axes=tuple(max(-1.0, joystick.get_axis(number)) for number in range(joystick.get_numaxes())),
        buttons=tuple(bool(joystick.get_button(number)) for number in range(joystick.get_numbuttons())),
        hats=tuple((int(x), int(y)) for x, y in map(joystick.get_hat, range(joystick.get_numhats()))),
    )


@functools.cache
def _key_name(key: int) -> str:
    return pygame.key.name(key)
