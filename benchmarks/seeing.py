"""How far off the encoder sees the place of the next event, which is the gripper's next change or the end.

In demonstrations by human-like hands that it was fitted to, in others, and where the arm strays from the way
that those took, as a policy does, in cm:

    python benchmarks/seeing.py --task reach --cameras front side --demonstrations 60 --seed 0 1 2

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
from robot_rlhf.learning.sight import CHANGES
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.environment import environment
from robot_rlhf.session.presets import preset
from robot_rlhf.session.rollout import Recorder, demonstrate, noised_replay
from robot_rlhf.session.seeds import Purpose, generator, seed_of
from sim.env import SPEED_M_S

_A_METRE = 5.0  # in a state's units
_LAST = 8  # steps before the event that are looked at by themselves
_STRAYING = 0.5  # of the time

Frames = dict[tuple[int, str], Sequence[bytes]]
Seen = Callable[[int, str], Sequence[bytes]]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    task: str = "reach"
    cameras: tuple[str, ...] = ("front", "side")
    pixels: int = 64
    demonstrations: tuple[int, ...] = (60,)
    """How many are fitted to, one row each."""
    held_out: int = 40
    """Demonstrations that are looked at afterwards."""
    seed: tuple[int, ...] = (0,)
    """Other demonstrations and another encoder each."""
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


def straying(config: RunConfig, shown: Sequence[Episode]) -> tuple[list[Episode], Frames]:
    """The same starts with arms that do at random times something else than was shown."""
    env = environment(config)
    episodes: list[Episode] = []
    frames: Frames = {}
    for one in shown:
        rng = generator(config.seed, Purpose.NOISE, one.id)
        recorder: Recorder = noised_replay(env, one.action, one.seed, _STRAYING, rng)
        episodes.append(recorder.episode(one.id, Role.COUNTERFACTUAL, config.task, one.seed, 0))
        frames |= {(one.id, camera): seen for camera, seen in recorder.pictures.items()}
    env.close()
    return episodes, frames


def errors_cm(encoder: Encoder, episode: Episode, seen: Seen, shown: Episode) -> Float32:
    """(T,) how far the place of the next event, as it is in what was `shown`, is from where it is seen to
    be."""
    size = episode.obs.shape[1]
    told = encoder.as_seen(episode, seen).obs[:-1, size : size + 3] / CHANGES
    way = shown.obs[next_events(shown.action), :3] - episode.obs[:-1, :3]
    return np.asarray(100 * np.linalg.norm(told - way, axis=1) / _A_METRE, np.float32)


def main(asked: Asked) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| seed | demonstrations | fitted in, processor | to them | others | their last 0.8 s | astray |")
    print("|---|---|---|---|---|---|---|")
    for seed in asked.seed:
        rows(asked, seed)


def rows(asked: Asked, seed: int) -> None:
    """Print what the demonstrations of one seed come to."""
    plain = preset(asked.task)
    config = replace(plain, seed=seed, cameras=",".join(asked.cameras), camera_px=asked.pixels)
    episodes, frames = demonstrations(config, max(asked.demonstrations) + asked.held_out)
    held_out = episodes[-asked.held_out :]
    strayed, strayed_frames = straying(config, held_out)

    def seen(id: int, camera: str) -> Sequence[bytes]:
        return frames[id, camera]

    for count in asked.demonstrations:
        shown = episodes[:count]
        size, own_seed = shown[0].obs.shape[1], seed_of(seed, Purpose.ENCODER)
        encoder = Encoder(size, asked.cameras, asked.encoder, own_seed)
        began = time.process_time()
        encoder.fit(shown, seen, generator(seed, Purpose.ENCODER, 0))
        took_s = time.process_time() - began
        own, other = ([errors_cm(encoder, one, seen, one) for one in some] for some in (shown, held_out))
        off = [
            errors_cm(encoder, one, lambda id, camera: strayed_frames[id, camera], as_shown)
            for one, as_shown in zip(strayed, held_out, strict=True)
        ]
        last = [one[-_LAST:] for one in other]
        figures = " | ".join(f"{np.concatenate(part).mean():.2f}" for part in (own, other, last, off))
        print(f"| {seed} | {count} | {took_s:.0f} s | {figures} |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Asked, description=__doc__))
