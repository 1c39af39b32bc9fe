"""Vectors with any leading dimensions, (..., n), quick where there are none: of a moment a task asks a few
numbers, and most of what numpy takes for those is how it gets at them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def length(vectors: Array) -> Array:
    """(...): `np.linalg.norm` over the last axis."""
    squares: Array = np.add.reduce(vectors * vectors, axis=-1)
    return np.sqrt(squares)


def columns(vectors: Array) -> Array:
    """(n, ...), to be told apart by name: of a single vector its numbers, which are no arrays."""
    return vectors if vectors.ndim == 1 else np.moveaxis(vectors, -1, 0)
