"""Ctrl-C and SIGTERM within a session: noted once, wherever they come up, and never lost."""

from __future__ import annotations

import os
import signal

import pytest

from robot_rlhf.commands.interruption import Interruption

pytestmark = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


class Dying:
    """Something in whose destructor a signal comes in, as in that of a frame of ZeroMQ's."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number

    def __del__(self) -> None:
        signal.raise_signal(self._number)


def test_nothing_is_raised_where_nobody_asked_to_leave(number: signal.Signals) -> None:
    with Interruption() as interruption:
        interruption.check()


def test_what_comes_in_within_a_destructor_is_not_lost(number: signal.Signals) -> None:
    with Interruption() as interruption:
        dying = Dying(number)
        del dying
        with pytest.raises(KeyboardInterrupt):
            interruption.check()


def test_the_second_one_does_not_wait_to_be_asked_about(number: signal.Signals) -> None:
    with Interruption():
        os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_afterwards_signals_do_what_they_did_before(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        signal.raise_signal(number)
        interruption.check()
    assert signal.getsignal(number) is before
