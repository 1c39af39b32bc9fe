"""The driver `ur`, with ur-rtde in it, against a controller that speaks the protocol, behind a host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest

from hardware import conformance
from hardware.drivers import make_driver
from hardware.host.guard import Safety
from hardware.robot import (
    Command,
    FaultError,
    Robot,
    RobotError,
    RobotState,
    SafeState,
    Source,
    StaleStateError,
    Vector,
)
from tests.hardware.host.served import LOOPBACK, PATIENCE_S, Hand, Served, children, travelled_m, until
from tests.hardware.ur_controller import Runtime, UrController
from tests.hardware.ur_program import Program

pytestmark = pytest.mark.skipif(find_spec("rtde_control") is None, reason="needs the extra ur")

SPEED_M_S = 0.1
TURN_RAD_S = 0.3
WATCHDOG_S = 0.2
"""Twice what the driver asks for by itself: the machine of a test may be a busy one."""


@pytest.fixture
def controller() -> Iterator[UrController]:
    """At a loopback address of this test process's own."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    with closing(UrController(f"127.0.2.{10 + int(worker)}")) as made:
        yield made


def options(controller: UrController) -> dict[str, str]:
    return {"host": controller.host, "watchdog_s": str(WATCHDOG_S)}


@pytest.fixture
def served(controller: UrController) -> Iterator[Served]:
    def make() -> Robot:
        return make_driver("ur", options(controller))

    with closing(Served(make)) as one:
        yield one


@pytest.fixture
def hand(served: Served) -> Iterator[Hand]:
    with closing(Hand(served.address, timeout_s=PATIENCE_S)) as one:
        yield one


def along(axis: int, sign: float = 1.0) -> Vector:
    twist = np.zeros(6)
    twist[axis] = sign * (SPEED_M_S if axis < 3 else TURN_RAD_S)
    return twist


def driven(
    hand: Hand,
    enough: Callable[[RobotState], bool],
    twist: Vector = along(0),  # noqa: B008 - never written to
) -> RobotState:
    """Send it, as somebody who is there, until a state is as wanted."""
    seq = 0

    def sent() -> RobotState | None:
        nonlocal seq
        seq += 1
        hand.robot.present()
        with suppress(StaleStateError):  # on a busy machine; the next one is there soon
            hand.robot.send(Command(seq, twist, 1.0, 0.1, Source.SCRIPT))
            state = hand.robot.read()
            return state if enough(state) else None
        return None

    state: RobotState = until(sent)
    return state


def is_fast(state: RobotState) -> bool:
    return bool(np.linalg.norm(state.tool_twist[:3]) > 0.95 * SPEED_M_S)


def is_told(wanted: Vector, state: RobotState) -> bool:
    """Whether it moves as wanted, nearly."""
    return bool(np.linalg.norm(state.tool_twist - wanted) < 0.05 * np.linalg.norm(wanted))


def recover(hand: Hand) -> None:
    """Cleared and armed by a person, and led again."""
    hand.robot.clear_fault()
    comes_to_be(hand, Safety.DISARMED)  # the newest state can be one from before the fault
    hand.lead()


def comes_to_be(hand: Hand, safety: Safety) -> None:
    """Wait until the host says so."""

    def it_is() -> bool:
        with suppress(StaleStateError):
            return hand.robot.safety is safety
        return False

    until(it_is)


def stopped_by(hand: Hand, fault: str) -> None:
    """Wait until the host says so."""
    comes_to_be(hand, Safety.STOPPED)
    assert fault in hand.robot.now().reason


def test_it_says_what_it_is_and_how_it_is(hand: Hand, controller: UrController) -> None:
    spec, state = hand.robot.spec, hand.robot.read()
    assert (spec.name, spec.simulated, spec.safe_state) == ("ur", False, SafeState.BRAKE)
    assert not spec.gripper
    assert state.tool_pos_m == pytest.approx(controller.arm.pos_m)
    assert state.tool_quat_xyzw == pytest.approx(controller.arm.quat_xyzw)
    assert state.joint_pos_rad == pytest.approx(controller.arm.joint_pos_rad)
    assert state.wrench is not None and state.faults == ()


def test_it_goes_where_it_is_told_and_rests_in_silence(hand: Hand, controller: UrController) -> None:
    hand.lead()
    for axis in range(6):
        wanted = along(axis, -1.0)
        before = controller.arm.pos_m
        fast = driven(hand, partial(is_told, wanted), wanted)
        assert np.abs(np.delete(fast.tool_twist, axis)).max() < 0.05 * SPEED_M_S
        until(lambda: controller.arm.stands)
        moved = controller.arm.pos_m - before
        assert moved[axis] < 0.0 if axis < 3 else not moved.any()
    assert controller.watchdog_struck == 0


def test_a_stop_holds_until_it_is_cleared_and_armed(hand: Hand, controller: UrController) -> None:
    hand.lead()
    before = driven(hand, is_fast)
    hand.robot.stop_and_wait()
    rest = hand.at_rest()
    assert travelled_m(before, rest) < 0.1 * SPEED_M_S + 0.01
    with pytest.raises(FaultError, match="is stopped"):
        hand.send(SPEED_M_S)
    recover(hand)
    assert controller.arm.stands
    driven(hand, is_fast)


def test_a_protective_stop_is_a_fault_until_it_is_unlocked(hand: Hand, controller: UrController) -> None:
    hand.lead()
    driven(hand, is_fast)
    controller.protect()
    stopped_by(hand, "protective stop")
    with pytest.raises(RobotError, match="it can be unlocked 5 s after it came"):
        hand.robot.clear_fault()
    stopped_by(hand, "protective stop")

    def cleared() -> bool:
        try:
            hand.robot.clear_fault()
        except RobotError:
            return False
        return True

    until(cleared)
    comes_to_be(hand, Safety.DISARMED)
    assert controller.arm.stands and hand.robot.read().faults == ()
    hand.lead()
    driven(hand, is_fast)


def test_an_emergency_stop_is_ended_by_hand_alone(hand: Hand, controller: UrController) -> None:
    hand.lead()
    driven(hand, is_fast)
    controller.press_emergency(True)
    stopped_by(hand, "emergency stop")
    with pytest.raises(RobotError, match="emergency stop: end that at the arm"):
        hand.robot.clear_fault()
    controller.press_emergency(False)
    until(lambda: hand.robot.read().faults == ("the control program was ended",))
    assert controller.program is None and controller.arm.stands
    recover(hand)
    driven(hand, is_fast)


def test_a_host_that_hangs_does_not_keep_it_moving(
    served: Served, hand: Hand, controller: UrController
) -> None:
    hand.lead()
    before = driven(hand, is_fast)
    served.frozen = True
    until(lambda: controller.arm.stands)
    travelled = np.linalg.norm(controller.arm.pos_m - before.tool_pos_m)
    assert travelled < 0.2 * SPEED_M_S + 0.01 and controller.watchdog_struck == 0
    served.frozen = False


@pytest.mark.parametrize("all_of_it", [False, True], ids=["the host alone", "all that it started too"])
def test_a_host_that_is_killed_leaves_it_standing(all_of_it: bool, controller: UrController) -> None:
    words = [f"{name}={value}" for name, value in options(controller).items()]
    host = subprocess.Popen(
        [sys.executable, "-m", "hardware.host", "--driver", "ur", "--bind", LOOPBACK, "--option", *words],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert host.stdout is not None
    try:
        with closing(Hand(host.stdout.readline().split()[2])) as hand:
            hand.lead()
            before = driven(hand, is_fast)
            if all_of_it:
                os.killpg(host.pid, signal.SIGKILL)
            else:
                host.kill()
            until(lambda: controller.arm.stands)
    finally:
        host.kill()
        host.communicate()
    assert np.linalg.norm(controller.arm.pos_m - before.tool_pos_m) < (WATCHDOG_S + 0.2) * SPEED_M_S
    until(lambda: controller.program is None)
    assert controller.watchdog_struck == all_of_it


@pytest.mark.parametrize("way", ["frozen", "cut", "ended here"])
def test_a_controller_that_is_lost_is_named_and_nothing_goes_on_by_itself(
    way: str, hand: Hand, controller: UrController
) -> None:
    hand.lead()
    before = driven(hand, is_fast)
    if way == "frozen":
        controller.frozen = True
    elif way == "cut":
        controller.cut()
    else:  # as by an error in the library
        (process,) = children(running="hardware.drivers.ur_process")
        os.kill(process, signal.SIGKILL)
    name = "no state of the UR" if way == "frozen" else "the UR"

    def told() -> bool:
        with suppress(RobotError):  # there is no fresh state any more, but events come
            hand.robot.read()
        return any(f"{name} controller at 127.0.2" in event for event in hand.robot.events)

    until(told)
    controller.frozen = False
    with pytest.raises(RobotError):
        until(lambda: hand.send(SPEED_M_S))
    until(lambda: controller.program is None and controller.arm.stands)
    assert np.linalg.norm(controller.arm.pos_m - before.tool_pos_m) < 0.5 * SPEED_M_S
    recover(hand)
    assert controller.arm.stands
    driven(hand, is_fast)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"host": "127.0.2.250"}, "the UR controller at 127.0.2.250: .*verify the IP"),
        ({"gripper": "out8"}, "gripper is 'out8': it must be none, out0 to out7, tool0 or tool1"),
        ({"watchdog_s": "2"}, "watchdog_s is 2: it must be from 0.05 to 1"),
        ({"watchdog_s": "soon"}, "watchdog_s is 'soon': it must be a number"),
        ({"low_m": "0,0"}, "low_m is '0,0': it must be x,y,z"),
        ({"high_m": "-1,0,0"}, "workspace_low_m must be below workspace_high_m"),
        ({"speed": "1"}, "the driver ur has no option 'speed'"),
    ],
)
def test_what_makes_no_sense_is_named(more: dict[str, str], line: str) -> None:
    with pytest.raises(RobotError, match=line):
        make_driver("ur", {"host": "127.0.2.250", **more})


def test_without_an_address_it_says_so() -> None:
    with pytest.raises(RobotError, match="needs the option host="):
        make_driver("ur", {})


def test_an_arm_that_is_led_from_its_pendant_is_left_alone(controller: UrController) -> None:
    controller.is_remote = False
    with pytest.raises(RobotError, match="enable remote control"):
        make_driver("ur", options(controller))
    controller.is_remote = True
    theirs = controller.program = Program()
    controller.runtime = Runtime.PLAYING
    with pytest.raises(RobotError, match="a program runs on the controller"):
        make_driver("ur", options(controller))
    assert controller.program is theirs


def test_it_keeps_all_promises(controller: UrController, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"{name}={value}" for name, value in {**options(controller), "gripper": "tool0"}.items()]
    assert conformance.main(["--driver", "ur", "--option", *words]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "11 passed, 0 failed"
    assert controller.watchdog_struck == 0
