"""A served arm behind a link that comes and goes, for as long as asked: does it move unasked, does it grow?

    python -m benchmarks.host_soak --minutes 60 --json FILE [--driver fake]

The host is a process of its own with the simulated arm and a camera. A client drives through a proxy that
cuts, delays and falls silent all the time; it takes the arm again whenever it has lost it. Somebody who
looks on from beside the host says STOP now and then, clears and arms, and holds each state against the
lease that it names and against the time when the client last sent a command. What moves though nobody
leads, or though nothing was sent, is counted. Time in which the host got no processor does not count there:
the simulated arm stands still in it too (a clock of its own has the fake arm). The host records the last
minute at each STOP.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import numpy as np

from hardware import wire
from hardware.host.guard import LONGEST_S, Safety
from hardware.remote import RemoteRobot
from hardware.robot import Command, FaultError, RobotError, Source
from hardware.transport import Subscriber, wait
from tests.hardware.host.proxy import HOST, Proxy

PERIOD_S = 0.02
SETTLES_S = 0.3  # from the end of a lease, or of a command, until the arm stands
MOVES_M_S = 0.01
STOP_EVERY_S = 40.0
HUNG_NS = 100_000_000  # between two states: for longer the simulated arm stands still


@contextmanager
def host(driver: str, folder: str) -> Iterator[tuple[int, str]]:
    """A host of that driver: its process, and where it is asked."""
    words = ["--driver", driver, "--bind", "tcp://127.0.0.1:*", "--record", folder]
    words += ["--camera", "bench=pattern,hz=10"]
    process = subprocess.Popen(
        [sys.executable, "-m", "hardware.host", *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.pid, next(line.split()[2] for line in process.stdout if " at tcp://" in line)
    finally:
        process.terminate()
        process.wait()


class Driver:
    """A client behind the proxy that drives to and fro, in a thread of its own."""

    def __init__(self, address: str) -> None:
        self.sent_ns = 0
        self.met: Counter[str] = Counter()
        """What it was refused for, and what it did."""
        self._over = threading.Event()
        self._robot = RemoteRobot(address, name="soak", timeout_s=1.0)
        self._thread = threading.Thread(target=self._drive)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._robot.close()

    def _drive(self) -> None:
        rng, seq, twist = np.random.default_rng(0), 0, np.zeros(6)
        spec = self._robot.spec
        middle = (spec.workspace_low_m + spec.workspace_high_m) / 2.0
        while not self._over.wait(PERIOD_S):
            seq += 1
            try:
                state = self._robot.read()
                if seq % 25 == 1:
                    towards = middle - state.tool_pos_m + 0.1 * rng.normal(size=3)
                    twist[:3] = 0.2 * towards / max(float(np.linalg.norm(towards)), 0.05)
                self._robot.send(Command(seq, twist, 1.0, 0.1, Source.SCRIPT))
                self.sent_ns = time.monotonic_ns()
                self.met["sent"] += 1
            except FaultError:
                self.met["stopped"] += 1
            except RobotError as error:
                self.met[type(error).__name__] += 1
                with suppress(RobotError):
                    self._robot.take(Source.SCRIPT)
                    self.met["taken"] += 1


def flap(proxy: Proxy, over: threading.Event, met: Counter[str]) -> None:
    """Spoil the link in turns, until it is over."""
    rng = random.Random(0)
    while not over.wait(rng.uniform(0.2, 2.0)):
        what = rng.choice(["cut", "cuts", "silence", "delay", "good"])
        met[what] += 1
        match what:
            case "cut":
                proxy.cut()
            case "cuts":
                for _ in range(5):
                    proxy.cut()
                    over.wait(0.1)
            case "silence":
                proxy.silence(True)
                over.wait(rng.uniform(0.05, 1.5))
                proxy.silence(False)
            case "delay":
                proxy.delay_s = rng.uniform(0.0, 0.3)
            case _:
                proxy.delay_s = 0.0


class Watcher:
    """Looks at every state."""

    def __init__(self, address: str, states: str, driver: Driver) -> None:
        self._driver = driver
        self._robot = RemoteRobot(address, name="watcher")
        self._states: Subscriber[wire.Published] = Subscriber(
            states, wire.Published, security=None, hwm=1_000
        )
        self._stop_ns, self._clear_ns = time.monotonic_ns(), 0
        self._newest = self._newest_ns = 0
        self._unled_s = self._unsent_s = 0.0  # how long nobody has led, nothing been sent
        self.late_ms: list[float] = []
        self.met: Counter[str] = Counter()
        self.unled = self.unsent = 0
        """States in which the arm moves though nobody leads, or though nothing was sent."""
        self._robot.arm()

    def close(self) -> None:
        self._states.close()
        self._robot.close()

    def look_until(self, until_ns: int) -> None:
        while (now_ns := time.monotonic_ns()) < until_ns:
            wait([self._states], min(until_ns, now_ns + 50_000_000))
            while (got := self._states.receive()) is not None:
                if isinstance(got[1], wire.State):
                    self._look(got[1])
                elif isinstance(got[1], wire.Happened):
                    self.met[got[1].text.partition(":")[0].partition(" in ")[0].partition(" for ")[0]] += 1
            self._act(now_ns)

    def _look(self, state: wire.State) -> None:
        self.late_ms.append(state.late_ms)
        self.met["states missed"] += state.seq - self._newest - 1 if self._newest else 0
        passed_s = min(state.host_ns - self._newest_ns, HUNG_NS) / 1e9
        is_led = state.holder and state.safety in (Safety.HOLDING, Safety.MOVING)
        is_sent = state.host_ns - self._driver.sent_ns < (LONGEST_S[Source.SCRIPT] + PERIOD_S) * 1e9
        self._unled_s = 0.0 if is_led else self._unled_s + passed_s
        self._unsent_s = 0.0 if is_sent else self._unsent_s + passed_s
        self._newest, self._newest_ns = state.seq, state.host_ns
        twist = wire.vector(state.tool_twist, 6, "tool_twist")
        if np.linalg.norm(twist[:3]) > MOVES_M_S:
            self.met["states in motion"] += 1
            self.unled += self._unled_s > SETTLES_S
            self.unsent += self._unsent_s > SETTLES_S

    def _act(self, now_ns: int) -> None:
        """STOP now and then; two seconds later it is cleared and armed."""
        with suppress(RobotError):
            self._robot.now()
            if now_ns - self._stop_ns > STOP_EVERY_S * 1e9:
                self._stop_ns, self._clear_ns = now_ns, now_ns + 2 * 10**9
                self._robot.stop_and_wait()
                self.met["STOP"] += 1
            if self._clear_ns and now_ns > self._clear_ns:
                self._clear_ns = 0
                self._robot.clear_fault()
                self._robot.arm()


def memory_mb(process: int) -> float:
    """Resident."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def soak(driver: str, minutes: float) -> list[dict[str, object]]:
    """A row a minute."""
    rows: list[dict[str, object]] = []
    over, met = threading.Event(), Counter[str]()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        process, address = stack.enter_context(host(driver, folder))
        with closing(RemoteRobot(address)) as robot:
            told, rpc = robot.welcome, int(address.rpartition(":")[2])
        ports = [rpc, told.commands_port, told.stop_port, told.states_port]
        proxy = stack.enter_context(closing(Proxy(ports)))
        hand = stack.enter_context(closing(Driver(f"tcp://{HOST}:{rpc}")))
        states = f"tcp://127.0.0.1:{told.states_port}"
        watcher = stack.enter_context(closing(Watcher(address, states, hand)))
        flapping = threading.Thread(target=flap, args=(proxy, over, met))
        flapping.start()
        stack.callback(flapping.join)
        stack.callback(over.set)
        began_ns = time.monotonic_ns()
        while len(rows) < minutes:
            watcher.look_until(began_ns + (len(rows) + 1) * 60 * 10**9)
            p50, p99, most = np.percentile(watcher.late_ms, [50, 99, 100])
            rows.append(
                {
                    "minute": len(rows) + 1,
                    "states": len(watcher.late_ms),
                    "late_p50_ms": round(float(p50), 3),
                    "late_p99_ms": round(float(p99), 3),
                    "late_max_ms": round(float(most), 3),
                    "host_mb": round(memory_mb(process), 2),
                    "moved_without_lease": watcher.unled,
                    "moved_without_command": watcher.unsent,
                    "records": len(list(Path(folder).glob("*.gz"))),
                    "link": dict(met),
                    "client": dict(hand.met),
                    "seen": dict(watcher.met),
                }
            )
            watcher.late_ms.clear()
            print(
                {name: value for name, value in rows[-1].items() if not isinstance(value, dict)}, flush=True
            )
    return rows


def main() -> None:
    """Run it, print a line a minute and the sums, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--driver", default="sim")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    asked = parser.parse_args()
    rows = soak(asked.driver, asked.minutes)
    print({name: value for name, value in rows[-1].items() if isinstance(value, dict)})
    if asked.json is not None:
        asked.json.write_text(json.dumps({"driver": asked.driver, "minutes": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
