"""Milliseconds a picture: drawn for a policy (`sim.eyes`), made numbers of as a control loop does it
(`learning.sight`), and drawn finely for people (`sim.camera`).

python benchmarks/eye_speed.py
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from functools import partial

from robot_rlhf.learning.encoder import Encoder
from robot_rlhf.learning.encoder_config import EncoderConfig
from robot_rlhf.learning.sight import Sight
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
    print("| task | pixels | drawn | seen | drawn for people |\n|---|---|---|---|---|")
    for name in ("reach", "pick_cube"):
        with contextlib.closing(TaskEnv(name, cameras=(VIEW,))) as env:
            state, _ = env.reset(seed=0)
            sight = Sight.of(Encoder(env.obs_size, (VIEW,), EncoderConfig(), 0).snapshot())
            assert sight is not None
            scene, row, view = env.scene, env.scene.pack(), viewpoint_named(VIEW)
            for pixels in (64, 128):
                eyes = Eyes(describe(env.task), (VIEW,), pixels)
                with contextlib.closing(eyes), Camera(env.task, pixels, pixels) as camera:
                    small = milliseconds(partial(eyes.look, scene))
                    seen = milliseconds(partial(sight.observe, state, eyes.look(scene)))
                    fine = milliseconds(partial(camera.picture, row, view))
                print(f"| {name} | {pixels} | {small:.1f} ms | {seen:.1f} ms | {fine:.0f} ms |", flush=True)


if __name__ == "__main__":
    main()
