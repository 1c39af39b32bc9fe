"""Whatever is wrong with the arm, its driver, the clock or the loop: the arm rests in time and says why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from hardware.clock import MonotonicClock
from hardware.drivers.fake import FakeArm
from hardware.host.guard import LEASE_S, Safety
from hardware.host.standstill import STANDS_S
from hardware.remote import RemoteRobot
from hardware.robot import Applied, Command, FaultError, RobotError, RobotState, StaleStateError
from tests.hardware.host.misbehaves import running
from tests.hardware.host.served import Hand, until
from tests.hardware.host.stand import BRAKES_S, SILENT_S, SLACK_S, SPEED_M_S, STOP_S, Stand, fast, insist

HANGS_S = 0.3
GRIPS_S = 1.5 * LEASE_S


class Fickle(FakeArm):
    """An arm that misbehaves when it is asked to."""

    def __init__(self) -> None:
        super().__init__(MonotonicClock())
        self.frozen: RobotState | None = None
        """What it reads as long as its encoders are frozen."""
        self.gripper: float | None = None
        """Where the gripper hangs."""
        self.lost = False
        """Whether nothing can be read."""
        self.reading_s = self.sending_s = 0.0
        """How long the next reading, or command, takes."""

    def read(self) -> RobotState:
        lasts_s, self.reading_s = self.reading_s, 0.0
        time.sleep(lasts_s)
        if self.lost:
            raise RobotError("the cable is out")
        state = super().read()
        if self.frozen is not None:
            state = replace(self.frozen, seq=state.seq, time_ns=state.time_ns, applied=state.applied)
        return state if self.gripper is None else replace(state, gripper=self.gripper)

    def send(self, command: Command) -> Applied:
        lasts_s, self.sending_s = self.sending_s, 0.0
        time.sleep(lasts_s)
        return super().send(command)

    def where(self) -> float:
        """Where the tool really is along x, m, by what was read last."""
        return float(self._tool_pos_m[0])


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with closing(Stand(make=Fickle)) as made:
        yield made


@pytest.fixture
def arm(stand: Stand) -> Iterator[Fickle]:
    assert isinstance(stand.served.arm, Fickle)
    yield stand.served.arm
    stand.served.arm.frozen = stand.served.arm.gripper = None
    stand.served.arm.lost = False


@pytest.mark.parametrize("hours", [1, -1])
def test_the_wall_clock_may_be_set(stand: Stand, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    with stand.hands() as hand:
        one = hand()
        speed_m_s = stand.driven(one)
        ours_ns, ours = time.time_ns, time.time
        monkeypatch.setattr(time, "time_ns", lambda: ours_ns() + hours * 3_600 * 10**9)
        monkeypatch.setattr(time, "time", lambda: ours() + hours * 3_600.0)
        until(lambda: abs(one.robot.now().wall_ns - ours_ns()) > 3_000 * 10**9)
        insist(one, speed_m_s, 0.2)
        assert one.robot.safety is Safety.MOVING
        stand.rests_after(lambda: None, SILENT_S, "has run out")
        stand.driven(one)
        monkeypatch.undo()
        stand.stops(hand())


def interpreter_pauses(stand: Stand, one: Hand) -> None:
    """For a while no thread of the process runs, as while a large heap is collected."""
    count, took_s = 1_000_000, 0.0
    while took_s < HANGS_S:
        began = time.monotonic()
        sum(range(count))
        took_s = time.monotonic() - began
        count = round(count * min(4.0, 1.1 * HANGS_S / took_s))


def loop_stalls(stand: Stand, one: Hand) -> None:
    stand.served.frozen = True
    time.sleep(HANGS_S)
    stand.served.frozen = False


def reading_hangs(stand: Stand, one: Hand) -> None:
    stand.served.arm.reading_s = HANGS_S  # type: ignore[attr-defined]
    time.sleep(HANGS_S)


def sending_hangs(stand: Stand, one: Hand) -> None:
    """As where a gripper's library waits for its answer."""
    stand.served.arm.sending_s = HANGS_S  # type: ignore[attr-defined]
    one.send(SPEED_M_S)
    time.sleep(HANGS_S)


@pytest.mark.parametrize("hangs", [loop_stalls, reading_hangs, sending_hangs, interpreter_pauses])
def test_a_loop_that_hangs_is_told_of_and_what_waited_meanwhile_moves_nothing(
    stand: Stand, hangs: Callable[[Stand, Hand], None]
) -> None:
    with stand.hands() as hand:
        one = hand()
        speed_m_s = stand.driven(one)
        late = one.robot.move(10**6, np.array([speed_m_s, 0, 0, 0, 0, 0]), 1.0, 0.2, dead_man=True)

        def act() -> None:
            hangs(stand, one)
            one.robot.link.commands.send(late)

        at = stand.served.arm.where()  # type: ignore[attr-defined]
        # how long such a pause lasts is the machine's affair; how far the arm gets in it is held below
        within_s = HANGS_S * (10.0 if hangs is interpreter_pauses else 1.0) + SILENT_S
        rest = stand.rests_after(act, within_s, "the control loop stood still for")
        # the arm's own watchdog does not wait for the loop: three turns
        assert abs(np.frombuffer(rest.tool_pos_m)[0] - at) < (0.03 + BRAKES_S + SLACK_S / 2) * SPEED_M_S
        assert until(stand.now).safety is Safety.HOLDING


def test_frozen_encoders_stop_the_arm(stand: Stand, arm: Fickle) -> None:
    with stand.hands() as hand:
        one = hand()
        speed_m_s = stand.driven(one)
        at = arm.where()

        def freezes() -> None:
            arm.frozen = stand.watcher.robot.read()
            with pytest.raises(FaultError, match=r"reads the same for 0\.5 s though it is told to move"):
                one.drive(speed_m_s, lambda _: False)
            arm.frozen = None

        stand.rests_after(freezes, STANDS_S + SLACK_S, "stopped: fault: it reads the same for 0.5 s")
        assert abs(arm.where() - at) < (STANDS_S + SLACK_S) * SPEED_M_S
        assert stand.host.guard.safety is Safety.STOPPED


def test_an_arm_at_a_wall_is_not_taken_for_a_frozen_one(stand: Stand) -> None:
    with stand.hands() as hand:
        one = hand()
        one.lead()
        low_m = float(one.robot.spec.workspace_low_m[1])
        one.drive(-SPEED_M_S, lambda state: state.tool_pos_m[1] < low_m + 1e-3, axis=1)
        began = one.robot.read().time_ns
        one.drive(-SPEED_M_S, lambda state: state.time_ns - began > 2 * STANDS_S * 1e9, axis=1)
        assert one.robot.safety is Safety.MOVING


@pytest.mark.parametrize("what", ["reflex", "protective stop"])
def test_a_fault_of_the_arm_stops_it(stand: Stand, arm: Fickle, what: str) -> None:
    with stand.hands() as hand:
        one = hand()
        speed_m_s = stand.driven(one)

        def fails() -> None:
            arm.fail(what)
            insist(one, speed_m_s, 0.3)

        stand.rests_after(fails, STOP_S, f"stopped: fault: {what}")
        assert stand.host.guard.safety is Safety.STOPPED


def test_an_arm_that_cannot_be_read_is_stopped_and_stays_so_when_it_can(stand: Stand, arm: Fickle) -> None:
    with stand.hands() as hand:
        one = hand()
        speed_m_s = stand.driven(one)

        def lost() -> None:
            arm.lost = True
            insist(one, speed_m_s, 0.3)
            arm.lost = False
            insist(one, speed_m_s, 0.1)

        stand.rests_after(lost, 0.4 + SLACK_S, "stopped: fault: the cable is out")
        assert stand.host.guard.safety is Safety.STOPPED


def test_whoever_asks_for_a_state_of_an_arm_that_cannot_be_read_is_told_why(
    stand: Stand, arm: Fickle
) -> None:
    with stand.hands() as hand:
        robot = hand().robot
        arm.lost = True
        until(lambda: (why := _unread(robot)) and "(fault: the cable is out)" in why)
        arm.lost = False
        until(lambda: not _unread(robot))


def _unread(robot: RemoteRobot) -> str:
    """Why it has no state to give."""
    try:
        robot.read()
    except StaleStateError as error:
        return str(error)
    return ""


def test_a_gripper_that_hangs_is_seen_and_holds_neither_the_arm_nor_a_stop_up(
    stand: Stand, arm: Fickle
) -> None:
    with stand.hands() as hand:
        one = hand()
        stand.driven(one)
        arm.gripper = 0.7
        state = one.drive(stand.speed_m_s, lambda state: fast(state) and state.gripper == 0.7)
        assert state.applied is not None and state.applied.command.gripper == 1.0
        stand.stops(hand())


def _lets_it_be(stand: Stand) -> None:
    """The client whose lease is over goes on all the same."""


def _presses_stop(stand: Stand) -> None:
    stand.watcher.robot.stop()


@pytest.mark.parametrize(
    ("act", "told", "then"),
    [
        (_lets_it_be, "was not renewed", Safety.HOLDING),
        (_presses_stop, "pressed STOP", Safety.STOPPED),
    ],
)
def test_a_gripper_that_holds_its_driver_up_for_longer_than_a_lease_ends_the_motion(
    stand: Stand, arm: Fickle, act: Callable[[Stand], None], told: str, then: Safety
) -> None:
    with stand.hands(), running("drive", stand.address, stand.speed_m_s, 0.0):
        until(lambda: fast(stand.watcher.robot.read()))
        at = arm.where()

        def hangs() -> None:
            arm.sending_s = GRIPS_S
            time.sleep(0.5 * GRIPS_S)
            act(stand)
            time.sleep(0.5 * GRIPS_S)

        stand.rests_after(hangs, GRIPS_S + SILENT_S, told)
        assert abs(arm.where() - at) < (0.03 + BRAKES_S + SLACK_S / 2) * SPEED_M_S  # three turns, as above
        until(lambda: any("the control loop stood still for" in text for text in stand.told()))
        assert stand.host.guard.safety is then
