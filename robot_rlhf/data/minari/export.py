"""A run as a Minari dataset: `robot-rlhf/TASK-v0`, found with MINARI_DATASETS_PATH=OUT.

Minari writes the metadata. The episodes are written here, as its HDF5 storage lays them out: its own way
counts all that are there before each it adds, goes through them once more for what is said about them, and
holds an episode's pictures at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import minari
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Dict
from minari.dataset.minari_storage import MinariStorage
from numpy.typing import NDArray

from robot_rlhf.data.folders import new_folder
from robot_rlhf.data.hdf5 import STATE
from robot_rlhf.data.origin import Origin
from robot_rlhf.data.stream import Export, Images, Record

NAMESPACE, ORIGIN = "robot-rlhf", "robot_rlhf"
SCENE, INTERVENTION = "scene", "is_intervention"
FILE = "main_data.hdf5"


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
        with h5py.File(data / FILE, "w") as file:
            steps = 0
            for record in export.records():
                _write(file.create_group(f"episode_{record.index}"), record, export.images)
                steps += record.episode.length
                done(record)
        storage.update_metadata(
            {
                "total_episodes": len(export.ids),
                "total_steps": steps,
                "dataset_size": round((data / FILE).stat().st_size / 1e6, 1),
            }
        )


def _write(group: h5py.Group, record: Record, images: Images | None) -> None:
    """Infos are T + 1, as Minari collects them: the first is the reset's."""
    episode = record.episode
    for name, fact in (
        ("id", record.index),
        ("seed", episode.seed),
        ("total_steps", episode.length),
        ("source_episode", episode.id),
        ("role", episode.role.value),
        ("operator", record.operator),
        ("success", -1 if record.success is None else int(record.success)),
    ):
        group.attrs[name] = fact
    for name, values in (
        ("observations" if images is None else f"observations/{STATE}", episode.obs),
        ("actions", episode.action),
        ("rewards", record.reward),
        ("terminations", record.terminated),
        ("truncations", record.truncated),
        ("infos/is_success", _after_reset(record.succeeded)),
        (f"infos/{INTERVENTION}", _after_reset(episode.operator_steps)),
        (f"infos/{SCENE}", episode.scenes),
    ):
        group.create_dataset(name, data=values)
    for camera in () if images is None else images.cameras:
        assert images is not None
        shape = (episode.length + 1, *images.shape(camera))
        pictures = group.create_dataset(f"observations/{camera}", shape, np.uint8)
        for step, picture in enumerate(images.checked(episode, camera)):
            pictures[step] = picture


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
