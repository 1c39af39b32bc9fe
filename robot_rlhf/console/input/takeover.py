"""The dead-man: whether a person who holds takeover is really there and means it."""

from __future__ import annotations

IDLE_NS = 2_000_000_000
LET_GO = "let go of everything, then press take over"


class DeadMan:
    """Held takeover counts after a fresh press, and for as long as it is held.

    At the start and after any trouble it counts again only after everything was let go (takeover up,
    sticks, turn and grip at rest, at one moment) and takeover was pressed anew. With `latched` a press
    turns it on and another off; 2 s without any motion turn it off too. A latch is no dead-man: it is
    for simulation.
    """

    def __init__(self, latched: bool = False) -> None:
        self._latched = latched
        self._on = False
        self._guarded = True
        self._trouble: str | None = None
        self._broke_off = False
        self._ignored = False
        self._moved_ns = 0

    @property
    def problem(self) -> str | None:
        """Why takeover does not count although it was, or is, held; None when nothing is wrong. What
        broke a takeover off stays until somebody takes over again."""
        return self._trouble or (LET_GO if self._ignored else None)

    def guard(self, trouble: str | None) -> None:
        """Trouble came: released, until let go and pressed anew. `trouble` says what in words; None
        where the person did it (another screen, STOP) and there is nothing to explain."""
        self._broke_off = (self._on or self._broke_off) and trouble is not None
        self._trouble = None if trouble is None else f"{trouble}: {LET_GO}"
        self._on, self._guarded, self._ignored = False, True, False

    def update(self, *, held: bool, fresh: bool, neutral: bool, now_ns: int) -> bool:
        """Whether takeover counts now. `fresh`: it was pressed since the last update."""
        if self._guarded and (held or fresh or not neutral):
            self._ignored = held
            return False
        if self._guarded:
            self._guarded = False
            self._trouble = self._trouble if self._broke_off else None
        if self._latched:
            self._latch(fresh, neutral, now_ns)
        else:
            self._on = held and (self._on or fresh)
        self._ignored = held and not self._on and not self._latched
        if self._on:
            self._trouble, self._broke_off = None, False
        return self._on

    def _latch(self, fresh: bool, neutral: bool, now_ns: int) -> None:
        if fresh:
            self._on, self._moved_ns = not self._on, now_ns
        elif not neutral:
            self._moved_ns = now_ns
        elif now_ns - self._moved_ns >= IDLE_NS:
            self._on = False
