"""An episode holds what was executed and who drove, and a counterfactual starts where a takeover did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
import pytest

from hardware.scene import Scene
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.operator import OperatorConfig, SimulatedOperator
from robot_rlhf.feedback.types import Driver, OperatorInput, Press
from robot_rlhf.session.drive import HANDBACK_S
from robot_rlhf.session.rollout import (
    Float32,
    Recorder,
    Rollout,
    counterfactual,
    demonstrate,
    noised_replay,
    supervise,
)
from sim.env import SPEED_M_S, TaskEnv
from sim.pictures import Pictures

Policy = Callable[[Float32], Float32]
PAUSE = round(HANDBACK_S * 10)
PUSH = OperatorInput(stick=(1.0, 1.0, 1.0), grip=-1.0, takeover=True)  # faster than the arm may go
WATCH = OperatorInput()


class Script:
    """An operator who does at each tick what stands there, and afterwards what stands last."""

    def __init__(self, inputs: Sequence[OperatorInput]) -> None:
        self._inputs = list(inputs)
        self._tick = -1

    def watch(self, scene: Scene) -> OperatorInput:
        self._tick += 1
        return self._inputs[min(self._tick, len(self._inputs) - 1)]

    @property
    def finished(self) -> bool:
        return self._tick + 1 >= len(self._inputs)


def scripted(*parts: tuple[OperatorInput, int]) -> SimulatedOperator:
    return cast(SimulatedOperator, Script([given for given, ticks in parts for _ in range(ticks)]))


@pytest.fixture
def env() -> Iterator[TaskEnv]:
    env = TaskEnv("pick_cube")
    yield env
    env.close()


@pytest.fixture
def side() -> Iterator[TaskEnv]:
    env = TaskEnv("pick_cube")
    yield env
    env.close()


LEFTWARDS = np.array([0.0, 0.4, 0.1, 1.0], np.float32)
PUSHING = np.array([1.0, 1.0, 1.0, -1.0], np.float32)


def leftwards(obs: Float32, seen: Pictures) -> Float32:
    return LEFTWARDS


def drivers(rollout: Rollout) -> list[Driver]:
    return rollout.recorder.driver


def test_without_a_takeover_the_policy_drives_all_of_it(env: TaskEnv) -> None:
    rollout = supervise(env, leftwards, scripted((WATCH, 1)), seed=1)
    assert drivers(rollout) == [Driver.POLICY] * env.horizon
    assert (rollout.takeovers, rollout.presses, rollout.operator_steps) == ((), (), 0)
    np.testing.assert_allclose(np.stack(rollout.recorder.action[:5]), np.tile(LEFTWARDS, (5, 1)), atol=1e-6)
    np.testing.assert_array_equal(np.stack(rollout.recorder.proposed), np.tile(LEFTWARDS, (env.horizon, 1)))


def test_a_takeover_stores_what_was_executed_what_was_proposed_and_who_drove(env: TaskEnv) -> None:
    rollout = supervise(env, leftwards, scripted((WATCH, 8), (PUSH, 6), (WATCH, 1)), seed=1)
    recorder = rollout.recorder
    (taken,) = rollout.takeovers
    assert (taken.start, taken.length, rollout.operator_steps) == (8, 6, 6)
    assert [tick for tick, driver in enumerate(recorder.driver) if driver is Driver.OPERATOR] == list(
        range(8, 14)
    )
    top = env.robot.spec.max_speed_m_s / SPEED_M_S
    for tick in range(8, 14):
        assert np.linalg.norm(recorder.action[tick][:3]) <= top * (1 + 1e-6) < np.sqrt(3)
        assert recorder.action[tick][3] == -1.0
        np.testing.assert_array_equal(recorder.proposed[tick], LEFTWARDS)


def test_after_a_release_the_arm_is_held_for_the_pause_and_then_the_policy_goes_on(env: TaskEnv) -> None:
    rollout = supervise(env, leftwards, scripted((WATCH, 8), (PUSH, 6), (WATCH, 1)), seed=1)
    moved = np.array([np.abs(action).max() > 0 for action in rollout.recorder.action])
    assert moved[:14].all()
    assert not moved[14 : 14 + PAUSE].any()
    assert moved[14 + PAUSE :].all()
    speeds = Scene.unpack(np.stack(rollout.recorder.scenes), ["cube"]).tool_vel_m_s
    assert np.abs(speeds[14 + PAUSE]).max() < 0.01


def test_taking_over_again_during_the_pause_begins_another_takeover(env: TaskEnv) -> None:
    inputs = ((WATCH, 5), (PUSH, 4), (WATCH, 2), (PUSH, 3), (WATCH, 1))
    rollout = supervise(env, leftwards, scripted(*inputs), seed=1)
    assert [(taken.start, taken.length) for taken in rollout.takeovers] == [(5, 4), (11, 3)]
    assert rollout.operator_steps == 7


def test_a_takeover_that_lasts_to_the_end_counts_and_so_does_one_of_a_single_step(env: TaskEnv) -> None:
    inputs = ((WATCH, 3), (PUSH, 1), (WATCH, env.horizon - 9), (PUSH, 99))
    rollout = supervise(env, leftwards, scripted(*inputs), seed=1)
    assert [(taken.start, taken.length) for taken in rollout.takeovers] == [(3, 1), (env.horizon - 5, 5)]


def test_presses_stand_at_the_step_that_was_running(env: TaskEnv) -> None:
    good, bad = OperatorInput(press=Press.GOOD), OperatorInput(press=Press.BAD)
    rollout = supervise(
        env, leftwards, scripted((WATCH, 7), (good, 1), (WATCH, 20), (bad, 1), (WATCH, 1)), seed=1
    )
    assert rollout.presses == ((7, Press.GOOD), (28, Press.BAD))


def test_a_counterfactual_starts_at_the_takeovers_very_state_and_is_as_long(
    env: TaskEnv, side: TaskEnv
) -> None:
    rollout = supervise(env, leftwards, scripted((WATCH, 8), (PUSH, 6), (WATCH, 1)), seed=1)
    (taken,) = rollout.takeovers
    other = counterfactual(side, taken, leftwards)
    assert len(other.action) == taken.length
    np.testing.assert_array_equal(other.obs[0], rollout.recorder.obs[taken.start])
    np.testing.assert_array_equal(other.scenes[0], rollout.recorder.scenes[taken.start])
    assert set(other.driver) == {Driver.POLICY}
    assert not np.allclose(other.scenes[-1], rollout.recorder.scenes[taken.start + taken.length], atol=0.01)


def test_a_policy_that_had_done_the_same_would_have_come_to_the_same_to_the_bit(
    env: TaskEnv, side: TaskEnv
) -> None:
    rollout = supervise(env, leftwards, scripted((WATCH, 8), (PUSH, 6), (WATCH, 1)), seed=1)
    (taken,) = rollout.takeovers
    span = slice(taken.start, taken.start + taken.length + 1)
    other = counterfactual(side, taken, lambda obs, seen: PUSHING)
    np.testing.assert_array_equal(other.scenes, rollout.recorder.scenes[span])
    np.testing.assert_array_equal(other.obs, rollout.recorder.obs[span])


def test_keeping_states_for_counterfactuals_changes_nothing_of_the_episode(
    env: TaskEnv, side: TaskEnv
) -> None:
    """The same actions without anybody taking over lead to the same places."""
    rollout = supervise(env, leftwards, scripted((WATCH, 8), (PUSH, 6), (WATCH, 1)), seed=1)
    asked = iter(
        [LEFTWARDS] * 8 + [PUSHING] * 6 + [np.zeros(4, np.float32)] * PAUSE + [LEFTWARDS] * side.horizon
    )
    alone = supervise(side, lambda obs, seen: next(asked), scripted((WATCH, 1)), seed=1)
    np.testing.assert_array_equal(alone.recorder.scenes, rollout.recorder.scenes)


def test_a_demonstration_is_the_operators_from_start_to_end(env: TaskEnv) -> None:
    recorder = demonstrate(env, scripted((PUSH, 12)), seed=2)
    assert recorder.driver == [Driver.OPERATOR] * 12
    assert np.isnan(recorder.proposed).all()
    episode = recorder.episode(3, Role.DEMONSTRATION, "pick_cube", 2, 0)
    assert (episode.length, episode.terminated, episode.truncated) == (12, False, True)
    assert episode.operator_steps.all()


def test_a_demonstration_ends_with_the_horizon_at_the_latest(env: TaskEnv) -> None:
    assert len(demonstrate(env, scripted((PUSH, 999)), seed=2).action) == env.horizon


@pytest.fixture
def demonstration(env: TaskEnv) -> Recorder:
    operator = SimulatedOperator(env.task, OperatorConfig(), SPEED_M_S, env.control_hz)
    operator.begin(np.random.default_rng(4), True, False, False)
    return demonstrate(env, operator, seed=4)


def test_a_replay_without_noise_is_the_demonstration_again(demonstration: Recorder, side: TaskEnv) -> None:
    again = noised_replay(side, demonstration.action, 4, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(again.scenes[0], demonstration.scenes[0])
    np.testing.assert_allclose(again.scenes, demonstration.scenes, atol=1e-4)


def test_more_noise_leads_a_replay_further_astray(demonstration: Recorder, side: TaskEnv) -> None:
    def strayed_m(noise: float) -> float:
        gaps = []
        for seed in range(4):
            again = noised_replay(side, demonstration.action, 4, noise, np.random.default_rng(seed))
            tools = [
                Scene.unpack(np.stack(one.scenes), ["cube"]).tool_pos_m for one in (again, demonstration)
            ]
            gaps.append(np.linalg.norm(tools[0] - tools[1], axis=1).mean())
        return float(np.mean(gaps))

    assert 0.0 < strayed_m(0.1) < strayed_m(1.0)


def test_a_replay_is_as_long_and_follows_from_its_generator(demonstration: Recorder, side: TaskEnv) -> None:
    shown = demonstration.action
    one, other = (noised_replay(side, shown, 4, 0.5, np.random.default_rng(1)) for _ in range(2))
    assert len(one.action) == len(demonstration.action)
    np.testing.assert_array_equal(one.scenes, other.scenes)
