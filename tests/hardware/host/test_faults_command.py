"""Whatever is sent, by whomever: the arm follows one hand, and rests in time when what comes is not right."""

from __future__ import annotations

import itertools
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq

from hardware import wire
from hardware.host.guard import Safety, Why
from hardware.remote import RemoteRobot
from hardware.robot import RobotError, Source
from tests.hardware.host.proxy import HOST, Proxy
from tests.hardware.host.served import Hand
from tests.hardware.host.stand import (
    BRAKES_S,
    SILENT_S,
    SLACK_S,
    SPEED_M_S,
    STOP_S,
    Stand,
    fast,
    insist,
    tool_speed,
)

PLENTY = 10**6  # a number that no command has had yet
Context = zmq.Context[zmq.Socket[bytes]]


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with closing(Stand()) as made:
        yield made


@pytest.fixture
def context() -> Iterator[Context]:
    made: Context = zmq.Context()
    yield made
    made.destroy(linger=0)


def with_(**change: Any) -> Callable[[wire.Move], list[bytes]]:
    """That command, other than it should be; fields that it has not are added."""

    def changed(move: wire.Move) -> list[bytes]:
        fields = {**msgspec.structs.asdict(move), "type": "Move"}
        for name, value in change.items():
            fields[name] = value(move) if callable(value) else value
        return [b"", msgspec.msgpack.encode(fields)]

    return changed


def bytes_(*frames: bytes) -> Callable[[wire.Move], list[bytes]]:
    return lambda _: list(frames)


def twist(*values: float) -> bytes:
    return np.array(values, dtype="<f8").tobytes()


NOT_RIGHT: dict[str, list[Callable[[wire.Move], list[bytes]]]] = {
    "number: replayed, older, wrapped round, beyond all": [
        with_(seq=lambda move: move.seq - PLENTY),
        with_(seq=1),
        with_(seq=0),
        with_(seq=-1),
        with_(seq=2**63),
    ],
    "time: stale, of tomorrow, too long, nothing, less, NaN": [
        with_(based_on=lambda move: move.based_on - 50),
        with_(based_on=2**60),
        with_(lasts_s=5.0),
        with_(lasts_s=0.0),
        with_(lasts_s=-0.1),
        with_(lasts_s=float("nan")),
    ],
    "twist: NaN, Inf, too few, too many, of floats, of texts": [
        with_(twist=twist(np.nan, 0, 0, 0, 0, 0)),
        with_(twist=twist(0, np.inf, 0, 0, 0, 0)),
        with_(twist=twist(0.2, 0, 0, 0, 0)),
        with_(twist=twist(0.2, 0, 0, 0, 0, 0, 0)),
        with_(twist=np.full(6, 0.2, dtype="<f4").tobytes()),
        with_(twist="0.2, 0, 0, 0, 0, 0"),
    ],
    "gripper, mode, frame, session, lease": [
        with_(gripper=1.5),
        with_(gripper=float("nan")),
        with_(mode="joints"),
        with_(frame="tool"),
        with_(session="another"),
        with_(lease="another"),
    ],
    "bytes: pickle, nested, oversized, truncated, extra and no frames": [
        bytes_(b"", pickle.dumps(Source.SCRIPT)),
        bytes_(b"", b"\x91" * 10_000),
        bytes_(b"", b"\x81\xa1x" * 5_000),
        bytes_(b"", b"\xc6" + (70_000).to_bytes(4, "big") + bytes(70_000)),
        lambda move: [b"", with_()(move)[1][:-9]],
        lambda move: [*with_()(move), b""],
        bytes_(b""),
    ],
    "far oversized": [bytes_(b"", bytes(300_000))],
}


@pytest.mark.parametrize("wrong", NOT_RIGHT.values(), ids=NOT_RIGHT)
def test_what_is_not_right_keeps_no_arm_moving(
    stand: Stand, context: Context, wrong: list[Callable[[wire.Move], list[bytes]]]
) -> None:
    with stand.hands() as hand:
        one, dealer = hand(), context.socket(zmq.DEALER)
        dealer.connect(stand.host.addresses.commands)
        ahead = np.array([stand.driven(one), 0, 0, 0, 0, 0])
        answers: list[Any] = []

        def send() -> None:
            for number in range(30):
                move = one.robot.move(one.robot._seq + PLENTY, ahead, 1.0, 0.1, dead_man=True)
                with suppress(zmq.Again):
                    dealer.send_multipart(wrong[number % len(wrong)](move), zmq.NOBLOCK)
                time.sleep(0.01)
                one.robot.read()
                while dealer.poll(0):
                    answer = dealer.recv_multipart()[-1]
                    answers.append(msgspec.msgpack.decode(answer, type=wire.FromCommands))

        stand.rests_after(send, SILENT_S, "has run out")
        assert not any(isinstance(answer, wire.Followed) for answer in answers)
        one.drive(stand.speed_m_s, fast)  # and the rest goes on


@pytest.mark.parametrize("size", [5e-324, 1e-310, -0.0])
def test_numbers_that_are_hardly_any_move_nothing(stand: Stand, size: float) -> None:
    with stand.hands() as hand:
        one = hand()
        stand.driven(one)
        stand.rests_after(lambda: insist(one, size, 0.5), BRAKES_S + SLACK_S, "the command has run out")


def test_a_number_that_is_far_too_big_is_cut_and_the_first_command_does_not_jump(stand: Stand) -> None:
    with stand.hands() as hand:
        one = hand()
        one.lead()
        huge = np.sign(stand.speed_m_s) * 1.7e308
        since = len(stand.states)
        one.drive(huge, fast)
        stand.rests_after(lambda: None, SILENT_S + 0.025, "has run out")
        seen = [(state.seq, tool_speed(state)) for state in stand.states[since:]]
        for (seq, speed), (then, faster) in itertools.pairwise(seen):
            assert faster <= 0.25 * 1.001
            assert faster - speed < 1.001 * (then - seq + 1) * 0.02  # two periods of the arm at most


def test_numbers_may_be_skipped_and_are_used_up_then(stand: Stand) -> None:
    with stand.hands() as hand:
        one = hand()
        speed_m_s = stand.driven(one)
        robot, ahead = one.robot, np.array([speed_m_s, 0, 0, 0, 0, 0])
        for seq in (PLENTY, 2**62 - 1, 2**62):
            answer = robot.exchange(robot.move(seq, ahead, 1.0, 0.1, dead_man=True))
            assert isinstance(answer, wire.Followed)
            robot.read()
        stand.rests_after(lambda: insist(one, speed_m_s, 0.3), SILENT_S, "has run out")
        assert "is not newer than" in robot.refusal
        stand.driven(one)  # a new lease counts anew


def test_nobody_gets_in_under_the_identity_of_another(stand: Stand, context: Context) -> None:
    with stand.hands() as hand:
        one = hand()
        speed_m_s = stand.driven(one)
        twins = [context.socket(zmq.DEALER) for _ in range(2)]
        for twin in twins:
            twin.routing_id = b"the same"
            twin.connect(stand.host.addresses.commands)
        ahead = np.array([speed_m_s, 0, 0, 0, 0, 0])
        answers = []
        for number in range(1, 11):
            move = one.robot.move(PLENTY + number, ahead, 1.0, 0.1, dead_man=True)
            twins[0].send_multipart([b"", msgspec.msgpack.encode(move)])
            assert twins[0].poll(2_000)
            answers.append(msgspec.msgpack.decode(twins[0].recv_multipart()[-1], type=wire.FromCommands))
            with suppress(zmq.Again):
                twins[1].send_multipart([b"", msgspec.msgpack.encode(move)], zmq.NOBLOCK)
            one.robot.read()
        assert all(isinstance(answer, wire.Followed) for answer in answers)
        assert not twins[1].poll(50)
        stand.rests_after(lambda: None, SILENT_S, "has run out")


def test_a_second_commander_is_told_who_leads_and_moves_nothing(stand: Stand) -> None:
    with stand.hands() as hand:
        one, two = hand(), hand()
        speed_m_s = stand.driven(one)
        with pytest.raises(RobotError, match="local has the arm, as script"):
            two.robot.take(Source.POLICY)
        back = np.array([-speed_m_s, 0, 0, 0, 0, 0])
        answer = two.robot.exchange(two.robot.move(1, back, 1.0, 0.1, dead_man=True))
        assert isinstance(answer, wire.NotFollowed) and answer.why is Why.LEASE
        one.drive(speed_m_s, fast)
        stand.rests_after(lambda: None, SILENT_S, "has run out")


def test_a_takeover_in_motion_brakes_and_moves_only_as_the_operator_says(stand: Stand) -> None:
    with stand.hands() as hand:
        policy, operator = hand(Source.POLICY), hand(Source.OPERATOR)
        speed_m_s = stand.driven(policy)

        def taken() -> None:
            operator.robot.take(Source.OPERATOR)
            insist(policy, speed_m_s, 0.3)

        stand.rests_after(taken, BRAKES_S + SLACK_S, "local has the arm, as operator")
        assert "is over: local has the arm" in policy.robot.refusal
        operator.drive(-speed_m_s, fast)
        stand.rests_after(partial(insist, policy, speed_m_s, 0.3), SILENT_S, "has run out")


def test_the_second_of_two_operators_waits_and_may_stop(stand: Stand) -> None:
    with stand.hands() as hand:
        one, two = hand(Source.OPERATOR), hand(Source.OPERATOR)
        speed_m_s = stand.driven(one)
        with pytest.raises(RobotError, match="local has the arm, as operator"):
            two.robot.take(Source.OPERATOR)
        one.drive(speed_m_s, fast)
        stand.stops(two)
        with pytest.raises(RobotError, match="clear it first"):
            one.robot.arm()


def test_a_stop_is_heard_while_an_rpc_hangs(stand: Stand) -> None:
    where = stand.host.addresses
    rpc, *others = (int(a.rpartition(":")[2]) for a in (where.rpc, where.commands, where.stop, where.states))
    with stand.hands(), ExitStack() as stack:
        asked = stack.enter_context(closing(Proxy([rpc])))
        stack.enter_context(closing(Proxy(others)))
        far = stack.enter_context(closing(Hand(f"tcp://{HOST}:{rpc}", timeout_s=5.0)))
        stand.driven(far)
        asked.silence(True)
        far.robot.link.rpc.request(wire.Take(source=Source.SCRIPT, lease=""))
        stand.stops(far)
        assert far.robot.link.rpc.pending


def test_a_stop_is_heard_though_somebody_asks_without_end_and_never_listens(
    stand: Stand, context: Context
) -> None:
    with stand.hands() as hand:
        asking = context.socket(zmq.DEALER)
        asking.rcvhwm = 1
        asking.connect(stand.host.addresses.rpc)
        question = msgspec.msgpack.encode(wire.Hello(version=wire.VERSION, schema=wire.schema(), name="deaf"))
        for number in range(5_000):
            with suppress(zmq.Again):
                asking.send_multipart([number.to_bytes(16, "big"), question], zmq.NOBLOCK)
        one = hand()
        stand.driven(one)
        stand.stops(hand())


def test_whoever_was_stopped_stays_stopped_whatever_they_send(stand: Stand) -> None:
    with stand.hands() as hand:
        one = hand()
        speed_m_s = stand.driven(one)

        def stop() -> None:
            stand.watcher.robot.stop()
            insist(one, speed_m_s, 0.3)
            robot: RemoteRobot = one.robot
            robot.take(Source.SCRIPT)
            move = robot.move(PLENTY, np.full(6, SPEED_M_S), 1.0, 0.1, dead_man=True)
            answer = robot.exchange(move)
            assert isinstance(answer, wire.NotFollowed) and answer.why is Why.STOPPED

        stand.rests_after(stop, STOP_S, "pressed STOP")
        assert stand.host.guard.safety is Safety.STOPPED
