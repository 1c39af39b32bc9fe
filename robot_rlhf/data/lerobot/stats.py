"""What LeRobot normalises by: min, max, mean, std, count and five quantiles of every feature.

The arrays are numbers by their columns (rows, D); `Running` sums them up over a whole dataset in constant
memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Statistics = Mapping[str, NDArray[Any]]
"""Of one feature, name -> (D,) or of pictures (3, 1, 1), and `count` (1,) int64."""

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
NAMES = ("min", "max", "mean", "std", "count", *QUANTILES)
_KEPT_ROWS = 100_000


def statistics(rows: Array) -> dict[str, Array]:
    """Of (N, D) -> name -> (D,), and count (1,)."""
    quantiles = np.quantile(rows, list(QUANTILES.values()), axis=0)
    return {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0),
        "count": np.array([float(len(rows))]),
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


class Running:
    """Statistics over all rows that were added.

    All are exact but the quantiles, which are so up to 100,000 rows, and beyond that are those of every
    second row, every fourth and so on: of 50,000 at least, evenly spread.
    """

    def __init__(self, size: int) -> None:
        self._count, self._seen, self._stride = 0, 0, 1
        self._mean, self._squares = np.zeros(size), np.zeros(size)
        self._least, self._most = np.full(size, np.inf), np.full(size, -np.inf)
        self._kept = np.empty((_KEPT_ROWS, size))
        self._used = 0

    def add(self, rows: Array) -> None:
        """Take in (N, D), after Chan et al. (1979), so that nothing cancels."""
        added, mean = len(rows), rows.mean(axis=0)
        total = self._count + added
        away = mean - self._mean
        self._squares += ((rows - mean) ** 2).sum(axis=0) + away**2 * (self._count * added / total)
        self._mean += away * (added / total)
        self._count = total
        self._least = np.minimum(self._least, rows.min(axis=0))
        self._most = np.maximum(self._most, rows.max(axis=0))
        self._keep(rows)

    def _keep(self, rows: Array) -> None:
        first = -self._seen % self._stride
        self._seen += len(rows)
        chosen = rows[first :: self._stride]
        while self._used + len(chosen) > _KEPT_ROWS:
            thinned = self._kept[: self._used : 2]
            odd = self._used % 2  # whether the first chosen row is one of those that fall out
            self._kept[: len(thinned)] = thinned
            self._used, self._stride = len(thinned), self._stride * 2
            chosen = chosen[odd::2]
        self._kept[self._used : self._used + len(chosen)] = chosen
        self._used += len(chosen)

    def result(self) -> dict[str, Array]:
        """As `statistics`, of everything."""
        if self._count == 0:
            raise ValueError("no rows were added: there are no statistics of nothing")
        quantiles = np.quantile(self._kept[: self._used], list(QUANTILES.values()), axis=0)
        return {
            "min": self._least,
            "max": self._most,
            "mean": self._mean,
            "std": np.sqrt(self._squares / self._count),
            "count": np.array([float(self._count)]),
            **dict(zip(QUANTILES, quantiles, strict=True)),
        }


def split(found: Mapping[str, Array], sizes: Mapping[str, int]) -> dict[str, Statistics]:
    """Statistics of columns side by side, by feature; `sizes` are their widths in order."""
    parts: dict[str, Statistics] = {}
    start = 0
    count = found["count"].astype(np.int64)
    for feature, size in sizes.items():
        part = {name: found[name][start : start + size] for name in NAMES if name != "count"}
        parts[feature] = {**part, "count": count}
        start += size
    return parts


def of_pictures(found: Mapping[str, Array], pictures: int) -> Statistics:
    """Statistics of pixels (N, 3) in [0, 1] as LeRobot wants them; `count` is of pictures."""
    shaped = {name: found[name].reshape(3, 1, 1) for name in NAMES if name != "count"}
    return {**shaped, "count": np.array([pictures], np.int64)}
