"""The Gymnasium environment keeps Gymnasium's contract, and what it says was executed was."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

import robot_rlhf
from hardware.limits import limit
from hardware.robot import Command, Limit
from robot_rlhf.feedback.hands import Hands, HandsConfig
from robot_rlhf.session.rollout import hand_action
from sim.env import SPEED_M_S, TaskEnv

ROOT = Path(__file__).parents[2]
MakeEnv = Callable[..., TaskEnv]
REGISTERED = sorted(robot_rlhf.ENVIRONMENTS)


@pytest.mark.parametrize("name", REGISTERED)
def test_gymnasiums_checker_is_content(name: str) -> None:
    env = gymnasium.make(f"robot_rlhf:{name}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*Box observation space (min|max)imum value.*")
        check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("name", REGISTERED)
def test_stable_baselines_checker_is_content(name: str) -> None:
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    env = gymnasium.make(f"robot_rlhf:{name}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb3_check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("name", REGISTERED)
def test_a_registered_name_makes_its_task(name: str) -> None:
    env = gymnasium.make(name)
    assert isinstance(env.unwrapped, TaskEnv)
    assert env.unwrapped.task.name == robot_rlhf.ENVIRONMENTS[name]
    task = env.unwrapped.task
    assert env.action_space.shape == (3 + task.uses_gripper + task.turns,)
    env.close()


TRAJECTORY = """
import hashlib, sys
import numpy as np
from sim.env import TaskEnv
env = TaskEnv(sys.argv[1])
digest = hashlib.sha256(env.reset(seed=11)[0].tobytes())
rng = np.random.default_rng(0)
for _ in range(env.horizon):
    obs, reward, *_ = env.step(rng.uniform(-1, 1, env.axes).astype(np.float32))
    digest.update(obs.tobytes() + np.float64(reward).tobytes())
print(digest.hexdigest())
"""


def digest_here(env: TaskEnv) -> str:
    digest = hashlib.sha256(env.reset(seed=11)[0].tobytes())
    rng = np.random.default_rng(0)
    for _ in range(env.horizon):
        obs, reward, *_ = env.step(rng.uniform(-1, 1, env.axes).astype(np.float32))
        digest.update(obs.tobytes() + np.float64(reward).tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("task", ["pick_cube", "push"])
def test_a_seed_gives_the_same_trajectory_in_every_construction_and_process(
    task: str, make_env: MakeEnv
) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", TRAJECTORY, task],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert {digest_here(make_env(task)), digest_here(make_env(task))} == {result.stdout.strip()}


def test_another_seed_gives_another_start_and_none_goes_on_with_the_stream(make_env: MakeEnv) -> None:
    env = make_env("pick_cube")
    first, second = env.reset(seed=1)[0], env.reset(seed=2)[0]
    assert not np.array_equal(first, second)
    env.reset(seed=1)
    without = env.reset()[0]
    assert not np.array_equal(without, first)
    env.reset(seed=1)
    np.testing.assert_array_equal(env.reset()[0], without)


def executed(env: TaskEnv, action: list[float]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = env.step(np.array(action, np.float32))[4]["executed"]
    return result


def test_what_was_executed_is_what_the_limits_let_through(make_env: MakeEnv) -> None:
    env = make_env("pick_cube")
    env.reset(seed=0)
    rng, acted = np.random.default_rng(1), set()
    for _ in range(env.horizon):
        action = np.clip(rng.normal(0, 2, 4), -1, 1).astype(np.float32)
        state, before = env.robot.read(), env.robot.read().applied
        told = executed(env, action.tolist())
        twist = np.concatenate([action[:3].astype(np.float64) * SPEED_M_S, np.zeros(3)])
        wish = Command(0, twist, 1.0, 0.2, env.robot.read().applied.command.source)  # type: ignore[union-attr]
        expected = limit(wish, state, before, env.robot.spec, 1.0 / env.robot.spec.control_hz)
        np.testing.assert_allclose(told[:3], expected.command.twist[:3] / SPEED_M_S, atol=1e-6)
        assert np.abs(told).max() <= 1.0
        acted |= set(expected.limits)
    assert {Limit.SPEED, Limit.WORKSPACE} <= acted


def test_at_the_wall_nothing_is_executed_towards_it(make_env: MakeEnv) -> None:
    env = make_env("reach")
    env.reset(seed=0)
    for _ in range(30):
        told = executed(env, [0.0, 1.0, 0.0])
    high = env.robot.spec.workspace_high_m[1]
    assert abs(env.scene.tool_pos_m[1] - high) < 0.01
    assert told[1] < 0.05


def test_the_same_actions_as_executed_lead_to_the_same_places(make_env: MakeEnv) -> None:
    env = make_env("pick_cube")
    rng = np.random.default_rng(3)
    wishes = rng.uniform(-1, 1, (60, 4)).astype(np.float32)
    env.reset(seed=4)
    told = [executed(env, wish.tolist()) for wish in wishes]
    there = env.scene.pack()
    env.reset(seed=4)
    for action in told:
        np.testing.assert_allclose(executed(env, action.tolist()), action, atol=1e-6)
    np.testing.assert_allclose(env.scene.pack(), there, atol=1e-4)


def test_actions_beyond_the_box_are_cut_to_it(make_env: MakeEnv) -> None:
    env, other = make_env("reach"), make_env("reach")
    env.reset(seed=0)
    other.reset(seed=0)
    np.testing.assert_array_equal(executed(env, [5.0, -7.0, 0.0]), executed(other, [1.0, -1.0, 0.0]))
    assert np.array_equal(env.scene.pack(), other.scene.pack())


@pytest.mark.parametrize("task", ["reach", "push", "pick_cube"])
@pytest.mark.parametrize("control_hz", [10.0, 20.0])
def test_the_horizon_is_fixed_whatever_happens(task: str, control_hz: float, make_env: MakeEnv) -> None:
    env = make_env(task, control_hz)
    env.reset(seed=0)
    assert env.horizon == round(env.task.horizon_s * control_hz)
    rest = np.zeros(env.axes, np.float32)
    ends = [env.step(rest)[2:4] for _ in range(env.horizon)]
    assert ends == [(False, False)] * (env.horizon - 1) + [(False, True)]
    assert env.cell.now_ns() >= env.task.horizon_s * 1e9 * 0.99


def expert_episode(env: TaskEnv) -> tuple[int, bool, bool, bool]:
    """(steps, terminated, truncated, ever successful) of an episode by ideal hands."""
    hands = Hands(env.task.expert, HandsConfig(ideal=True), SPEED_M_S, env.control_hz)
    hands.begin(np.random.default_rng(0), may_botch=False)
    env.reset(seed=1)
    steps, over, ever, terminated, truncated = 0, False, False, False, False
    while not over:
        _, _, terminated, truncated, info = env.step(hand_action(hands.drive(env.scene), env.axes))
        steps, over, ever = steps + 1, terminated or truncated, ever or bool(info["is_success"])
    return steps, terminated, truncated, ever


def test_success_ends_nothing_unless_asked_to(make_env: MakeEnv) -> None:
    fixed, ending = make_env("reach"), make_env("reach", end_on_success=True)
    assert expert_episode(fixed) == (fixed.horizon, False, True, True)
    steps, terminated, truncated, succeeded = expert_episode(ending)
    assert steps < ending.horizon
    assert (terminated, truncated, succeeded) == (True, False, True)


def test_the_reward_is_the_tasks_utility_of_what_is_seen(make_env: MakeEnv) -> None:
    env = make_env("pick_cube")
    env.reset(seed=0)
    for _ in range(5):
        obs, reward, *_ = env.step(np.array([0.2, -0.3, -1.0, 1.0], np.float32))
        assert reward == pytest.approx(float(env.task.utility(env.scene)))
        np.testing.assert_array_equal(obs, env.task.observe(env.scene))


def test_the_gripper_keeps_what_it_was_told_within_the_band(make_env: MakeEnv) -> None:
    env = make_env("pick_cube")
    env.reset(seed=0)
    targets = []
    for grip in (0.0, -0.1, -0.5, 0.1, -0.19, 0.6, 0.0):
        env.step(np.array([0.0, 0.0, 0.0, grip], np.float32))
        targets.append(float(env.scene.gripper_target))
    assert targets == [1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0]


def test_without_a_gripper_in_the_task_the_hand_is_closed(make_env: MakeEnv) -> None:
    env = make_env("push")
    env.reset(seed=0)
    assert float(env.scene.gripper) < 0.05
    assert float(env.scene.gripper_target) == 0.0


@pytest.mark.parametrize(
    "action",
    [
        [0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [[0.0, 0.0, 0.0, 0.0]],
        [0.0, float("nan"), 0.0, 0.0],
        [0.0, 0.0, 0.0, float("nan")],
        [float("inf"), 0.0, 0.0, 0.0],
    ],
)
def test_an_action_that_is_none_is_refused_and_moves_nothing(action: object, make_env: MakeEnv) -> None:
    env = make_env("pick_cube")
    env.reset(seed=0)
    before, time_ns = env.scene.pack(), env.cell.now_ns()
    with pytest.raises(ValueError, match=r"expected \(4,\) finite numbers"):
        env.step(np.array(action, np.float32))
    assert env.cell.now_ns() == time_ns
    env.restore(env.save())
    np.testing.assert_array_equal(env.scene.pack(), before)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_stable_baselines_sac_learns_to_reach_unchanged() -> None:
    """Twenty thousand steps of SB3's own SAC with its own settings, minutes on one core."""
    import torch
    from stable_baselines3 import SAC

    torch.set_num_threads(1)
    env = gymnasium.make("robot_rlhf:RobotRlhf/Reach-v0")
    model = SAC("MlpPolicy", env, seed=0, device="cpu")

    def success_rate() -> float:
        test_env = gymnasium.make("robot_rlhf:RobotRlhf/Reach-v0", end_on_success=True)
        successes = 0
        for seed in range(500, 530):
            obs, _ = test_env.reset(seed=seed)
            over, info = False, {"is_success": False}
            while not over:
                action, _ = model.predict(obs, deterministic=True)
                obs, _, terminated, truncated, info = test_env.step(action)
                over = terminated or truncated
            successes += bool(info["is_success"])
        test_env.close()
        return successes / 30

    untrained = success_rate()
    model.learn(total_timesteps=20_000)
    trained = success_rate()
    env.close()
    assert untrained <= 0.1
    assert trained >= 0.6
