"""Progress while a run works: a live bar on a terminal, a plain line every 10 s anywhere else.

Nothing is ever written to stdout, which belongs to `--json`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TextIO

from rich import progress as bars
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from robot_rlhf.feedback.types import Kind

LINE_EVERY_S = 10.0


class Progress:
    """Shows how far a run is, between `with` and its end. `clock` gives seconds and never goes back."""

    def __init__(
        self, total_steps: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if total_steps < 1:
            raise ValueError(f"total_steps is {total_steps}: there must be at least one")
        self._stream = sys.stderr if stream is None else stream
        self._total = total_steps
        self._clock = clock
        self._last_line_s: float | None = None
        self._unsaid: str | None = None
        console = Console(file=self._stream)
        self._live: _LiveView | None = None
        if self._stream.isatty() and not console.is_dumb_terminal:
            self._live = _LiveView(console, total_steps)

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif self._unsaid is not None:
            self._say(self._unsaid)

    def update(
        self,
        environment_steps: int,
        operator_seconds: float,
        success_rate: float | None,
        phase: str,
        counts: Mapping[Kind, int],
    ) -> None:
        """Show this state. Cheap enough for every step; `success_rate` is None while none is known."""
        facts = [f"operator {operator_seconds / 60:.1f} min"]
        if success_rate is not None:
            facts.append(f"success {success_rate:.0%}")
        facts += [f"{kind.value} {count}" for kind, count in counts.items() if count]
        if self._live is not None:
            self._live.show(environment_steps, phase, facts)
            return
        share = min(environment_steps / self._total, 1.0)
        steps = f"{environment_steps:,} of {self._total:,} steps ({share:.0%})"
        self._unsaid = " | ".join([phase, steps, *facts])
        now_s = self._clock()
        if self._last_line_s is None or now_s - self._last_line_s >= LINE_EVERY_S:
            self._last_line_s = now_s
            self._say(self._unsaid)

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
        self._unsaid = None


class _LiveView:
    """A bar with the facts below it, redrawn in place."""

    def __init__(self, console: Console, total_steps: int) -> None:
        self._bar = bars.Progress(
            bars.TextColumn("[bold]{task.description}"),
            bars.BarColumn(bar_width=None),
            bars.TaskProgressColumn(),
            bars.TextColumn("{task.completed:,.0f} of {task.total:,.0f} steps"),
            bars.TimeElapsedColumn(),
            expand=True,
        )
        self._task = self._bar.add_task("starting", total=total_steps)
        self._facts = Text(style="dim", overflow="ellipsis", no_wrap=True)
        self._live = Live(Group(self._bar, self._facts), console=console, refresh_per_second=4)

    def start(self) -> None:
        self._live.start(refresh=True)

    def stop(self) -> None:
        self._live.stop()

    def show(self, environment_steps: int, phase: str, facts: list[str]) -> None:
        self._bar.update(self._task, completed=environment_steps, description=phase)
        self._facts.plain = "  ·  ".join(facts)
