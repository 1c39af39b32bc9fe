"""Hands, policy and one arm: who has it, how it changes hands, and what comes of silence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hardware.robot import Source
from robot_rlhf.feedback.messages import Phase
from robot_rlhf.feedback.types import OperatorInput
from robot_rlhf.session.drive import HANDBACK_S, SPEEDING_UP_M_S2, Drive, slewed
from sim.env import SPEED_M_S, TaskEnv
from sim.task import FULL_TURN_RAD_S

Array = NDArray[np.float64]

MS = 1_000_000
FORWARD, BACK, IDLE = ((x, 0.0, 0.0) for x in (1.0, -1.0, 0.0))


@pytest.fixture(scope="module")
def env() -> Iterator[TaskEnv]:
    env = TaskEnv("reach")
    yield env
    env.close()


class Scene:
    """An arm, a drive and a clock that moves when it is told to."""

    def __init__(self, env: TaskEnv, phase: Phase = Phase.POLICY) -> None:
        self.env = env
        env.reset(seed=1)
        self.ns = 0
        self._began_ns = env.cell.now_ns()
        self._seq = 0
        self.drive = Drive(env, phase, 0)
        self.velocities: list[Array] = []
        for name in ("ann", "bob"):
            self.drive.enter(name, name.title())
            self.hands(name)  # they have let go

    def phase(self) -> Phase:
        return self.drive.phase

    def hands(
        self, console: str, stick: tuple[float, float, float] = IDLE, takes: bool = False, grip: float = 0.0
    ) -> None:
        self._seq += 1
        given = OperatorInput(stick=stick, takeover=takes, grip=grip)
        self.drive.hands(console, self._seq, given, self.ns)

    def goes_on(self, ms: int) -> None:
        """Time passes, nobody says anything."""
        for _ in range(0, ms, 5):
            self.ns += 5 * MS
            self.env.cell.wait(self._began_ns + self.ns - self.env.cell.now_ns())
            self.drive.advance(self.ns)
            self.velocities.append(self.commanded)

    def drives(self, console: str, stick: tuple[float, float, float], ms: int) -> None:
        """Somebody holds takeover and the stick, as a console sends it."""
        for _ in range(0, ms, 20):
            self.hands(console, stick, takes=True)
            self.goes_on(20)

    def policy_drives(self, stick: tuple[float, float, float], ms: int) -> None:
        for _ in range(0, ms, 100):
            self.env.act(np.array(stick, np.float32))
            self.goes_on(100)

    @property
    def commanded(self) -> Array:
        applied = self.env.robot.read().applied
        return np.zeros(3) if applied is None else applied.command.twist[:3]

    @property
    def steepest(self) -> float:
        """The largest change of what was commanded from one 5 ms to the next, m/s."""
        return float(np.abs(np.diff(np.array(self.velocities), axis=0)).max())


@pytest.fixture
def scene(env: TaskEnv) -> Scene:
    return Scene(env)


def test_a_takeover_has_the_arm_at_once_and_its_velocity_does_not_jump(scene: Scene) -> None:
    scene.policy_drives(FORWARD, 600)
    before = scene.commanded
    assert before[0] == pytest.approx(SPEED_M_S, abs=0.01)
    scene.velocities.clear()
    scene.hands("ann", BACK, takes=True)
    applied = scene.env.robot.read().applied
    assert applied is not None
    assert applied.command.source is Source.OPERATOR
    assert (scene.phase(), scene.drive.driver) == (Phase.OPERATOR, "Ann")
    assert scene.commanded == pytest.approx(before, abs=0.01)
    scene.velocities.append(before)
    scene.drives("ann", BACK, 600)
    fastest = scene.env.robot.spec.max_acceleration_m_s2
    assert scene.steepest <= fastest * 0.005 + 1e-9
    assert scene.commanded[0] == pytest.approx(-SPEED_M_S)


def test_a_takeover_begins_from_where_the_arm_is(scene: Scene) -> None:
    scene.policy_drives(FORWARD, 600)
    at = scene.env.robot.read().tool_pos_m
    for _ in range(40):
        scene.hands("ann", IDLE, takes=True)
        scene.goes_on(20)
    moved = scene.env.robot.read().tool_pos_m - at
    assert np.abs(moved).max() < 0.012  # its braking, and nothing of what the policy still wanted


def test_the_hands_speed_up_gently_and_stop_at_once(scene: Scene) -> None:
    scene.drives("ann", FORWARD, 100)
    assert scene.commanded[0] <= SPEEDING_UP_M_S2 * 0.1 + 1e-9
    scene.drives("ann", FORWARD, 200)
    assert scene.commanded[0] == pytest.approx(SPEED_M_S)
    scene.drives("ann", IDLE, 100)
    assert scene.commanded == pytest.approx(np.zeros(3))


def test_what_is_not_held_moves_nothing(scene: Scene) -> None:
    scene.drive.hold(scene.ns, "")
    for _ in range(10):
        scene.hands("ann", FORWARD, takes=False, grip=-1.0)
        scene.goes_on(20)
    assert scene.phase() is Phase.HOLD
    assert not scene.commanded.any()


def test_after_a_release_the_arm_holds_still_and_then_the_policy_has_it(scene: Scene) -> None:
    scene.drives("ann", FORWARD, 300)
    scene.hands("ann", FORWARD)
    assert (scene.phase(), scene.drive.driver, scene.drive.reason) == (Phase.HOLD, "", "")
    assert not scene.commanded.any()
    released = scene.ns
    while not scene.drive.resume(scene.ns):
        assert scene.phase() is Phase.HOLD
        scene.goes_on(5)
        assert not scene.commanded.any()
    assert scene.ns - released == round(HANDBACK_S * 1e9)
    assert scene.phase() is Phase.POLICY


def test_a_press_during_the_hold_has_the_arm_again(scene: Scene) -> None:
    scene.drives("ann", FORWARD, 100)
    scene.hands("ann")
    scene.goes_on(100)
    scene.hands("ann", BACK, takes=True)
    assert scene.phase() is Phase.OPERATOR
    scene.goes_on(1)
    assert not scene.drive.resume(scene.ns + 10**9)  # a hand that holds it is not passed over
    assert scene.drive.drove


def test_silence_stands_still_after_100_ms_and_lets_go_after_300(scene: Scene) -> None:
    scene.drives("ann", FORWARD, 300)
    since = scene.ns - 20 * MS  # when they were heard last
    while scene.phase() is Phase.OPERATOR:
        scene.goes_on(5)
        if scene.ns - since > 105 * MS:
            assert not scene.commanded.any()
        elif scene.ns - since < 100 * MS:
            assert scene.commanded[0] == pytest.approx(SPEED_M_S)
    assert 300 * MS < scene.ns - since <= 305 * MS
    assert scene.phase() is Phase.HOLD
    assert "Ann" in scene.drive.reason


def test_hands_that_come_back_from_a_short_silence_speed_up_from_nothing(scene: Scene) -> None:
    scene.drives("ann", FORWARD, 300)
    scene.goes_on(200)
    assert not scene.commanded.any()
    scene.velocities.clear()
    scene.velocities.append(scene.commanded)
    scene.drives("ann", FORWARD, 100)
    assert scene.phase() is Phase.OPERATOR
    assert scene.commanded[0] <= SPEEDING_UP_M_S2 * 0.105 + 1e-9
    assert scene.velocities[1][0] <= SPEEDING_UP_M_S2 * 0.01 + 1e-9


def test_hands_that_were_lost_drive_again_only_after_they_have_let_go(scene: Scene) -> None:
    scene.drives("ann", FORWARD, 100)
    scene.goes_on(400)
    scene.drives("ann", FORWARD, 200)
    assert scene.phase() is Phase.HOLD
    assert not scene.commanded.any()
    scene.hands("ann")
    scene.hands("ann", FORWARD, takes=True)
    assert scene.phase() is Phase.OPERATOR


def test_who_comes_with_takeover_held_must_let_go_first(env: TaskEnv) -> None:
    scene = Scene(env)
    scene.drive.enter("eve", "Eve")
    scene.drives("eve", FORWARD, 100)
    assert scene.phase() is Phase.POLICY
    scene.hands("eve")
    scene.hands("eve", FORWARD, takes=True)
    assert scene.drive.driver == "Eve"


def test_a_second_console_cannot_take_the_arm_from_the_first(scene: Scene) -> None:
    scene.drives("ann", FORWARD, 200)
    for _ in range(10):
        scene.hands("bob", BACK, takes=True)
        scene.hands("ann", FORWARD, takes=True)
        scene.goes_on(20)
    assert scene.drive.driver == "Ann"
    assert scene.commanded[0] == pytest.approx(SPEED_M_S)
    scene.hands("ann")
    scene.hands("bob", BACK, takes=True)
    assert scene.phase() is Phase.HOLD  # it was refused: it must let go first
    scene.hands("bob")
    scene.hands("bob", BACK, takes=True)
    assert scene.drive.driver == "Bob"


def test_the_second_letting_go_does_not_let_go_for_the_first(scene: Scene) -> None:
    scene.drives("ann", FORWARD, 200)
    scene.hands("bob")
    assert scene.drive.driver == "Ann"
    scene.drive.leave("bob", scene.ns)
    assert scene.drive.driver == "Ann"


def test_hands_that_leave_have_let_go(scene: Scene) -> None:
    scene.drives("ann", FORWARD, 200)
    scene.drive.leave("ann", scene.ns)
    assert (scene.phase(), scene.drive.driving) == (Phase.HOLD, "")
    assert not scene.commanded.any()
    assert not scene.drive.knows("ann")
    scene.hands("ann", FORWARD, takes=True)
    assert scene.phase() is Phase.HOLD
    scene.hands("bob", BACK, takes=True)
    assert scene.drive.driver == "Bob"


def test_older_hands_are_passed_over(scene: Scene) -> None:
    scene.drives("ann", FORWARD, 200)
    newest = scene.drive.input_seq
    for seq in (0, newest - 1, newest):
        scene.drive.hands("ann", seq, OperatorInput(), scene.ns)
    assert scene.drive.driver == "Ann"
    assert scene.drive.input_seq == newest


def test_where_a_takeover_is_of_no_use_there_is_none(scene: Scene) -> None:
    scene.drive.allowed = False
    scene.hands("ann", FORWARD, takes=True)
    assert scene.phase() is Phase.POLICY
    scene.drive.allowed = True
    scene.hands("ann", FORWARD, takes=True)
    assert scene.phase() is Phase.POLICY  # it must be a fresh press
    scene.hands("ann")
    scene.hands("ann", FORWARD, takes=True)
    assert scene.phase() is Phase.OPERATOR


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_stop_stays_until_it_is_cleared_and_somebody_takes_over_anew(scene: Scene, by_hand: bool) -> None:
    if by_hand:
        scene.drives("ann", FORWARD, 300)
    else:
        scene.policy_drives(FORWARD, 300)
    scene.drive.stop(scene.ns, "STOP was pressed")
    assert not scene.commanded.any()
    scene.drives("ann", FORWARD, 200)  # held on
    scene.hands("ann")
    scene.drives("ann", FORWARD, 200)  # pressed afresh
    assert not scene.drive.resume(scene.ns + 10**9)
    assert scene.phase() is Phase.STOPPED
    assert scene.drive.reason == "STOP was pressed"
    assert not scene.commanded.any()
    scene.drive.clear(scene.ns)
    scene.drives("ann", FORWARD, 200)  # held since before: no fresh press
    assert scene.phase() is Phase.HOLD
    assert not scene.drive.resume(scene.ns + 10**9)
    assert not scene.commanded.any()
    scene.hands("ann")
    scene.hands("ann", FORWARD, takes=True)
    assert scene.phase() is Phase.OPERATOR
    scene.hands("ann")
    assert scene.drive.resume(scene.ns + 10**9)


def test_a_stop_can_be_armed_where_a_takeover_is_of_no_use_otherwise(scene: Scene) -> None:
    scene.drive.allowed = False
    scene.drive.stop(scene.ns, "STOP")
    scene.drive.clear(scene.ns)
    scene.hands("ann")
    scene.hands("ann", IDLE, takes=True)
    assert scene.drive.armed
    scene.hands("ann")
    assert scene.drive.resume(scene.ns + 10**9)


def test_only_a_stop_can_be_cleared(scene: Scene) -> None:
    scene.drives("ann", FORWARD, 100)
    scene.drive.clear(scene.ns)
    assert scene.phase() is Phase.OPERATOR


velocities = st.lists(st.floats(-0.25, 0.25), min_size=3, max_size=3).map(np.array)


@given(velocities, velocities, st.floats(0.0, 1.0))
def test_slewed_goes_towards_what_is_wanted_and_never_past_it(before: Array, wanted: Array, s: float) -> None:
    after = slewed(before, wanted, 1.0, 3.0, s)
    assert (after >= np.minimum(before, wanted) - 1e-12).all()
    assert (after <= np.maximum(before, wanted) + 1e-12).all()


@given(velocities, velocities, st.floats(0.0, 1.0))
def test_slewed_grows_and_falls_no_faster_than_it_may(before: Array, wanted: Array, s: float) -> None:
    after = slewed(before, wanted, 1.0, 3.0, s)
    assert (np.abs(after) <= np.abs(before) + 1.0 * s + 1e-12).all()
    assert (np.abs(after - before) <= 3.0 * s + 1e-12).all()
    turned = np.sign(before) * np.sign(after) < 0
    assert not turned.any()  # it goes through standing still, and not past it in one go


@given(velocities, velocities)
def test_slewed_is_there_in_the_end(before: Array, wanted: Array) -> None:
    velocity = before
    for _ in range(200):
        velocity = slewed(velocity, wanted, 1.0, 3.0, 0.005)
    assert velocity == pytest.approx(wanted)


@given(velocities)
def test_no_time_changes_nothing(before: Array) -> None:
    assert slewed(before, -before, 1.0, 3.0, 0.0) == pytest.approx(before)


@pytest.mark.parametrize(("task", "turns"), [("place_bar", True), ("reach", False)])
def test_hands_turn_the_tool_in_a_task_that_turns_and_in_no_other(task: str, turns: bool) -> None:
    env = TaskEnv(task)
    try:
        scene = Scene(env)
        for seq in range(10):
            given = OperatorInput(yaw=0.5, takeover=True)
            scene.drive.hands("ann", 100 + seq, given, scene.ns)
            scene.goes_on(20)
        applied = env.robot.read().applied
        assert applied is not None
        assert applied.command.twist[5] == pytest.approx(0.5 * FULL_TURN_RAD_S if turns else 0.0)
    finally:
        env.close()
