"""Does an arm behind a host keep what is promised? Tries it, moving the tool by a few centimetres at 3 cm/s.

    python -m hardware.conformance --driver fake
    python -m hardware.conformance --driver my_package.arm:make --option host=172.16.0.2
    python -m hardware.conformance --connect tcp://HOST:PORT [--key FILE.key]

Clear the space around the arm first, and keep its emergency stop within reach. How far the tool went is
judged by the arm's own clock where the arm is served here, since a simulator may fall behind, and by the
host's where not. The last line says how many promises were kept and how many were not; the exit code is 0
only where all were.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import numpy as np

from hardware import wire
from hardware.drivers import make_driver, options_of
from hardware.host.guard import Safety
from hardware.host.host import Clearable, Host
from hardware.remote import RemoteRobot
from hardware.robot import (
    Applied,
    Command,
    FaultError,
    Robot,
    RobotError,
    RobotSpec,
    RobotState,
    Source,
    StaleStateError,
    Vector,
)
from hardware.security import ClientSecurity, SecurityError
from hardware.transport import TransportError

SPEED_M_S = 0.03
_MOVES_S, _SETTLES_S = 0.8, 1.0
_STILL_M_S = 0.005


class BrokenPromise(Exception):  # noqa: N818 - what it is
    """What was seen instead."""


class Watched:
    """An arm whose clock others may look at."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self.time_ns = 0
        """Of the newest reading."""

    @property
    def spec(self) -> RobotSpec:
        return self._robot.spec

    def read(self) -> RobotState:
        state = self._robot.read()
        self.time_ns = state.time_ns
        return state

    def send(self, command: Command) -> Applied:
        return self._robot.send(command)

    def stop(self) -> None:
        self._robot.stop()

    def close(self) -> None:
        self._robot.close()

    def clear_fault(self) -> None:
        if isinstance(self._robot, Clearable):
            self._robot.clear_fault()


class Trial:
    """An arm that is tried, by one client; `another` makes more of them. `watched` is the arm itself, where
    it is here."""

    def __init__(self, connect: Callable[[], RemoteRobot], watched: Watched | None) -> None:
        self.another = connect
        self.robot = connect()
        self._watched = watched
        self._seq = 0

    def now_ns(self) -> int:
        """By the arm's own clock, as far as that is known."""
        return self.robot.read().time_ns if self._watched is None else self._watched.time_ns

    def ready(self) -> None:
        """Cleared, armed and led, whatever was before."""
        if self.robot.now().safety is Safety.STOPPED:
            self.robot.clear_fault()
        self.robot.arm()
        self.robot.take(Source.SCRIPT)
        self.rest()

    def send(self, twist: Vector, gripper: float = 1.0) -> None:
        self._seq += 1
        self.robot.present()
        self.robot.send(Command(self._seq, twist, gripper, 0.15, Source.SCRIPT))

    def drive(self, twist: Vector, seconds: float, gripper: float = 1.0) -> list[RobotState]:
        """Send it at 50 Hz for so long; the states that came."""
        states, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            self.send(twist, gripper)
            time.sleep(0.02)
            states.append(self.robot.read())
        return states

    def rest(self, within_s: float = _SETTLES_S) -> RobotState:
        """The first state in which the tool stands. Raises BrokenPromise where it does not come to stand."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            with suppress(StaleStateError):
                self.robot.present()
                state = self.robot.read()
                if _speed(state) < _STILL_M_S:
                    return state
            time.sleep(0.005)
        raise BrokenPromise(f"the tool still moves at {_speed(self.robot.read()):.3f} m/s after {within_s} s")


def _speed(state: RobotState) -> float:
    return float(np.linalg.norm(state.tool_twist[:3]))


def _insist(holds: bool, seen: str) -> str:
    if not holds:
        raise BrokenPromise(seen)
    return seen


def _along(axis: int, speed_m_s: float = SPEED_M_S) -> Vector:
    twist = np.zeros(6)
    twist[axis] = speed_m_s
    return twist


# -- the promises ----------------------------------------------------------------------------------------


def describes_itself(trial: Trial) -> str:
    """It says what it is"""
    spec = trial.robot.spec
    return f"{spec.name}, {len(spec.joint_names)} joints, {spec.control_hz:g} Hz, {spec.safe_state.value}"


def states_come(trial: Trial) -> str:
    """States come at its rate, numbered, and make sense"""
    spec, seen = trial.robot.spec, []
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        trial.robot.present()
        seen.append(trial.robot.read())
        time.sleep(0.001)
    numbers = sorted({state.seq for state in seen})
    rate = (numbers[-1] - numbers[0]) / max((seen[-1].time_ns - seen[0].time_ns) / 1e9, 1e-9)
    _insist(rate > 0.8 * spec.control_hz, f"{rate:.0f} states a second, said were {spec.control_hz:g}")
    last = seen[-1]
    slack = 0.02
    inside = (last.joint_pos_rad >= spec.joint_low_rad - slack) & (
        last.joint_pos_rad <= spec.joint_high_rad + slack
    )
    _insist(
        bool(inside.all()), f"joints at {last.joint_pos_rad.round(3).tolist()} rad, outside of their ranges"
    )
    length = float(np.linalg.norm(last.tool_quat_xyzw))
    _insist(abs(length - 1.0) < 1e-3, f"the tool's quaternion has the length {length:.4f}")
    return f"{rate:.0f} a second"


def obeys_nobody_unasked(trial: Trial) -> str:
    """Without arming and a lease nothing is followed"""
    trial.robot.stop_and_wait()
    trial.robot.clear_fault()
    with suppress(FaultError):
        trial.send(_along(2))
        raise BrokenPromise("a command was taken while the arm was not armed")
    trial.robot.arm()
    other = trial.another()
    with closing(other), suppress(RobotError):
        other.now()
        other.send(Command(1, _along(2), 1.0, 0.1, Source.SCRIPT))
        raise BrokenPromise("a command was taken from somebody without a lease")
    return "refused"


def follows(trial: Trial) -> str:
    """The tool goes where it is told, on each axis"""
    trial.ready()
    said, lasted_s = [], 0.0
    for axis, name in enumerate("xyz"):
        for sign in (1.0, -1.0):
            before, began_ns = trial.rest(), trial.now_ns()
            trial.drive(_along(axis, sign * SPEED_M_S), _MOVES_S)
            drive_s = (trial.now_ns() - began_ns) / 1e9
            moved = trial.rest().tool_pos_m - before.tool_pos_m
            aside = float(np.abs(np.delete(moved, axis)).max())
            along, expected = sign * float(moved[axis]), SPEED_M_S * drive_s
            lasted_s += drive_s
            what = f"{'+' if sign > 0 else '-'}{name} {1e3 * along:.0f} mm of {1e3 * expected:.0f}"
            straight = 0.5 * expected < along < 1.6 * expected and aside < 0.01
            _insist(straight, f"{what}, {1e3 * aside:.0f} mm aside")
            said.append(what)
    rate = lasted_s / (6 * _MOVES_S)
    return ", ".join(said) + (f"; its clock runs at {rate:.2f} of ours" if abs(rate - 1.0) > 0.05 else "")


def says_what_was_applied(trial: Trial) -> str:
    """What the limits cut is cut, and said"""
    trial.ready()
    spec = trial.robot.spec
    states = trial.drive(_along(2, 20.0 * spec.max_speed_m_s), 0.15)
    fastest = max(_speed(state) for state in states)
    trial.rest()
    _insist(fastest <= 1.1 * spec.max_speed_m_s, f"{fastest:.2f} m/s, more than {spec.max_speed_m_s} m/s")
    cut = {limit.value for state in states if state.applied for limit in state.applied.limits}
    return _insist(bool(cut), f"cut by {', '.join(sorted(cut)) or 'nothing, it says'}")


def grips(trial: Trial) -> str:
    """The gripper closes and opens"""
    if not trial.robot.spec.gripper:
        return "it has none"
    trial.ready()
    seen = []
    for wanted in (0.0, 1.0):
        trial.drive(np.zeros(6), 1.5, wanted)
        seen.append(trial.robot.read().gripper)
    return _insist(seen[0] < 0.3 and seen[1] > 0.7, f"closed {seen[0]:.0%} open, opened {seen[1]:.0%}")


def rests_in_silence(trial: Trial) -> str:
    """A command that runs out is the last one"""
    trial.ready()
    before = trial.drive(_along(2), 0.4)[-1]
    rest = trial.rest(0.6)
    _insist(trial.robot.now().safety is Safety.HOLDING, f"the arm is {trial.robot.now().safety.value}")
    seconds = (rest.time_ns - before.time_ns) / 1e9
    return f"at rest {1e3 * seconds:.0f} ms after the last command"


def stops(trial: Trial) -> str:
    """STOP stops it, and it stays stopped until it is cleared and armed"""
    trial.ready()
    before = trial.drive(_along(2), 0.4)[-1]
    other = trial.another()
    with closing(other):
        trial.drive(_along(2), 0.1)
        other.stop_and_wait()
    rest = trial.rest(0.3)
    with suppress(FaultError):
        trial.send(_along(2))
        raise BrokenPromise("a command was taken after STOP")
    with suppress(RobotError):
        trial.robot.arm()
        raise BrokenPromise("it was armed without having been cleared")
    time.sleep(0.3)
    crept = float(np.linalg.norm(trial.robot.read().tool_pos_m - rest.tool_pos_m))
    _insist(crept < 0.002, f"it crept on by {1e3 * crept:.1f} mm")
    trial.ready()
    went = float(np.linalg.norm(rest.tool_pos_m - before.tool_pos_m))
    return f"stopped within {1e3 * went:.0f} mm, and moves again"


def hands_over(trial: Trial) -> str:
    """An operator takes it from a script at once"""
    trial.ready()
    trial.drive(_along(2), 0.2)
    operator = trial.another()
    with closing(operator):
        operator.take(Source.OPERATOR)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            try:
                trial.send(_along(2))
            except RobotError:
                break
            time.sleep(0.01)
        else:
            raise BrokenPromise("the script's commands are still taken")
        trial.rest()
    return "the script was refused from then on"


def refuses_nonsense(trial: Trial) -> str:
    """Commands that are stale, twice said, too long or not numbers are refused, and nothing moves"""
    trial.ready()
    robot, before = trial.robot, trial.rest()
    trial.send(np.zeros(6))
    good: dict[str, object] = {"twist": wire.numbers(_along(2, 0.2))}
    nonsense: dict[str, dict[str, object]] = {
        "stale": {"based_on": 0},
        "of tomorrow": {"based_on": 2**40},
        "too long": {"lasts_s": 5.0},
        "not a number": {"twist": wire.numbers(np.full(6, np.nan))},
        "too few numbers": {"twist": b"\0" * 40},
    }
    for name, change in nonsense.items():
        answer = _answer_to(robot, {**good, **change})
        _insist(isinstance(answer, wire.NotFollowed), f"a command that is {name} was followed")
    moved = float(np.linalg.norm(trial.rest().tool_pos_m - before.tool_pos_m))
    return _insist(moved < 0.002, f"{', '.join(nonsense)} refused; moved {1e3 * moved:.1f} mm")


def _answer_to(robot: RemoteRobot, said: dict[str, object]) -> object:
    """The host's answer to a command put together by hand."""
    move = robot.move(10**9, np.zeros(6), 1.0, 0.1, dead_man=False)
    values = {name: getattr(move, name) for name in move.__struct_fields__} | said
    return robot.exchange(wire.Move(**values))


PROMISES: tuple[Callable[[Trial], str], ...] = (
    describes_itself,
    states_come,
    obeys_nobody_unasked,
    follows,
    says_what_was_applied,
    grips,
    rests_in_silence,
    stops,
    hands_over,
    refuses_nonsense,
)


def _tried(promise: Callable[[Trial], str], trial: Trial) -> str:
    """What was seen of it. A pause without states may be this machine's, once; an arm that holds its host up
    does so again."""
    try:
        return promise(trial)
    except StaleStateError as error:
        trial.rest()
        if trial.robot.now().safety is not Safety.DISARMED:
            trial.ready()
            trial.drive(np.zeros(6), 1.0)  # with its gripper open, as it began
        return f"{promise(trial)} (at the second try: {error})"


def examine(connect: Callable[[], RemoteRobot], watched: Watched | None) -> tuple[int, int]:
    """Try every promise and print what came of it; how many were kept and how many not."""
    kept = broken = 0
    trial = Trial(connect, watched)
    with closing(trial.robot):
        for promise in PROMISES:
            try:
                seen, verdict = _tried(promise, trial), "kept  "
                kept += 1
            except (BrokenPromise, RobotError) as error:
                seen, verdict = str(error), "BROKEN"
                broken += 1
            print(f"{verdict}  {promise.__doc__}: {seen}", flush=True)
        with suppress(RobotError):
            trial.robot.stop_and_wait()
    return kept, broken


@contextmanager
def _served(driver: str, options: Sequence[str]) -> Iterator[tuple[str, Watched]]:
    """A host of the driver in a thread, on a free port of this machine, and the arm."""
    robot = Watched(make_driver(driver, options_of(list(options))))
    ready, over = threading.Event(), threading.Event()
    addresses: list[str] = []

    def serve() -> None:
        with closing(Host(robot, "tcp://127.0.0.1:*", security=None)) as host:
            addresses.append(host.addresses.rpc)
            ready.set()
            while not over.is_set():
                host.turn_until(time.monotonic_ns() + 20_000_000)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        ready.wait(10.0)
        yield addresses[0], robot
    finally:
        over.set()
        thread.join()


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m hardware.conformance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--driver", help="serve this driver here, and try it")
    which.add_argument("--connect", metavar="tcp://HOST:PORT", help="try the arm that a host serves there")
    parser.add_argument("--option", action="append", nargs="+", default=[], metavar="NAME=VALUE")
    parser.add_argument("--key", type=Path, metavar="FILE.key", help="an operator's key, for --connect")
    asked = parser.parse_args(arguments)
    try:
        with ExitStack() as stack:
            address, security, watched = asked.connect, None, None
            if asked.driver is not None:
                options = [word for words in asked.option for word in words]
                address, watched = stack.enter_context(_served(asked.driver, options))
            elif asked.key is not None:
                security = ClientSecurity(asked.key)
            kept, broken = examine(
                lambda: RemoteRobot(address, name="conformance", security=security), watched
            )
    except (RobotError, TransportError, SecurityError) as error:
        print(f"conformance: error: {error}", file=sys.stderr)
        return 1
    print(f"{kept} passed, {broken} failed")
    return 0 if broken == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
