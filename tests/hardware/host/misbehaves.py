"""A client in a process of its own, so that it can be killed and frozen, and have a clock of its own.

    python -m tests.hardware.host.misbehaves drive ADDRESS SPEED_M_S CLOCK_AHEAD_S
    python -m tests.hardware.host.misbehaves flood ADDRESS...
    python -m tests.hardware.host.misbehaves subscribe ADDRESS COUNT BYTES

`drive` takes the arm once and commands it until it is killed, whatever it is told; `flood` sends to each of
the addresses as much as goes; `subscribe` subscribes to so many topics, each so long, and leaves.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec
import zmq

from hardware import wire
from hardware.robot import RobotError
from tests.hardware.host.served import PATIENCE_S, Hand
from tests.hardware.host.stand import STALE_S

_ROOT = Path(__file__).parents[3]


def drive(address: str, speed_m_s: float, ahead_s: float) -> None:
    ours, ours_ns = time.monotonic, time.monotonic_ns
    time.monotonic = lambda: ours() + ahead_s
    time.monotonic_ns = lambda: ours_ns() + round(ahead_s * 1e9)
    hand = Hand(address, stale_s=STALE_S, timeout_s=PATIENCE_S)
    hand.lead()
    while True:
        with suppress(RobotError):
            hand.send(speed_m_s)
        time.sleep(0.01)


def flood(addresses: list[str]) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    dealers = [context.socket(zmq.DEALER) for _ in addresses]
    for dealer, address in zip(dealers, addresses, strict=True):
        dealer.connect(address)
    ping = msgspec.msgpack.encode(wire.Ping(client_ns=1))
    while True:
        for dealer in dealers:
            with suppress(zmq.Again):
                dealer.send_multipart([bytes(16), ping], zmq.NOBLOCK)


def subscribe(address: str, count: int, size: int) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    subscriber = context.socket(zmq.XSUB)
    subscriber.connect(address)
    for _ in range(count):
        subscriber.send(b"\x01" + os.urandom(size))
    time.sleep(1.0)
    context.destroy(linger=0)


@contextmanager
def running(*words: object) -> Iterator[subprocess.Popen[bytes]]:
    """Such a process, which is killed in the end."""
    with _process("-m", "tests.hardware.host.misbehaves", *map(str, words)) as process:
        yield process


@contextmanager
def busy_cores() -> Iterator[None]:
    """A process for every core that does nothing but keep it busy."""
    with ExitStack() as stack:
        for _ in os.sched_getaffinity(0):
            stack.enter_context(_process("-c", "while True: pass"))
        yield


@contextmanager
def _process(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *words], cwd=_ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["drive", where, speed, ahead]:
            drive(where, float(speed), float(ahead))
        case ["flood", *where_to]:
            flood(where_to)
        case ["subscribe", where, count, size]:
            subscribe(where, int(count), int(size))
        case words:
            raise SystemExit(f"{words} is none of these:\n{__doc__}")
