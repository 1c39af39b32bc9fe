"""Messages that overtake each other, on connections of their own: the arm follows what was said last.

On one connection ZeroMQ keeps their order; between a host's sockets, and after a link was made anew, nothing
does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import msgspec
import numpy as np
import pytest
import zmq

from hardware import wire
from hardware.host.guard import Safety, Why
from hardware.robot import Source
from tests.hardware.host.proxy import HOST, Proxy
from tests.hardware.host.served import PATIENCE_S, Hand, until
from tests.hardware.host.stand import BRAKES_S, SILENT_S, SLACK_S, STALE_S, STOP_S, Stand

LATER = 10**6  # a number that no command has had yet
Link = zmq.Socket[bytes]


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with closing(Stand()) as made:
        yield made


@pytest.fixture
def links(stand: Stand) -> Iterator[tuple[Link, Link]]:
    """Two ways to the host's socket for commands."""
    context: zmq.Context[Link] = zmq.Context()
    one, other = context.socket(zmq.DEALER), context.socket(zmq.DEALER)
    for link in (one, other):
        link.connect(stand.host.addresses.commands)
    yield one, other
    context.destroy(linger=0)


def ahead(hand: Hand, seq: int, speed_m_s: float) -> wire.Move:
    """A command in answer to the newest state."""
    hand.robot.read()
    return hand.robot.move(seq, np.array([speed_m_s, 0, 0, 0, 0, 0]), 1.0, 0.1, dead_man=True)


def answer(link: Link, move: wire.Move) -> wire.FromCommands:
    """What the host says of this command."""
    link.send_multipart([b"", msgspec.msgpack.encode(move)])
    assert link.poll(5_000)
    said: wire.FromCommands = msgspec.msgpack.decode(link.recv_multipart()[-1], type=wire.FromCommands)
    return said


def refused(link: Link, move: wire.Move) -> Why | None:
    """Why the host does not follow this command."""
    said = answer(link, move)
    assert isinstance(said, wire.NotFollowed)
    return said.why


def test_commands_that_were_overtaken_are_refused_and_keep_no_arm_moving(
    stand: Stand, links: tuple[Link, Link]
) -> None:
    fast, slow = links
    with stand.hands() as hand:
        one = hand()
        speed_m_s = stand.driven(one)
        for number in range(LATER, LATER + 20, 2):
            first, second = (ahead(one, seq, speed_m_s) for seq in (number, number + 1))
            assert isinstance(answer(fast, second), wire.Followed)
            assert refused(slow, first) is Why.SEQUENCE

        def overtaken() -> None:
            for seq in range(30):
                assert refused(slow, ahead(one, LATER + seq % 20, speed_m_s)) is Why.SEQUENCE
                time.sleep(0.01)

        stand.rests_after(overtaken, SILENT_S, "has run out")


def test_motion_that_was_overtaken_by_standing_still_moves_nothing(
    stand: Stand, links: tuple[Link, Link]
) -> None:
    fast, slow = links
    with stand.hands() as hand:
        one = hand()
        speed_m_s = stand.driven(one)

        def overtakes() -> None:
            late = [ahead(one, LATER + number, speed_m_s) for number in range(5)]
            assert isinstance(answer(fast, ahead(one, LATER + 5, 0.0)), wire.Followed)
            assert [refused(slow, move) for move in late] == [Why.SEQUENCE] * 5

        stand.rests_after(overtakes, BRAKES_S + SLACK_S, "has run out")


def _stops(hand: Hand) -> None:
    hand.robot.stop_and_wait()


def _gives_back(hand: Hand) -> None:
    hand.robot.link.ask(wire.Release(lease=hand.robot.link.lease), wire.Done)


def _takes_anew(hand: Hand) -> None:
    hand.robot.take(Source.SCRIPT)


@pytest.mark.parametrize(
    ("act", "within_s", "told"),
    [
        (_stops, STOP_S, "pressed STOP"),
        (_gives_back, BRAKES_S + SLACK_S, "gave the arm back"),
        (_takes_anew, BRAKES_S + SLACK_S, "the lease changed hands"),
    ],
)
def test_commands_that_were_overtaken_by_an_act_are_refused(
    stand: Stand, links: tuple[Link, Link], act: Callable[[Hand], None], within_s: float, told: str
) -> None:
    with stand.hands() as hand:
        one = hand()
        speed_m_s = stand.driven(one)

        def overtakes() -> None:
            late = [ahead(one, LATER + number, speed_m_s) for number in range(5)]
            act(one)
            assert [refused(links[0], move) for move in late] == [Why.LEASE] * 5

        stand.rests_after(overtakes, within_s, told)


def test_a_renewal_that_was_overtaken_by_giving_back_renews_nothing(stand: Stand) -> None:
    with stand.hands() as hand:
        one = hand()
        stand.driven(one)
        renewal = wire.Renew(lease=one.robot.link.lease)

        def overtakes() -> None:
            _gives_back(one)
            one.robot.link.ask_later(renewal)
            until(lambda: _answered(one, renewal))

        stand.rests_after(overtakes, BRAKES_S + SLACK_S, "gave the arm back")
        assert "is over: nobody has the arm" in one.robot.refusal
        assert stand.host.guard.lease is None


def test_a_clearing_that_was_overtaken_by_a_stop_clears_nothing(stand: Stand) -> None:
    where = stand.host.addresses
    rpc, *others = (int(a.rpartition(":")[2]) for a in (where.rpc, where.commands, where.stop, where.states))
    with stand.hands() as hand, ExitStack() as stack:
        asked = stack.enter_context(closing(Proxy([rpc])))
        stack.enter_context(closing(Proxy(others)))
        far = stack.enter_context(closing(Hand(f"tcp://{HOST}:{rpc}", stale_s=STALE_S, timeout_s=PATIENCE_S)))
        stand.driven(hand())
        asked.silence(True)
        far.robot.ask_to_clear()
        far.robot.ask_to_arm()
        stand.stops(hand())
        asked.silence(False)
        refused = "refused: it was stopped since that was asked"
        until(lambda: _told(far, refused) == 2)
        safety = stand.host.guard.safety
    assert safety is Safety.STOPPED


def _answered(hand: Hand, question: wire.ToHost) -> bool:
    hand.robot.read()
    return not hand.robot.link.is_asked(question)


def _told(hand: Hand, beginning: str) -> int:
    hand.robot.read()
    return sum(event.startswith(beginning) for event in hand.robot.events)
