"""Asking for the controls of a pad that SDL does not know, one after another. Pure logic on snapshots."""

from __future__ import annotations

from robot_rlhf.console.input.pad_mapping import WIZARD, raw_input
from robot_rlhf.console.input.snapshot import UnknownPad

STILL_NS = 250_000_000
"""How long everything must lie still before a question is open."""
PATIENCE_NS = 1_500_000_000
"""After so long still, where the pad lies now is its rest: a trigger that was never moved before reads 0."""
_TREMOR, _HOME = 0.06, 0.3

ELEMENTS = tuple(WIZARD)


class PadWizard:
    """One pad's questions. `update` takes every reading of the pad; `answers` grow until `done`."""

    def __init__(self, pad: UnknownPad, now_ns: int) -> None:
        self.pad = pad
        self.answers: dict[str, str] = {}
        self.index = 0
        self.problem = ""
        """Why the last movement was no answer, in words."""
        self._first = self._rest = pad
        self._open = False
        self._moved_ns = now_ns

    @property
    def done(self) -> bool:
        """Whether every question was asked."""
        return self.index >= len(ELEMENTS)

    @property
    def element(self) -> str:
        """The GameController name that is asked for; '' when done."""
        return "" if self.done else ELEMENTS[self.index]

    @property
    def question(self) -> str:
        """What to do now, in words."""
        if self.done:
            return "That was all."
        words = WIZARD[self.element]
        return words[:1].upper() + words[1:]

    @property
    def open(self) -> bool:
        """Whether a movement counts as an answer now; before, everything has to be let go of."""
        return self._open and not self.done

    def update(self, pad: UnknownPad, now_ns: int) -> None:
        """Take in what the pad reads now."""
        if _shape(pad) != _shape(self.pad):  # it came back as another thing: start from what it is now
            self.pad = self._first = self._rest = pad
            self._open, self._moved_ns = False, now_ns
            return
        if self.done:
            self.pad = pad
        elif self._open:
            self.pad = pad
            self._answer(pad, now_ns)
        else:
            self._wait(pad, now_ns)

    def _wait(self, pad: UnknownPad, now_ns: int) -> None:
        before, self.pad = self.pad, pad
        if any(pad.buttons) or any(hat != (0, 0) for hat in pad.hats) or _apart(before, pad) > _TREMOR:
            self._moved_ns = now_ns
            return
        still_ns = now_ns - self._moved_ns
        home = _apart(self._first, pad) < _HOME
        if still_ns >= (STILL_NS if home else PATIENCE_NS):
            self._rest, self._open = pad, True
            self._first = self._first if home else pad

    def _answer(self, pad: UnknownPad, now_ns: int) -> None:
        source = raw_input(self._rest, pad, self.element)
        if source is None:
            return
        self._open, self._moved_ns = False, now_ns
        taken = next((name for name, used in self.answers.items() if used == source), None)
        if taken is not None:
            self.problem = f"That was given already, to: {WIZARD[taken]}"
            return
        self.answers[self.element] = source
        self.index += 1
        self.problem = ""

    def skip(self, now_ns: int) -> None:
        """The pad has no such thing."""
        if not self.done:
            self._go(self.index + 1, now_ns)

    def back(self, now_ns: int) -> None:
        """Ask the question before this one again."""
        if self.index > 0:
            self._go(self.index - 1, now_ns)
            self.answers.pop(self.element, None)

    def _go(self, index: int, now_ns: int) -> None:
        self.index, self.problem = index, ""
        self._open, self._moved_ns = False, now_ns


def _shape(pad: UnknownPad) -> tuple[str, int, int, int]:
    return pad.guid, len(pad.axes), len(pad.buttons), len(pad.hats)


def _apart(one: UnknownPad, other: UnknownPad) -> float:
    """How far the axes of two readings lie apart at most."""
    return max((abs(a - b) for a, b in zip(one.axes, other.axes, strict=True)), default=0.0)
