"""Who drives now: the whole table."""

from __future__ import annotations

from itertools import product

import pytest

from robot_rlhf.feedback.messages import Phase
from robot_rlhf.session.phases import TABLE, Signal, following

POLICY, OPERATOR, HOLD, STOPPED = Phase.POLICY, Phase.OPERATOR, Phase.HOLD, Phase.STOPPED

# What follows on        TAKE, RELEASE, HELD, STOP, CLEAR
ROWS = {
    POLICY: (OPERATOR, POLICY, POLICY, STOPPED, POLICY),
    OPERATOR: (OPERATOR, HOLD, OPERATOR, STOPPED, OPERATOR),
    HOLD: (OPERATOR, HOLD, POLICY, STOPPED, HOLD),
    STOPPED: (STOPPED, STOPPED, STOPPED, STOPPED, HOLD),
}
SIGNALS = (Signal.TAKE, Signal.RELEASE, Signal.HELD, Signal.STOP, Signal.CLEAR)


@pytest.mark.parametrize(("phase", "signal"), list(product(Phase, Signal)))
def test_every_signal_in_every_phase_leads_where_it_should(phase: Phase, signal: Signal) -> None:
    assert following(phase, signal) is ROWS[phase][SIGNALS.index(signal)]


def test_the_table_names_nothing_that_changes_nothing() -> None:
    unchanged = [pair for pair, phase in TABLE.items() if pair[0] is phase]
    assert unchanged == [(STOPPED, Signal.STOP)]


@pytest.mark.parametrize("phase", Phase)
def test_stop_stops_from_everywhere(phase: Phase) -> None:
    assert following(phase, Signal.STOP) is STOPPED


def test_a_stop_stays_until_it_is_cleared_and_then_nobody_drives_yet() -> None:
    for signal in set(Signal) - {Signal.CLEAR}:
        assert following(STOPPED, signal) is STOPPED
    assert following(STOPPED, Signal.CLEAR) is HOLD


def test_the_policy_never_drives_straight_after_the_operator() -> None:
    assert POLICY not in {following(OPERATOR, signal) for signal in Signal}
