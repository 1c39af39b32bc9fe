"""How far off the encoder sees the place of the next event, which is the gripper's next change or the end.

In demonstrations by human-like hands that it was fitted to, and in others, in cm:

    python benchmarks/seeing.py --task reach --cameras front side --demonstrations 30 60 100

This tells in a minute or two which encoder is worth a run; `--encoder.shift-px 0` and the like change it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.operator import SimulatedOperator
from robot_rlhf.learning.encoder import Encoder, next_events
from robot_rlhf.learning.encoder_config import EncoderConfig
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.environment import environment
from robot_rlhf.session.presets import preset
from robot_rlhf.session.rollout import demonstrate
from robot_rlhf.session.seeds import Purpose, generator, seed_of
from sim.env import SPEED_M_S

_A_METRE = 5.0  # in a state's units
_TOLD = 2.0  # how many times as large a change is told
_LAST = 8  # steps before the event that are looked at by themselves

Frames = dict[tuple[int, str], Sequence[bytes]]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    task: str = "reach"
    cameras: tuple[str, ...] = ("front", "side")
    pixels: int = 64
    demonstrations: tuple[int, ...] = (30, 60, 100)
    """How many are fitted to, one row each."""
    held_out: int = 40
    """Demonstrations that are looked at afterwards."""
    seed: int = 0
    encoder: EncoderConfig = field(default_factory=EncoderConfig)


def demonstrations(config: RunConfig, count: int) -> tuple[list[Episode], Frames]:
    """So many that succeed, by human-like hands, and what cameras saw of them."""
    operator = SimulatedOperator(
        (env := environment(config)).task, config.simulated, SPEED_M_S, config.control_hz
    )
    episodes: list[Episode] = []
    frames: Frames = {}
    id = 0
    while len(episodes) < count:
        operator.begin(generator(config.seed, Purpose.OPERATOR, id), True, False, False)
        seed = seed_of(config.seed, Purpose.START, id)
        recorder = demonstrate(env, operator, seed)
        if recorder.success:
            episodes.append(recorder.episode(id, Role.DEMONSTRATION, config.task, seed, 0))
            frames |= {(id, camera): seen for camera, seen in recorder.pictures.items()}
        id += 1
    env.close()
    return episodes, frames


def errors_cm(encoder: Encoder, episode: Episode, seen: Callable[[int, str], Sequence[bytes]]) -> Float32:
    """(T,) how far the place of the next event is from where it is seen to be."""
    size = episode.obs.shape[1]
    told = encoder.as_seen(episode, seen).obs[:-1, size : size + 3] / _TOLD
    way = episode.obs[next_events(episode.action), :3] - episode.obs[:-1, :3]
    return np.asarray(100 * np.linalg.norm(told - way, axis=1) / _A_METRE, np.float32)


def main(asked: Asked) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    plain = preset(asked.task)
    config = replace(plain, seed=asked.seed, cameras=",".join(asked.cameras), camera_px=asked.pixels)
    episodes, frames = demonstrations(config, max(asked.demonstrations) + asked.held_out)
    held_out = episodes[-asked.held_out :]
    print("| demonstrations | fitted in, processor | to them | others | others, last 0.8 s |")
    print("|---|---|---|---|---|")
    for count in asked.demonstrations:
        shown = episodes[:count]
        sizes = shown[0].obs.shape[1], shown[0].action.shape[1]
        encoder = Encoder(*sizes, asked.cameras, asked.encoder, asked.seed)
        began = time.process_time()
        encoder.fit(shown, lambda id, camera: frames[id, camera], generator(asked.seed, Purpose.ENCODER))
        took_s = time.process_time() - began
        own, other = (
            [errors_cm(encoder, one, lambda id, camera: frames[id, camera]) for one in some]
            for some in (shown, held_out)
        )
        last = np.concatenate([one[-_LAST:] for one in other]).mean()
        said = f"{np.concatenate(own).mean():.2f} | {np.concatenate(other).mean():.2f} | {last:.2f}"
        print(f"| {count} | {took_s:.0f} s | {said} |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Asked, description=__doc__))
