"""Milliseconds a picture: a policy's (`sim.eyes`) beside the fine ones for people (`sim.camera`).

python benchmarks/eye_speed.py
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from functools import partial

from sim.camera import Camera
from sim.description import describe
from sim.env import TaskEnv
from sim.eyes import Eyes
from sim.viewpoint import viewpoint_named

VIEW, REPEATS = "front", 21


def milliseconds(look: Callable[[], object]) -> float:
    """The median of some looks, in processor time, after one that does not count."""
    look()
    taken = []
    for _ in range(REPEATS):
        began = time.process_time()
        look()
        taken.append(1e3 * (time.process_time() - began))
    return statistics.median(taken)


def main() -> None:
    """Draw, and print a table."""
    print("| task | pixels | eyes | camera |\n|---|---|---|---|")
    for name in ("reach", "pick_cube"):
        with contextlib.closing(TaskEnv(name)) as env:
            env.reset(seed=0)
            scene, row, view = env.scene, env.scene.pack(), viewpoint_named(VIEW)
            for pixels in (64, 128):
                eyes = Eyes(describe(env.task), (VIEW,), pixels)
                with contextlib.closing(eyes), Camera(env.task, pixels, pixels) as camera:
                    small = milliseconds(partial(eyes.look, scene))
                    fine = milliseconds(partial(camera.picture, row, view))
                print(f"| {name} | {pixels} | {small:.1f} ms | {fine:.0f} ms |", flush=True)


if __name__ == "__main__":
    main()
