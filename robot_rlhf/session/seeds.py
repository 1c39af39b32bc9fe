"""Every random stream of a run, derived from its seed and what it is for, so that starts,
operator and questions are the same in a run that was killed and resumed."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a random stream is for. The numbers are part of a run's identity: never change one."""

    START = 0  # where an episode starts
    OPERATOR = 1
    REWARD = 2
    POLICY = 3
    CLONE = 4
    TRAIN = 5
    QUERY = 6
    ANSWER = 7
    MARK = 8
    NOISE = 9
    EVALUATION = 10
    CHUNKED = 11
    EXPLORE = 12
    ENCODER = 13


def generator(seed: int, purpose: Purpose, *key: int) -> np.random.Generator:
    """The stream for `purpose`, further told apart by `key` (an episode, a round)."""
    return np.random.default_rng([seed, int(purpose), *key])


def seed_of(seed: int, purpose: Purpose, *key: int) -> int:
    """A 31-bit seed for a library that wants an integer."""
    return int(generator(seed, purpose, *key).integers(2**31))
