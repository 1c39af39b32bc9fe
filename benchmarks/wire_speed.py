"""What one wire carries: requests a second between two processes, encrypted, over loopback.

A server answers every request with a few bytes, as a session says *saved*; a client keeps some of them on the
way. Small ones are as large as an answer of a labeller, large ones as an episode. Beside requests and bytes a
second, the processor time that one takes at the server: what it costs however many cores there are.

    python benchmarks/wire_speed.py --json FILE
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from hardware.security import ClientSecurity, Role, ServerSecurity, make_client, make_server
from hardware.transport import Client, Incoming, Server, wait

SIZES = {"answer": 300, "episode": 16_384}
ON_THE_WAY = 16


class Given(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """What a client has to say."""

    data: bytes


class Taken(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """The answer."""

    seq: int


def serve(pipe: Connection, keys: Path) -> None:
    """Answer until asked for the processor time that it took; then begin anew."""
    server = Server("tcp://127.0.0.1:0", Given, security=ServerSecurity(keys))
    pipe.send(server.address)
    seq, since = 0, time.process_time()
    while True:
        wait([server], time.monotonic_ns() + 50_000_000)
        while (received := server.receive()) is not None:
            seq += 1
            server.reply(received, Taken(seq))
        if pipe.poll():
            if pipe.recv() is None:
                break
            pipe.send(time.process_time() - since)
            seq, since = 0, time.process_time()
    server.close()


def measure(client: Client[Taken], pipe: Connection, size: int, seconds: float) -> dict[str, float]:
    """Requests of `size` bytes for so long."""
    given, answered, asked = Given(os.urandom(size)), 0, 0
    pipe.send("begin")
    pipe.recv()
    began = time.perf_counter()
    end = began + seconds
    while time.perf_counter() < end or client.pending:
        while client.pending < ON_THE_WAY and time.perf_counter() < end:
            client.request(given, retry_s=60.0)
            asked += 1
        wait([client], time.monotonic_ns() + 1_000_000_000)
        while isinstance(client.receive(), Incoming):
            answered += 1
    took = time.perf_counter() - began
    pipe.send("end")
    processor_s: float = pipe.recv()
    assert answered == asked, f"{asked} asked, {answered} answered"
    return {
        "requests_per_second": answered / took,
        "bytes_per_second": answered * size / took,
        "server_us_a_request": 1e6 * processor_s / answered,
    }


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each size")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        make_server(keys)
        security = ClientSecurity(make_client(keys, "ada", Role.OPERATOR))
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, keys), daemon=True)
        process.start()
        client: Client[Taken] = Client(ours.recv(), Taken, security=security)
        found = {name: measure(client, ours, size, asked.seconds) for name, size in SIZES.items()}
        ours.send(None)
        process.join()
        client.close()
    for name, figures in found.items():
        said = ", ".join(f"{what.replace('_', ' ')} {value:,.0f}" for what, value in figures.items())
        print(f"{name}, {SIZES[name]} bytes: {said}")
    if asked.json is not None:
        machine = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
        }
        asked.json.write_text(json.dumps({"machine": machine, **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
