"""Control steps a second of one process: ours, panda-gym's and PyBullet's alone, at equal physics, in turns.

A control step is 20 physics steps of 2 ms with 50 solver iterations, a Panda and a 4 cm cube, random actions;
ours and panda-gym's (3.0.7, PandaPickAndPlace) end with an observation and a reward, resets included, and
PyBullet's alone is the part of ours that `stepSimulation` takes. An episode each in turns, in processor
time, so that what else the machine does counts for less; a ratio is the median of those within a turn. Beside
that, ours as it is by default (5 ms, 40 iterations), in one process and in two, on the clock.

    pip install -c constraints.txt -e ".[sim,bench]"
    python benchmarks/sim_speed.py --json sim_speed.json
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import gymnasium
import numpy as np

import sim.arm
import sim.world
from sim.cell import SimCell
from sim.env import TaskEnv
from sim.vector import vector_env

SUBSTEPS, TIMESTEP_NS, ITERATIONS = 20, 2_000_000, 50
STEPS = 50
"""Control steps of one timed repeat: panda-gym's episode."""
SIDE_STEPS = 300


def equal() -> TaskEnv:
    """Our environment with panda-gym's physics."""
    env = TaskEnv("pick_place", 1e9 / (SUBSTEPS * TIMESTEP_NS))
    assert isinstance(env.cell, SimCell)
    env.cell.world.client.setPhysicsEngineParameter(numSolverIterations=ITERATIONS)
    return env


def stepping(env: gymnasium.Env[Any, Any]) -> Callable[[], float]:
    """A function that does an episode of random steps, and returns the seconds that it took."""
    rng, low, high = np.random.default_rng(0), env.action_space.low, env.action_space.high  # type: ignore[attr-defined]

    def run() -> float:
        began = time.process_time()
        env.reset(seed=0)
        for _ in range(STEPS):
            env.step(rng.uniform(low, high).astype(np.float32))
        return time.process_time() - began

    return run


def alone(env: TaskEnv) -> Callable[[], float]:
    """The same episode: the seconds of it that PyBullet's own `stepSimulation` took."""
    assert isinstance(env.cell, SimCell)
    world, spent = env.cell.world, 0.0
    bullet, run = world._step, stepping(env)

    def step() -> None:
        nonlocal spent
        began = time.process_time()
        bullet()
        spent += time.process_time() - began

    def timed() -> float:
        nonlocal spent
        with mock.patch.object(world, "_step", step):
            spent = 0.0
            run()
        return spent

    return timed


def panda_gym() -> Callable[[], float]:
    """The same in panda-gym's environment."""
    import panda_gym as registered

    assert registered.__version__
    return stepping(gymnasium.make("PandaPickAndPlace-v3").unwrapped)


def side_by_side(processes: int, repeats: int) -> float:
    """Control steps a second, on the clock, of ours by default in so many processes."""
    envs = vector_env("pick_place", processes)
    rng, found = np.random.default_rng(0), []
    for _ in range(1 + repeats):
        envs.reset(seed=0)
        began = time.perf_counter()
        for _ in range(SIDE_STEPS):
            envs.step(rng.uniform(-1.0, 1.0, envs.action_space.shape).astype(np.float32))
        found.append(SIDE_STEPS * processes / (time.perf_counter() - began))
    envs.close()
    return statistics.median(found[1:])


def main() -> None:
    """Print the table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--repeats", type=int, default=41)
    asked = parser.parse_args()
    every = (1_000_000_000 // 50) // TIMESTEP_NS  # our arm's control stays at 50 Hz
    found: dict[str, list[float]] = {name: [] for name in ("ours", "panda_gym", "raw")}
    with (
        mock.patch.object(sim.world, "TIMESTEP_NS", TIMESTEP_NS),
        mock.patch.object(sim.arm, "TIMESTEP_NS", TIMESTEP_NS),
        mock.patch.object(sim.arm, "_EVERY", every),
    ):
        runs = {
            "ours": stepping(equal()),
            "panda_gym": panda_gym(),
            "raw": alone(equal()),
        }
        for run in runs.values():
            run()
        for _ in range(asked.repeats):
            for name, run in runs.items():
                found[name].append(STEPS / run())
    default = {count: side_by_side(count, max(1, asked.repeats // 10)) for count in (1, 2)}
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    print(
        "| control steps a second, one process, equal physics | median | lowest to highest |\n|---|---|---|"
    )
    for name, rates in found.items():
        print(f"| {name} | {medians[name]:.0f} | {min(rates):.0f} to {max(rates):.0f} |")
    of = {
        name: statistics.median(a / b for a, b in zip(found["ours"], found[name], strict=True))
        for name in ("panda_gym", "raw")
    }
    print(f"\nours is {of['panda_gym']:.2f} of panda-gym's, {of['raw']:.2f} of PyBullet's alone")
    print(f"as it is by default: {default[1]:.0f} from one process, {default[2]:.0f} from two")
    if asked.json is not None:
        machine = {"machine": platform.machine(), "python": platform.python_version()}
        versions = {name: version(name) for name in ("pybullet", "panda-gym", "gymnasium")}
        by_default = {f"ours_default_{count}": value for count, value in default.items()}
        asked.json.write_text(json.dumps(medians | by_default | machine | versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
