"""Control steps a second of one process: ours, panda-gym's and PyBullet's alone, at equal physics, in turns.

A control step is 20 physics steps of 2 ms with 50 solver iterations, a Panda and a 4 cm cube, random actions;
ours and panda-gym's (3.0.7, PandaPickAndPlace) end with an observation and a reward, and PyBullet's alone is
`stepSimulation` 20 times in our scene, with the arm's motors holding. Beside that, ours as it is by default
(5 ms, 40 iterations), in one process and in two.

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
STEPS = 300
"""Control steps of one timed repeat."""
EPISODE = 50  # panda-gym's


def equal() -> tuple[Callable[[], None], SimCell]:
    """Our environment with panda-gym's physics: a function that does STEPS, and its cell."""
    env = TaskEnv("pick_place", 1e9 / (SUBSTEPS * TIMESTEP_NS))
    assert isinstance(env.cell, SimCell)
    env.cell.world.client.setPhysicsEngineParameter(numSolverIterations=ITERATIONS)
    return stepping(env), env.cell


def stepping(env: gymnasium.Env[Any, Any]) -> Callable[[], None]:
    """A function that does STEPS random steps."""
    rng, low, high = np.random.default_rng(0), env.action_space.low, env.action_space.high  # type: ignore[attr-defined]

    def run() -> None:
        for step in range(STEPS):
            if step % EPISODE == 0:
                env.reset(seed=step)
            env.step(rng.uniform(low, high).astype(np.float32))

    return run


def alone(cell: SimCell) -> Callable[[], None]:
    """PyBullet's own steps in our scene."""
    step = cell.world.client.stepSimulation

    def run() -> None:
        for _ in range(STEPS * SUBSTEPS):
            step()

    return run


def panda_gym() -> Callable[[], None]:
    """panda-gym's environment."""
    import panda_gym as registered

    assert registered.__version__
    return stepping(gymnasium.make("PandaPickAndPlace-v3").unwrapped)


def rate(run: Callable[[], None], steps: int = STEPS) -> float:
    """Control steps a second."""
    began = time.perf_counter()
    run()
    return steps / (time.perf_counter() - began)


def side_by_side(processes: int) -> Callable[[], None]:
    """Ours by default, in so many processes, STEPS each."""
    envs = vector_env("pick_place", processes)
    rng = np.random.default_rng(0)

    def run() -> None:
        envs.reset(seed=0)
        for _ in range(STEPS):
            envs.step(rng.uniform(-1.0, 1.0, envs.action_space.shape).astype(np.float32))

    return run


def main() -> None:
    """Print the table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    every = (1_000_000_000 // 50) // TIMESTEP_NS  # our arm's control stays at 50 Hz
    found: dict[str, list[float]] = {name: [] for name in ("ours", "panda_gym", "raw")}
    with (
        mock.patch.object(sim.world, "TIMESTEP_NS", TIMESTEP_NS),
        mock.patch.object(sim.arm, "TIMESTEP_NS", TIMESTEP_NS),
        mock.patch.object(sim.arm, "_EVERY", every),
    ):
        ours, cell = equal()
        runs = {"ours": ours, "panda_gym": panda_gym(), "raw": alone(cell)}
        for run in runs.values():
            run()
        for _ in range(asked.repeats):
            for name, run in runs.items():
                found[name].append(rate(run))
    default = {}
    for processes in (1, 2):
        run = side_by_side(processes)
        run()
        default[processes] = statistics.median(
            rate(run, STEPS * processes) for _ in range(max(1, asked.repeats // 2))
        )
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    print(
        "| control steps a second, one process, equal physics | median | lowest to highest |\n|---|---|---|"
    )
    for name, rates in found.items():
        print(f"| {name} | {medians[name]:.0f} | {min(rates):.0f} to {max(rates):.0f} |")
    print(f"\nours is {medians['ours'] / medians['panda_gym']:.2f} of panda-gym's, ", end="")
    print(f"{medians['ours'] / medians['raw']:.2f} of PyBullet's alone")
    print(f"as it is by default: {default[1]:.0f} from one process, {default[2]:.0f} from two")
    if asked.json is not None:
        machine = {"machine": platform.machine(), "python": platform.python_version()}
        versions = {name: version(name) for name in ("pybullet", "panda-gym", "gymnasium")}
        by_default = {f"ours_default_{count}": value for count, value in default.items()}
        asked.json.write_text(json.dumps(medians | by_default | machine | versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
