"""The learned reward stands in the place of the environment's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from robot_rlhf.bridge import LearnedReward
from robot_rlhf.commands.trained import read_learner
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import RunError, RunFolder
from sim.env import TaskEnv
from sim.pictured import make_env
from tests.conftest import FinishedRun

SEEN: dict[str, Any] = {"cameras": ("front", "wrist"), "camera_px": 40}


def test_it_is_the_reward_that_the_runs_own_policy_learns_from(finished_run: FinishedRun) -> None:
    _, learner = read_learner(finished_run.folder)
    assert learner is not None
    with LearnedReward(TaskEnv("reach"), finished_run.folder) as env, TaskEnv("reach") as plain:
        obs, _ = env.reset(seed=5)
        plain.reset(seed=5)
        rng = np.random.default_rng(0)
        for _ in range(10):
            action = rng.uniform(-1, 1, 3).astype(np.float32)
            after, reward, *_ = env.step(action)
            _, own, *_ = plain.step(action)
            wanted = learner.reward.score(torch.from_numpy(obs[None]), torch.from_numpy(after[None]))
            assert reward == pytest.approx(float(wanted[0]), abs=1e-6)
            assert reward != own
            obs = after


def test_of_a_run_that_sees_it_is_about_what_its_cameras_show(seeing_run: Path) -> None:
    _, learner = read_learner(seeing_run)
    assert learner is not None and learner.encoder is not None
    pictured = make_env("reach", **SEEN)
    with LearnedReward(pictured, seeing_run) as env, TaskEnv("reach", **SEEN) as plain:
        obs, _ = env.reset(seed=5)
        before = learner.encoder.observe(plain.reset(seed=5)[0], plain.pictures)
        for _ in range(5):
            obs, reward, *_ = env.step(np.ones(3, np.float32))
            after = learner.encoder.observe(plain.step(np.ones(3, np.float32))[0], plain.pictures)
            wanted = learner.reward.score(torch.from_numpy(before[None]), torch.from_numpy(after[None]))
            assert reward == pytest.approx(float(wanted[0]), abs=1e-5)
            before = after
        assert env.observation_space.contains(obs)


def test_an_environment_that_does_not_show_what_the_run_sees_is_refused(seeing_run: Path) -> None:
    blind, one = TaskEnv("reach"), make_env("reach", cameras=("front",), camera_px=40)
    larger = make_env("reach", cameras=("front", "wrist"), camera_px=48)
    for env, said in ((blind, "shows None of 'state'"), (one, "None of 'wrist'"), (larger, "(48, 48, 3)")):
        with env, pytest.raises(ValueError, match=re.escape(said)):
            LearnedReward(env, seeing_run)


def test_it_passes_gymnasiums_checker(finished_run: FinishedRun) -> None:
    env = LearnedReward(gymnasium.make("robot_rlhf:RobotRlhf/Reach-v0"), finished_run.folder)
    check_env(env, skip_render_check=True)
    env.close()


def test_the_tasks_own_reward_is_nowhere_to_be_seen(finished_run: FinishedRun) -> None:
    class Loud(TaskEnv):
        def step(self, action):  # type: ignore[no-untyped-def]
            obs, _, *rest = super().step(action)
            return obs, 12345.0, *rest

    with LearnedReward(Loud("reach"), finished_run.folder) as env:
        env.reset(seed=0)
        _, reward, _, _, info = env.step(np.zeros(3, np.float32))
        assert abs(reward) < 100
        assert not any(np.any(np.asarray(value) == 12345.0) for value in info.values())


def test_an_environment_that_it_is_not_about_is_refused(finished_run: FinishedRun) -> None:
    with TaskEnv("pick_cube") as env, pytest.raises(ValueError, match="is about reach, which has 14"):
        LearnedReward(env, finished_run.folder)
    with (
        TaskEnv("reach", control_hz=20.0) as env,
        pytest.raises(ValueError, match="makes 20 steps a second"),
    ):
        LearnedReward(env, finished_run.folder)


def test_a_run_without_a_reward_is_refused(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", RunConfig(task="reach")).close()
    with TaskEnv("reach") as env, pytest.raises(RunError, match="no fitted reward model yet"):
        LearnedReward(env, tmp_path / "run")


def test_a_step_before_the_first_reset_is_refused(finished_run: FinishedRun) -> None:
    with (
        LearnedReward(TaskEnv("reach"), finished_run.folder) as env,
        pytest.raises(gymnasium.error.ResetNeeded),
    ):
        env.step(np.zeros(3, np.float32))
