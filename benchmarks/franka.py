"""How exactly and how soon a Franka does what it is told, by default against franky-sim, which this starts.

A pick's commands, recorded from the scripted expert in simulation, are followed from where the arm stands:
the tool's distance, at every reading, from where what was applied would have taken it since the first. Then,
from rest, the time from a command to the first reading in which the tool moves at 5 mm/s. Of the driver both
are told by the arm's own clock, so that a simulator that cannot keep up changes nothing; a client of a host
sees the host's clock alone:

    python benchmarks/franka.py --json FILE [--host 172.16.0.2 --realtime enforce]

With a real arm: 30 cm of free space around the tool, and the emergency stop within reach.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hardware.drivers import make_driver
from hardware.limits import limit
from hardware.remote import RemoteRobot
from hardware.robot import Command, Robot, RobotState, Source, StaleStateError, Vector
from robot_rlhf.feedback.hands import Hands, HandsConfig
from sim.env import SPEED_M_S, TaskEnv

PICKS, STARTS = 3, 40
RECORDED_HZ = 10.0
PERIOD_S, LASTS_S = 0.01, 0.1
LOOK_S = 0.0005
MOVING_M_S, STILL_M_S = 0.005, 0.001
NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Recorded:
    """A command of a pick, which lasts 1 / RECORDED_HZ: the tool's velocity, m/s, and the opening."""

    velocity_m_s: Vector
    gripper: float


def pick(seed: int) -> list[Recorded]:
    """What the scripted expert sends until the cube is held up, or time is up."""
    with closing(TaskEnv("pick_cube", RECORDED_HZ, end_on_success=True)) as env:
        env.reset(seed=seed)
        hands = Hands(env.task.expert, HandsConfig(ideal=True), SPEED_M_S, RECORDED_HZ)
        hands.begin(np.random.default_rng(seed), may_botch=False)
        recorded, over = [], False
        while not over:
            given = hands.drive(env.scene)
            *_, terminated, truncated, _ = env.step(np.array([*given.stick, given.grip], dtype=np.float32))
            recorded.append(Recorded(SPEED_M_S * np.array(given.stick), env.gripper_target))
            over = terminated or truncated
        return recorded


def follow(arm: Robot, recorded: Sequence[Recorded]) -> NDArray[np.float64]:
    """Have the arm do it, within the limits that a host keeps it to. The tool's distance from where it should
    be, m, at every reading."""
    state, applied = arm.read(), None
    start_ns, should_be_m, errors, seq = state.time_ns, state.tool_pos_m, [], 0
    for number, one in enumerate(recorded, 1):
        twist = np.concatenate([one.velocity_m_s, np.zeros(3)])
        while state.time_ns - start_ns < number * NS_PER_S / RECORDED_HZ:
            seq += 1
            command = Command(seq, twist, one.gripper, LASTS_S, Source.SCRIPT)
            applied = arm.send(limit(command, state, applied, arm.spec, PERIOD_S).command)
            time.sleep(PERIOD_S)
            before_ns, state = state.time_ns, arm.read()
            should_be_m = should_be_m + applied.command.twist[:3] * (state.time_ns - before_ns) / NS_PER_S
            errors.append(float(np.linalg.norm(state.tool_pos_m - should_be_m)))
    arm.stop()
    return np.array(errors)


def delay_s(send: Callable[[Vector], None], read: Callable[[], RobotState], sign: float) -> float:
    """From a command at rest to the first reading in which the tool moves, on the readings' clock."""
    while np.linalg.norm((state := read()).tool_twist[:3]) > STILL_M_S:
        time.sleep(LOOK_S)
    twist = np.array([0.0, 0.0, sign * 0.1, 0.0, 0.0, 0.0])
    began_ns, due_s = state.time_ns, 0.0
    while np.linalg.norm(state.tool_twist[:3]) < MOVING_M_S:
        if time.monotonic() >= due_s:
            send(twist)
            due_s = time.monotonic() + PERIOD_S
        time.sleep(LOOK_S)
        state = read()
    time.sleep(2 * LASTS_S)
    return (state.time_ns - began_ns) / NS_PER_S


def delays_of_driver(arm: Robot) -> list[float]:
    """As a program on the control PC sees it, s each."""
    seq = iter(range(10**6))

    def send(twist: Vector) -> None:
        arm.send(Command(next(seq), twist, 1.0, LASTS_S, Source.SCRIPT))

    return [delay_s(send, arm.read, sign) for sign in (1.0, -1.0) * (STARTS // 2)]


def delays_of_host(address: str) -> list[float]:
    """As a client of a host of the arm sees it, over loopback, s each."""
    seq = iter(range(10**6))
    with closing(RemoteRobot(address)) as robot:
        robot.arm()
        robot.take(Source.SCRIPT)

        def read() -> RobotState:
            robot.present()
            while True:
                with suppress(StaleStateError):
                    return robot.read()

        def send(twist: Vector) -> None:
            robot.send(Command(next(seq), twist, 1.0, LASTS_S, Source.SCRIPT))

        return [delay_s(send, read, sign) for sign in (1.0, -1.0) * (STARTS // 2)]


@contextmanager
def simulator() -> Iterator[str]:
    """franky-sim, and its address."""
    program = Path(sysconfig.get_path("scripts")) / "franky-sim"
    process = subprocess.Popen([program, "-s", "mujoco"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = next((line for line in process.stdout if "Connect to" in line), "")
        if not said:
            raise SystemExit("franky-sim did not start")
        yield said.split("'")[1]
    finally:
        process.kill()
        process.wait()


@contextmanager
def served(options: dict[str, str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A host of the arm in a process of its own: where it is asked, and the process."""
    words = ["--driver", "franka", "--bind", "tcp://127.0.0.1:*"]
    given = [f"{name}={value}" for name, value in options.items()]
    host = subprocess.Popen(
        [sys.executable, "-m", "hardware.host", *words, "--option", *given], stdout=subprocess.PIPE, text=True
    )
    try:
        assert host.stdout is not None
        yield host.stdout.readline().split()[2], host
    finally:
        host.terminate()
        host.wait()


def figures(values: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    """In thousandths: p50, p99 and the largest."""
    p50, p99, most = 1e3 * np.percentile(values, [50, 99, 100])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2), "max": round(float(most), 2)}


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--host", help="a Franka's address, instead of franky-sim")
    parser.add_argument("--realtime", choices=("enforce", "ignore"), default="ignore")
    asked = parser.parse_args()
    picks = [pick(seed) for seed in range(PICKS)]
    with ExitStack() as stack:
        address = asked.host or stack.enter_context(simulator())
        options = {"host": address, "realtime": asked.realtime}
        with closing(make_driver("franka", options)) as arm:
            began_s, began_ns = time.monotonic(), arm.read().time_ns
            errors = []
            for recorded in picks:
                errors.append(follow(arm, recorded))
                back = [Recorded(-one.velocity_m_s, 1.0) for one in reversed(recorded)]
                follow(arm, back)
            clock = (arm.read().time_ns - began_ns) / NS_PER_S / (time.monotonic() - began_s)
            direct = delays_of_driver(arm)
        with served(options) as (where, _):
            remote = delays_of_host(where)
    result = {
        "arm": asked.host or "franky-sim",
        "tracking_error_mm": figures(np.concatenate(errors)),
        "error_at_the_end_mm": [round(1e3 * float(one[-1]), 2) for one in errors],
        "command_to_motion_of_the_driver_ms": figures(direct),
        "command_to_motion_of_a_client_ms": figures(remote),
        "readings": sum(len(one) for one in errors),
        "arm_clock_over_ours": round(clock, 3),
    }
    print("| | p50 | p99 | max |\n|---|---|---|---|")
    rows = (
        (f"the tool from where it should be, {PICKS} picks", np.concatenate(errors), "mm"),
        (f"command to motion, driver, {STARTS}", direct, "ms"),
        (f"command to motion, client of a host, {STARTS}", remote, "ms"),
    )
    for name, values, unit in rows:
        of = figures(values)
        print(f"| {name} | {of['p50']:.1f} {unit} | {of['p99']:.1f} {unit} | {of['max']:.1f} {unit} |")
    print(f"the arm's clock ran at {clock:.2f} of this machine's")
    if asked.json is not None:
        asked.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
