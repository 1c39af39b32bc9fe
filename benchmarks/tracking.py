"""How exactly the simulated arm does what it is told, and what other physics timesteps would change.

Drives the tool along each axis, both ways, through several places, and stops it; then lets the scripted
expert pick cubes, at several physics rates with the arm's own control rate kept. Tool positions are
read after every physics step.

    python benchmarks/tracking.py --json tracking.json [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray

import sim.arm
import sim.world
from hardware.robot import Command, Source
from robot_rlhf.commands.evaluate import ExpertActor
from sim.cell import SimCell
from sim.env import TaskEnv

Array = NDArray[np.float64]

AXES = ("x", "y", "z")
SPEEDS_M_S = (0.05, 0.10, 0.15)
CENTRES_M = ((0.40, 0.00, 0.20), (0.50, 0.00, 0.15), (0.60, 0.15, 0.20))
DRIVE_S, STEADY_S, REST_S = 1.0, 0.5, 1.0
TICK_S = 0.1  # a command a tick, as in TaskEnv at 10 Hz
RATES_HZ = (100, 200, 400)  # compared with our own
OWN_HZ = round(1e9 / sim.world.TIMESTEP_NS)
CONTROL_HZ = OWN_HZ // sim.arm._EVERY
NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Tracking:
    """The worst of all drives along one axis at one speed.

    velocity_error_percent: mean velocity over the last half second of a drive against the command;
    lead_mm: how far the tool is ahead of the commanded point when the drive ends (negative: behind);
    path_error_mm: greatest distance from the commanded line; overshoot_mm: greatest way past the
    commanded end; rest_error_mm: distance from the commanded end a second after the stop; tilt_deg:
    greatest turn away from straight down.
    """

    axis: str
    speed_m_s: float
    velocity_error_percent: float
    lead_mm: float
    path_error_mm: float
    overshoot_mm: float
    rest_error_mm: float
    tilt_deg: float


@dataclass(frozen=True)
class Physics:
    """One physics rate: tracking at the greatest speed, the worst of the axes; the expert's grasps;
    the median processor time of a control step of 0.1 s.

    slip_mm: how far the cube moved in the hand from 1 cm above the table to the end of the episode,
    median and worst of the successes; closing_s: time for the empty hand to close.
    """

    rate_hz: int
    velocity_error_percent: float
    path_error_mm: float
    overshoot_mm: float
    closing_s: float
    grasps: int
    succeeded: int
    mean_steps: float
    slip_median_mm: float
    slip_worst_mm: float
    step_ms: float


@contextlib.contextmanager
def physics_rate(rate_hz: int) -> Iterator[None]:
    """Worlds and arms made and used meanwhile step at `rate_hz`, a multiple of the control rate."""
    timestep_ns, every = NS_PER_S // rate_hz, rate_hz // CONTROL_HZ
    with (
        mock.patch.object(sim.world, "TIMESTEP_NS", timestep_ns),
        mock.patch.object(sim.arm, "TIMESTEP_NS", timestep_ns),
        mock.patch.object(sim.arm, "_EVERY", every),
    ):
        yield


def drive(env: TaskEnv, centre_m: Array, direction: Array, speed_m_s: float) -> tuple[Array, float]:
    """Drive through `centre_m` for DRIVE_S and rest for REST_S. Returns the tool's way from its start,
    (N, 3) m after every physics step, and the greatest tilt in rad."""
    cell = env.cell
    assert isinstance(cell, SimCell)
    cell.world.rewind()
    start = centre_m - direction * speed_m_s * DRIVE_S / 2
    cell.robot.reset(start)
    way, tilt = [], 0.0
    for tick in range(round((DRIVE_S + REST_S) / TICK_S)):
        moving = tick < round(DRIVE_S / TICK_S)
        twist = np.concatenate([direction * speed_m_s * moving, np.zeros(3)])
        env.robot.send(Command(tick, twist, 1.0, 2 * TICK_S, Source.SCRIPT))
        for _ in range(round(TICK_S * NS_PER_S / sim.world.TIMESTEP_NS)):
            env.cell.advance(sim.world.TIMESTEP_NS)
            state = env.robot.read()
            way.append(state.tool_pos_m - start)
            x, y, _, _ = state.tool_quat_xyzw
            tilt = max(tilt, 2 * float(np.arccos(min(1.0, float(np.hypot(x, y))))))
    return np.array(way), tilt


def track(env: TaskEnv, axis: int, speed_m_s: float) -> Tracking:
    """All drives along one axis at one speed."""
    worst = np.zeros(6)
    for centre in CENTRES_M:
        for sign in (1.0, -1.0):
            direction = sign * np.eye(3)[axis]
            way, tilt = drive(env, np.array(centre), direction, speed_m_s)
            along = way @ direction
            across = np.linalg.norm(way - along[:, None] * direction, axis=1)
            per_s = NS_PER_S // sim.world.TIMESTEP_NS
            end = round(DRIVE_S * per_s) - 1
            velocity = (along[end] - along[end - round(STEADY_S * per_s)]) / STEADY_S
            commanded_m = speed_m_s * DRIVE_S
            figures = (
                (velocity / speed_m_s - 1) * 100,
                (along[end] - commanded_m) * 1e3,
                across.max() * 1e3,
                (along.max() - commanded_m) * 1e3,
                np.linalg.norm(way[-1] - commanded_m * direction) * 1e3,
                np.rad2deg(tilt),
            )
            worst = np.where(np.abs(figures) > np.abs(worst), figures, worst)
    return Tracking(AXES[axis], speed_m_s, *(float(value) for value in worst))


def closing_seconds(env: TaskEnv) -> float:
    """How long the empty hand takes from open to closed."""
    cell = env.cell
    assert isinstance(cell, SimCell)
    cell.world.rewind()
    cell.robot.reset(None)
    start_ns = env.cell.now_ns()
    while env.robot.read().gripper > 0.02:
        env.robot.send(Command(0, np.zeros(6), 0.0, 2 * TICK_S, Source.SCRIPT))
        env.cell.advance(sim.world.TIMESTEP_NS)
    return (env.cell.now_ns() - start_ns) / NS_PER_S


def pick(env: TaskEnv, seed: int) -> tuple[bool, int, float, list[float]]:
    """One episode of the expert: whether the cube is held up at its end, steps until it first was, slip
    in mm, and the processor time of every step in ms."""
    env.reset(seed=seed)
    expert = ExpertActor(env)
    expert.reset()
    first, grip, success, costs = env.horizon, None, False, list[float]()
    for step in range(1, env.horizon + 1):
        action = expert.act(np.empty(0, np.float32))
        began = time.process_time()
        *_, info = env.step(action)
        costs.append((time.process_time() - began) * 1e3)
        success = bool(info["is_success"])
        cube = env.scene.objects["cube"]
        if grip is None and cube[2] > 0.03:
            grip = cube[:3] - env.scene.tool_pos_m
        if success:
            first = min(first, step)
    moved = 0.0 if grip is None else env.scene.objects["cube"][:3] - env.scene.tool_pos_m - grip
    return success, first, float(np.linalg.norm(moved)) * 1e3, costs


def at_rate(rate_hz: int, grasps: int) -> Physics:
    """What one physics rate gives."""
    with physics_rate(rate_hz), contextlib.closing(TaskEnv("pick_cube")) as env:
        tracked = [track(env, axis, SPEEDS_M_S[-1]) for axis in range(3)]
        closing_s = closing_seconds(env)
        picked = [pick(env, seed) for seed in range(grasps)]
    slips = [slip for success, _, slip, _ in picked if success] or [float("nan")]
    return Physics(
        rate_hz=rate_hz,
        velocity_error_percent=max((one.velocity_error_percent for one in tracked), key=abs),
        path_error_mm=max(one.path_error_mm for one in tracked),
        overshoot_mm=max(one.overshoot_mm for one in tracked),
        closing_s=closing_s,
        grasps=grasps,
        succeeded=sum(success for success, _, _, _ in picked),
        mean_steps=float(np.mean([steps for _, steps, _, _ in picked])),
        slip_median_mm=float(np.median(slips)),
        slip_worst_mm=max(slips),
        step_ms=float(np.median([cost for _, _, _, costs in picked for cost in costs])),
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows as Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tracking_table(tracked: Sequence[Tracking]) -> str:
    """One line an axis and speed."""
    heads = ("axis", "m/s", "velocity error", "lead", "path error", "overshoot", "error at rest", "tilt")
    rows = [
        (
            one.axis,
            f"{one.speed_m_s:.2f}",
            f"{one.velocity_error_percent:+.2f} %",
            f"{one.lead_mm:+.2f} mm",
            f"{one.path_error_mm:.2f} mm",
            f"{one.overshoot_mm:.2f} mm",
            f"{one.rest_error_mm:.2f} mm",
            f"{one.tilt_deg:.2f} deg",
        )
        for one in tracked
    ]
    return table(heads, rows)


def physics_table(compared: Sequence[Physics]) -> str:
    """One line a physics rate."""
    heads = (
        "physics",
        "velocity error",
        "path error",
        "overshoot",
        "hand closes",
        "cubes held",
        "mean steps",
        "slip, median and worst",
        "processor time a step",
    )
    rows = [
        (
            f"{one.rate_hz} Hz",
            f"{one.velocity_error_percent:+.2f} %",
            f"{one.path_error_mm:.2f} mm",
            f"{one.overshoot_mm:.2f} mm",
            f"{one.closing_s:.2f} s",
            f"{one.succeeded} of {one.grasps}",
            f"{one.mean_steps:.1f}",
            f"{one.slip_median_mm:.1f} and {one.slip_worst_mm:.1f} mm",
            f"{one.step_ms:.1f} ms",
        )
        for one in compared
    ]
    return table(heads, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the results go")
    parser.add_argument("--quick", action="store_true", help="no physics rate but our own, and five cubes")
    arguments = parser.parse_args()
    rates, grasps = ([OWN_HZ], 5) if arguments.quick else (sorted({*RATES_HZ, OWN_HZ}), 20)
    with contextlib.closing(TaskEnv("pick_cube")) as env:
        tracked = [track(env, axis, speed) for axis in range(3) for speed in SPEEDS_M_S]
    print(tracking_table(tracked), flush=True)
    compared = [at_rate(rate, grasps) for rate in rates]
    print(f"\n{physics_table(compared)}")
    result = {
        "benchmark": "tracking",
        "quick": arguments.quick,
        "machine": {"processor": platform.machine(), "system": platform.system()},
        "versions": {name: metadata.version(name) for name in ("numpy", "pybullet")},
        "control_hz": CONTROL_HZ,
        "tracking": [asdict(one) for one in tracked],
        "physics": [asdict(one) for one in compared],
    }
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
