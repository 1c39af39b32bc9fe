"""The road from SDL's events to snapshots: every button and axis, hot-plug, focus, unknown pads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pygame
import pytest
from pygame._sdl2 import controller

from robot_rlhf.console.input import sdl
from robot_rlhf.console.input.devices import Devices
from robot_rlhf.console.input.snapshot import (
    BUTTONS,
    STICK_AXES,
    TRIGGERS,
    Device,
    Edge,
    Family,
    Snapshot,
)
from robot_rlhf.console.input.virtual_pad import VirtualPad

if TYPE_CHECKING:
    from tests.console.conftest import Rig


def poll(devices: Devices, time_ns: int = 7) -> Snapshot:
    return devices.poll(pygame.event.get(), time_ns)


def axis(snapshot: Snapshot, name: str) -> float:
    assert snapshot.pad is not None
    return snapshot.pad.axes[(*STICK_AXES, *TRIGGERS).index(name)]


@pytest.mark.parametrize("name", BUTTONS[:15])
def test_a_button_goes_down_and_up(pad: VirtualPad, name: str) -> None:
    pad.plug()
    devices = Devices()
    poll(devices)
    pad.press(name)
    snapshot = poll(devices, 11)
    assert snapshot.edges == (Edge(Device.PAD, name, True, 11),)
    assert snapshot.pad is not None
    assert snapshot.pad.buttons == {name}
    if name == "guide":  # SDL keeps it down for a quarter of a second
        return
    pad.release(name)
    snapshot = poll(devices, 12)
    assert snapshot.edges == (Edge(Device.PAD, name, False, 12),)
    assert snapshot.pad is not None
    assert snapshot.pad.buttons == frozenset()


@pytest.mark.parametrize("name", STICK_AXES)
@pytest.mark.parametrize("value", [-1.0, -0.5, 0.25, 1.0])
def test_a_stick_reads_what_it_is(pad: VirtualPad, name: str, value: float) -> None:
    pad.plug()
    devices = Devices()
    poll(devices)
    pad.axis(name, value)
    snapshot = poll(devices)
    assert axis(snapshot, name) == pytest.approx(value, abs=1e-4)
    assert -1.0 <= axis(snapshot, name) <= 1.0


@pytest.mark.parametrize("name", TRIGGERS)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_trigger_reads_from_nothing_to_one(pad: VirtualPad, name: str, value: float) -> None:
    pad.plug()
    devices = Devices()
    poll(devices)
    pad.axis(name, value)
    assert axis(poll(devices), name) == pytest.approx(value, abs=1e-4)


def test_keys_are_held_until_they_go_up_and_repeats_say_nothing(rig: Rig) -> None:
    rig.key("w", "w", "left shift")
    rig.step()
    assert rig.last is not None
    assert rig.last.keys == {"w", "left shift"}
    assert [edge.name for edge in rig.last.edges] == ["w", "left shift"]
    rig.key("w", down=False)
    rig.step()
    assert rig.last.keys == {"left shift"}
    assert rig.last.edges == (Edge(Device.KEYS, "w", False, rig.now_ns),)


def test_a_press_shorter_than_a_poll_is_two_edges(rig: Rig) -> None:
    rig.key("up")
    rig.key("up", down=False)
    rig.step()
    assert rig.last is not None
    assert [edge.down for edge in rig.last.edges] == [True, False]
    assert rig.last.keys == frozenset()


def test_losing_the_focus_lets_go_of_every_key(rig: Rig) -> None:
    rig.key("space", "w")
    rig.step()
    rig.focus(False)
    rig.step()
    assert rig.last is not None
    assert (rig.last.focus, rig.last.keys) == (False, frozenset())
    assert [(edge.name, edge.down) for edge in rig.last.edges] == [("space", False), ("w", False)]


def test_pads_come_and_go(pad: VirtualPad) -> None:
    devices = Devices()
    assert poll(devices).pad is None
    pad.plug()
    first = poll(devices).pad
    assert first is not None
    assert (first.name, first.family) == ("Virtual Xbox pad", Family.XBOX)
    pad.press("rightshoulder")
    poll(devices)
    pad.unplug()
    gone = poll(devices)
    assert gone.pad is None
    assert Edge(Device.PAD, "rightshoulder", False, 7) in gone.edges
    pad.plug()
    again = poll(devices).pad
    assert again is not None
    assert again.id != first.id
    assert again.buttons == frozenset()
    pad.press("a")
    assert [edge.name for edge in poll(devices).edges] == ["a"]


def test_a_pad_that_was_there_before_the_window_is_found(pad: VirtualPad) -> None:
    pad.plug()
    pygame.event.clear()
    assert poll(Devices()).pad is not None


def test_the_pad_whose_button_is_pressed_is_in_use_unless_the_other_is_held(pad: VirtualPad) -> None:
    pad.plug()
    with VirtualPad("PS5 Controller") as other:
        devices = Devices()
        assert (state := poll(devices).pad) is not None
        assert state.id == pad.instance
        pad.press("rightshoulder")
        poll(devices)
        other.press("a")
        snapshot = poll(devices)
        assert snapshot.pad is not None
        assert snapshot.pad.id == pad.instance
        assert snapshot.edges == (Edge(Device.PAD, "a", True, 7, other=True),)
        pad.release("rightshoulder")
        other.release("a")
        poll(devices)
        other.press("a")
        snapshot = poll(devices)
        assert snapshot.pad is not None
        assert (snapshot.pad.id, snapshot.pad.family) == (other.instance, Family.PLAYSTATION)
        other.unplug()
        assert (state := poll(devices).pad) is not None
        assert state.id == pad.instance


def test_a_pads_battery_is_what_sdl_says_of_it_and_otherwise_unknown(pad: VirtualPad) -> None:
    pad.plug()
    state = poll(Devices()).pad
    assert state is not None
    assert state.battery is None  # a virtual pad has none


def test_rumble_reaches_the_pad_in_use(pad: VirtualPad) -> None:
    devices = Devices()
    assert devices.rumble(0.5, 1.0, 50) is False
    pad.plug()
    poll(devices)
    assert devices.rumble(0.5, 1.0, 50) is True
    assert pad.rumbled[0] == pytest.approx((0.5, 1.0), abs=1e-4)


def test_closed_devices_hold_nothing(rig: Rig) -> None:
    rig.devices.close()
    commands = rig.step()
    assert rig.last is not None
    assert rig.last.pad is None
    assert not commands.takeover


def test_without_pads_the_keyboard_works(pad: VirtualPad, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise sdl.SDLError("no SDL here")

    monkeypatch.setattr(sdl, "name_buttons_by_place", fail)
    devices = Devices()
    assert devices.complaints == ("there are no gamepads: no SDL here",)
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_w, mod=0, unicode="w", scancode=0))
    assert poll(devices).keys == {"w"}


def test_a_pad_that_cannot_be_opened_is_named_and_stops_nothing(
    pad: VirtualPad, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(index: int) -> None:
        raise pygame.error("permission denied")

    devices = Devices()
    monkeypatch.setattr(controller, "Controller", refuse)
    pad.plug()
    assert poll(devices).pad is None
    assert devices.complaints == ("a gamepad cannot be opened: permission denied",)
