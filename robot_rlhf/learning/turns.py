"""Which of a run's policies drives an episode, and which is put to work: the learned actor or the clone.

The clone, in chunks, of what the operator drove is good at once and hardly gets better; the actor that
learns from the reward is poor at first and passes it. So the clone drives the first episodes, where the actor
could only fail, and is what is put to work until the operator's marks say that the actor is about as good;
should the actor get worse again, the clone is back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from robot_rlhf.feedback.types import Driver

NEWEST = 8
"""So many of the actor's newest episodes say how good it is now."""
FEWEST = 4
"""With fewer of them nothing is known yet."""
MARGIN = 0.125
"""The actor may lag so far behind: it is still learning, and it was helped where it might have managed."""


class Turn(str, Enum):
    """Who drives an episode."""

    EXPLORE = "explore"  # the actor, with noise
    DEPLOY = "deploy"  # the averaged actor, without
    CLONE = "clone"  # the clone in chunks

    @property
    def driver(self) -> Driver:
        """How its steps are written down."""
        return Driver.CLONE if self is Turn.CLONE else Driver.POLICY


@dataclass(frozen=True)
class Record:
    """How one marked episode went: the operator marked it a success and did not have to take over."""

    driver: Driver
    succeeded: bool


def is_clone_outdone(records: Sequence[Record]) -> bool:
    """Whether the actor's newest episodes went about as well as the clone's. Both rates are shrunk towards
    one half, as by one success and one failure more (Laplace), so that few episodes say little."""
    actor = [one.succeeded for one in records if one.driver is Driver.POLICY][-NEWEST:]
    clone = [one.succeeded for one in records if one.driver is Driver.CLONE]
    return len(actor) >= FEWEST and _rate(actor) >= _rate(clone) - MARGIN


def next_turn(online: int, warmup: int, deployed_every: int, has_clone: bool) -> Turn:
    """Who drives after `online` episodes. A clone drives the first `warmup`; from then on the actor does, at
    every `deployed_every`-th episode as it would be put to work (0: never)."""
    if has_clone and online < warmup:
        return Turn.CLONE
    is_deployed = bool(deployed_every) and online % deployed_every == deployed_every - 1
    return Turn.DEPLOY if is_deployed else Turn.EXPLORE


def _rate(succeeded: Sequence[bool]) -> float:
    return (sum(succeeded) + 1) / (len(succeeded) + 2)
