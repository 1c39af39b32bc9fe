"""Running statistics are those of all rows at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.data.lerobot import stats


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(0, 2**31))
def test_in_pieces_or_at_once_is_the_same(pieces: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((sum(pieces), 3)) * [1.0, 1e-3, 1e4] + [0.0, 1e3, 0.0]
    running = stats.Running(3)
    for part in np.split(rows, np.cumsum(pieces)[:-1]):
        running.add(part)
    wanted = stats.statistics(rows)
    for name, found in running.result().items():
        assert np.allclose(found, wanted[name], rtol=1e-7, atol=1e-9), name


@given(st.lists(st.integers(1, 25), min_size=1, max_size=60))
def test_beyond_what_is_kept_quantiles_are_of_evenly_spread_rows(pieces: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stats, "_KEPT_ROWS", 16)
        running = stats.Running(1)
        rows = np.arange(sum(pieces), dtype=np.float64)[:, None]
        for part in np.split(rows, np.cumsum(pieces)[:-1]):
            running.add(part)
    kept = running._kept[: running._used, 0]
    assert (np.diff(kept) == running._stride).all()
    assert kept[0] == 0
    assert len(rows) - kept[-1] <= running._stride
    assert len(kept) <= 16


def test_of_nothing_there_are_no_statistics() -> None:
    with pytest.raises(ValueError, match="no rows"):
        stats.Running(2).result()
