"""An arm over real sockets: it follows whoever may lead it, and stops when anything is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pytest
import zmq

from hardware import wire
from hardware.clock import MonotonicClock
from hardware.drivers.fake import FakeArm
from hardware.host.guard import STOP_AFTER_S, Safety, Why
from hardware.host.host import Host
from hardware.remote import RemoteRobot
from hardware.robot import Applied, Command, FaultError, RobotError, RobotState, Source, StaleStateError
from hardware.transport import Client, Incoming, TransportError
from tests.hardware.host.served import LOOPBACK, Hand, Served, fake, fake_real, serving, travelled_m, until

Rig = tuple[Served, Callable[..., Hand]]
SPEED_M_S = 0.2


@pytest.fixture
def rig() -> Iterator[Rig]:
    with serving() as made:
        yield made


def moving(state: RobotState) -> bool:
    return float(np.linalg.norm(state.tool_twist[:3])) > 0.9 * SPEED_M_S


def watched(person: Hand, state: RobotState) -> bool:
    """Whether the arm moves, while a person lets it be known that they are there."""
    person.robot.present()
    return moving(state)


def stopped_by(hand: Hand, watcher: Hand, act: Callable[[], object]) -> tuple[float, float]:
    """The arm is moving, then `act`: how long (s) and far (m) it went on, as the host's own states say."""
    hand.drive(SPEED_M_S, moving)
    before = watcher.robot.read()
    act()
    after = watcher.at_rest()
    return (after.time_ns - before.time_ns) / 1e9, travelled_m(before, after)


def test_a_served_arm_is_what_it_is_and_follows(rig: Rig) -> None:
    served, hand = rig
    one = hand()
    assert one.robot.spec.name == served.arm.spec.name
    assert (one.robot.spec.joint_low_rad == served.arm.spec.joint_low_rad).all()
    one.lead()
    start = one.robot.read()
    state = one.drive(SPEED_M_S, lambda state: travelled_m(start, state) > 0.03)
    assert state.applied is not None and state.applied.command.source is Source.SCRIPT
    assert one.robot.safety is Safety.MOVING
    assert state.tool_pos_m[0] > start.tool_pos_m[0]
    assert one.robot.ping_s() > 0.0


def test_what_the_limits_cut_is_said(rig: Rig) -> None:
    one = rig[1]()
    one.lead()
    state = one.drive(5.0, lambda state: state.applied is not None and bool(state.applied.limits))
    assert state.applied is not None
    assert np.linalg.norm(state.applied.command.twist[:3]) <= one.robot.spec.max_speed_m_s * 1.001


def test_a_client_that_falls_silent_stops_the_arm_in_time(rig: Rig) -> None:
    hand, watcher = rig[1](), rig[1]()
    hand.lead()
    seconds, metres = stopped_by(hand, watcher, lambda: None)
    assert seconds < 0.3
    assert metres < 0.1 * SPEED_M_S + 0.03
    assert until(lambda: [text for text in watcher.robot.events if "has run out" in text])
    time.sleep(0.05)
    assert not watcher.robot.read().tool_twist.any()


def test_anybody_who_may_stops_it_without_a_lease_and_it_stays_stopped(rig: Rig) -> None:
    hand, other = rig[1](), rig[1]()
    hand.lead()
    seconds, metres = stopped_by(hand, other, other.robot.stop)
    assert seconds < 0.1
    assert metres < 0.1 * SPEED_M_S
    with pytest.raises(FaultError, match="is stopped: local pressed STOP"):
        until(lambda: hand.send(SPEED_M_S))
    with pytest.raises(RobotError, match="clear it first"):
        hand.robot.arm()
    hand.robot.clear_fault()
    with pytest.raises(FaultError, match="is disarmed"):
        hand.send(SPEED_M_S)
    hand.lead()
    hand.drive(SPEED_M_S, moving)


def test_however_much_there_is_to_say_it_is_still_heard(rig: Rig) -> None:
    served, hand = rig[0], rig[1]()
    assert isinstance(served.arm, FakeArm)
    hand.robot.link.stop.request(wire.Stop(reason="x" * 500))
    until(lambda: hand.robot.safety is Safety.STOPPED)
    served.arm.fail("y" * 2000)
    assert until(lambda: hand.robot.read().faults or None)[0].startswith("yyy")
    hand.robot.clear_fault()
    assert hand.robot.safety is Safety.DISARMED


def test_an_operator_takes_the_arm_from_a_policy(rig: Rig) -> None:
    policy, operator = rig[1](Source.POLICY), rig[1](Source.OPERATOR)
    policy.lead()
    policy.drive(SPEED_M_S, moving)
    operator.robot.take(Source.OPERATOR)
    with pytest.raises(RobotError, match="is over: local has the arm"):
        until(lambda: policy.send(SPEED_M_S))
    operator.drive(-SPEED_M_S, moving)
    with pytest.raises(RobotError, match="local has the arm, as operator"):
        policy.robot.take(Source.POLICY)


def test_a_lease_that_is_used_lasts(rig: Rig) -> None:
    hand = rig[1]()
    hand.lead()
    began = hand.robot.read().time_ns
    hand.drive(0.01, lambda state: state.time_ns - began > 1.5e9)


def test_a_real_arm_stops_when_its_operator_is_gone() -> None:
    with serving(make=fake_real) as (_, hand):
        policy, person = hand(Source.POLICY), hand(Source.OPERATOR)
        policy.lead()
        policy.drive(SPEED_M_S, lambda state: watched(person, state))
        before = person.robot.read()
        with pytest.raises(FaultError, match="is stopped: nobody was heard of"):
            policy.drive(SPEED_M_S, lambda state: False)
        after = person.at_rest()
        assert travelled_m(before, after) < STOP_AFTER_S * SPEED_M_S + 0.03


def test_a_fault_of_the_arm_stops_it_until_it_is_cleared(rig: Rig) -> None:
    served, hand = rig[0], rig[1]()
    hand.lead()
    hand.drive(SPEED_M_S, moving)
    assert isinstance(served.arm, FakeArm)
    served.arm.fail("reflex")
    with pytest.raises(FaultError, match="fault: reflex"):
        until(lambda: hand.send(SPEED_M_S))
    hand.robot.clear_fault()
    hand.lead()
    assert hand.drive(SPEED_M_S, moving).faults == ()


def test_a_frozen_host_is_noticed(rig: Rig) -> None:
    served, hand = rig[0], rig[1]()
    hand.lead()
    hand.drive(SPEED_M_S, moving)
    served.frozen = True
    with pytest.raises(StaleStateError, match="no fresh state of fake: the newest came"):
        until(lambda: hand.robot.read() and None)
    served.frozen = False


def test_a_host_that_was_started_anew_is_another_session() -> None:
    with serving() as (served, hand):
        one = hand()
        one.lead()
        address = served.address
        served.close()
        again = Served(bind=address)
        try:
            with pytest.raises(RobotError, match=r"refused|was started anew|no fresh state|host"):
                until(lambda: one.send(SPEED_M_S))
            assert not again.arm.read().tool_twist.any()
        finally:
            again.close()


def test_a_client_of_another_version_is_told_so(rig: Rig) -> None:
    with pytest.raises(RobotError, match="speaks 1/"):
        client: Client[wire.FromHost] = Client(rig[0].address, wire.FromHost, security=None)
        try:
            client.request(wire.Hello(version=1, schema="another", name="old"))
            answer = until(lambda: client.receive())
            assert isinstance(answer.message, wire.Refused)
            raise RobotError(answer.message.text)
        finally:
            client.close()


def test_no_host_is_said_at_once() -> None:
    with pytest.raises(RobotError, match=r"no host at tcp://127\.0\.0\.1:1: nothing answered within 0\.2 s"):
        Hand("tcp://127.0.0.1:1", timeout_s=0.2)


def refusal_of(robot: RemoteRobot) -> wire.NotFollowed | None:
    """The next answer to a command that is a refusal."""
    answer = robot.link.commands.receive()
    if isinstance(answer, Incoming) and isinstance(answer.message, wire.NotFollowed):
        return answer.message
    return None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"session": "another"}, None),
        ({"lease": "another"}, Why.LEASE),
        ({"seq": 1}, Why.SEQUENCE),
        ({"based_on": 2**40}, Why.STALE),
        ({"based_on": 0}, Why.STALE),
        ({"lasts_s": 1.0}, Why.LONG),
        ({"lasts_s": float("nan")}, Why.LONG),
        ({"twist": np.full(6, np.nan).tobytes()}, None),
        ({"twist": np.full(6, np.inf).tobytes()}, None),
        ({"twist": np.zeros(7).tobytes()}, None),
        ({"twist": b""}, None),
    ],
    ids=str,
)
def test_a_command_that_is_not_right_is_refused_and_moves_nothing(
    rig: Rig, change: dict[str, object], why: Why | None
) -> None:
    served, hand = rig[0], rig[1]()
    hand.lead()
    hand.send(0.0)
    at = hand.robot.read().tool_pos_m
    robot = hand.robot
    assert robot.link.state is not None
    wish: dict[str, object] = {
        "session": robot.welcome.session,
        "lease": robot.link.lease,
        "seq": 100,
        "twist": np.full(6, 0.2).tobytes(),
        "gripper": 1.0,
        "lasts_s": 0.1,
        "based_on": robot.link.state.seq,
        "dead_man": True,
    }
    move = wire.Move(**{**wish, **change})  # type: ignore[arg-type]
    until(lambda: robot.link.commands.send(move))
    answer = until(lambda: refusal_of(robot))
    assert answer.why is why
    assert answer.text
    assert (hand.robot.read().tool_pos_m == at).all()
    assert served.host.guard.safety is not Safety.STOPPED


GARBAGE = [
    b"",
    b"\x00" * 100,
    b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94.",
    b"\x91" * 10_000,
    b"\xdf\xff\xff\xff\xff",
    bytes(range(256)) * 200,
    b"GET / HTTP/1.1\r\n\r\n",
]


def test_garbage_on_every_socket_moves_nothing_and_ends_nothing(rig: Rig) -> None:
    served, hand = rig[0], rig[1]()
    hand.lead()
    at = hand.robot.read().tool_pos_m
    context = zmq.Context()
    where = served.host.addresses
    for address in (where.rpc, where.commands, where.stop):
        dealer = context.socket(zmq.DEALER)
        dealer.linger = 0
        dealer.connect(address)
        for junk in GARBAGE:
            for frames in ([junk], [b"", junk], [junk[:16].ljust(16), junk], [junk] * 5):
                dealer.send_multipart(frames)
        dealer.close(linger=1000)
    context.term()
    hand.drive(0.0, lambda state: True)
    assert (hand.robot.read().tool_pos_m == at).all()
    hand.drive(SPEED_M_S, moving)


def test_without_keys_only_loopback_is_served() -> None:
    with pytest.raises(TransportError, match="loopback"):
        Host(fake(), LOOPBACK.replace("127.0.0.1", "0.0.0.0"), security=None)


def test_a_hello_costs_the_loop_next_to_nothing() -> None:
    began = time.perf_counter()
    for _ in range(1_000):
        wire.schema()
    assert time.perf_counter() - began < 1.0


class Deaf(FakeArm):
    """An arm that follows nothing and cannot be read any more, once it was told to move."""

    broken = False

    def send(self, command: Command) -> Applied:
        self.broken = True
        raise RobotError("the cable is out")

    def read(self) -> RobotState:
        if self.broken:
            raise RobotError("the cable is out")
        return super().read()


def test_an_arm_that_is_lost_in_the_middle_of_a_command_stops_and_does_not_end_the_host() -> None:
    with serving(make=lambda: Deaf(MonotonicClock())) as (served, make_hand):
        hand = make_hand()
        hand.lead()
        hand.send(0.05)
        until(lambda: served.host.guard.safety is Safety.STOPPED)
        assert served.host.guard.reason == "fault: the cable is out"
        asking: Client[wire.FromHost] = Client(served.address, wire.FromHost, security=None)
        with closing(asking):
            asking.request(wire.Ping(client_ns=1))
            until(asking.receive)
