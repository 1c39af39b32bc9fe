"""A run as robomimic's HDF5 file: OUT/dataset.hdf5."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from robot_rlhf.data.folders import new_folder
from robot_rlhf.data.hdf5 import STATE
from robot_rlhf.data.origin import Origin
from robot_rlhf.data.stream import Export, Images, Record
from robot_rlhf.feedback.episode import Episode

FILE = "dataset.hdf5"
ORIGIN, LAST_SCENE = "robot_rlhf", "last_state"
_GYM = 2  # robomimic's EnvType.GYM_TYPE
_MASKS = ("success", "human", "intervened")


def export_robomimic(export: Export, out: Path, done: Callable[[Record], None]) -> None:
    """Write OUT/dataset.hdf5; the folder `out` is there whole or not at all, and `done` hears of each
    episode. Raises DataError and what `Export.records` does."""
    with new_folder(out) as folder, h5py.File(folder / FILE, "w") as file:
        data = file.create_group("data")
        masks: dict[str, list[str]] = {name: [] for name in _MASKS}
        steps = 0
        for record in export.records():
            name = f"demo_{record.index}"
            _write(data.create_group(name), record, export.images)
            steps += record.episode.length
            chosen = (record.success is True, record.is_demonstration, record.is_intervened)
            for mask, is_in in zip(_MASKS, chosen, strict=True):
                if is_in:
                    masks[mask].append(name)
            done(record)
        data.attrs["total"] = steps
        data.attrs["env_args"] = json.dumps(environment(export))
        data.attrs[ORIGIN] = json.dumps(Origin.of(export).as_json())
        for mask, names in masks.items():
            file.create_dataset(f"mask/{mask}", data=np.array(names, dtype="S"))


def environment(export: Export) -> dict[str, Any]:
    """robomimic's `env_args`: how to make the environment with Gymnasium."""
    name = export.task.environment
    return {
        "env_name": f"robot_rlhf:{name}" if name else export.task.name,
        "type": _GYM,
        "env_kwargs": export.environment[1],
    }


def _write(group: h5py.Group, record: Record, images: Images | None) -> None:
    episode = record.episode
    group.attrs["num_samples"] = episode.length
    group.attrs["source_episode"] = episode.id
    group.attrs["seed"] = episode.seed
    group.attrs["role"] = episode.role.value
    group.attrs["operator"] = record.operator
    group.attrs["success"] = -1 if record.success is None else int(record.success)
    group.attrs["terminated"] = bool(episode.terminated)
    group.attrs[LAST_SCENE] = episode.scenes[-1]
    for name, values in (
        ("actions", episode.action),
        ("rewards", record.reward),
        ("dones", record.done.astype(np.int64)),
        ("states", episode.scenes[:-1]),
        ("interventions", episode.operator_steps.astype(np.int64)),
        (f"obs/{STATE}", episode.obs[:-1]),
        (f"next_obs/{STATE}", episode.obs[1:]),
    ):
        group.create_dataset(name, data=values)
    for camera in () if images is None else images.cameras:
        assert images is not None
        _write_pictures(group, episode, camera, images)


def _write_pictures(group: h5py.Group, episode: Episode, camera: str, images: Images) -> None:
    """obs/CAMERA_image and next_obs/CAMERA_image, (T, height, width, 3) uint8, a picture a chunk."""
    shape = images.shape(camera)
    options = {"dtype": np.uint8, "chunks": (1, *shape), "compression": "gzip", "compression_opts": 4}
    now = group.create_dataset(f"obs/{camera}_image", (episode.length, *shape), **options)
    later = group.create_dataset(f"next_obs/{camera}_image", (episode.length, *shape), **options)
    for step, picture in enumerate(images.checked(episode, camera)):
        if step < episode.length:
            now[step] = picture
        if step > 0:
            later[step - 1] = picture
