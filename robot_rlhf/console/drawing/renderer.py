"""The thread that draws: off-screen, at its own pace, so that nobody who handles input waits for it."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import pygame

from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.stamps import Stock

CALM_HZ, SLOW_HZ, FAST_HZ = 5.0, 30.0, 60.0
_FAST_BELOW_S, _SLOW_ABOVE_S = 0.007, 0.010  # what a picture takes when 60 a second are worth it
_BUFFERS = 3  # one is drawn, one waits, one is shown


@dataclass(frozen=True, eq=False)
class Frame:
    """A finished picture, its number from 1 on, and how long it took to draw."""

    surface: pygame.Surface
    number: int
    drawn_s: float


class Renderer:
    """Calls `paint` for one picture after another, 30 times a second or 60 where a picture takes so little
    time that there is enough left for everything else; 5 times a second where it is calm.

    `take` gives the newest finished frame to the thread that shows it, `done` gives it back. An error of
    `paint` ends the drawing and is raised by the next `take`.
    """

    def __init__(self, paint: Callable[[Canvas], None], size: tuple[int, int], scale: float) -> None:
        self._paint = paint
        self._lock = threading.Lock()
        self._free: queue.SimpleQueue[pygame.Surface | None] = queue.SimpleQueue()
        self._ready: Frame | None = None
        self._error: BaseException | None = None
        self._ends = False
        self._awake = threading.Event()
        self._calm = False
        self._took: deque[float] = deque(maxlen=30)
        self._hz = SLOW_HZ
        self._frames = 0
        self._stock = Stock(scale)
        self.resize(size, scale)
        self._thread = threading.Thread(target=self._run, name="console-pictures", daemon=True)

    @property
    def frames(self) -> int:
        """Pictures drawn so far."""
        return self._frames

    @property
    def hz(self) -> float:
        """The pace it keeps now."""
        return self._hz

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Draw the next picture now."""
        self._awake.set()

    def keep_calm(self, calm: bool) -> None:
        """Whether nothing moves that would be worth more than a few pictures a second."""
        if calm != self._calm:
            self._calm = calm
            self.wake()

    def resize(self, size: tuple[int, int], scale: float) -> None:
        """Draw at another size from the next picture on. What waits to be shown is dropped."""
        with self._lock:
            self._size, self._scale, self._ready = size, scale, None
            fresh: queue.SimpleQueue[pygame.Surface | None] = queue.SimpleQueue()
            for _ in range(_BUFFERS):
                fresh.put(pygame.Surface(size, 0, 32))
            before, self._free = self._free, fresh
        before.put(None)  # whoever waits there looks again

    def take(self) -> Frame | None:
        """The newest picture that was not taken yet; to be given back by `done`."""
        if self._error is not None:
            raise self._error
        with self._lock:
            frame, self._ready = self._ready, None
        return frame

    def done(self, frame: Frame) -> None:
        with self._lock:
            self._recycle(frame.surface)

    def close(self) -> None:
        """End the thread; it finishes its picture first."""
        self._ends = True
        self.wake()
        self._free.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def draw(self, surface: pygame.Surface) -> None:
        """One picture onto a surface, on the caller's thread."""
        if self._stock.scale != self._scale:
            self._stock = Stock(self._scale)
        self._paint(Canvas(surface, self._stock))

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ends:
            surface = self._free.get()
            if surface is None or surface.get_size() != self._size:
                continue
            start = time.monotonic()
            try:
                self.draw(surface)
            except BaseException as error:  # raised again by `take`, on the main thread
                self._error = error
                return
            took = time.monotonic() - start
            self._offer(surface, took)
            due = max(due + 1.0 / self._pace(took), time.monotonic())
            if self._awake.wait(max(0.001, due - time.monotonic())):
                self._awake.clear()
                due = time.monotonic()

    def _offer(self, surface: pygame.Surface, took: float) -> None:
        self._frames += 1
        with self._lock:
            if surface.get_size() != self._size:
                return
            missed, self._ready = self._ready, Frame(surface, self._frames, took)
            if missed is not None:
                self._recycle(missed.surface)

    def _recycle(self, surface: pygame.Surface) -> None:
        if surface.get_size() == self._size:
            self._free.put(surface)

    def _pace(self, took: float) -> float:
        self._took.append(took)
        mean = sum(self._took) / len(self._took)
        if len(self._took) == self._took.maxlen:
            if mean < _FAST_BELOW_S:
                self._hz = FAST_HZ
            elif mean > _SLOW_ABOVE_S:
                self._hz = SLOW_HZ
        return CALM_HZ if self._calm else self._hz
