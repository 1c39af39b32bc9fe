"""What a served arm costs: from a command to its acknowledgement, and how evenly states come.

Over loopback to a host in a process of its own with a fake arm, beside a bare pyzmq echo of as many bytes in
one, which is the limit; first on a quiet machine, then beside one process a core that multiplies matrices,
and there with the host at a real-time priority too, where the kernel allows that:

    python benchmarks/latency.py --served --json FILE
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np
import zmq

from hardware.remote import RemoteRobot
from hardware.robot import Source

COMMANDS, STATES_S = 1_000, 10.0
PERIOD_S = 0.01  # between two commands
REAL_TIME = ("chrt", "--fifo", "20")


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p99 and the largest."""
    p50, p99, most = np.percentile(values, [50, 99, 100])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(float(most), 3)}


@contextmanager
def host(hz: int, launcher: Sequence[str] = ()) -> Iterator[str]:
    """A host of a fake arm at `hz`, started by `launcher`, and its address."""
    words = ["--driver", "fake", "--option", f"hz={hz}", "--bind", "tcp://127.0.0.1:*"]
    process = subprocess.Popen(
        [*launcher, sys.executable, "-m", "hardware.host", *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[2]
    finally:
        process.terminate()
        process.wait()


def commanded(address: str) -> tuple[list[float], int]:
    """From a command to its acknowledgement, ms each, and the bytes of a command."""
    with closing(RemoteRobot(address)) as robot:
        robot.arm()
        robot.take(Source.SCRIPT)
        took = []
        for seq in range(1, COMMANDS + 1):
            robot.read()
            move = robot.move(seq, np.zeros(6), 1.0, 0.1, dead_man=True)
            began = time.perf_counter()
            robot.exchange(move)
            took.append(1e3 * (time.perf_counter() - began))
            time.sleep(PERIOD_S)
        return took, len(msgspec.msgpack.encode(move))


def states(address: str, hz: int) -> dict[str, float]:
    """Of the states' times on the host's clock: how many a second, and how far from even, ms."""
    seen = {}
    with closing(RemoteRobot(address)) as robot:
        until = time.monotonic() + STATES_S
        while time.monotonic() < until:
            state = robot.read()
            seen[state.seq] = state.time_ns
            time.sleep(0.2 / hz)
    times = np.array([seen[seq] for seq in sorted(seen)]) / 1e6
    numbers = np.array(sorted(seen))
    rate = (numbers[-1] - numbers[0]) / (times[-1] - times[0]) * 1e3
    uneven = np.abs(np.diff(times) - np.diff(numbers) * 1e3 / hz)
    return {"a_second": round(float(rate), 1), **percentiles(list(uneven))}


def echo(pipe: Connection) -> None:
    """Send back whatever comes."""
    router: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
    pipe.send(f"tcp://127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}")
    while True:
        router.send_multipart(router.recv_multipart())


def echoed(size: int) -> list[float]:
    """The round trip of as many bytes through a bare socket, ms each."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=echo, args=(theirs,), daemon=True)
    process.start()
    dealer: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    dealer.connect(ours.recv())
    took = []
    for _ in range(COMMANDS):
        began = time.perf_counter()
        dealer.send_multipart([b"", bytes(size)])
        dealer.recv_multipart()
        took.append(1e3 * (time.perf_counter() - began))
        time.sleep(PERIOD_S)
    process.kill()
    dealer.close(linger=0)
    return took


def multiply() -> None:
    """Keep a core busy."""
    a = np.random.default_rng(0).normal(size=(400, 400))
    while True:
        _ = a @ a


@contextmanager
def load() -> Iterator[None]:
    """One busy process a core."""
    busy = [multiprocessing.Process(target=multiply, daemon=True) for _ in range(os.cpu_count() or 1)]
    for process in busy:
        process.start()
    try:
        yield
    finally:
        for process in busy:
            process.kill()


def measured(launcher: Sequence[str] = ()) -> dict[str, object]:
    """Both round trips and both rates."""
    with host(100, launcher) as address:
        took, size = commanded(address)
        at_100 = states(address, 100)
    with host(500, launcher) as address:
        at_500 = states(address, 500)
    return {
        "command_to_acknowledgement_ms": percentiles(took),
        "bare_echo_ms": percentiles(echoed(size)),
        "states_at_100_hz": at_100,
        "states_at_500_hz": at_500,
        "command_bytes": size,
    }


def main() -> None:
    """Measure, print the tables, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    result: dict[str, object] = {"quiet": measured()}
    with load():
        result["loaded"] = measured()
        if subprocess.run([*REAL_TIME, "true"], capture_output=True).returncode == 0:
            result["loaded, host in real time"] = measured(REAL_TIME)
        else:
            print(f"not measured: '{' '.join(REAL_TIME)}' is not allowed here", file=sys.stderr)
    names = {
        "command_to_acknowledgement_ms": f"command to acknowledgement, {COMMANDS:,}",
        "bare_echo_ms": f"bare echo, {COMMANDS:,}",
        "states_at_100_hz": "states at 100 Hz, unevenness",
        "states_at_500_hz": "states at 500 Hz, unevenness",
    }
    for when, figures in result.items():
        print(f"| {when} | p50 | p99 | max | states a second |\n|---|---|---|---|---|")
        assert isinstance(figures, dict)
        for key, name in names.items():
            of = figures[key]
            rate = of.get("a_second", "")
            print(f"| {name} | {of['p50']:.2f} ms | {of['p99']:.2f} ms | {of['max']:.2f} ms | {rate} |")
        print()
    if asked.json is not None:
        asked.json.write_text(json.dumps(result | {"cores": os.cpu_count()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
