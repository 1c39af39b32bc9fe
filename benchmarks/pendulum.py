"""Our SAC beside stable-baselines3's on Gymnasium's Pendulum-v1: same steps, networks and batches.

Answers: does our SAC reach SB3's return within the same environment steps? Each cell trains from one
seed and is then evaluated once, deterministically, on fresh starts.

    python benchmarks/pendulum.py --json pendulum.json [--quick]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import gymnasium
import numpy as np
import stable_baselines3
import torch
from numpy.typing import NDArray

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import Driver
from robot_rlhf.learning.policy_config import SACConfig
from robot_rlhf.learning.replay import Replay
from robot_rlhf.learning.sac import SAC

Act = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Observation (3,) -> action (1,) in [-1, 1]."""

ENVIRONMENT = "Pendulum-v1"
TORQUE = 2.0  # the environment's action for our 1.0
EVALUATION_EPISODES = 20
EVALUATION_SEED = 10_000  # starts that no training has seen
RANDOM_STEPS = 200  # one episode of uniform actions before learning starts
CONFIG = SACConfig(
    hidden=256,
    layers=2,
    discount=0.99,
    actor_learning_rate=1e-3,
    critic_learning_rate=1e-3,
    temperature_learning_rate=1e-3,
    target_entropy=-1.0,
    initial_temperature=1.0,
    max_temperature=float("inf"),
    log_std_low=-5.0,
    actor_every=1,
    critic_warmup_updates=0,
    q_filter=False,
    batch_size=256,
    updates_per_step=1,
    actor_average=0.99,
)


@dataclass(frozen=True)
class Cell:
    """One learner, one seed: mean and spread of the return over the evaluation episodes, and environment
    steps (an update each) a second of training."""

    learner: str
    seed: int
    steps: int
    return_mean: float
    return_std: float
    steps_per_s: float


def evaluate(act: Act) -> NDArray[np.float64]:
    """Returns (EVALUATION_EPISODES,) of the policy on fixed fresh starts."""
    env = gymnasium.make(ENVIRONMENT)
    returns = np.zeros(EVALUATION_EPISODES)
    for episode in range(EVALUATION_EPISODES):
        obs, _ = env.reset(seed=EVALUATION_SEED + episode)
        over = False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(TORQUE * act(obs))
            returns[episode] += float(reward)
            over = terminated or truncated
    env.close()
    return returns


def record(env: gymnasium.Env, act: Act, number: int) -> tuple[Episode, NDArray[np.float32]]:
    """One episode driven by `act`, and the environment's rewards (T,)."""
    first, _ = env.reset()
    seen, actions, rewards, truncated = [first], [], [], False
    while not truncated:
        actions.append(act(seen[-1]))
        obs, reward, _, truncated, _ = env.step(TORQUE * actions[-1])
        seen.append(obs)
        rewards.append(float(reward))
    executed = np.array(actions, np.float32)
    episode = Episode(
        id=number,
        role=Role.ONLINE,
        task=ENVIRONMENT,
        seed=0,
        policy_version=0,
        obs=np.array(seen, np.float32),
        action=executed,
        proposed=executed,
        driver=np.full(len(executed), Driver.POLICY, np.uint8),
        scenes=np.zeros((len(seen), 1), np.float32),
        terminated=False,
        truncated=True,
    )
    return episode, np.array(rewards, np.float32)


def train_ours(seed: int, steps: int) -> Cell:
    """Our SAC, with as many updates as steps, taken between episodes."""
    env = gymnasium.make(ENVIRONMENT)
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    sac, replay = SAC(3, 1, CONFIG, seed), Replay(3, 1)

    def explore(obs: NDArray[np.float32]) -> NDArray[np.float32]:
        return rng.uniform(-1.0, 1.0, 1).astype(np.float32)

    taken, number = 0, 0
    start = time.perf_counter()
    while taken < steps:
        act = explore if taken < RANDOM_STEPS else sac.act
        episode, rewards = record(env, act, number)
        replay.add(episode)
        replay.set_rewards(number, rewards)
        taken, number = taken + episode.length, number + 1
        sac.train(replay, episode.length * CONFIG.updates_per_step, rng)
    rate = taken / (time.perf_counter() - start)
    env.close()
    returns = evaluate(lambda obs: sac.act(obs, deterministic=True, averaged=True))
    return Cell("robot-rlhf", seed, taken, float(returns.mean()), float(returns.std()), rate)


def train_sb3(seed: int, steps: int) -> Cell:
    """stable-baselines3's SAC with the same settings, an update a step."""
    env = gymnasium.make(ENVIRONMENT)
    model = stable_baselines3.SAC(
        "MlpPolicy",
        env,
        learning_rate=CONFIG.critic_learning_rate,
        learning_starts=RANDOM_STEPS,
        batch_size=CONFIG.batch_size,
        tau=CONFIG.target_rate,
        gamma=CONFIG.discount,
        policy_kwargs={"net_arch": [CONFIG.hidden] * CONFIG.layers},
        seed=seed,
        device="cpu",
    )
    start = time.perf_counter()
    model.learn(steps)
    rate = steps / (time.perf_counter() - start)
    returns = evaluate(lambda obs: np.asarray(model.predict(obs, deterministic=True)[0] / TORQUE, np.float32))
    env.close()
    return Cell("sb3", seed, steps, float(returns.mean()), float(returns.std()), rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the results go")
    parser.add_argument("--quick", action="store_true", help="two seeds and 3,000 steps, not five and 10,000")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads for both learners")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    seeds, steps = (range(2), 3_000) if arguments.quick else (range(5), 10_000)
    cells: list[Cell] = []
    print(f"{'learner':<12}{'seed':>6}{'steps':>8}{'return':>10}{'+-':>8}{'steps/s':>9}")
    for seed in seeds:
        for train in (train_ours, train_sb3):
            cell = train(seed, steps)
            cells.append(cell)
            print(
                f"{cell.learner:<12}{cell.seed:>6}{cell.steps:>8}{cell.return_mean:>10.1f}"
                f"{cell.return_std:>8.1f}{cell.steps_per_s:>9.0f}",
                flush=True,
            )
    for learner in ("robot-rlhf", "sb3"):
        means = [cell.return_mean for cell in cells if cell.learner == learner]
        print(f"{learner:<12} median return over {len(means)} seeds: {np.median(means):.1f}")
    result = {
        "benchmark": "pendulum",
        "quick": arguments.quick,
        "threads": arguments.threads,
        "machine": {"processor": platform.machine(), "system": platform.system()},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "gymnasium": gymnasium.__version__,
            "stable_baselines3": stable_baselines3.__version__,
        },
        "config": asdict(CONFIG),
        "evaluation_episodes": EVALUATION_EPISODES,
        "cells": [asdict(cell) for cell in cells],
    }
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
