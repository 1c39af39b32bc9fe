"""With keys: who is not known, or may not, moves nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from hardware import wire
from hardware.clock import MonotonicClock
from hardware.drivers.fake import FakeArm
from hardware.host.guard import Safety, Why
from hardware.robot import FaultError, RobotError, RobotState, Source
from hardware.security import ClientSecurity, Role, ServerSecurity, make_client, make_server, revoke
from hardware.transport import Incoming
from hardware.transport import authenticator as zap
from tests.hardware.host.served import Hand, Served, moved, travelled_m, until
from tests.hardware.host.stand import SILENT_S, SPEED_M_S, STALE_S, fast, insist

Rig = tuple[Served, Path]


class Noted(FakeArm):
    """An arm that keeps every reading of it."""

    def __init__(self) -> None:
        super().__init__(MonotonicClock())
        self.states: list[RobotState] = []

    def read(self) -> RobotState:
        self.states.append(super().read())
        return self.states[-1]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    keys = tmp_path / "keys"
    make_server(keys)
    for role in Role:
        make_client(keys, role.value, role)
    with closing(Served(Noted, security=ServerSecurity(keys))) as served:
        yield served, keys


def hand(rig: Rig, role: Role, source: Source = Source.SCRIPT, **more: Any) -> Hand:
    return Hand(rig[0].address, source, security=ClientSecurity(rig[1] / f"{role.value}.key"), **more)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.MAINTAINER])
def test_people_arm_and_lead(rig: Rig, role: Role) -> None:
    with closing(hand(rig, role)) as one:
        one.lead()
        assert rig[0].host.guard.lease is not None
        assert one.drive(0.1, moved).applied is not None
        assert rig[0].host.guard.lease.peer.name == role.value


def test_a_policy_leads_once_a_person_has_armed(rig: Rig) -> None:
    with closing(hand(rig, Role.OPERATOR)) as person, closing(hand(rig, Role.POLICY)) as policy:
        for act in (policy.robot.arm, policy.robot.clear_fault, lambda: policy.robot.take(Source.OPERATOR)):
            with pytest.raises(RobotError, match="policy is policy: it may not"):
                act()
        person.robot.arm()
        policy.source = Source.POLICY
        policy.robot.take(Source.POLICY)
        policy.drive(0.1, moved)


def test_an_observer_reads_and_stops_and_moves_nothing(rig: Rig) -> None:
    with closing(hand(rig, Role.OPERATOR)) as person, closing(hand(rig, Role.OBSERVER)) as observer:
        person.lead()
        person.drive(0.1, moved)
        for act in (
            observer.robot.arm,
            observer.robot.clear_fault,
            lambda: observer.robot.take(Source.POLICY),
        ):
            with pytest.raises(RobotError, match="observer is observer: it may not"):
                act()
        # what an observer can hear, the lease, does not let it command
        lease, robot = rig[0].host.guard.lease, observer.robot
        assert lease is not None and robot.now().holder == "operator"
        move = wire.Move(
            session=robot.welcome.session,
            lease=lease.id,
            seq=10**6,
            twist=np.full(6, 0.1).tobytes(),
            gripper=0.0,
            lasts_s=0.1,
            based_on=robot.now().seq,
            dead_man=True,
        )
        until(lambda: robot.link.commands.send(move))
        answer = until(lambda: robot.link.commands.receive())
        assert isinstance(answer, Incoming) and isinstance(answer.message, wire.NotFollowed)
        assert answer.message.why is Why.LEASE
        robot.stop_and_wait()
        assert rig[0].host.guard.safety is Safety.STOPPED


def test_who_has_no_key_or_one_of_elsewhere_is_not_answered(rig: Rig, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_server(other)
    make_client(other, "eve", Role.OPERATOR)
    strangers = (None, ClientSecurity(other / "eve.key"), ClientSecurity(rig[1] / f"{Role.POLICY.value}.key"))
    revoke(rig[1], Role.POLICY.value)
    with closing(hand(rig, Role.OBSERVER)) as looker:
        for security in strangers:
            with pytest.raises(RobotError, match="no host at"):
                Hand(rig[0].address, security=security, timeout_s=0.4)
        rig[0].host._looks_ns = 0  # strangers are told of every ten seconds
        until(lambda: bool(looker.robot.now() and looker.robot.events))
        assert "a key was refused that is not here, or revoked" in looker.robot.events[-1]
    assert rig[0].host.guard.safety is Safety.DISARMED


def test_who_is_revoked_in_motion_loses_the_arm_which_rests_in_time_and_stays(rig: Rig) -> None:
    served, keys = rig
    assert isinstance(served.arm, Noted)  # every reader of the host's states is cut for a while
    noted = served.arm.states
    with (
        closing(hand(rig, Role.MAINTAINER, stale_s=STALE_S)) as watcher,
        closing(hand(rig, Role.OPERATOR, stale_s=STALE_S)) as one,
    ):
        one.lead()
        one.drive(SPEED_M_S, fast)
        before, began_ns = noted[-1], time.monotonic_ns()
        revoke(keys, "operator")
        insist(one, SPEED_M_S, 0.5)
        last = max(number for number, state in enumerate(noted) if moved(state))
        rest = until(lambda: noted[last + 1] if len(noted) > last + 3 else None)
        assert (rest.time_ns - began_ns) / 1e9 < SILENT_S
        assert travelled_m(before, rest) < SILENT_S * SPEED_M_S
        for told in ("holding: the command has run out", "the lease of operator was not renewed"):
            until(partial(_hears, watcher, told))
        with pytest.raises(RobotError, match="no fresh state of fake"):
            until(lambda: one.send(SPEED_M_S))
        assert served.host.guard.safety is Safety.HOLDING
        assert max(travelled_m(rest, state) for state in noted[last + 1 :]) < 1e-3


def test_a_client_that_expects_another_host_does_not_talk_to_this_one(rig: Rig, tmp_path: Path) -> None:
    make_server(tmp_path / "other")
    mistaken = ClientSecurity(rig[1] / "operator.key")
    mistaken.server_key = ServerSecurity(tmp_path / "other").public_key
    with pytest.raises(RobotError, match="no host at"):
        Hand(rig[0].address, security=mistaken, timeout_s=0.5)
    assert rig[0].host.guard.safety is Safety.DISARMED


def test_a_dead_authenticator_lets_nobody_in_and_those_who_are_in_can_stop(rig: Rig) -> None:
    served, _ = rig
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    with closing(hand(rig, Role.OPERATOR)) as driver, closing(hand(rig, Role.OBSERVER)) as observer:
        driver.lead()
        before = driver.drive(0.1, moved)
        authenticator = zap._running[context]
        authenticator.close()
        try:
            with pytest.raises(RobotError, match="no host at"):
                hand(rig, Role.MAINTAINER, timeout_s=0.5)
            driver.drive(0.1, moved)
            observer.robot.stop_and_wait()
            with pytest.raises(FaultError, match="is stopped: observer pressed STOP"):
                until(lambda: driver.send(0.1))
            assert travelled_m(before, driver.at_rest()) < 0.1 * 2.0
            assert served.host.guard.safety is Safety.STOPPED
        finally:
            zap._running[context] = zap.Authenticator(context)
            zap._running[context].doors.update(authenticator.doors)


def _hears(hand: Hand, told: str) -> bool:
    """Whether it has been told so."""
    with suppress(RobotError):  # while it is cut
        hand.robot.read()
    return told in hand.robot.events
