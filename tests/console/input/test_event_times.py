"""When a key was really pressed: X11's times on the monotonic clock."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pygame
import pytest

from robot_rlhf.console.input.event_times import EventTimes

MS = 1_000_000
OFFSET_MS = 5_000_000
ROOT = Path(__file__).parents[3]


class Keyboard:
    """Keys of an X server whose clock shows `OFFSET_MS` less than ours, modulo 2^32."""

    def __init__(self, offset_ms: int = OFFSET_MS) -> None:
        self.times = EventTimes()
        self.offset_ms = offset_ms

    def heard(self, pressed_ms: int, came_ms: int, raw_type: int = 2) -> int | None:
        """The time of a key that was pressed and came at these times of ours, in ms."""
        stamp = (pressed_ms - self.offset_ms) % (1 << 32)
        raw = struct.pack("@i", raw_type).ljust(56, b"\0") + struct.pack("@L", stamp) + bytes(128)
        assert self.times.take(pygame.event.Event(pygame.SYSWMEVENT, event=raw), came_ms * MS) is None
        found = self.times.take(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_r), came_ms * MS)
        return None if found is None else found // MS


def test_a_key_that_comes_late_has_the_time_at_which_it_was_pressed() -> None:
    keys = Keyboard()
    assert keys.heard(6_000_000, 6_000_001) == 6_000_001
    assert keys.heard(6_000_500, 6_000_502) == pytest.approx(6_000_501, abs=1)
    assert keys.heard(6_001_000, 6_001_900) == pytest.approx(6_001_001, abs=1)


def test_a_time_is_never_before_the_press_nor_after_it_came() -> None:
    keys = Keyboard()
    for pressed, late in ((0, 700), (1_000, 300), (2_000, 5), (3_000, 900), (4_000, 1)):
        found = keys.heard(6_000_000 + pressed, 6_000_000 + pressed + late)
        assert found is not None
        assert pressed <= found - 6_000_000 <= pressed + late


def test_the_other_clock_may_wrap_round() -> None:
    keys = Keyboard(offset_ms=6_000_100)
    assert keys.heard(6_000_000, 6_000_000) == 6_000_000
    assert keys.heard(6_000_200, 6_000_700) == pytest.approx(6_000_200, abs=1)


def test_clocks_that_drift_apart_are_followed() -> None:
    keys = Keyboard()
    for second in range(0, 7200, 10):
        keys.offset_ms = OFFSET_MS + round(second * 0.05)  # 50 millionths
        found = keys.heard(6_000_000 + 1000 * second, 6_000_000 + 1000 * second + 1)
        assert found == pytest.approx(6_000_000 + 1000 * second, abs=3)


def test_what_is_no_key_of_x11_has_no_time() -> None:
    keys = Keyboard()
    assert keys.heard(6_000_000, 6_000_001, raw_type=9) is None
    assert keys.times.take(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_r), 7) is None
    assert keys.times.take(pygame.event.Event(pygame.SYSWMEVENT), 7) is None
    assert keys.times.take(pygame.event.Event(pygame.SYSWMEVENT, event=b"short"), 7) is None


WINDOW = """
import subprocess, sys, time
import pygame
from robot_rlhf.console.input.bindings import DEFAULT_BINDINGS
from robot_rlhf.console.input.actions import Context
from robot_rlhf.console.input.controls import Controls
from robot_rlhf.console.input.devices import Devices

pygame.display.init()
pygame.display.set_mode((300, 200))
devices, controls = Devices(), Controls(DEFAULT_BINDINGS)

def look():
    return controls.update(devices.poll(pygame.event.get(), time.monotonic_ns()), Context.DRIVE)

subprocess.run("xdotool windowfocus $(xdotool search --class . | tail -1)", shell=True, check=True)
end = time.monotonic() + 0.5
while time.monotonic() < end:
    look()
    time.sleep(0.01)
subprocess.run(["xdotool", "key", "Up"], check=True)
look()
subprocess.run(["xdotool", "keydown", "r", "sleep", "0.7", "keyup", "r", "sleep", "0.3"], check=True)
commands = look()
print(*(action.value for action in commands.fired), len(commands.unclear))
subprocess.run(["xdotool", "keydown", "r", "sleep", "0.4", "keyup", "r", "sleep", "0.6"], check=True)
commands = look()
print(*(action.value for action in commands.fired), len(commands.unclear))
"""


@contextlib.contextmanager
def screen() -> Iterator[str]:
    reading, writing = os.pipe()
    words = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "640x480x24", "-nolisten", "tcp"]
    server = subprocess.Popen(words, pass_fds=(writing,), stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as said:
            yield f":{said.readline().strip()}"
    finally:
        server.terminate()
        server.wait(5)


@pytest.mark.skipif(not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs Xvfb and xdotool")
@pytest.mark.timeout(60)
def test_a_hold_that_a_window_slept_through_fires_if_it_was_long_enough() -> None:
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("SDL_")}
    with screen() as name:
        env = {**quiet, "DISPLAY": name, "PYTHONPATH": str(ROOT), "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
        done = subprocess.run(
            [sys.executable, "-c", WINDOW], env=env, capture_output=True, text=True, timeout=50, check=False
        )
    assert done.stdout.splitlines() == ["discard 0", "0"], done.stderr
