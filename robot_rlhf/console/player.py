"""A window that plays one stored episode, round and round, seen from where one wants."""

from __future__ import annotations

import errno
import os
import time

import pygame

from hardware.appearance import SceneDescription, View
from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.canvas import Canvas, Stock
from robot_rlhf.console.drawing.parts import cut_bottom, cut_top
from robot_rlhf.console.scene.camera import Viewpoint
from robot_rlhf.console.scene.orbit import DRAG_DEG_PX
from robot_rlhf.console.scene.picture import Picture
from robot_rlhf.console.screens.clip_parts import Lanes, clock, timelines
from robot_rlhf.console.screens.clips import Bools, Playhead, Reel, Row

_UNSEEN = ("offscreen", "dummy", "evdev")  # what SDL falls back to where it finds no screen
_PICTURES_HZ = 30.0
_SCRUB_S = 0.5
_ZOOM = 1.15
_KEYS = (
    "Space pauses, left and right go back and on, the mouse turns the view, its wheel comes nearer, Q closes"
)


def play(
    title: str, description: SceneDescription, rows: Row, hz: float, operator: Bools, view: View
) -> None:
    """Play the scene rows (n, k) at `hz` a second until the window is closed; `operator` (n - 1,) says of
    each step whether a person drove. Raises OSError or pygame.error where there is no screen."""
    player = Player(title, description, Reel(rows, hz, operator), Viewpoint.of(view))
    try:
        player.run()
    finally:
        player.close()


class Player:
    """The window, from `__init__` to `close`. Raises OSError or pygame.error where there is no screen."""

    def __init__(self, title: str, description: SceneDescription, reel: Reel, view: Viewpoint) -> None:
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
        pygame.display.init()
        if pygame.display.get_driver() in _UNSEEN and "SDL_VIDEODRIVER" not in os.environ:
            raise OSError(errno.ENODEV, "the screen cannot be reached: is DISPLAY right?")
        pygame.font.init()
        pygame.display.set_caption(title)
        self._window = pygame.display.set_mode(theme.DESIGN_SIZE, pygame.RESIZABLE)
        self._title, self._reel, self.view = title, reel, view
        self._picture = Picture(description)
        self._stock = Stock(1.0)
        self.head = Playhead(reel.duration_s, time.monotonic_ns())
        self.closed = False

    def run(self) -> None:
        """Play until the window is closed."""
        ticks = pygame.time.Clock()
        while not self.closed:
            self.step(time.monotonic_ns())
            ticks.tick(_PICTURES_HZ)

    def step(self, now_ns: int) -> None:
        """What was done since the last one, and the next picture."""
        for event in pygame.event.get():
            self._do(event, now_ns)
        if not self.closed:
            self._draw(now_ns)

    def _do(self, event: pygame.event.Event, now_ns: int) -> None:
        if event.type == pygame.QUIT:
            self.closed = True
        elif event.type == pygame.MOUSEWHEEL:
            self.view = self.view.zoomed(_ZOOM**event.y)
        elif event.type == pygame.MOUSEMOTION and event.buttons[0]:
            self.view = self.view.orbited(-event.rel[0] * DRAG_DEG_PX, event.rel[1] * DRAG_DEG_PX)
        elif event.type == pygame.KEYDOWN:
            if event.key in (pygame.K_q, pygame.K_ESCAPE):
                self.closed = True
            elif event.key == pygame.K_SPACE:
                self.head = self.head.toggled(now_ns)
            elif event.key in (pygame.K_LEFT, pygame.K_RIGHT):
                way_s = _SCRUB_S if event.key == pygame.K_RIGHT else -_SCRUB_S
                self.head = self.head.moved(now_ns, self.head.at(now_ns) + way_s)

    def _draw(self, now_ns: int) -> None:
        canvas = Canvas(pygame.Surface(self._window.get_size(), 0, 32), self._stock)
        lanes = Lanes(gripper=True, objects=True, drivers=True)
        gap, time_s = canvas.px(theme.PAD), self.head.at(now_ns)
        canvas.fill(canvas.area, theme.BACKGROUND)
        head, rest = cut_top(canvas.area.inflate(-2 * gap, -2 * gap), canvas.line_height(theme.BODY), gap)
        canvas.text(self._title, head.midleft, bold=True, anchor="midleft", width=head.width // 2)
        canvas.text(_KEYS, head.midright, theme.SMALL, theme.MUTED, anchor="midright", width=head.width // 2)
        strips, main = cut_bottom(rest, lanes.height(canvas), gap)
        self._picture.draw(canvas.surface, main, self._reel.at(time_s), self.view)
        corner = (main.right - gap, main.bottom - gap)
        clock(canvas, corner, time_s, self._reel.duration_s)
        timelines(canvas, strips, self._reel, time_s, self._reel.duration_s, lanes)
        self._window.blit(canvas.surface, (0, 0))
        pygame.display.flip()

    def close(self) -> None:
        """Close the window. Twice is fine."""
        pygame.display.quit()
