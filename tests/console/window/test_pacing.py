"""When the next pass is made: on the grid, and at once for a press."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pygame
import pytest

from robot_rlhf.console.input.virtual_pad import VirtualPad
from robot_rlhf.console.pacing import BUSY_HZ, Pacing


def key(down: bool = True) -> pygame.event.Event:
    return pygame.event.Event(pygame.KEYDOWN if down else pygame.KEYUP, key=pygame.K_w, mod=0)


def motion() -> pygame.event.Event:
    return pygame.event.Event(pygame.MOUSEMOTION, pos=(1, 1), rel=(1, 1), buttons=(0, 0, 0))


@pytest.fixture
def pacing(window: None) -> Pacing:
    """A calm one: a pass every 20 ms, so that one that comes early is told from one that does not."""
    pacing = Pacing()
    pacing.calm = True
    pacing.events()
    pacing.wait()
    pacing.events()
    return pacing


@pytest.fixture
def squeezed(pad: VirtualPad, pacing: Pacing) -> Iterator[VirtualPad]:
    """A pad that was opened as the console opens it."""
    from robot_rlhf.console.input.devices import Devices

    pad.plug()
    devices = Devices()
    devices.poll(pacing.events(), time.monotonic_ns())
    yield pad
    devices.close()


def waited_ms(pacing: Pacing) -> float:
    start = time.monotonic()
    pacing.wait()
    return (time.monotonic() - start) * 1e3


def test_a_press_ends_the_wait_and_is_in_the_next_pass(pacing: Pacing) -> None:
    posted_s: list[float] = []

    def press() -> None:
        posted_s.append(time.monotonic())
        pygame.event.post(key())

    took_s = []
    for number in range(9):
        threading.Timer(0.001 * number, press).start()
        while not (seen := pacing.events()):
            pacing.wait()
        took_s.append(time.monotonic() - posted_s[-1])
        assert [event.type for event in seen] == [pygame.KEYDOWN]
    assert sorted(took_s)[4] < 0.005


def test_what_was_seen_while_waiting_comes_first_and_in_order(pacing: Pacing) -> None:
    for event in (motion(), key(), key(down=False)):
        pygame.event.post(event)
    pacing.wait()
    pygame.event.post(motion())
    seen = [event.type for event in pacing.events()]
    assert seen == [pygame.MOUSEMOTION, pygame.KEYDOWN, pygame.KEYUP, pygame.MOUSEMOTION]
    assert pacing.events() == []


def test_motion_does_not_end_the_wait(pacing: Pacing) -> None:
    for _ in range(500):
        pygame.event.post(motion())
    assert waited_ms(pacing) > 10.0
    assert len(pacing.events()) == 500


def test_a_stick_does_not_end_the_wait_and_a_trigger_does(squeezed: VirtualPad, pacing: Pacing) -> None:
    squeezed.axis("leftx", 0.9)
    squeezed.axis("lefttrigger", 0.4)
    assert waited_ms(pacing) > 10.0
    pacing.events()
    for value in (0.9, 0.1):
        squeezed.axis("lefttrigger", value)
        assert waited_ms(pacing) < 10.0
        pacing.events()
    squeezed.press("a")
    assert waited_ms(pacing) < 10.0


def test_hammering_makes_no_more_than_five_hundred_passes(pacing: Pacing) -> None:
    pacing.calm = False
    end, passes = time.monotonic() + 0.5, 0
    while time.monotonic() < end:
        pygame.event.post(key())
        pacing.wait()
        pacing.events()
        passes += 1
    assert passes <= 255


def test_the_grid_is_kept(pacing: Pacing) -> None:
    pacing.calm = False
    pacing.wait()
    start, passes = time.monotonic(), 100
    for number in range(passes):
        if number % 10 == 0:
            pygame.event.post(key())
        pacing.events()
        pacing.wait()
    took_s = time.monotonic() - start
    extra = passes // 10  # those that came early are not taken off the grid
    assert took_s >= (passes - extra - 2) / BUSY_HZ - 0.002
    assert pacing.overruns > 0 or took_s <= (passes + 2) / BUSY_HZ


def test_passes_that_came_too_late_are_left_out_and_counted(pacing: Pacing) -> None:
    pacing.calm = False
    pacing.wait()
    before = pacing.overruns
    pacing.events()
    time.sleep(0.041)
    assert waited_ms(pacing) < 6.0
    assert pacing.overruns - before >= 9


def test_others_run_meanwhile(pacing: Pacing) -> None:
    counted = [0]

    def count() -> None:
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    while thread.is_alive():
        pacing.events()
        pacing.wait()
    assert counted[0] > 1000
