"""The scale that turns a learned reward into what the policy sees."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class RewardScale:
    """Mean and standard deviation of the ensemble's mean reward over the replayed transitions.

    The policy sees (reward - mean) / std, so a critic learned under one scale can be carried exactly to
    the next.
    """

    mean: float
    std: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.mean):
            raise ValueError(f"a reward scale's mean is {self.mean}: it must be finite")
        if not 0.0 < self.std < math.inf:
            raise ValueError(f"a reward scale's std is {self.std}: it must be positive and finite")
