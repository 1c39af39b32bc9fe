"""Holds by when a button really went down and up, however late somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from robot_rlhf.console.input.actions import Action, Context
from robot_rlhf.console.input.presses import Fired, Presses
from robot_rlhf.console.input.snapshot import Device, Edge

if TYPE_CHECKING:
    from tests.console.conftest import Rig

MS = 1_000_000


def edge(down: bool, at_ms: int, after_ms: int | None = None, name: str = "r") -> Edge:
    after_ns = None if after_ms is None else after_ms * MS
    return Edge(Device.KEYS, name, down, at_ms * MS, after_ns=after_ns)


def taken(*edges: Edge, now_ms: int, presses: Presses | None = None) -> tuple[Fired, ...]:
    """What fires of `discard`, which is to be held for 0.6 s."""
    presses = presses or Presses()
    return presses.take([(each, Action.DISCARD) for each in edges], Context.DRIVE, now_ms * MS)


def test_a_hold_that_comes_in_whole_fires_once_if_it_was_long_enough() -> None:
    assert taken(edge(True, 100), edge(False, 700), now_ms=900) == (Fired(Action.DISCARD, 700 * MS),)
    assert taken(edge(True, 100), edge(False, 699), now_ms=900) == ()


def test_a_release_that_comes_in_late_counts_by_its_own_time() -> None:
    presses = Presses()
    assert taken(edge(True, 0), now_ms=4, presses=presses) == ()
    assert taken(edge(False, 650), now_ms=1200, presses=presses) == (Fired(Action.DISCARD, 600 * MS),)
    assert taken(now_ms=1300, presses=presses) == ()


def test_a_hold_that_was_too_short_does_not_fire_because_somebody_looks_late() -> None:
    presses = Presses()
    assert taken(edge(True, 0), now_ms=4, presses=presses) == ()
    assert taken(edge(False, 500), now_ms=1200, presses=presses) == ()
    assert presses.unclear == ()


def test_what_nobody_knows_does_not_fire_and_is_named() -> None:
    presses = Presses()
    assert taken(edge(True, 900, after_ms=0), edge(False, 900, after_ms=0), now_ms=900, presses=presses) == ()
    assert presses.unclear == (Action.DISCARD,)
    taken(now_ms=904, presses=presses)
    assert not presses.unclear


def test_a_hold_that_was_long_enough_at_the_least_fires_also_there() -> None:
    presses = Presses()
    taken(edge(True, 4, after_ms=0), now_ms=4, presses=presses)
    assert taken(edge(False, 900, after_ms=604), now_ms=900, presses=presses) == (
        Fired(Action.DISCARD, 604 * MS),
    )


def test_letting_go_a_little_early_is_no_doubt() -> None:
    presses = Presses()
    taken(edge(True, 4, after_ms=0), now_ms=4, presses=presses)
    assert taken(edge(False, 602, after_ms=598), now_ms=602, presses=presses) == ()
    assert presses.unclear == ()


def test_stop_ends_a_hold_that_comes_in_whole() -> None:
    presses = Presses()
    stop = Edge(Device.KEYS, "escape", True, 750 * MS)
    given = [(edge(True, 0), Action.DISCARD), (stop, Action.STOP), (edge(False, 800), Action.DISCARD)]
    fired = presses.take(given, Context.DRIVE, 900 * MS)
    assert [each.action for each in fired] == [Action.STOP]


@pytest.mark.parametrize("device", list(Device))
def test_a_window_that_stalled_says_what_it_did_not_see(rig: Rig, device: Device) -> None:
    name = "r" if device is Device.KEYS else "x"
    rig.put(device, name, True)
    if device is Device.PAD:
        rig.pump()
    rig.put(device, name, False)
    rig.now_ns += 1_000 * MS
    commands = rig.step()
    assert commands.fired == ()
    assert commands.unclear == (Action.DISCARD,)


def test_a_press_bears_the_time_of_its_edge(rig: Rig) -> None:
    rig.key("up", "down")
    commands = rig.step()
    assert list(commands.presses(0)) == [(Action.GOOD, rig.now_ns), (Action.BAD, rig.now_ns)]
