"""The network may do anything: the arm comes to rest in time, and nothing that waited moves it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from hardware import wire
from hardware.host.guard import LEASE_S, Safety
from hardware.robot import RobotError
from tests.hardware.host.proxy import HOST, Proxy
from tests.hardware.host.served import Hand, until
from tests.hardware.host.stand import SILENT_S, SPEED_M_S, STALE_S, Stand, insist


class Rig:
    """A stand, and one client of its arm that is behind a bad network."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        where = stand.host.addresses
        ports = [int(a.rpartition(":")[2]) for a in (where.rpc, where.commands, where.stop, where.states)]
        self.proxy = Proxy(ports)
        self.far = Hand(f"tcp://{HOST}:{ports[0]}", stale_s=STALE_S)

    def close(self) -> None:
        for end in (self.far, self.proxy):
            end.close()

    def driven(self) -> float:
        """The far client leads, and the arm moves; how fast."""
        return self.stand.driven(self.far)


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with closing(Stand()) as made:
        yield made


@pytest.fixture
def rig(stand: Stand) -> Iterator[Rig]:
    with stand.hands(), closing(Rig(stand)) as made:
        yield made


def test_a_network_that_falls_silent_stops_the_arm_and_what_it_kept_does_not_move_it(rig: Rig) -> None:
    speed_m_s = rig.driven()

    def falls_silent() -> None:
        rig.proxy.silence(True)
        insist(rig.far, speed_m_s, 0.5)  # which knows of nothing yet

    rest = rig.stand.rests_after(falls_silent, SILENT_S, "has run out")
    rig.proxy.silence(False)
    rig.stand.stays(rest)
    assert until(rig.stand.now).safety is Safety.HOLDING


def test_a_connection_that_is_cut_stops_the_arm(rig: Rig) -> None:
    rig.driven()
    rig.stand.rests_after(rig.proxy.cut, SILENT_S, "has run out")


def test_a_client_that_is_gone_for_longer_than_its_lease_has_to_take_the_arm_again(rig: Rig) -> None:
    rig.driven()
    rest = rig.stand.rests_after(lambda: rig.proxy.silence(True), SILENT_S, "has run out")
    until(lambda: any("was not renewed" in text for text in rig.stand.told()))
    rig.proxy.silence(False)
    until(lambda: "is over: nobody has the arm" in _refusal(rig.far))
    rig.stand.stays(rest)
    rig.driven()


@pytest.mark.parametrize("delay_s", [0.25, 0.5])
def test_commands_that_come_too_late_keep_no_arm_moving(rig: Rig, delay_s: float) -> None:
    speed_m_s = rig.driven()

    def slows_down() -> None:
        rig.proxy.delay_s = delay_s
        insist(rig.far, speed_m_s, LEASE_S)

    rig.stand.rests_after(slows_down, SILENT_S, "has run out")
    until(lambda: "it answers state" in _refusal(rig.far))


def test_over_a_slow_network_it_is_driven_and_stopped_in_time(rig: Rig) -> None:
    rig.proxy.delay_s = 0.02
    rig.driven()
    rig.stand.stops(rig.far)


def test_a_link_that_comes_and_goes_moves_nothing_but_what_is_asked(rig: Rig) -> None:
    speed_m_s, stand = rig.driven(), rig.stand
    stand.listen()
    since = len(stand.states)
    for _ in range(5):
        insist(rig.far, speed_m_s, 0.1)
        rig.proxy.cut()
    stand.listen()
    twists = [wire.vector(state.tool_twist, 6, "tool_twist") for state in stand.states[since:]]
    shares = np.array(twists)[:, 0] / speed_m_s
    assert shares.min() >= 0.0 and shares.max() < 1.001
    until(lambda: until(stand.now).holder == "")
    until(lambda: _leads(rig))
    rest = stand.rests_after(rig.proxy.cut, SILENT_S, "has run out")
    until(lambda: any("was not renewed" in text for text in stand.told()))
    stand.stays(rest)


def _refusal(hand: Hand) -> str:
    """Why nothing comes of what it sends; empty where it is not known."""
    try:
        hand.send(SPEED_M_S)
    except RobotError as error:
        return str(error)
    return hand.robot.refusal


def _leads(rig: Rig) -> bool:
    try:
        rig.driven()
    except (RobotError, AssertionError):
        return False
    return True
