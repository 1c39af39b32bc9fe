"""Whatever becomes of a client, of the link or of the host: the arm rests in time, says why, and stays.

What a proxy does to the link is in test_bad_network.py.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial

import msgspec
import numpy as np
import pytest
import zmq

from hardware import wire
from hardware.host.guard import Safety, Why
from hardware.remote import RemoteRobot
from hardware.robot import RobotError, Source
from tests.hardware.host.misbehaves import busy_cores, running
from tests.hardware.host.proxy import HOST, Proxy
from tests.hardware.host.served import PATIENCE_S, Hand, memory_mb, moved, until
from tests.hardware.host.stand import (
    BRAKES_S,
    SILENT_S,
    SLACK_S,
    SPEED_M_S,
    STALE_S,
    STOP_S,
    Stand,
    fast,
    insist,
)
from tests.hardware.host.test_robot_host import started

DAY_S = 86_400.0
BUSY_S = 1.0  # slack of a machine whose every core is wanted by somebody else
GROWTH_MB = 30.0  # the allocator's own


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with closing(Stand()) as made:
        yield made


def test_a_client_that_is_killed_stops_the_arm(stand: Stand) -> None:
    with stand.hands(), running("drive", stand.address, stand.speed_m_s, 0.0) as client:
        until(lambda: fast(stand.watcher.robot.read()))
        stand.rests_after(client.kill, SILENT_S, "has run out")
        until(lambda: any("was not renewed" in text for text in stand.told()))


def test_a_client_that_is_frozen_stops_the_arm_and_moves_nothing_when_it_thaws(stand: Stand) -> None:
    with stand.hands(), running("drive", stand.address, stand.speed_m_s, 0.0) as client:
        until(lambda: fast(stand.watcher.robot.read()))
        rest = stand.rests_after(lambda: client.send_signal(signal.SIGSTOP), SILENT_S, "has run out")
        until(lambda: any("was not renewed" in text for text in stand.told()))
        client.send_signal(signal.SIGCONT)
        stand.stays(rest)


def test_a_client_whose_clock_is_a_day_ahead_is_served_as_any_other(stand: Stand) -> None:
    with stand.hands(), running("drive", stand.address, stand.speed_m_s, DAY_S) as client:
        until(lambda: fast(stand.watcher.robot.read()))
        stand.rests_after(client.kill, SILENT_S, "has run out")


def test_a_client_that_is_killed_while_every_core_is_busy_stops_the_arm(stand: Stand) -> None:
    with stand.hands() as hand, running("drive", stand.address, stand.speed_m_s, 0.0) as client:
        until(lambda: fast(stand.watcher.robot.read()))
        with busy_cores():
            time.sleep(0.2)  # so that they are
            # told in any case, also where a client that gets no time had let its command run out
            stand.rests_after(client.kill, SILENT_S + BUSY_S, "was not renewed")
            stand.driven(hand(timeout_s=PATIENCE_S))
            stand.rests_after(stand.watcher.robot.stop, STOP_S + BUSY_S, "pressed STOP")
            assert stand.host.guard.safety is Safety.STOPPED


def test_commands_that_waited_for_a_link_are_all_refused(stand: Stand) -> None:
    port = int(stand.host.addresses.commands.rpartition(":")[2])
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with stand.hands() as hand, ExitStack() as stack:
        stack.callback(context.destroy, linger=0)
        one = hand()
        stand.driven(one)
        dealer = context.socket(zmq.DEALER)  # one that queues, as ours do not
        dealer.connect(f"tcp://{HOST}:{port}")
        for seq in range(1_000, 1_200):
            move = one.robot.move(seq, np.full(6, SPEED_M_S), 1.0, 0.1, dead_man=True)
            dealer.send_multipart([b"", msgspec.msgpack.encode(move)])
        rest = stand.rests_after(lambda: None, SILENT_S, "has run out")
        one.robot.read()  # which keeps the lease
        stack.enter_context(closing(Proxy([port])))
        refusals: list[Why | None] = []
        while len(refusals) < 200 and dealer.poll(2_000):
            answer = dealer.recv_multipart()[-1]
            refusals.append(msgspec.msgpack.decode(answer, type=wire.NotFollowed).why)
            one.robot.read()
        assert refusals and set(refusals) == {Why.STALE}
        stand.stays(rest)


def test_a_lease_that_ends_in_motion_ends_the_motion(stand: Stand) -> None:
    with stand.hands() as hand:
        one = hand()
        speed_m_s = stand.driven(one)
        one.robot.link.renew_ns = time.monotonic_ns() + 3_600 * 10**9
        lease = stand.host.guard.lease
        assert lease is not None
        left_s = (lease.expires_ns - time.monotonic_ns()) / 1e9
        last_s = 0.25  # seen from before it ends, also by a busy machine
        insist(one, speed_m_s / 4.0, left_s - last_s)  # so slowly that there is room for a second of it
        insisting_s = last_s + BRAKES_S
        act = partial(insist, one, speed_m_s, insisting_s)
        stand.rests_after(act, insisting_s + SLACK_S, "was not renewed")


def test_those_who_do_not_listen_hold_nobody_up(stand: Stand) -> None:
    with stand.hands() as hand, ExitStack() as stack:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(context.destroy, linger=0)
        for _ in range(10):
            deaf = context.socket(zmq.SUB)
            deaf.rcvhwm, deaf.rcvbuf = 1, 4_096
            deaf.subscribe(b"state")
            deaf.connect(stand.host.addresses.states)
        numbers = [_number(deaf)]
        began, turns = stand.watcher.robot.read(), stand.host.overruns
        until(lambda: stand.watcher.robot.read().time_ns - began.time_ns > 2.5e9)
        state = stand.watcher.robot.read()
        rate = (state.seq - began.seq) / ((state.time_ns - began.time_ns) / 1e9)
        assert rate > 0.7 * 100.0, f"{stand.host.overruns - turns} turns were left out"
        while numbers[-1] - numbers[0] < len(numbers):  # it was slow enough to lose some
            numbers.append(_number(deaf))
        stand.driven(hand())
        stand.stops(hand())


def test_those_who_subscribe_without_end_hold_nobody_up(stand: Stand) -> None:
    before_mb = memory_mb()
    with stand.hands() as hand, running("subscribe", stand.host.addresses.states, 40, 60_000) as process:
        assert process.wait(PATIENCE_S) == 0
        stand.driven(hand())
        stand.stops(hand())
    assert memory_mb() - before_mb < GROWTH_MB


def test_raw_connections_that_say_nothing_or_nonsense_hold_nobody_up(stand: Stand) -> None:
    where = stand.host.addresses
    with stand.hands() as hand, ExitStack() as stack:
        for address in (where.rpc, where.commands, where.stop, where.states):
            for said in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" + bytes(8) + b"\x7f", bytes(100_000)):
                port = int(address.rpartition(":")[2])
                raw = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                with suppress(OSError):  # cut already
                    raw.sendall(said)
        one = hand()
        stand.driven(one)
        stand.stops(hand())


def test_a_flood_holds_neither_states_nor_a_stop_up(stand: Stand) -> None:
    where = stand.host.addresses
    with stand.hands() as hand, running("flood", where.rpc, where.commands, where.stop):
        until(lambda: sum(stand.host._commands.refused.values()) > 1_000)
        began = stand.watcher.robot.read()
        stand.driven(hand())
        stand.stops(hand())
        state = stand.watcher.robot.read()
        assert state.seq - began.seq > 0.1 * 100.0 * (state.time_ns - began.time_ns) / 1e9


def test_a_host_that_was_killed_is_missed_and_the_next_is_another_that_does_not_move() -> None:
    """The fake arm dies with its host. A host that is killed tells of nothing: its clients say it."""
    with ExitStack() as stack:
        process, address = started()
        stack.callback(process.kill)
        one = stack.enter_context(closing(Hand(address, stale_s=1.0)))
        one.lead()
        one.drive(SPEED_M_S, moved)
        until(lambda: one.robot.read().seq > 400)  # so far the next host is not for long
        old = one.robot.move(10**6, np.full(6, SPEED_M_S), 1.0, 0.1, dead_man=True)
        process.kill()
        process.communicate()
        died = time.monotonic()
        with pytest.raises(RobotError, match=r"no fresh state of fake: the newest came \d\.\d+ s ago"):
            until(lambda: one.send(SPEED_M_S))
        assert time.monotonic() - died < 1.0 + BUSY_S
        again, _ = started("--bind", address)
        stack.callback(again.communicate)
        stack.callback(again.kill)
        until(lambda: _is_anew(one.robot))
        for act in (one.robot.read, lambda: one.send(SPEED_M_S), lambda: one.robot.take(Source.SCRIPT)):
            with pytest.raises(RobotError, match="was started anew: connect again"):
                act()
        new = stack.enter_context(closing(Hand(address, stale_s=STALE_S)))
        at = new.robot.read().tool_pos_m
        answer = new.robot.exchange(old)
        assert isinstance(answer, wire.NotFollowed) and "the session is" in answer.text
        over = time.monotonic() + 0.5
        while time.monotonic() < over:
            insist(one, SPEED_M_S, 0.02)
            assert (new.robot.read().tool_pos_m == at).all()
        said = new.robot.now()
        assert (said.safety, said.holder, said.told, new.robot.events) == (Safety.DISARMED, "", 0, [])


def _number(listener: zmq.Socket[bytes]) -> int:
    """Of the next state."""
    assert listener.poll(5_000)
    state = msgspec.msgpack.decode(listener.recv_multipart()[1], type=wire.State)
    return int(state.seq)


def _is_anew(robot: RemoteRobot) -> bool:
    try:
        robot.read()
    except RobotError as error:
        return "was started anew" in str(error)
    return False
