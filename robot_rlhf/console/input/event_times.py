"""When a key was really pressed, where the window system says so.

SDL 2 stamps an event when it is fetched, which is late where the window stalled. X11 stamps it when it
happened, in ms of its own clock; SDL passes the raw X event on just before the event that it makes of it.
"""

from __future__ import annotations

import ctypes
import struct

import pygame

from robot_rlhf.console.input import sdl

_KEYS = (2, 3)  # KeyPress, KeyRelease of X11
_TYPE, _TIME = struct.Struct("@i"), struct.Struct("@L")
_TIME_AT = 7 * ctypes.sizeof(ctypes.c_void_p)  # of XKeyEvent.time
_WRAPS = 1 << 32
_NS_PER_MS = 1_000_000
_DRIFT = 1e-4
"""How much two clocks may differ in pace; those of one machine are the same."""


def ask_for_times() -> None:
    """Have SDL pass on the raw events of X11; elsewhere they bear no times, and nothing is asked for.
    Raises SDLError where SDL cannot be found."""
    if pygame.display.get_driver() == "x11":
        sdl.library().SDL_EventState(pygame.SYSWMEVENT, 1)


class EventTimes:
    """Puts X11's times on the monotonic clock.

    What lies between the two clocks is learned from the event that took the least time to get here. So a
    time is never before the event happened, and never after it came.
    """

    def __init__(self) -> None:
        self._stamp_ms: int | None = None
        self._least_ms: float | None = None  # arrival minus stamp, of the quickest event
        self._learned_ns = 0

    def take(self, event: pygame.event.Event, arrived_ns: int) -> int | None:
        """The monotonic time at which the key of this event went down or up, None where nobody knows.
        To be given every event, in order."""
        if event.type == pygame.SYSWMEVENT:
            self._stamp_ms = _key_stamp(event.dict.get("event", b""))
            return None
        stamp_ms, self._stamp_ms = self._stamp_ms, None
        if not stamp_ms or event.type not in (pygame.KEYDOWN, pygame.KEYUP):  # 0: a program's, not a key's
            return None
        return arrived_ns - self._late_ns(arrived_ns, stamp_ms)

    def _late_ns(self, arrived_ns: int, stamp_ms: int) -> int:
        took_ms = arrived_ns / _NS_PER_MS - stamp_ms
        if self._least_ms is not None:
            drifted = (arrived_ns - self._learned_ns) / _NS_PER_MS * _DRIFT
            late_ms = (took_ms - self._least_ms - drifted + _WRAPS / 2) % _WRAPS - _WRAPS / 2
            if late_ms > 0.0:
                return round(late_ms * _NS_PER_MS)
        self._least_ms, self._learned_ns = took_ms, arrived_ns
        return 0


def _key_stamp(raw: bytes) -> int | None:
    """The time of a key's raw event, None for any other."""
    if len(raw) < _TIME_AT + _TIME.size or _TYPE.unpack_from(raw)[0] not in _KEYS:
        return None
    return int(_TIME.unpack_from(raw, _TIME_AT)[0]) % _WRAPS
