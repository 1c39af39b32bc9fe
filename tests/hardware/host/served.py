"""A host in a thread of its own, with an arm behind it, and clients of it."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hardware.clock import MonotonicClock
from hardware.drivers.fake import FAKE_SPEC, FakeArm
from hardware.host.host import Host
from hardware.remote import RemoteRobot
from hardware.robot import Command, Robot, RobotState, Source
from hardware.security import ServerSecurity
from hardware.transport import AddressInUseError

LOOPBACK = "tcp://127.0.0.1:*"
PATIENCE_S = 10.0


def fake() -> FakeArm:
    return FakeArm(MonotonicClock())


def fake_real() -> FakeArm:
    """A fake arm that says it is a real one."""
    return FakeArm(MonotonicClock(), replace(FAKE_SPEC, simulated=False))


class Served:
    """A host that serves an arm until it is closed; `frozen` while its loop shall stand still."""

    def __init__(
        self,
        make: Callable[[], Robot] = fake,
        bind: str = LOOPBACK,
        security: ServerSecurity | None = None,
        record: Path | None = None,
    ) -> None:
        self.frozen = False
        self._over = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(make, bind, security, record))
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    def _serve(
        self, make: Callable[[], Robot], bind: str, security: ServerSecurity | None, record: Path | None
    ) -> None:
        self.arm = make()
        with closing(until(lambda: self._bound(bind, security, record))) as host:
            self.host, self.address = host, host.addresses.rpc
            self._ready.set()
            while not self._over.is_set():
                if self.frozen:
                    self._over.wait(0.005)
                else:
                    host.turn_until(time.monotonic_ns() + 5_000_000)

    def _bound(self, bind: str, security: ServerSecurity | None, record: Path | None) -> Host | None:
        """A host, once the address is free: one that was closed lets go of it a moment later."""
        try:
            return Host(self.arm, bind, security=security, record=record)
        except AddressInUseError:
            return None

    def close(self) -> None:
        self._over.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


class Hand:
    """A client that drives: what a session does."""

    def __init__(self, address: str, source: Source = Source.SCRIPT, **more: Any) -> None:
        self.robot, self.source, self._seq = RemoteRobot(address, **more), source, 0

    def lead(self) -> None:
        self.robot.arm()
        self.robot.take(self.source)

    def send(self, speed_m_s: float, valid_for_s: float = 0.1, axis: int = 0) -> None:
        self._seq += 1
        twist = np.zeros(6)
        twist[axis] = speed_m_s
        self.robot.send(Command(self._seq, twist, 1.0, valid_for_s, self.source))

    def drive(self, speed_m_s: float, enough: Callable[[RobotState], bool], axis: int = 0) -> RobotState:
        """Send it again and again until a state is as wanted."""
        return until(lambda: self._driven(speed_m_s, enough, axis))

    def _driven(self, speed_m_s: float, enough: Callable[[RobotState], bool], axis: int) -> RobotState | None:
        self.send(speed_m_s, axis=axis)
        time.sleep(0.01)  # a session's period
        state = self.robot.read()
        return state if enough(state) else None

    def at_rest(self) -> RobotState:
        """The first state in which the tool stands."""

        def standing() -> RobotState | None:
            state = self.robot.read()
            return state if np.linalg.norm(state.tool_twist[:3]) < 0.002 else None

        state: RobotState = until(standing)
        return state

    def close(self) -> None:
        self.robot.close()


def travelled_m(before: RobotState, after: RobotState) -> float:
    """From here to there, m."""
    return float(np.linalg.norm(after.tool_pos_m - before.tool_pos_m))


def moved(state: RobotState) -> bool:
    """Whether the arm moves."""
    return bool(state.tool_twist.any())


def memory_mb(process: int | str = "self") -> float:
    """How much of the machine's memory a process takes."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def children(process: int | str = "self", running: str = "") -> list[int]:
    """The processes that it has started, with `running` among the words of their command line if given.

    A test process may have others of its own, such as multiprocessing's resource tracker.
    """
    found = [
        int(word)
        for file in Path(f"/proc/{process}/task").glob("*/children")
        for word in file.read_text().split()
    ]
    return sorted(pid for pid in found if not running or running in words_of(pid))


def words_of(pid: int) -> list[str]:
    """Its command line; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def until(check: Callable[[], Any]) -> Any:
    """The first result of `check` that is not None or False."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if (found := check()) not in (None, False):
            return found
        time.sleep(0.001)
    raise AssertionError("it did not come to pass")


@contextmanager
def serving(**how: Any) -> Iterator[tuple[Served, Callable[..., Hand]]]:
    """A host, and a way to make clients of it that are closed with it."""
    with ExitStack() as stack:
        served = stack.enter_context(closing(Served(**how)))

        def hand(source: Source = Source.SCRIPT, **more: Any) -> Hand:
            return stack.enter_context(closing(Hand(served.address, source, **more)))

        yield served, hand
