"""How many pictures a second the console draws, and how long its input thread waits for them.

Scenes are recorded beforehand in another process, so that the one that draws holds what a console
holds: numpy, msgspec and pygame. Each case draws a whole episode, off-screen, several times.

    python benchmarks/picture.py --json picture.json [--load] [--quick]
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import msgspec
import numpy as np
import pygame
from numpy.typing import NDArray

from hardware.appearance import SceneDescription
from robot_rlhf.console.scene.camera import Viewpoint
from robot_rlhf.console.scene.picture import Picture

TASKS = ("reach", "push", "pick_cube")
WIDTH, HEIGHT = 960, 720
INPUT_S = 0.004  # the input thread's period
SWITCH_S = 0.001  # how long Python lets a thread keep the interpreter while another one waits
LOAD = """
import os, torch
os.nice(10)
torch.set_num_threads(1)
a = torch.randn(512, 512)
while os.getppid() == int(os.environ["PARENT"]):
    for _ in range(20):
        a = torch.tanh(a @ a)
"""


@dataclass(frozen=True)
class Drawn:
    """One case. pictures_per_s: median of the repeats; median_ms, p99_ms, worst_ms: of single pictures;
    late_p99_ms and late_worst_ms: by how much a thread that wants to wake every 4 ms does so too late.
    """

    task: str
    case: str
    pictures_per_s: float
    median_ms: float
    p99_ms: float
    worst_ms: float
    late_p99_ms: float
    late_worst_ms: float


def record(task: str) -> tuple[bytes, NDArray[np.float32]]:
    """A description, encoded, and the scene rows of an episode in which the hand goes its way."""
    from sim.description import describe  # not in the process that is measured
    from sim.env import TaskEnv
    from sim.task import make_task

    env = TaskEnv(task)
    try:
        env.reset(seed=1)
        rows = [env.scene.pack()]
        for _ in range(env.horizon):
            goal = env.task.expert(env.scene)
            action = np.zeros(env.axes, np.float32)
            action[:3] = np.clip((goal.pos_m - env.scene.tool_pos_m) * 40, -1, 1)
            action[3:] = 2 * goal.gripper - 1
            env.step(action)
            rows.append(env.scene.pack())
    finally:
        env.close()
    return msgspec.msgpack.encode(describe(make_task(task))), np.stack(rows)


class Lateness:
    """A thread that wants to wake every 4 ms, as the console's input does."""

    def __init__(self) -> None:
        self.late_s: list[float] = []
        self._over = False
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Lateness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()

    def _run(self) -> None:
        while not self._over:
            start = time.perf_counter()
            time.sleep(INPUT_S)
            self.late_s.append(time.perf_counter() - start - INPUT_S)


def cases(description: SceneDescription) -> dict[str, Callable[[int], tuple[pygame.Rect, Viewpoint]]]:
    """name -> area and view of the n-th picture."""
    front = Viewpoint.of(description.view("front"))
    hand = Viewpoint.of(description.view("hand"))
    whole, clip, inset = (pygame.Rect(0, 0, *size) for size in ((WIDTH, HEIGHT), (480, 360), (300, 225)))
    return {
        "main": lambda _: (whole, front),
        "main, orbiting": lambda n: (whole, front.orbited(2.0 * n, 0.0)),
        "clip": lambda _: (clip, front),
        "inset at the hand": lambda _: (inset, hand),
    }


def measure(task: str, encoded: bytes, rows: NDArray[np.float32], repeats: int) -> list[Drawn]:
    description = msgspec.msgpack.decode(encoded, type=SceneDescription)
    surface = pygame.Surface((WIDTH, HEIGHT), 0, 32)
    found = []
    for case, arguments in cases(description).items():
        picture = Picture(description)
        gc.collect()
        gc.freeze()  # as the console does once its imports are done
        rates, times = [], []
        with Lateness() as lateness:
            for _ in range(repeats):
                begin = time.perf_counter()
                for number, row in enumerate(rows):
                    start = time.perf_counter()
                    area, view = arguments(number)
                    picture.draw(surface, area, row, view)
                    times.append(time.perf_counter() - start)
                rates.append(len(rows) / (time.perf_counter() - begin))
        single, late = 1e3 * np.array(times), 1e3 * np.array(lateness.late_s)
        numbers = [np.median(rates), np.median(single), np.quantile(single, 0.99), single.max()]
        numbers += [np.quantile(late, 0.99), late.max()]
        found.append(Drawn(task, case, *(round(float(number), 2) for number in numbers)))
        print(found[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    parser.add_argument("--load", action="store_true", help="beside a niced process that multiplies matrices")
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    options = parser.parse_args()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        recorded = list(pool.map(record, TASKS))
    sys.setswitchinterval(SWITCH_S)
    load = None
    if options.load:
        load = subprocess.Popen([sys.executable, "-c", LOAD], env={**os.environ, "PARENT": str(os.getpid())})
        time.sleep(5.0)  # torch is imported
    try:
        drawn = [
            one
            for task, (encoded, rows) in zip(TASKS, recorded, strict=True)
            for one in measure(task, encoded, rows, 2 if options.quick else 7)
        ]
    finally:
        if load is not None:
            load.terminate()
            load.wait()
    if options.json:
        figures = {
            "python": platform.python_version(),
            "pygame": metadata.version("pygame"),
            "numpy": metadata.version("numpy"),
            "cores": os.cpu_count(),
            "load": options.load,
            "description_bytes": {
                task: len(encoded) for task, (encoded, _) in zip(TASKS, recorded, strict=True)
            },
            "drawn": [asdict(one) for one in drawn],
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
