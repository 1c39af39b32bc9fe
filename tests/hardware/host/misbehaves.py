"""A client in a process of its own, so that it can be killed and frozen, and have a clock of its own.

    python -m tests.hardware.host.misbehaves drive ADDRESS SPEED_M_S CLOCK_AHEAD_S
    python -m tests.hardware.host.misbehaves flood ADDRESS...

`drive` takes the arm once and commands it until it is killed, whatever it is told; `flood` sends to each of
the addresses as much as goes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import zmq

from hardware import wire
from hardware.robot import RobotError
from tests.hardware.host.served import Hand

_ROOT = Path(__file__).parents[3]


def drive(address: str, speed_m_s: float, ahead_s: float) -> None:
    ours, ours_ns = time.monotonic, time.monotonic_ns
    time.monotonic = lambda: ours() + ahead_s
    time.monotonic_ns = lambda: ours_ns() + round(ahead_s * 1e9)
    hand = Hand(address)
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


@contextmanager
def running(*words: object) -> Iterator[subprocess.Popen[bytes]]:
    """Such a process, which is killed in the end."""
    module = "tests.hardware.host.misbehaves"
    process = subprocess.Popen([sys.executable, "-m", module, *map(str, words)], cwd=_ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    if sys.argv[1] == "drive":
        drive(sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
    flood(sys.argv[2:])
