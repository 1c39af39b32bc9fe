"""What the Drive screen leaves for its drawing, beyond what every screen knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.screens.drive.guide import Card

UNDO_NS = 10_000_000_000
"""A mark or a press may be taken back for so long."""


@dataclass(frozen=True)
class Said:
    """The last mark or press: its event, what it was in words, when, and what became of it."""

    event: str
    words: str
    good: bool
    at_ns: int
    episode: int
    is_mark: bool
    saved: bool = False
    refused: str = ""
    taken_back: bool = False

    def undo_left_s(self, now_ns: int) -> float:
        """Seconds in which it may still be taken back; 0 where it may not."""
        if self.refused or self.taken_back:
            return 0.0
        return max(0.0, (self.at_ns + UNDO_NS - now_ns) / 1e9)


@dataclass(frozen=True)
class DriveState:
    """`view` is which of the `sights` is the main one. `rewards` are those of the
    running episode in standard deviations, None where they are not to be shown. `holding` says how far
    actions that want a hold have come."""

    view: int = 0
    workspace: bool = False
    rewards: tuple[float, ...] | None = ()
    said: Said | None = None
    holding: Mapping[Action, float] = field(default_factory=dict)
    precision: bool = False
    card: Card | None = None
