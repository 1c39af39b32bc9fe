"""Who drives an episode."""

from __future__ import annotations

from enum import Enum

from robot_rlhf.feedback.types import Driver


class Turn(str, Enum):
    """Who drives an episode."""

    EXPLORE = "explore"  # the actor, with noise
    DEPLOY = "deploy"  # the averaged actor, without
    CLONE = "clone"  # the clone alone

    @property
    def driver(self) -> Driver:
        """How its steps are written down."""
        return Driver.CLONE if self is Turn.CLONE else Driver.POLICY


def next_turn(online: int, deployed_every: int) -> Turn:
    """How the actor drives after `online` episodes: at every `deployed_every`-th as it would be put to work
    (0: never)."""
    is_deployed = bool(deployed_every) and online % deployed_every == deployed_every - 1
    return Turn.DEPLOY if is_deployed else Turn.EXPLORE
