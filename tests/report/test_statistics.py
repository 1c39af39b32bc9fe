"""Intervals, correlation and running means, against values known beforehand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.report.statistics import correlation, moving_mean, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17:857-872, table I, method 3; the last mirrors the third.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
    ],
)
def test_wilson_gives_the_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n, z=1.959964) == pytest.approx((low, high), abs=5e-5)


def test_wilson_knows_nothing_without_trials() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_wilson_is_exact_at_none_and_all() -> None:
    assert wilson(0, 7)[0] == 0.0
    assert wilson(7, 7)[1] == 1.0


@given(st.integers(0, 10_000), st.data())
def test_wilson_holds_the_rate_and_mirrors(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n)
    assert 0.0 <= low <= (successes / n if n else 0.5) <= high <= 1.0
    mirrored = wilson(n - successes, n)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, -1)])
def test_wilson_refuses_impossible_counts(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"{successes} successes of {n} trials"):
        wilson(successes, n)


@pytest.mark.parametrize("z", [0.0, -1.0, math.inf, math.nan])
def test_wilson_refuses_a_z_that_is_no_quantile(z: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        wilson(1, 2, z)


def test_correlation_of_a_line_and_of_its_mirror() -> None:
    assert correlation([1, 2, 3], [10, 20, 30]) == pytest.approx(1.0)
    assert correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)


def test_correlation_is_undefined_for_few_points_or_a_constant() -> None:
    assert correlation([1, 2], [1, 2]) is None
    assert correlation([1, 1, 1], [1, 2, 3]) is None


def test_correlation_refuses_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="3 and 2 points"):
        correlation([1, 2, 3], [1, 2])


def test_moving_mean_starts_with_what_there_is() -> None:
    assert moving_mean([2.0, 4.0, 6.0, 8.0], 2).tolist() == [2.0, 3.0, 5.0, 7.0]
    assert moving_mean([], 5).tolist() == []
    with pytest.raises(ValueError, match="window is 0"):
        moving_mean([1.0], 0)
