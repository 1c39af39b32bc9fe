"""Whatever bytes come, the host goes on, moves nothing and keeps nothing.

3,000 messages a socket here, a million in all with

    ROBOT_RLHF_FUZZ=350000 python -m pytest tests/hardware/host/test_fuzz.py --timeout 3600
"""

from __future__ import annotations

import os
import random
import resource
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
import zmq

from hardware import wire
from hardware.host.guard import Safety
from hardware.robot import Source
from tests.hardware.host.served import Served, serving, until

MESSAGES = int(os.environ.get("ROBOT_RLHF_FUZZ", "3000"))
GROWTH_MB = 30.0  # the allocator's own; a leak of a message each would be more


def good(served: Served) -> list[bytes]:
    """One of each message that a host understands, as near to being followed as a stranger can make it."""
    move = wire.Move(
        session=served.host.session,
        lease="0" * 16,
        seq=1,
        twist=np.full(6, 0.2).tobytes(),
        gripper=1.0,
        lasts_s=0.1,
        based_on=10**6,
        dead_man=True,
    )
    messages: list[msgspec.Struct] = [
        wire.Hello(version=wire.VERSION, schema=wire.schema(), name="fuzz"),
        wire.Renew(lease="0" * 16),
        wire.Release(lease="0" * 16),
        wire.Ping(client_ns=1),
        wire.Ask(),
        wire.Present(),
        move,
    ]
    return [msgspec.msgpack.encode(message) for message in messages]


def spoilt(data: bytes, rng: random.Random) -> bytes:
    """A message with something wrong, or right after all."""
    bytes_ = bytearray(data)
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        place = rng.randrange(len(bytes_) + 1)
        match rng.randrange(5):
            case 0 if bytes_:
                bytes_[min(place, len(bytes_) - 1)] = rng.randrange(256)
            case 1:
                del bytes_[place:]
            case 2:
                bytes_[place:place] = rng.randbytes(rng.choice([1, 4, 40, 400]))
            case 3:
                del bytes_[place : place + rng.randrange(1, 9)]
            case _:
                bytes_ += bytes_[:place]
    return bytes(bytes_)


def frames(rng: random.Random, messages: list[bytes]) -> list[bytes]:
    """What goes out as one message: mostly framed as it should be."""
    body = spoilt(rng.choice(messages), rng) if rng.random() < 0.9 else rng.randbytes(rng.randrange(300))
    match rng.randrange(8):
        case 0:
            return [body]
        case 1:
            return [rng.randbytes(rng.randrange(40)), body]
        case 2:
            return [rng.randbytes(16), body, body]
        case 3 | 4:
            return [b"", body]
        case _:
            return [rng.randbytes(16), body]


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield made
    made.destroy(linger=0)


def test_a_host_takes_any_bytes(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    rng = random.Random(0)
    with serving() as (served, hand):
        one = hand(Source.SCRIPT)
        one.robot.arm()
        at, messages = one.robot.read().tool_pos_m, good(served)
        where = served.host.addresses
        dealers = [context.socket(zmq.DEALER) for _ in range(3)]
        for dealer, address in zip(dealers, (where.rpc, where.commands, where.stop), strict=True):
            dealer.connect(address)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for number in range(MESSAGES):
            for dealer in dealers:
                dealer.send_multipart(frames(rng, messages))
                while dealer.poll(0):
                    dealer.recv_multipart()
            if number % 500 == 499:
                assert one.robot.ping_s() < 10.0
        until(lambda: one.robot.now().safety is not Safety.MOVING)
        assert (one.robot.read().tool_pos_m == at).all()
        host = served.host  # the bytes must get so far as to be looked at
        until(lambda: sum((host._rpc.refused + host._commands.refused).values()) > MESSAGES / 3)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
        assert grown < GROWTH_MB
        one.lead()
        one.drive(0.2, lambda state: bool(state.tool_twist.any()))
