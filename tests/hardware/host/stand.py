"""A served arm whose faults are looked at: how long and how far it moves on, and what is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import numpy as np

from hardware import wire
from hardware.host.guard import Safety
from hardware.robot import RobotError, RobotState, Source, Vector
from hardware.transport import Subscriber
from tests.hardware.host.served import Hand, Served, until

SPEED_M_S = 0.2
BRAKES_S = SPEED_M_S / 2.0  # the fake arm's acceleration
SLACK_S = 0.25  # of a busy machine
SILENT_S = 0.1 + BRAKES_S + SLACK_S  # a command of 0.1 s is the last one
STALE_S = 2.0  # so that a client goes on where a busy machine keeps the states from it
STOP_S = 0.05 + SLACK_S


class Stand:
    """One arm for many tests. Somebody always looks on, from a place of their own."""

    def __init__(self, **how: Any) -> None:
        self.served = Served(**how)
        self.host, self.address = self.served.host, self.served.address
        self.watcher = Hand(self.address, stale_s=STALE_S)
        self._heard: Subscriber[wire.Published] = Subscriber(
            self.host.addresses.states, wire.Published, security=None, hwm=10_000
        )
        self.states: list[wire.State] = []
        """All that was published, as far as it has been listened to."""
        self._told: list[str] = []
        until(self.listen)

    def close(self) -> None:
        self._heard.close()
        self.watcher.close()
        self.served.close()

    @contextmanager
    def hands(self) -> Iterator[Callable[..., Hand]]:
        """Makes clients of it that are closed at the end; the arm then waits to be armed, or for the next."""
        with ExitStack() as stack:

            def hand(source: Source = Source.SCRIPT, **more: Any) -> Hand:
                return stack.enter_context(closing(Hand(self.address, source, stale_s=STALE_S, **more)))

            yield hand
        self.served.frozen = False
        if until(lambda: self.now()).safety is Safety.STOPPED:
            self.watcher.robot.clear_fault()
        until(lambda: self.now().holder == "")

    def now(self) -> Any:
        """What the watcher sees, None while that is old."""
        with suppress(RobotError):
            return self.watcher.robot.now()
        return None

    def told(self) -> list[str]:
        """What has been told since it was last looked whether the arm rests; what got lost too."""
        with suppress(RobotError):
            self.watcher.robot.read()
        self._told += self.watcher.robot.events
        self.watcher.robot.events.clear()
        return self._told

    @property
    def speed_m_s(self) -> float:
        """Such that there is room for the arm to move on."""
        return SPEED_M_S if self.watcher.robot.read().tool_pos_m[0] < 0.5 else -SPEED_M_S

    def driven(self, hand: Hand) -> float:
        """`hand` leads, and the arm moves; how fast."""
        speed_m_s = self.speed_m_s
        hand.lead()
        hand.drive(speed_m_s, fast)
        return speed_m_s

    def rests_after(self, act: Callable[[], object], within_s: float, told: str) -> wire.State:
        """The arm moves, then `act`: it comes to rest in that time and no further on than the time allows,
        it is told why, and nothing moves it afterwards."""
        until(self.listen)
        before = self.states[-1]
        self.told().clear()
        began_ns = time.monotonic_ns()
        act()
        rest: wire.State = until(self._at_rest)
        assert (rest.host_ns - began_ns) / 1e9 < within_s
        assert np.linalg.norm(_tool(rest) - _tool(before)) < within_s * SPEED_M_S
        until(lambda: any(told in text for text in self.told()))
        self.stays(rest)
        return rest

    def listen(self) -> bool:
        """Take in all that was published; whether a state came."""
        count = len(self.states)
        while (got := self._heard.receive()) is not None:
            if isinstance(got[1], wire.State):
                self.states.append(got[1])
        return len(self.states) > count

    def _at_rest(self) -> wire.State | None:
        """The first state since the fault from which on the tool stands."""
        self.listen()
        moving = [at for at, state in enumerate(self.states) if tool_speed(state) > 0.002]
        first = moving[-1] + 1 if moving else 0
        return self.states[first] if len(self.states) > first + 3 else None

    def stays(self, rest: wire.State, seconds: float = 0.3) -> None:
        """It does not move."""
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            until(self.listen)
            since = [state for state in self.states[-50:] if state.seq > rest.seq]
            assert max(np.linalg.norm(_tool(state) - _tool(rest)) for state in since) < 1e-3

    def stops(self, stopper: Hand) -> None:
        """STOP is heard in time, whatever else goes on."""
        self.rests_after(stopper.robot.stop, STOP_S, "pressed STOP")
        assert self.host.guard.safety is Safety.STOPPED


def fast(state: RobotState) -> bool:
    """Whether the arm is as fast as it is driven here."""
    return float(np.linalg.norm(state.tool_twist[:3])) > 0.9 * SPEED_M_S


def _tool(state: wire.State) -> Vector:
    return wire.vector(state.tool_pos_m, 3, "tool_pos_m")


def tool_speed(state: wire.State) -> float:
    """How fast the tool moves."""
    return float(np.linalg.norm(wire.vector(state.tool_twist, 6, "tool_twist")[:3]))


def insist(hand: Hand, speed_m_s: float, seconds: float) -> None:
    """Go on sending for so long, whatever is answered."""
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        with suppress(RobotError):
            hand.send(speed_m_s)
        time.sleep(0.01)
