"""Ctrl-C and SIGTERM, as something that a loop asks about between two of its steps."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While it is entered, the first Ctrl-C or SIGTERM is noted and interrupts nothing: a KeyboardInterrupt
    comes up wherever the interpreter happens to be, and in a destructor (that of a ZeroMQ frame, say) it is
    printed and forgotten. A second one is raised there and then, for a loop that hangs. Main thread only.
    """

    def __init__(self) -> None:
        self._noted = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises KeyboardInterrupt where one was noted."""
        if self._noted:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._noted:
            raise KeyboardInterrupt
        self._noted = True
