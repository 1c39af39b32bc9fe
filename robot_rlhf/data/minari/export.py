"""A run as a Minari dataset: `robot-rlhf/TASK-v0`, found with MINARI_DATASETS_PATH=OUT."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import minari
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Dict
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage
from numpy.typing import NDArray

from robot_rlhf.data.folders import new_folder
from robot_rlhf.data.origin import Origin
from robot_rlhf.data.stream import Export, Images, Record
from robot_rlhf.feedback.episode import Episode

NAMESPACE, ORIGIN = "robot-rlhf", "robot_rlhf"
SCENE, INTERVENTION = "scene", "is_intervention"
STATE = "state"
"""The observation's key where pictures stand beside it; without them it is a plain array."""


def dataset_id(task: str) -> str:
    """Minari's name of a task's dataset; a style's slash becomes a dash."""
    return f"{NAMESPACE}/{task.replace('/', '-')}-v0"


def export_minari(export: Export, out: Path, done: Callable[[Record], None]) -> None:
    """Write the dataset under the folder `out`, which is there whole or not at all; `done` hears of each
    episode. Raises DataError and what `Export.records` does."""
    with new_folder(out) as folder:
        (folder / NAMESPACE).mkdir()
        (folder / NAMESPACE / "namespace_metadata.json").write_text("{}\n", encoding="utf-8")
        data = folder / dataset_id(export.task.name) / "data"
        data.mkdir(parents=True)
        storage = MinariStorage.new(
            data,
            observation_space=_observation_space(export),
            action_space=Box(-1.0, 1.0, (export.task.action_size,), np.float32),
            env_spec=_environment(export),
            jpeg_encoding=False,  # bit for bit
        )
        origin = Origin.of(export)
        storage.update_metadata(
            {
                "dataset_id": dataset_id(export.task.name),
                "minari_version": minari.__version__,
                "algorithm_name": "robot-rlhf: a policy taught by a person, and its demonstrations",
                "description": f"{origin.goal} Rewards: {origin.reward}.",
                "requirements": ["robot-rlhf[sim]"],
                ORIGIN: json.dumps(origin.as_json()),
            }
        )
        facts: list[dict[str, Any]] = []
        storage.update_episodes(_buffers(export, facts, done))
        storage.update_episode_metadata(facts)


def _buffers(
    export: Export, facts: list[dict[str, Any]], done: Callable[[Record], None]
) -> Iterator[EpisodeBuffer]:
    for record in export.records():
        yield _buffer(record, export.images)
        facts.append(
            {
                "source_episode": record.episode.id,
                "role": record.episode.role.value,
                "operator": record.operator,
                "success": -1 if record.success is None else int(record.success),
            }
        )
        done(record)


def _buffer(record: Record, images: Images | None) -> EpisodeBuffer:
    """Infos are T + 1, as Minari collects them: the first is the reset's."""
    episode = record.episode
    seen: Any = episode.obs
    if images is not None:
        pictures = {camera: _pictures(episode, camera, images) for camera in images.cameras}
        seen = {STATE: episode.obs, **pictures}
    return EpisodeBuffer(
        seed=episode.seed,
        observations=seen,
        actions=episode.action,
        rewards=record.reward,
        terminations=record.terminated,
        truncations=record.truncated,
        infos={
            "is_success": _after_reset(record.succeeded),
            INTERVENTION: _after_reset(episode.operator_steps),
            SCENE: episode.scenes,
        },
    )


def _pictures(episode: Episode, camera: str, images: Images) -> NDArray[np.uint8]:
    found = np.empty((episode.length + 1, *images.shape(camera)), np.uint8)
    for step, picture in enumerate(images.checked(episode, camera)):
        found[step] = picture
    return found


def _after_reset(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.concatenate([[False], flags])


def _observation_space(export: Export) -> Any:
    state = Box(-np.inf, np.inf, (export.task.obs_size,), np.float32)
    images = export.images
    if images is None:
        return state
    pictures = {camera: Box(0, 255, images.shape(camera), np.uint8) for camera in images.cameras}
    return Dict({STATE: state, **pictures})


def _environment(export: Export) -> EnvSpec:
    """What `recover_environment` makes anew, on a machine that has the extra `sim`."""
    entry_point, arguments = export.environment
    name = export.task.environment or "RobotRlhf/Task-v0"
    return EnvSpec(id=name, entry_point=entry_point, kwargs=arguments)
