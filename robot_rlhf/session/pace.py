"""The physics follows the clock: one step every 5 ms, and a policy tick after every so-manieth.

Deadlines are absolute, so that lateness does not add up. A machine that falls far behind has its time cut
rather than made up for, and that is counted.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from sim.env import TaskEnv
from sim.world import TIMESTEP_NS

_LATEST_NS = 250_000_000
"""Whoever is further behind than this has the time cut."""


class Pace:
    """Steps of one environment's world on the machine's monotonic clock, counted from `restart`."""

    def __init__(self, env: TaskEnv, control_hz: float) -> None:
        self._env = env
        self._tick_steps = round(1e9 / control_hz) // TIMESTEP_NS
        self._zero_ns = time.monotonic_ns()
        self.steps = 0
        """Physics steps since the last `restart`."""
        self.lateness_ms: deque[float] = deque(maxlen=20_000)
        """How late the newest policy ticks began."""
        self.overruns = 0
        """Policy ticks that were cut."""

    @property
    def next_ns(self) -> int:
        """When the next physics step is due."""
        return self._zero_ns + (self.steps + 1) * TIMESTEP_NS

    @property
    def elapsed_s(self) -> float:
        """Simulated seconds since the last `restart`."""
        return self.steps * TIMESTEP_NS / 1e9

    def restart(self) -> None:
        """Count from now: the arm was placed anew."""
        self._zero_ns, self.steps = time.monotonic_ns(), 0

    def realign(self) -> None:
        """Count from the newest physics step: the policy's ticks lie on a grid that begins there."""
        self._zero_ns, self.steps = self._zero_ns + self.steps * TIMESTEP_NS, 0

    def follow(self, now_ns: int, stepped: Callable[[], None], ticked: Callable[[], None]) -> None:
        """Take the physics steps that are due; `stepped` is called after each, then `ticked` where a
        policy tick ends. Either may call `restart`, which ends the call, or `realign`."""
        behind = now_ns - self._zero_ns - self.steps * TIMESTEP_NS
        if behind > _LATEST_NS:
            self._zero_ns += behind
            self.overruns += behind // (self._tick_steps * TIMESTEP_NS)
        while self.next_ns <= now_ns:
            self._env.cell.advance(TIMESTEP_NS)
            self.steps += 1
            stepped()
            if self.steps % self._tick_steps == 0:
                due_ns = self._zero_ns + self.steps * TIMESTEP_NS
                self.lateness_ms.append((time.monotonic_ns() - due_ns) / 1e6)
                ticked()
