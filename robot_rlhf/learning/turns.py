"""Who drives an episode, and which of a run's policies is put to work: the learned actor or the clone.

The clone, in chunks, of what the operator drove is good at once and hardly gets better; the actor that
learns from the reward is poor at first and passes it. The actor drives every policy episode, since it is the
one that learns from them; the clone is what is put to work until the operator's marks speak for the actor.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from robot_rlhf.feedback.types import Driver

NEWEST = 6
"""So many of the actor's newest episodes say how good it is now."""
FEWEST = 4
"""With fewer of them nothing is known yet."""
NEEDED, LOST = 0.65, 0.3
"""Rates of success without help from which on the actor is put to work, and below which it no longer is.
Low, since it goes on learning and is helped where it might have managed; by three runs of pick_cube and three
of reach, whose actors all ended at 0.91 or better and above their clones."""


class Turn(str, Enum):
    """Who drives an episode."""

    EXPLORE = "explore"  # the actor, with noise
    DEPLOY = "deploy"  # the averaged actor, without
    CLONE = "clone"  # the clone in chunks

    @property
    def driver(self) -> Driver:
        """How its steps are written down."""
        return Driver.CLONE if self is Turn.CLONE else Driver.POLICY


def next_turn(online: int, deployed_every: int) -> Turn:
    """How the actor drives after `online` episodes: at every `deployed_every`-th as it would be put to work
    (0: never)."""
    is_deployed = bool(deployed_every) and online % deployed_every == deployed_every - 1
    return Turn.DEPLOY if is_deployed else Turn.EXPLORE


def is_proven(succeeded: Sequence[bool]) -> bool:
    """Whether the actor may be put to work, as its marked episodes say, in their order: `succeeded` is False
    where it failed or the operator had to take over. Rates are shrunk towards one half, as by one success
    and one failure more (Laplace), so that few episodes say little."""
    proven = False
    for count in range(FEWEST, len(succeeded) + 1):
        newest = succeeded[max(0, count - NEWEST) : count]
        rate = (sum(newest) + 1) / (len(newest) + 2)
        proven = rate >= NEEDED or (proven and rate >= LOST)
    return proven
