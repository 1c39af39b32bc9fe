"""When the main thread makes its next pass: every 4 ms, and at once for a press.

Motion never makes a pass come early, however much of it arrives: sticks and mouse are read on the grid.
"""

from __future__ import annotations

import time

import pygame

from robot_rlhf.console.input.snapshot import AXES, TRIGGERS
from robot_rlhf.console.input.sticks import Trigger

_NS_PER_S, _NS_PER_MS = 1_000_000_000, 1_000_000
BUSY_HZ, CALM_HZ = 250.0, 50.0
SHORTEST_NS = 2_000_000
"""From one pass to the next at least, also where somebody hammers on the keys."""
_PRESSES = (pygame.KEYDOWN, pygame.KEYUP, pygame.CONTROLLERBUTTONDOWN, pygame.CONTROLLERBUTTONUP)
_TRIGGER_NUMBERS = frozenset(AXES.index(name) for name in TRIGGERS)
_AXIS_END = 32767


class Pacing:
    """Waits between the passes of a window. Made and used on the thread that opened it.

    `calm`: with nothing to say to anybody, a pass every 20 ms is enough. Passes that could not be made in
    time are left out and counted in `overruns`.
    """

    def __init__(self) -> None:
        self.calm = False
        self.overruns = 0
        self._fetched: list[pygame.event.Event] = []
        self._squeezed: dict[tuple[int, int], Trigger] = {}
        self._began_ns = self._due_ns = time.monotonic_ns()

    def events(self) -> list[pygame.event.Event]:
        """Everything that has happened since the last pass, in order. To be called once a pass."""
        self._began_ns = time.monotonic_ns()
        fetched, self._fetched = self._fetched, []
        new = pygame.event.get()
        for event in new:
            self._is_press(event)  # what it thinks of the triggers
        return [*fetched, *new]

    def wait(self) -> None:
        """Return when the next pass is due, or as soon as something is pressed or let go. What was seen
        meanwhile is kept for `events`."""
        period_ns = round(_NS_PER_S / (CALM_HZ if self.calm else BUSY_HZ))
        now_ns, soonest_ns = time.monotonic_ns(), self._began_ns + SHORTEST_NS
        if self._due_ns > now_ns + period_ns:  # it was calm until now
            self._due_ns = now_ns
        if self._due_ns < soonest_ns:
            self._due_ns += period_ns
        if self._due_ns <= now_ns:
            missed = (now_ns - self._due_ns) // period_ns + 1
            self._due_ns += missed * period_ns
            self.overruns += missed
        while (left_ns := self._due_ns - time.monotonic_ns()) >= _NS_PER_MS:
            event = pygame.event.wait(left_ns // _NS_PER_MS)  # lets other threads run, looks every ms
            if event.type == pygame.NOEVENT:
                continue
            self._fetched.append(event)
            if self._is_press(event):
                _sleep_until(soonest_ns)
                return
        _sleep_until(self._due_ns)

    def _is_press(self, event: pygame.event.Event) -> bool:
        if event.type == pygame.CONTROLLERAXISMOTION and event.axis in _TRIGGER_NUMBERS:
            trigger = self._squeezed.setdefault((event.instance_id, event.axis), Trigger())
            return trigger.moved(event.value / _AXIS_END)
        return event.type in _PRESSES


def _sleep_until(time_ns: int) -> None:
    if (left_ns := time_ns - time.monotonic_ns()) > 0:
        time.sleep(left_ns / _NS_PER_S)
