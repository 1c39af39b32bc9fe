"""The window that plays a stored episode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pygame
import pytest

from robot_rlhf.console.player import Player
from robot_rlhf.console.scene.camera import Viewpoint
from robot_rlhf.console.screens.clips import Reel
from tests.console.window.conftest import describe, row


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch) -> Iterator[Player]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    rows = np.stack([row(0.3 + 0.01 * i) for i in range(21)])
    reel = Reel(rows, 10.0, np.arange(20) > 9)
    player = Player("an episode", describe(), reel, Viewpoint.of(describe().views[0]))
    yield player
    player.close()


def press(key: int) -> None:
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, mod=0, unicode=""))


def shown() -> np.ndarray:
    window = pygame.display.get_surface()
    assert window is not None
    return pygame.surfarray.array3d(window)


def test_it_plays_pauses_and_goes_back(player: Player) -> None:
    start = player.head.since_ns
    player.step(start)
    first = shown()
    player.step(start + 10**9)
    assert player.head.at(start + 10**9) == 1.0
    assert (first != shown()).any()
    press(pygame.K_SPACE)
    player.step(start + 10**9)
    assert player.head.at(start + 5 * 10**9) == 1.0
    press(pygame.K_RIGHT)
    press(pygame.K_LEFT)
    press(pygame.K_LEFT)
    player.step(start + 10**9)
    assert player.head.at(start + 10**9) == pytest.approx(0.5)


def test_the_mouse_turns_the_view_and_its_wheel_comes_nearer(player: Player) -> None:
    before = player.view
    drag = pygame.event.Event(pygame.MOUSEMOTION, pos=(0, 0), rel=(50, 10), buttons=(1, 0, 0))
    pygame.event.post(drag)
    pygame.event.post(pygame.event.Event(pygame.MOUSEWHEEL, x=0, y=1))
    player.step(player.head.since_ns)
    assert player.view.azimuth_deg != before.azimuth_deg
    assert player.view.elevation_deg > before.elevation_deg
    assert player.view.distance_m < before.distance_m


@pytest.mark.parametrize("way", [pygame.K_q, pygame.K_ESCAPE, None])
def test_it_closes(player: Player, way: int | None) -> None:
    if way is None:
        pygame.event.post(pygame.event.Event(pygame.QUIT))
    else:
        press(way)
    player.run()
    assert player.closed


def test_without_a_screen_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    reel = Reel(np.stack([row()]), 10.0, np.zeros(0, np.bool_))
    with pytest.raises((OSError, pygame.error)):
        Player("an episode", describe(), reel, Viewpoint.of(describe().views[0]))
    pygame.display.quit()
