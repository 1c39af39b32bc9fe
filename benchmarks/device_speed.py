"""What a GPU is worth to whoever learns: a policy's updates a second, and seconds of a clone's fit and an
encoder's, with what pick_cube is taught with and on made-up data of its sizes.

Each column is a device: the CPU with some threads, in processor time, of which each thread's share counts, so
that it matters less what else runs there; and the GPU where there is one, by the clock. The reward model's
fit is in `refit_speed.py --device cuda`, and other people's SAC in `update_speed.py --device cuda`.

    python benchmarks/device_speed.py [--threads 1 2] [--only presets clone] [--json FILE]
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import Driver
from robot_rlhf.learning.cloning import ChunkedClone
from robot_rlhf.learning.device import Device, device
from robot_rlhf.learning.encoder import Encoder
from robot_rlhf.learning.encoder_config import EncoderConfig
from robot_rlhf.learning.policy_config import CloneConfig, SACConfig
from robot_rlhf.learning.processor import compute_with
from robot_rlhf.learning.replay import Replay
from robot_rlhf.learning.sac import SAC

OBS, ACTION, STEPS = 16, 4, 100
EPISODES, SHOWN, SHOWN_IN_PICTURES = 100, 12, 30
PIXELS, CAMERAS = 64, ("front", "side")
TIMED_S, REPEATS = 1.5, 3
"""How long a timed repeat takes at least."""
POLICIES = {
    "presets": SACConfig(),
    "256 wide": SACConfig(hidden=256),
    "1024 wide, batches of 1024": SACConfig(hidden=1024, batch_size=1024),
}


def episode(id: int, shown: int) -> Episode:
    """A random walk; those before `shown` are demonstrations."""
    rng = np.random.default_rng(id)
    role, driver = (Role.DEMONSTRATION, Driver.OPERATOR) if id < shown else (Role.ONLINE, Driver.POLICY)
    obs = np.cumsum(rng.normal(0.0, 0.1, (STEPS + 1, OBS)), axis=0).astype(np.float32)
    action = rng.uniform(-1.0, 1.0, (STEPS, ACTION)).astype(np.float32)
    drivers, scenes = np.full(STEPS, driver, np.uint8), np.zeros((STEPS + 1, 1), np.float32)
    return Episode(id, role, "t", id, 0, obs, action, action, drivers, scenes, False, True)


def now_s(on: Device) -> float:
    """What is timed by."""
    return time.perf_counter() if on == "cuda" else time.process_time() / torch.get_num_threads()


def updates_per_second(config: SACConfig, on: Device) -> float:
    """Of a policy on a clone, once its actor learns too."""
    episodes = [episode(id, SHOWN) for id in range(EPISODES)]
    clone = ChunkedClone(OBS, ACTION, CloneConfig(), 0)
    replay, rng = Replay(OBS, ACTION, clone.along), np.random.default_rng(0)
    for one in episodes:
        replay.add(one)
        replay.set_rewards(one.id, one.obs[1:, 0])
    agent = SAC(OBS, ACTION, replace(config, critic_warmup_updates=0), 0, on)

    def seconds(updates: int) -> float:
        began = now_s(on)
        agent.train(replay, updates, rng)  # its metrics wait for the GPU
        return now_s(on) - began

    updates = 8
    while seconds(updates) < TIMED_S:
        updates *= 2
    return updates / statistics.median(seconds(updates) for _ in range(REPEATS))


def clone_seconds(on: Device) -> float:
    """Of a long fit that is not stopped early, as random actions would have it."""
    config = CloneConfig(members=3, steps=3_000, min_steps=3_000)
    clone = ChunkedClone(OBS, ACTION, config, 0)
    began = now_s(on)
    clone.fit([episode(id, SHOWN) for id in range(SHOWN)], np.random.default_rng(0), on)
    return now_s(on) - began


def encoder_seconds(on: Device) -> float:
    """Of a fit to noise, its JPEGs' reading counted in."""

    def seen(id: int, camera: str) -> Sequence[bytes]:
        written = io.BytesIO()
        noise = np.random.default_rng(id).integers(0, 256, (PIXELS, PIXELS, 3), np.uint8)
        Image.fromarray(noise).save(written, "JPEG")
        return [written.getvalue()] * (STEPS + 1)

    encoder = Encoder(OBS, CAMERAS, EncoderConfig(), 0)
    shown = [episode(id, SHOWN_IN_PICTURES) for id in range(SHOWN_IN_PICTURES)]
    began = now_s(on)
    encoder.fit(shown, seen, np.random.default_rng(0), device=on)
    return now_s(on) - began


MEASURES: dict[str, tuple[str, Callable[[Device], float]]] = {
    **{name: ("updates/s", partial(updates_per_second, config)) for name, config in POLICIES.items()},
    "clone": ("s", clone_seconds),
    "encoder": ("s", encoder_seconds),
}


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--threads", type=int, nargs="*", default=(1, 2), help="of the CPU: a column each")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=tuple(MEASURES), help="rows")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    asked = parser.parse_args()
    columns: dict[str, tuple[Device, int]] = {
        f"CPU, threads: {count}": ("cpu", count) for count in asked.threads
    }
    if device("auto") == "cuda":
        columns[torch.cuda.get_device_name()] = ("cuda", 1)
        torch.ones(1).to("cuda")  # it starts
    found: dict[str, dict[str, Any]] = {}
    print(f"| torch {torch.__version__} | unit | {' | '.join(columns)} |\n|---|---|{'---|' * len(columns)}")
    for name in asked.only:
        unit, measure = MEASURES[name]
        row = found[name] = {"unit": unit}
        for column, (on, threads) in columns.items():
            compute_with(threads)
            row[column] = round(measure(on), 2)
        print(f"| {name} | {unit} | {' | '.join(str(row[column]) for column in columns)} |", flush=True)
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
