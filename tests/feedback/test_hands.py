"""Human-like hands are late, busy with one or two axes, resting now and then, and sometimes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hardware.scene import Scene
from robot_rlhf.feedback.hands import Hands, HandsConfig
from robot_rlhf.feedback.operator import OperatorConfig, SimulatedOperator
from robot_rlhf.session.rollout import Recorder, demonstrate
from sim.env import SPEED_M_S, TaskEnv
from sim.task import Waypoint

HZ = 10.0
Array = NDArray[np.float64]
CALM = HandsConfig(tremor=0.0, aim_error_m=0.0, third_axis=1.0, pause_rate_hz=0.0, fumble=0.0, botch=0.0)
"""Late like a person, but exact, so that what is late can be told from what is not."""


def scene(tool: Sequence[float] = (0.5, 0.0, 0.2), target: Sequence[float] = (0.5, 0.0, 0.2)) -> Scene:
    """A tool at rest and a target, in m."""
    return Scene(
        joint_pos_rad=np.zeros(7),
        gripper=np.array(1.0),
        gripper_target=np.array(1.0),
        tool_pos_m=np.array(tool),
        tool_quat_xyzw=np.array([1.0, 0.0, 0.0, 0.0]),
        tool_vel_m_s=np.zeros(3),
        objects={"target": np.array([*target, 0.0, 0.0, 0.0, 1.0])},
    )


def coarse(scene: Scene) -> Waypoint:
    """To the target, roughly."""
    return Waypoint(scene.objects["target"][:3], 1.0, False, 0)


def precise(scene: Scene) -> Waypoint:
    """To the target, exactly, the gripper closed."""
    return Waypoint(scene.objects["target"][:3], 0.0, True, 0)


def hands(config: HandsConfig, seed: int = 0, expert: Callable[[Scene], Waypoint] = coarse) -> Hands:
    made = Hands(expert, config, SPEED_M_S, HZ)
    made.begin(np.random.default_rng(seed), may_botch=True)
    return made


def sticks(driver: Hands, scenes: Sequence[Scene]) -> Array:
    return np.array([driver.drive(one).stick for one in scenes])


FAR = scene(target=(0.7, -0.2, 0.4))
NEAR = scene(target=(0.52, 0.0, 0.2))


@pytest.fixture(scope="module")
def demonstrations() -> Iterator[list[Recorder]]:
    """Forty demonstrations of reach by human-like hands."""
    env = TaskEnv("reach")
    operator = SimulatedOperator(env.task, OperatorConfig(), SPEED_M_S, HZ)
    recorded = []
    for seed in range(100, 140):
        operator.begin(np.random.default_rng(seed), True, False, False)
        recorded.append(demonstrate(env, operator, seed))
    env.close()
    yield recorded


@pytest.mark.parametrize("seed", range(12))
def test_they_see_a_change_a_reaction_time_late(seed: int) -> None:
    driver = hands(CALM, seed)
    right, left = scene(target=(0.7, 0.0, 0.2)), scene(target=(0.3, 0.0, 0.2))
    before = sticks(driver, [right] * 10)
    after = sticks(driver, [left] * 10)
    assert (before[:, 0] > 0.9).all()
    late_s = int(np.argmax(after[:, 0] < 0.0)) / HZ
    low, high = CALM.reaction_s
    assert low <= late_s <= high


def test_how_late_differs_from_one_time_to_the_next() -> None:
    config = replace(CALM, reaction_s=(0.1, 0.8))
    right, left = scene(target=(0.7, 0.0, 0.2)), scene(target=(0.3, 0.0, 0.2))
    late = set()
    for seed in range(20):
        driver = hands(config, seed)
        sticks(driver, [right] * 12)
        late.add(int(np.argmax(sticks(driver, [left] * 12)[:, 0] < 0.0)))
    assert len(late) >= 4


def test_ideal_hands_are_not_late_and_go_straight() -> None:
    driver = hands(HandsConfig(ideal=True))
    assert sticks(driver, [scene(target=(0.7, 0.0, 0.2)), scene(target=(0.3, 0.0, 0.2))])[:, 0].tolist() == [
        1,
        -1,
    ]
    (stick,) = sticks(driver, [FAR])
    np.testing.assert_allclose(stick, np.array([1.0, -1.0, 1.0]))


def test_they_mostly_move_one_or_two_axes(demonstrations: list[Recorder]) -> None:
    moving = np.concatenate([np.abs(np.array(one.action)) > 0.02 for one in demonstrations]).sum(axis=1)
    shares = np.bincount(moving[moving > 0], minlength=4) / (moving > 0).sum()
    assert shares[1] + shares[2] >= 0.6
    assert shares[1] >= 0.15
    assert shares[3] >= 0.05  # now and then all at once


def test_they_rest_now_and_then_for_a_moment() -> None:
    config, minutes = HandsConfig(tremor=0.0), 20
    rests = (sticks(hands(config), [FAR] * round(minutes * 60 * HZ)) == 0.0).all(axis=1)
    starts = int((rests[1:] & ~rests[:-1]).sum())
    assert 0.7 * config.pause_rate_hz <= starts / (minutes * 60) <= 1.2 * config.pause_rate_hz
    low, high = config.pause_s
    assert low <= rests.sum() / HZ / starts <= high


def test_resting_leaves_the_gripper_as_it_was_wanted() -> None:
    driver = hands(replace(CALM, pause_rate_hz=HZ), expert=precise)
    given = [driver.drive(NEAR) for _ in range(20)]
    assert any(one.stick == (0.0, 0.0, 0.0) for one in given)
    assert {one.grip for one in given} == {-1.0}
    assert all(one.takeover for one in given)


def test_no_tremor_pushes_the_stick_out_of_its_frame() -> None:
    given = sticks(hands(HandsConfig(tremor=2.0)), [FAR] * 300)
    assert np.abs(given).max() == 1.0


def test_they_drive_no_faster_than_a_person_may(demonstrations: list[Recorder]) -> None:
    for one in demonstrations:
        assert np.abs(np.array(one.action)).max() <= 1.0
        speeds = np.linalg.norm(Scene.unpack(np.stack(one.scenes), ["target"]).tool_vel_m_s, axis=1)
        assert speeds.max() <= np.sqrt(3) * SPEED_M_S * 1.1


def test_they_slow_down_where_exactness_counts() -> None:
    rough = np.abs(sticks(hands(CALM, expert=coarse), [NEAR])).max()
    exact = np.abs(sticks(hands(CALM, expert=precise), [NEAR])).max()
    assert exact < rough


def test_they_aim_a_little_beside_and_correct_it() -> None:
    """Where the stick comes to rest on a target is where the hand aims."""
    config = replace(CALM, aim_error_m=0.004)
    at_target = scene(target=(0.5, 0.0, 0.2))
    first = np.array([sticks(hands(config, seed), [at_target])[0] for seed in range(200)])
    aims_m = first * SPEED_M_S / 3.0  # the coarse gain
    assert 0.003 < aims_m[:, :2].std() < 0.005
    looked_again = sticks(hands(config, 1, precise), [at_target] * 600)
    assert np.abs(looked_again[-1]).max() < 0.2 * np.abs(looked_again[0]).max()


def test_a_grasp_is_now_and_then_fumbled() -> None:
    config = replace(CALM, fumble=0.15)
    at_target = scene(target=(0.5, 0.0, 0.2))
    beside_m = [
        np.abs(sticks(hands(config, seed, precise), [at_target])[0]).max() * SPEED_M_S / 2.0
        for seed in range(400)
    ]
    assert 0.10 < np.mean(np.array(beside_m) > 0.015) < 0.20


def test_about_one_demonstration_in_ten_fails(demonstrations: list[Recorder]) -> None:
    failed = sum(not one.success for one in demonstrations)
    assert 1 <= failed <= 8


def test_how_many_go_wrong_altogether_is_what_the_config_says() -> None:
    at_target = scene(target=(0.5, 0.0, 0.2))
    drifts = [sticks(hands(replace(CALM, botch=0.1), seed), [at_target])[0].any() for seed in range(1000)]
    assert 0.07 < np.mean(drifts) < 0.13


def test_a_correction_never_goes_wrong_altogether() -> None:
    driver = Hands(coarse, replace(CALM, botch=1.0), SPEED_M_S, HZ)
    driver.begin(np.random.default_rng(0), may_botch=False)
    assert not sticks(driver, [scene(target=(0.5, 0.0, 0.2))]).any()


def test_a_generator_gives_the_same_hands() -> None:
    one, other = (sticks(hands(HandsConfig(), 5), [FAR] * 50) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, sticks(hands(HandsConfig(), 6), [FAR] * 50))


def turned(yaw_rad: float | None) -> Callable[[Scene], Waypoint]:
    return lambda scene: Waypoint(scene.tool_pos_m, 1.0, False, 0, yaw_rad)


@pytest.mark.parametrize("config", [HandsConfig(ideal=True), CALM], ids=["ideal", "calm"])
def test_they_turn_the_hand_to_where_it_should_be_and_not_where_that_does_not_matter(
    config: HandsConfig,
) -> None:
    still = replace(config, turn_error_rad=0.0)
    for yaw_rad, stick in ((1.5, 1.0), (-1.5, -1.0), (0.0, 0.0), (None, 0.0)):
        driver = hands(still, expert=turned(yaw_rad))
        assert driver.drive(scene()).yaw == pytest.approx(stick)
