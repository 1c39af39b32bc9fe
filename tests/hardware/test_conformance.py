"""The kit passes an arm that keeps its promises and finds out one that does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from hardware import conformance, wire
from hardware.clock import MonotonicClock
from hardware.conformance import Trial, main
from hardware.drivers.fake import FakeArm
from hardware.host.guard import Guard, Lease, Safety, Wish
from hardware.host.host import Host
from hardware.host.recorder import Verdict
from hardware.robot import Applied, Command, RobotState, Source, Vector
from hardware.transport import Peer, Received
from tests.hardware.host.served import Served

Captured = pytest.CaptureFixture[str]


class Backwards(FakeArm):
    """Goes the other way."""

    def send(self, command: Command) -> Applied:
        return super().send(replace(command, twist=-command.twist))


class Unstoppable(FakeArm):
    """Does not know what stop means, and holds a command for far too long."""

    def send(self, command: Command) -> Applied:
        return super().send(replace(command, valid_for_s=5.0))

    def stop(self) -> None:
        pass


class Stuck(FakeArm):
    """Its encoder says the same all the time."""

    def read(self) -> RobotState:
        return replace(super().read(), tool_pos_m=np.array([0.5, 0.0, 0.3]))


class Overrun(FakeArm):
    """Goes faster than it says it may."""

    def read(self) -> RobotState:
        state = super().read()
        return replace(state, tool_twist=state.tool_twist * 3.0)


class Abrupt(FakeArm):
    """Is at once as fast as it may be."""

    def read(self) -> RobotState:
        state = super().read()
        return replace(state, tool_twist=at_once(state.tool_twist))


class Hasty(FakeArm):
    """Says that it tries to be."""

    def read(self) -> RobotState:
        state = super().read()
        if state.applied is None:
            return state
        command = replace(state.applied.command, twist=at_once(state.applied.command.twist))
        return replace(state, applied=replace(state.applied, command=command))


def at_once(twist: Vector) -> Vector:
    speed = float(np.linalg.norm(twist))
    return twist * (0.25 / speed if speed > 0.01 else 1.0)


class Lame(FakeArm):
    """Goes the right way, but not far enough."""

    def send(self, command: Command) -> Applied:
        return super().send(replace(command, twist=0.3 * command.twist))


class Pausing(FakeArm):
    """Waits for its gripper to close, `pauses` times, and holds the host's loop up."""

    pauses = 10**6

    def send(self, command: Command) -> Applied:
        if command.gripper < 0.5 and self.pauses and self.read().gripper > 0.5:
            self.pauses -= 1
            time.sleep(0.6)
        return super().send(command)


class SlowClock(MonotonicClock):
    """A simulator's that cannot keep up."""

    def now_ns(self) -> int:
        return int(0.4 * super().now_ns())


def backwards() -> FakeArm:
    return Backwards(MonotonicClock())


def unstoppable() -> FakeArm:
    return Unstoppable(MonotonicClock())


def stuck() -> FakeArm:
    return Stuck(MonotonicClock())


def overrun() -> FakeArm:
    return Overrun(MonotonicClock())


def abrupt() -> FakeArm:
    return Abrupt(MonotonicClock())


def hasty() -> FakeArm:
    return Hasty(MonotonicClock())


def lame() -> FakeArm:
    return Lame(MonotonicClock())


def pausing() -> FakeArm:
    return Pausing(MonotonicClock())


def paused() -> FakeArm:
    arm = Pausing(MonotonicClock())
    arm.pauses = 1
    return arm


def slow() -> FakeArm:
    return FakeArm(SlowClock())


def test_arms_that_keep_their_promises_pass(capsys: Captured) -> None:
    assert main(["--driver", "fake", "--option", "simulated=no"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "11 passed, 0 failed"


def test_how_far_it_went_is_judged_by_its_own_clock(capsys: Captured) -> None:
    assert main(["--driver", f"{__name__}:slow"]) == 0
    said = capsys.readouterr().out
    assert "its clock runs at 0.4" in said and said.endswith("11 passed, 0 failed\n")


def test_a_pause_that_does_not_come_again_is_told_and_forgiven(capsys: Captured) -> None:
    assert main(["--driver", f"{__name__}:paused"]) == 0
    assert "at the second try: no fresh state of fake" in capsys.readouterr().out


def test_a_driver_written_from_the_guide_alone_passes(capsys: Captured) -> None:
    assert main(["--driver", "tests.hardware.gantry:make", "--option", "size_m=0.5"]) == 0
    assert "it has none" in capsys.readouterr().out  # no gripper


@pytest.fixture
def served() -> Iterator[Served]:
    with closing(Served()) as made:
        yield made


def test_an_arm_at_an_address_is_tried_too(served: Served, capsys: Captured) -> None:
    assert main(["--connect", served.address]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "11 passed, 0 failed"


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        ("backwards", "The tool goes where it is told"),
        ("stuck", "The tool goes where it is told"),
        ("lame", "The tool goes where it is told"),
        ("unstoppable", "STOP stops it"),
        ("overrun", "What the limits cut is cut"),
        ("pausing", "The gripper closes and opens"),
    ],
)
def test_an_arm_that_breaks_one_is_found_out(broken: str, promise: str, capsys: Captured) -> None:
    assert main(["--driver", f"{__name__}:{broken}"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert any(line.startswith("BROKEN") and promise in line for line in said)
    kept, failed = (int(word) for word in said[-1].split() if word.isdecimal())
    assert kept + failed == 11 and failed > 0


@pytest.mark.parametrize(("broken", "what"), [("abrupt", "measured"), ("hasty", "applied")])
def test_an_arm_that_jerks_is_found_out(
    broken: str, what: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    promise = conformance.accelerates_gently
    monkeypatch.setattr(conformance, "PROMISES", (promise,))
    assert main(["--driver", f"{__name__}:{broken}"]) == 1
    (line, _) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"BROKEN  {promise.__doc__}: what is {what} changed by ")


@pytest.mark.parametrize("words", [["--connect", "tcp://127.0.0.1:1"], ["--driver", "fak"]])
def test_what_is_not_there_is_one_clear_line(words: list[str], capsys: Captured) -> None:
    assert main(words) == 1
    said = capsys.readouterr()
    assert said.err.startswith("conformance: error: ") and said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--driver", "fake", "--key", "hand.key"], "--key is for --connect: a driver is served to this"),
        (["--connect", "tcp://127.0.0.1:1", "--option", "hz=50"], "--option is for --driver: an arm that is"),
    ],
)
def test_what_would_do_nothing_is_refused(words: list[str], why: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert why in capsys.readouterr().err


class NoLease(Guard):
    """Follows whoever it hears."""

    def _own_lease(self, peer: Peer, id: str, now_ns: int) -> Lease:
        return self.lease or Lease(id, peer, Source.SCRIPT, now_ns)


class AnyLease(Guard):
    """Follows as long as somebody has a lease."""

    def command(self, peer: Peer, wish: Wish, now_ns: int) -> Command:
        return super().command(peer, replace(wish, lease=self.lease.id if self.lease else ""), now_ns)


class Unarmed(Guard):
    """Needs not be armed."""

    def command(self, peer: Peer, wish: Wish, now_ns: int) -> Command:
        if self.safety is Safety.DISARMED:
            self.safety = Safety.HOLDING
        return super().command(peer, wish, now_ns)


class Unlatched(Guard):
    """Goes on after STOP for whoever takes it anew."""

    def command(self, peer: Peer, wish: Wish, now_ns: int) -> Command:
        if self.safety is Safety.STOPPED:
            self.safety = Safety.HOLDING
        return super().command(peer, wish, now_ns)


class Unordered(Guard):
    """Does not count."""

    def command(self, peer: Peer, wish: Wish, now_ns: int) -> Command:
        self._seq = -1
        return super().command(peer, wish, now_ns)


class Timeless(Guard):
    """Knows which states there were, but not when."""

    def _published_ns(self, seq: int) -> int | None:
        return None if super()._published_ns(seq) is None else time.monotonic_ns()


class AnySession(Host):
    """Follows what was meant for another host."""

    def _judged(self, said: Received[wire.Move]) -> Verdict:
        return super()._judged(
            replace(said, message=msgspec.structs.replace(said.message, session=self.session))
        )


@pytest.mark.parametrize(
    ("careless", "promise", "seen"),
    [
        (NoLease, conformance.obeys_nobody_unasked, "without a lease was followed"),
        (NoLease, conformance.hands_over, "of the script's was followed"),
        (AnyLease, conformance.obeys_nobody_unasked, "without a lease was followed"),
        (Unarmed, conformance.obeys_nobody_unasked, "while the arm was not armed was followed"),
        (Unlatched, conformance.stops, "after STOP was followed"),
        (Unordered, conformance.refuses_nonsense, "said twice was followed"),
        (Timeless, conformance.refuses_nonsense, "stale was followed"),
        (AnySession, conformance.refuses_nonsense, "for another host was followed"),
    ],
)
def test_a_host_that_does_not_look_is_found_out(
    careless: type[Guard] | type[Host],
    promise: Callable[[Trial], str],
    seen: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    where = "hardware.host.host.Guard" if issubclass(careless, Guard) else "hardware.conformance.Host"
    monkeypatch.setattr(where, careless)
    monkeypatch.setattr(conformance, "PROMISES", (promise,))
    assert main(["--driver", "fake"]) == 1
    (line, _) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"BROKEN  {promise.__doc__}: ") and line.endswith(seen)
