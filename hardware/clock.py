"""Time as the control loops see it: a clock that can be waited on, and a ticker that does not drift.

Every time is in nanoseconds on a monotonic scale whose zero means nothing; only differences do. The
simulation supplies a clock of its own, whose `wait_until` advances the physics.
"""

from __future__ import annotations

import time
from typing import Protocol

NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """What control loops take their time from."""

    def now_ns(self) -> int:
        """The time; it never goes back."""
        ...

    def wait_until(self, deadline_ns: int) -> int:
        """Return once the time is `deadline_ns` or later. The result says by how many ns it is later."""
        ...


class MonotonicClock:
    """The machine's monotonic clock: setting the wall clock does not move it."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def wait_until(self, deadline_ns: int) -> int:
        while (remaining_ns := deadline_ns - time.monotonic_ns()) > 0:
            time.sleep(remaining_ns / NS_PER_S)
        return -remaining_ns


class ManualClock:
    """Time that passes only when somebody waits or says so; waiting takes no real time."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns

    def wait_until(self, deadline_ns: int) -> int:
        self._now_ns = max(self._now_ns, deadline_ns)
        return self._now_ns - deadline_ns

    def advance(self, duration_ns: int) -> None:
        """Let `duration_ns` pass. Raises ValueError for a negative duration."""
        if duration_ns < 0:
            raise ValueError(f"duration_ns is {duration_ns}: time does not run back")
        self._now_ns += duration_ns


class Ticker:
    """Ticks on the grid start + n / hz, counted from when the ticker is made.

    Deadlines are absolute, so lateness never adds up. Deadlines that passed while the caller was busy
    are skipped and counted in `overruns`, never made up for in a burst.
    """

    def __init__(self, clock: Clock, hz: float) -> None:
        """`hz` is rounded to a period of whole nanoseconds. Raises ValueError where that leaves none."""
        if not 0.0 < hz <= NS_PER_S:
            raise ValueError(f"hz is {hz}: it must be above 0 and at most {NS_PER_S}")
        self._clock = clock
        self._period_ns = round(NS_PER_S / hz)
        self._deadline_ns = clock.now_ns()
        self._overruns = 0

    @property
    def period_ns(self) -> int:
        """Time between two ticks."""
        return self._period_ns

    @property
    def overruns(self) -> int:
        """Deadlines skipped so far because they had passed before they were waited for."""
        return self._overruns

    def wait(self) -> None:
        """Return at the next deadline of the grid that has not passed yet."""
        self._deadline_ns += self._period_ns
        late_ns = self._clock.now_ns() - self._deadline_ns
        if late_ns > 0:
            missed = -(-late_ns // self._period_ns)
            self._deadline_ns += missed * self._period_ns
            self._overruns += missed
        self._clock.wait_until(self._deadline_ns)
