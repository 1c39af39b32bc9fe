"""Lengths and columns are numpy's own, to the bit: what was learned on one goes on with the other."""

from __future__ import annotations

import numpy as np
import pytest

from sim.geometry import columns, length


@pytest.mark.parametrize("shape", [(3,), (2,), (50, 3), (4, 5, 7)])
def test_they_are_what_numpy_makes_of_any_leading_dimensions(shape: tuple[int, ...]) -> None:
    vectors = np.random.default_rng(0).normal(size=shape)
    assert np.asarray(length(vectors)).tobytes() == np.linalg.norm(vectors, axis=-1).tobytes()
    assert len(columns(vectors)) == shape[-1]
    for index, column in enumerate(columns(vectors)):
        np.testing.assert_array_equal(column, vectors[..., index])
