"""The network may do anything: the arm comes to rest in time, and nothing that waited moves it afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from hardware.host.guard import LEASE_S, LONGEST_S, Safety
from hardware.robot import RobotError, RobotState, Source, StaleStateError
from tests.hardware.host.proxy import HOST, Proxy
from tests.hardware.host.served import Hand, Served, travelled_m, until

SPEED_M_S = 0.2
SLACK_M = 0.03  # braking, and what passes between two looks


class Rig:
    """A served arm, a client behind a bad network, and one that looks on from the host's own machine."""

    def __init__(self) -> None:
        self.served = Served()
        where = self.served.host.addresses
        self.ports = [
            int(a.rpartition(":")[2]) for a in (where.rpc, where.commands, where.stop, where.states)
        ]
        self.proxy = Proxy(self.ports)
        self.watcher = Hand(self.served.address)
        self.far = Hand(f"tcp://{HOST}:{self.ports[0]}")

    def close(self) -> None:
        for end in (self.far, self.watcher, self.proxy, self.served):
            end.close()

    def driven(self) -> None:
        """The far client leads, and the arm moves."""
        self.far.lead()
        self.far.drive(SPEED_M_S, lambda state: state.tool_twist[0] > 0.9 * SPEED_M_S)

    def comes_to_rest(self, act: Callable[[], None], within_s: float) -> RobotState:
        """`act`, and from then on the arm travels no further than it may."""
        before = self.watcher.robot.read()
        act()
        self.insist(within_s + 0.3)
        rest = self.watcher.at_rest()
        assert travelled_m(before, rest) < within_s * SPEED_M_S + SLACK_M
        return rest

    def insist(self, seconds: float) -> None:
        """The far client goes on sending, as long as it believes that it may."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            with suppress(RobotError):
                self.far.send(SPEED_M_S)
            self.watcher.robot.read()
            time.sleep(0.01)

    def stays(self, rest: RobotState, seconds: float = 0.4) -> None:
        """It does not move, whatever arrives meanwhile."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            assert travelled_m(rest, self.watcher.robot.read()) < 1e-3
            time.sleep(0.005)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with closing(Rig()) as made:
        yield made


def test_a_network_that_falls_silent_stops_the_arm_and_what_it_kept_does_not_move_it(rig: Rig) -> None:
    rig.driven()
    rest = rig.comes_to_rest(lambda: rig.proxy.silence(True), LONGEST_S[Source.SCRIPT])
    rig.proxy.silence(False)
    rig.stays(rest)
    assert until(lambda: rig.watcher.robot.now().safety is Safety.HOLDING)


def test_a_connection_that_is_cut_stops_the_arm(rig: Rig) -> None:
    rig.driven()
    before = rig.watcher.robot.read()
    rig.proxy.cut()
    rest = rig.watcher.at_rest()
    assert travelled_m(before, rest) < LONGEST_S[Source.SCRIPT] * SPEED_M_S + SLACK_M


def test_a_client_that_is_gone_for_longer_than_its_lease_has_to_take_the_arm_again(rig: Rig) -> None:
    rig.driven()
    rig.proxy.silence(True)
    until(lambda: rig.watcher.robot.now().holder == "")
    rest = rig.watcher.at_rest()
    rig.proxy.silence(False)
    until(lambda: _lost(rig))
    rig.stays(rest, 0.2)
    rig.driven()


@pytest.mark.parametrize("delay_s", [0.25, 0.5])
def test_commands_that_come_too_late_move_nothing(rig: Rig, delay_s: float) -> None:
    rig.far.lead()
    rest = rig.watcher.at_rest()
    rig.proxy.delay_s = delay_s
    rig.insist(LEASE_S)
    rig.stays(rest)


def test_a_slow_network_is_good_enough(rig: Rig) -> None:
    rig.proxy.delay_s = 0.02
    rig.driven()


def test_a_link_that_comes_and_goes_moves_nothing_but_what_is_asked(rig: Rig) -> None:
    rig.far.lead()
    for _ in range(5):
        rig.insist(0.1)
        rig.proxy.cut()
    until(lambda: rig.watcher.robot.now().holder == "")
    rest = rig.watcher.at_rest()
    rig.stays(rest, 0.3)
    until(lambda: _leads(rig))


def _lost(rig: Rig) -> bool:
    """Whether the far client has been told that it does not lead any more."""
    try:
        rig.far.send(SPEED_M_S)
    except StaleStateError:
        return False
    except RobotError as error:
        return "is over: nobody has the arm" in str(error)
    return False


def _leads(rig: Rig) -> bool:
    try:
        rig.driven()
    except (RobotError, AssertionError):
        return False
    return True
