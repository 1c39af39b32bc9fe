"""The two numbers a report must not get wrong: an interval for a rate, and a correlation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def wilson(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The score interval (low, high) for a success rate, after Wilson (1927), clipped to [0, 1].

    `z` is the normal quantile: 1.96 gives 95%. With no trials nothing is known: (0, 1).
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} trials: successes must lie between 0 and the trials")
    if not 0 < z < math.inf:
        raise ValueError(f"z is {z}: it must be positive and finite")
    if n == 0:
        return 0.0, 1.0
    rate = successes / n
    shrink = 1.0 + z * z / n
    centre = (rate + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(rate * (1.0 - rate) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Pearson's correlation of two equally long series, or None where it is not defined: fewer than
    three points, or a series that does not vary."""
    if len(x) != len(y):
        raise ValueError(f"series of {len(x)} and {len(y)} points: they must be equally long")
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def moving_mean(values: Sequence[float], window: int) -> NDArray[np.float64]:
    """Entry i is the mean of the last `window` values up to and with i; at the start, of those there are."""
    if window < 1:
        raise ValueError(f"window is {window}: it must be at least 1")
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=np.float64))])
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - window, 0)
    return np.asarray((sums[stop] - sums[start]) / np.maximum(stop - start, 1))
