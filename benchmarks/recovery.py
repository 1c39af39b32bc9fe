"""Whether a finished pick_cube run's policy, and the clone that it corrects, recover from a missed grasp.

From fresh starts it counts the episodes in which the hand closed on nothing, and those of them that
succeeded. Then it makes the miss: a script closes the hand 24 to 45 mm beside the cube, and whoever is
measured goes on from there with a whole episode's time:

    robot-rlhf demo --headless --task pick_cube --seed 0 --out RUN
    python benchmarks/recovery.py RUN
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from robot_rlhf.commands.trained import read_learner
from robot_rlhf.session.evaluation import Actor
from robot_rlhf.session.learner import Driving
from robot_rlhf.session.seeds import Purpose, seed_of
from sim.env import SPEED_M_S, TaskEnv

BESIDE_M = (0.024, 0.045)
FRESH, MISSED = 0, 7  # streams of evaluation starts
_EMPTY = 0.35  # the hand's opening with the cube in it is 0.50
_HEIGHTS_M = (0.12, 0.025)  # over the place where it will close, and there
_CLOSING_STEPS = 5

Float32 = NDArray[np.float32]


def missed_grasp(env: TaskEnv, seed: int, index: int) -> Float32:
    """The observation (n,) at a start at which the hand has just closed beside the cube."""
    env.reset(seed=seed_of(seed, Purpose.EVALUATION, MISSED, index))
    rng = np.random.default_rng(1000 + index)
    angle, beside_m = rng.uniform(0.0, 2 * np.pi), rng.uniform(*BESIDE_M)
    for height_m in _HEIGHTS_M:
        for _ in range(60):
            place = env.scene.objects["cube"][:2] + beside_m * np.array([np.cos(angle), np.sin(angle)])
            away = np.append(place, height_m) - env.scene.tool_pos_m
            if np.linalg.norm(away) < 0.005:
                break
            env.step(np.append(np.clip(away * 4 / SPEED_M_S, -1, 1), 1.0).astype(np.float32))
    for _ in range(_CLOSING_STEPS):
        env.step(np.array([0, 0, 0, -1], np.float32))
    moment = env.save()
    return env.restore(msgspec.structs.replace(moment, step=0, held=0))


def goes_on(env: TaskEnv, actor: Actor, obs: Float32) -> tuple[bool, bool]:
    """Whether the hand closed on nothing, and whether the episode succeeded, from `obs` on."""
    actor.reset()
    closed_empty = over = success = False
    while not over:
        obs, _, terminated, truncated, info = env.step(actor.act(obs, env.pictures))
        over, success = terminated or truncated, bool(info["is_success"])
        scene = env.scene
        closed_empty |= bool(scene.gripper_target < 0.5 and scene.gripper < _EMPTY)
    return closed_empty, success


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished pick_cube runs")
    parser.add_argument("--starts", type=int, default=100, help="starts of either sort")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    env = TaskEnv("pick_cube", end_on_success=True)
    print(f"| run | who | of {asked.starts} fresh | closed on nothing | and yet succeeded | after a miss |")
    print("|---|---|---|---|---|---|")
    for run in asked.runs:
        config, learner = read_learner(run)
        if learner is None or learner.clone is None or config.task != "pick_cube":
            parser.error(f"{run} is no pick_cube run with a clone")
        actors: dict[str, Actor] = {
            "policy": learner.policy(explore=False),
            "clone": Driving(copy.copy(learner.clone), learner.encoder),
        }
        for who, actor in actors.items():
            fresh, missed = [], []
            for index in range(asked.starts):
                start = env.reset(seed=seed_of(config.seed, Purpose.EVALUATION, FRESH, index))[0]
                fresh.append(goes_on(env, actor, start))
                missed.append(goes_on(env, actor, missed_grasp(env, config.seed, index))[1])
            empty = [success for closed_empty, success in fresh if closed_empty]
            cells = (sum(success for _, success in fresh), len(empty), sum(empty), sum(missed))
            print(f"| {run.name} | {who} | {' | '.join(map(str, cells))} |", flush=True)
    env.close()


if __name__ == "__main__":
    main()
