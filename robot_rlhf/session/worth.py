"""What kinds of evidence are worth of the operator's time, and so which are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from robot_rlhf.feedback.types import Kind

PRESSES_REST = "presses_rest"
"""The store's note that good and bad are not asked for at present; empty where they are."""

_TRIED_EVERY = 4
"""Rounds from one in which resting presses are asked for again to the next."""


@dataclass(frozen=True)
class Watching:
    """What watching a few of the policy's episodes took and brought: seconds by activity, and nats by kind of
    feedback, all but pairs, of which member of the reward ensemble is right."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    nats: Mapping[Kind, float] = field(default_factory=dict)

    @property
    def worth(self) -> float:
        """Nats a second of all of it; 0 where nothing is known yet."""
        spent = sum(self.seconds.values())
        return sum(self.nats.values()) / spent if spent else 0.0

    def presses_rest(self, round_index: int) -> bool:
        """Whether the next episodes do without presses, after that many rounds: where a second of them told
        less than a second of what else was done. Where there were none, they are asked for again once in a
        few rounds, since what they are worth changes."""
        pressing = self.seconds.get("press", 0.0)
        rest = sum(self.seconds.values()) - pressing
        told = self.nats.get(Kind.EVALUATIONS, 0.0)
        others = sum(self.nats.values()) - told
        if not rest or not others:
            return False
        if not pressing:
            return round_index % _TRIED_EVERY != 0
        return told / pressing < others / rest
