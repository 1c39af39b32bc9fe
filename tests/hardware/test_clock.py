"""Clocks wait for absolute deadlines; tickers keep their grid, and skip and count what they miss."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.clock import NS_PER_S, Clock, ManualClock, MonotonicClock, Ticker

DURATIONS_NS = st.integers(0, 10 * NS_PER_S)


class RecordingClock(ManualClock):
    """A manual clock that also notes when each wait came back."""

    def __init__(self) -> None:
        super().__init__(start_ns=12_345)
        self.woken_ns: list[int] = []

    def wait_until(self, deadline_ns: int) -> int:
        late_ns = super().wait_until(deadline_ns)
        self.woken_ns.append(self.now_ns())
        return late_ns


def test_a_monotonic_clock_comes_back_at_or_after_the_deadline_and_says_by_how_much() -> None:
    clock: Clock = MonotonicClock()
    deadline_ns = clock.now_ns() + 2_000_000
    late_ns = clock.wait_until(deadline_ns)
    assert late_ns >= 0
    assert clock.now_ns() >= deadline_ns + late_ns


def test_a_monotonic_clock_does_not_wait_for_a_deadline_that_has_passed() -> None:
    clock = MonotonicClock()
    assert clock.wait_until(clock.now_ns() - 5 * NS_PER_S) >= 5 * NS_PER_S


def test_a_manual_clock_jumps_to_the_deadline_it_waits_for() -> None:
    clock = ManualClock()
    assert clock.wait_until(3 * NS_PER_S) == 0
    assert clock.now_ns() == 3 * NS_PER_S


def test_a_manual_clock_reports_lateness_and_does_not_go_back() -> None:
    clock = ManualClock(start_ns=100)
    assert clock.wait_until(40) == 60
    assert clock.now_ns() == 100


def test_a_manual_clock_refuses_to_run_back() -> None:
    with pytest.raises(ValueError, match="-1"):
        ManualClock().advance(-1)


@pytest.mark.parametrize("hz", [0.0, -10.0, float("nan"), float("inf"), 2e9])
def test_a_ticker_refuses_a_rate_it_cannot_keep(hz: float) -> None:
    with pytest.raises(ValueError, match="hz"):
        Ticker(ManualClock(), hz)


@given(hz=st.floats(0.1, 1000.0), ticks=st.integers(1, 200))
def test_ticks_of_a_caller_in_time_lie_exactly_one_period_apart(hz: float, ticks: int) -> None:
    clock = RecordingClock()
    start_ns = clock.now_ns()
    ticker = Ticker(clock, hz)
    for _ in range(ticks):
        ticker.wait()
    assert clock.woken_ns == [start_ns + n * ticker.period_ns for n in range(1, ticks + 1)]
    assert ticker.overruns == 0


@given(hz=st.floats(1.0, 1000.0), busy_ns=st.lists(DURATIONS_NS, min_size=1, max_size=50))
def test_however_busy_the_caller_ticks_stay_on_the_grid_never_bunch_and_account_for_all_time(
    hz: float, busy_ns: list[int]
) -> None:
    clock = RecordingClock()
    start_ns = clock.now_ns()
    ticker = Ticker(clock, hz)
    for duration_ns in busy_ns:
        clock.advance(duration_ns)
        ticker.wait()
    grid = [divmod(woken_ns - start_ns, ticker.period_ns) for woken_ns in clock.woken_ns]
    assert all(off_grid == 0 for _, off_grid in grid)
    numbers = [number for number, _ in grid]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == len(busy_ns) + ticker.overruns


def test_a_deadline_met_to_the_nanosecond_is_no_overrun_and_one_nanosecond_later_is() -> None:
    clock = ManualClock()
    ticker = Ticker(clock, hz=10.0)
    clock.advance(ticker.period_ns)
    ticker.wait()
    assert (ticker.overruns, clock.now_ns()) == (0, ticker.period_ns)
    clock.advance(ticker.period_ns + 1)
    ticker.wait()
    assert (ticker.overruns, clock.now_ns()) == (1, 3 * ticker.period_ns)
