"""Cameras beside the arm, on the Drive screen: what they see, how to go round them, when they are blind."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pygame
import pytest

from hardware.cameras.server import CameraServer
from hardware.transport import wait
from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.stamps import Stock
from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.screens.chrome import draw_window
from robot_rlhf.console.screens.drive.film import Film
from robot_rlhf.console.screens.drive.screen import DriveScreen
from robot_rlhf.console.screens.drive.sights import sights
from robot_rlhf.console.screens.model import Seen

Desk = Any
BAR_YELLOW = (117, 117, 8)  # the second bar of the pattern, as bright as it is drawn


@pytest.fixture
def server(desk: Desk) -> Iterator[CameraServer]:
    """One beside the arm, called bench."""
    with closing(CameraServer("bench=pattern,size=64x48,hz=50", "tcp://127.0.0.1:*", None)) as made:
        desk.link.eyes.offered({"bench": made.address}, is_here=True)
        yield made
        desk.link.eyes.close()


@pytest.fixture
def screen(desk: Desk, server: CameraServer, window: None) -> DriveScreen:
    pygame.font.init()
    made = DriveScreen(desk.shared)
    desk.step(made, passes=2)
    return made


def turn(desk: Desk, screen: DriveScreen, action: Action) -> None:
    desk.step(screen, Commands(fired=(action,)))
    desk.step(screen)


def look(desk: Desk, screen: DriveScreen, holds: Callable[[], bool]) -> None:
    """Until it is so."""
    until_s = time.monotonic() + 10.0
    while not holds():
        assert time.monotonic() < until_s
        wait(desk.link.eyes.endpoints, time.monotonic_ns() + 50_000_000)
        desk.link.eyes.service()
        desk.step(screen)


def trouble(desk: Desk) -> str:
    return str(desk.shared.model.seen["bench"].trouble)


def drawn(desk: Desk, screen: DriveScreen) -> pygame.Surface:
    surface = pygame.Surface((1280, 800), 0, 32)
    draw_window(Canvas(surface, Stock(1.0)), desk.shared, screen)
    return surface


def yellow(surface: pygame.Surface) -> int:
    """How many of its pixels are of the pattern's second bar."""
    return pygame.mask.from_threshold(surface, BAR_YELLOW, (12, 12, 12, 255)).count()


def test_a_camera_is_the_second_view_and_goes_round_with_the_others(desk: Desk, screen: DriveScreen) -> None:
    shown = []
    for _ in range(4):
        now = sights(desk.shared.model, screen.state.view)
        assert now is not None
        shown.append(tuple(each if isinstance(each, str) else each.name for each in (now.main, now.inset)))
        turn(desk, screen, Action.CAMERA_RIGHT)
    assert shown == [("front", "bench"), ("side", "bench"), ("bench", "front"), ("front", "bench")]


def test_what_a_camera_sees_is_drawn_small_and_large(desk: Desk, screen: DriveScreen) -> None:
    assert yellow(drawn(desk, screen)) == 0
    look(desk, screen, lambda: not trouble(desk))
    small = yellow(drawn(desk, screen))
    turn(desk, screen, Action.CAMERA_LEFT)
    assert 1_000 < 5 * small < yellow(drawn(desk, screen))


def test_a_camera_that_dies_is_said_over_its_last_picture(
    desk: Desk, screen: DriveScreen, server: CameraServer
) -> None:
    turn(desk, screen, Action.CAMERA_LEFT)
    look(desk, screen, lambda: not trouble(desk))
    live: list[int] = []
    until_s = time.monotonic() + 1.1  # the pattern's hand turns once a second, and hides some of it

    def is_round() -> bool:
        live.append(yellow(drawn(desk, screen)))
        return time.monotonic() > until_s

    look(desk, screen, is_round)
    server.close()
    look(desk, screen, lambda: "s old" in trouble(desk))
    assert 0 < yellow(drawn(desk, screen)) < 0.98 * max(live)  # the words lie over a part of it


def test_sticks_act_before_a_camera_as_before_the_first_view(desk: Desk, screen: DriveScreen) -> None:
    turns = []
    for _ in range(3):
        turns.append(screen.quarter_turns)
        turn(desk, screen, Action.CAMERA_RIGHT)
    assert turns[2] == turns[0] != turns[1]


def test_a_camera_that_nobody_looks_at_sends_nothing(desk: Desk, screen: DriveScreen) -> None:
    eyes = desk.link.eyes
    assert eyes.looked_at == ("bench",)
    eyes.look_at(())
    assert eyes.looked_at == () and eyes.endpoints == []


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("tcp://127.0.0.1:5000", "on the session's own machine alone"),
        ("tcp://192.0.2.1:5000", "without keys"),
    ],
)
def test_a_camera_that_cannot_be_reached_from_here_says_why(
    desk: Desk, screen: DriveScreen, address: str, told: str
) -> None:
    desk.link.eyes.offered({"bench": address}, is_here=False)
    desk.step(screen)
    desk.step(screen)
    assert told in trouble(desk)
    drawn(desk, screen)


def test_a_picture_that_cannot_be_read_is_said_and_the_next_is_drawn(window: None) -> None:
    pygame.font.init()
    surface = pygame.Surface((640, 480), 0, 32)
    canvas, film = Canvas(surface, Stock(1.0)), Film()
    film.draw(canvas, surface.get_rect(), Seen(b"\xff\xd8 half of one", ""))
    assert pygame.mask.from_threshold(surface, theme.WARN, (8, 8, 8, 255)).count() > 100
    jpeg = io.BytesIO()
    pygame.image.save(pygame.Surface((8, 8)), jpeg, ".jpg")
    film.draw(canvas, surface.get_rect(), Seen(jpeg.getvalue(), ""))
    assert pygame.mask.from_threshold(surface, theme.WARN, (8, 8, 8, 255)).count() == 0
