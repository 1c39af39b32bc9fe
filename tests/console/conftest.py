"""Hands for the console's tests: a real SDL window without a screen, a virtual pad, and a clock of ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pygame
import pytest
from pygame._sdl2 import controller

from robot_rlhf.console.input.actions import Action, Context
from robot_rlhf.console.input.bindings import DEFAULT_BINDINGS
from robot_rlhf.console.input.controls import Commands, Controls
from robot_rlhf.console.input.devices import Devices
from robot_rlhf.console.input.snapshot import STICK_AXES, TRIGGERS, Device, Snapshot
from robot_rlhf.console.input.virtual_pad import VirtualPad

POLL_MS = 4


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A window, SDL's dummy sound, and pads that are heard although the dummy window never has the focus
    (the product keeps SDL's default). Settings lie in an empty folder."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    monkeypatch.setenv("SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", "1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    pygame.quit()
    pygame.display.init()
    pygame.display.set_mode((64, 48))
    yield
    controller.quit()
    pygame.quit()


@pytest.fixture
def pad(window: None) -> Iterator[VirtualPad]:
    """A pad, not yet plugged in."""
    pad = VirtualPad()
    yield pad
    pad.unplug()


@dataclass
class Rig:
    """Devices and controls on a window with the focus, polled every 4 ms of a time that only `step`
    moves. `last` is what the devices read last."""

    devices: Devices
    controls: Controls
    pad: VirtualPad
    context: Context = Context.DRIVE
    now_ns: int = 1_000_000_000
    last: Snapshot | None = None

    def step(self) -> Commands:
        """One poll."""
        self.now_ns += POLL_MS * 1_000_000
        self.last = self.devices.poll(pygame.event.get(), self.now_ns)
        return self.controls.update(self.last, self.context)

    def pump(self) -> None:
        """Let SDL see what the pad does, while nobody looks."""
        pygame.event.pump()

    def run(self, seconds: float) -> tuple[Commands, list[Action]]:
        """Polls for as long as that: the last commands, and everything that fired."""
        fired: list[Action] = []
        for _ in range(max(1, round(seconds * 1000 / POLL_MS))):
            commands = self.step()
            fired += commands.fired
        return commands, fired

    def key(self, *names: str, down: bool = True) -> None:
        for name in names:
            kind = pygame.KEYDOWN if down else pygame.KEYUP
            code = pygame.key.key_code(name)
            assert pygame.key.name(code) == name
            pygame.event.post(pygame.event.Event(kind, key=code, mod=0, unicode="", scancode=0))

    def focus(self, has: bool) -> None:
        pygame.event.post(pygame.event.Event(pygame.WINDOWFOCUSGAINED if has else pygame.WINDOWFOCUSLOST))

    def put(self, device: Device, name: str, down: bool, value: float = 1.0) -> None:
        """Press or release any input; a stick's axis goes to `value`."""
        if device is Device.KEYS:
            self.key(name, down=down)
        elif name in (*STICK_AXES, *TRIGGERS):
            self.pad.axis(name, value if down else 0.0)
        elif down:
            self.pad.press(name)
        else:
            self.pad.release(name)


@pytest.fixture
def rig(pad: VirtualPad) -> Rig:
    """A pad at rest, plugged in and calibrated, the focus on the window, nothing held."""
    pad.plug()
    rig = Rig(Devices(), Controls(DEFAULT_BINDINGS), pad)
    rig.focus(True)
    rig.run(1.1)
    return rig
