"""Does an arm behind a host keep what is promised? Tries it, moving the tool by a few centimetres.

    python -m hardware.conformance --driver fake
    python -m hardware.conformance --driver my_package.arm:make --option host=172.16.0.2
    python -m hardware.conformance --connect tcp://HOST:PORT [--key FILE.key]

Clear the space around the arm first, and keep its emergency stop within reach. It goes at 3 cm/s, and for
tenths of a second as fast and as abruptly as its limits let it, since those are tried too. How far the tool
went is judged by the arm's own clock where the arm is served here, since a simulator may fall behind, and by
the host's where not. The last line says how many promises were kept and how many were not; the exit code is
0 only where all were.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import msgspec
import numpy as np

from hardware import wire
from hardware.drivers import make_driver, options_of
from hardware.host.guard import Safety, Why
from hardware.host.host import Host
from hardware.host.motion import Clearable
from hardware.remote import RemoteRobot
from hardware.robot import (
    Applied,
    Command,
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
_SEQ = 10**9  # of a command put together by hand: newer than what a `RemoteRobot` has sent


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

    def drive(
        self, twist: Vector, seconds: float, gripper: float = 1.0, pause_s: float = 0.02
    ) -> list[RobotState]:
        """Send it at 50 Hz for so long, or with other pauses; the states that came."""
        states: dict[int, RobotState] = {}
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._seq += 1
            self.robot.present()
            self.robot.send(Command(self._seq, twist, gripper, 0.15, Source.SCRIPT))
            time.sleep(pause_s)
            state = self.robot.read()
            states[state.seq] = state
        return list(states.values())

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

    def stays(self, before: RobotState) -> str:
        """Raises BrokenPromise where the tool is not where it was, for as long as a command may last."""
        away_m, until = 0.0, time.monotonic() + 0.3
        while time.monotonic() < until:
            self.robot.present()
            away_m = max(away_m, float(np.linalg.norm(self.robot.read().tool_pos_m - before.tool_pos_m)))
            time.sleep(0.005)
        return _insist(away_m < 0.002, f"moved {1e3 * away_m:.1f} mm")


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


def _answer_to(robot: RemoteRobot, **said: object) -> wire.FromCommands:
    """The host's answer to a command that a `RemoteRobot` might refuse by itself. But for what is `said` it
    is a good one: 3 cm/s upwards, in answer to a state from after this was called."""
    robot.present()
    robot.link.service()
    newest = robot.link.ask(wire.Ask(), wire.State).seq
    robot.link.until(lambda: robot.newest.seq > newest)
    move = robot.move(_SEQ, _along(2), 1.0, 0.15, dead_man=False)
    return robot.exchange(msgspec.structs.replace(move, **said))


def _refused(robot: RemoteRobot, what: str, why: Why | None, **said: object) -> None:
    """Such a command must be refused, and for that reason."""
    answer = _answer_to(robot, **said)
    if not isinstance(answer, wire.NotFollowed):
        raise BrokenPromise(f"a command {what} was followed")
    _insist(answer.why is why, f"a command {what} was refused for another reason: {answer.text}")


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
    robot = trial.robot
    robot.stop_and_wait()
    robot.clear_fault()
    robot.take(Source.SCRIPT)
    before = trial.rest()
    _refused(robot, "while the arm was not armed", Why.DISARMED)
    robot.arm()
    with closing(trial.another()) as other:
        _refused(other, "without a lease", Why.LEASE)
        _refused(other, "under a lease that nobody was given", Why.LEASE, lease="0" * 16)
    return f"refused; {trial.stays(before)}"


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


def accelerates_gently(trial: Trial) -> str:
    """Its velocity changes no faster than it says, however often it is told"""
    spec = trial.robot.spec
    most = spec.max_acceleration_m_s2
    speed = min(spec.max_speed_m_s, 0.1 * most)
    for often, pause_s in (("at 50 Hz", 0.02), ("five times a turn", 0.2 / spec.control_hz)):
        trial.ready()
        states = [trial.rest()]
        for part, seconds in ((1.0, 0.15), (-1.0, 0.25), (0.0, 0.15)):
            states += trial.drive(_along(2, part * speed), seconds, pause_s=pause_s)
        trial.rest()
        still = np.zeros(6)
        applied = [still if state.applied is None else state.applied.command.twist for state in states]
        # One state may show how a period begins, the next how it ends; and it may be read a little late.
        slack_s = 2.0 / spec.control_hz + 0.01
        over, seen = _sharpest(states, applied, 1.01 * most, slack_s)
        _insist(over <= 0.0, f"what is applied changed by {seen}, told {often}")
        # What it measures is noisy, and may overshoot.
        over, seen = _sharpest(states, [state.tool_twist for state in states], 2.0 * most, slack_s)
        _insist(over <= 0.02, f"what is measured changed by {seen}, told {often}")
    return f"within {most:g} m/s², told at 50 Hz and five times a turn"


def _sharpest(
    states: list[RobotState], twists: list[Vector], most_m_s2: float, slack_s: float
) -> tuple[float, str]:
    """The two states between which the velocity changed by most more than that allows: by how much, m/s, and
    the change in words."""
    velocities, times_s = np.array(twists)[:, :3], np.array([state.time_ns for state in states]) / 1e9
    changes = np.linalg.norm(velocities - velocities[:, None], axis=2)
    lapses_s = np.abs(times_s - times_s[:, None])
    over = changes - most_m_s2 * (lapses_s + slack_s)
    worst = np.unravel_index(over.argmax(), over.shape)
    return float(over[worst]), f"{changes[worst]:.2f} m/s in {1e3 * lapses_s[worst]:.0f} ms"


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
    robot, lease = trial.robot, trial.robot.link.lease
    before = trial.drive(_along(2), 0.4)[-1]
    with closing(trial.another()) as other:
        trial.drive(_along(2), 0.1)
        other.stop_and_wait()
    rest = trial.rest(0.3)
    _refused(robot, "under the lease from before STOP", Why.LEASE, lease=lease)
    robot.take(Source.SCRIPT)
    _refused(robot, "after STOP", Why.STOPPED)
    with suppress(RobotError):
        robot.arm()
        raise BrokenPromise("it was armed without having been cleared")
    trial.stays(rest)
    trial.ready()
    went = float(np.linalg.norm(rest.tool_pos_m - before.tool_pos_m))
    return f"stopped within {1e3 * went:.0f} mm, and moves again"


def hands_over(trial: Trial) -> str:
    """An operator takes it from a script at once"""
    trial.ready()
    lease = trial.robot.link.lease
    trial.drive(_along(2), 0.2)
    with closing(trial.another()) as operator:
        operator.take(Source.OPERATOR)
        # All else about it is as it should be for an operator.
        late: dict[str, object] = {"lease": lease, "lasts_s": 0.1, "dead_man": True}
        _refused(trial.robot, "of the script's", Why.LEASE, **late)
        before = trial.rest()
        _refused(trial.robot, "of the script's", Why.LEASE, **late)
        return f"the script was refused from then on; {trial.stays(before)}"


def refuses_nonsense(trial: Trial) -> str:
    """Commands that are stale, twice said, too long or not numbers are refused, and nothing moves"""
    trial.ready()
    old = trial.robot.newest.seq
    before = trial.rest()
    trial.stays(before)
    first = _answer_to(trial.robot, twist=wire.numbers(np.zeros(6)))
    _insist(isinstance(first, wire.Followed), "a command that is as it should be was refused")
    nonsense: dict[str, tuple[Why | None, dict[str, object]]] = {
        "said twice": (Why.SEQUENCE, {"seq": _SEQ}),
        "older than the last": (Why.SEQUENCE, {"seq": _SEQ - 1}),
        "for another host": (None, {"session": "0" * 16}),
        "stale": (Why.STALE, {"based_on": old}),
        "of yesterday": (Why.STALE, {"based_on": 0}),
        "of tomorrow": (Why.STALE, {"based_on": 2**40}),
        "too long": (Why.LONG, {"lasts_s": 5.0}),
        "not a number": (None, {"twist": wire.numbers(np.full(6, np.nan))}),
        "too few numbers": (None, {"twist": b"\0" * 40}),
    }
    for name, (why, change) in nonsense.items():
        _refused(trial.robot, f"that is {name}", why, **{"seq": _SEQ + 1, **change})
    return f"{', '.join(nonsense)} refused; {trial.stays(before)}"


PROMISES: tuple[Callable[[Trial], str], ...] = (
    describes_itself,
    states_come,
    obeys_nobody_unasked,
    follows,
    says_what_was_applied,
    accelerates_gently,
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
    if asked.driver is not None and asked.key is not None:
        parser.error("--key is for --connect: a driver is served to this machine alone, without keys")
    if asked.connect is not None and asked.option:
        parser.error("--option is for --driver: an arm that is served already has its options")
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
