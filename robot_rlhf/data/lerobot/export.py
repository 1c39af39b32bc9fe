"""A run as a LeRobotDataset v3.0."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from robot_rlhf.data.errors import DataError
from robot_rlhf.data.folders import new_folder
from robot_rlhf.data.lerobot import layout, stats
from robot_rlhf.data.lerobot.stats import Statistics
from robot_rlhf.data.lerobot.tables import EpisodeRows, Files, Frames, episode_types, write_tasks
from robot_rlhf.data.lerobot.videos import Videos
from robot_rlhf.data.origin import Origin
from robot_rlhf.data.stream import Export, Record

_OURS: dict[str, pa.DataType] = {
    "source_episode": pa.int64(),
    "seed": pa.int64(),
    "role": pa.string(),
    "operator": pa.string(),
    "success": pa.bool_(),
    "terminated": pa.bool_(),
    "policy_version": pa.int64(),
    layout.LAST_STATE: pa.list_(pa.float32()),
    layout.LAST_SCENE: pa.list_(pa.float32()),
}
"""Columns of meta/episodes that LeRobot hands on as they are."""


def export_lerobot(export: Export, out: Path, done: Callable[[Record], None]) -> None:
    """Write the dataset to the folder `out`, which is there whole or not at all; `done` hears of each
    episode. Raises DataError and what `Export.records` does."""
    with new_folder(out) as folder:
        writer: _Writer | None = None
        try:
            for record in export.records():
                if writer is None:
                    writer = _Writer(export, folder, record.episode.scenes.shape[1])
                writer.add(record)
                done(record)
            assert writer is not None  # `plan` refuses an export of nothing
            writer.finish()
        finally:
            if writer is not None:
                writer.close()


class _Writer:
    """The files of one dataset as they grow."""

    def __init__(self, export: Export, folder: Path, scene_size: int) -> None:
        self._export, self._folder = export, folder
        self._features = layout.features(export, scene_size)
        self._sizes = {
            name: feature["shape"][0]
            for name, feature in self._features.items()
            if feature["dtype"] != "video"
        }
        self._running = stats.Running(sum(self._sizes.values()))
        self._data = Files(folder, layout.DATA)
        self._meta = Files(folder, layout.EPISODES)
        self._videos = Videos(export.images, folder, export.control_hz)
        dimensions = dict.fromkeys(self._sizes, 1) | dict.fromkeys(self._videos.keys, 3)
        self._frames = Frames(self._data, self._features)
        self._rows = EpisodeRows(self._meta, episode_types(self._videos.keys, dimensions) | _OURS)
        self._steps = self._episodes = 0

    def add(self, record: Record) -> None:
        episode = record.episode
        if episode.scenes.shape[1] != self._sizes[layout.SCENE]:
            raise DataError(
                f"episode {episode.id} has {episode.scenes.shape[1]} numbers a scene, and the first one "
                f"{self._sizes[layout.SCENE]}"
            )
        columns = self._columns(record)
        wide = [
            np.asarray(columns[name], np.float64).reshape(record.episode.length, -1) for name in self._sizes
        ]
        numbers = np.concatenate(wide, axis=1)
        self._running.add(numbers)
        described = stats.split(stats.statistics(numbers), self._sizes)
        places, pictures = self._videos.add(episode)
        self._rows.add(
            {
                "episode_index": record.index,
                "tasks": [self._export.task.goal],
                "length": episode.length,
                "dataset_from_index": self._steps,
                "dataset_to_index": self._steps + episode.length,
                "data/chunk_index": self._data.place.chunk,
                "data/file_index": self._data.place.file,
                **places,
                **_flat(described | pictures),
                "source_episode": episode.id,
                "seed": episode.seed,
                "role": episode.role.value,
                "operator": record.operator,
                "success": record.success,
                "terminated": episode.terminated,
                "policy_version": episode.policy_version,
                layout.LAST_STATE: episode.obs[-1].copy(),
                layout.LAST_SCENE: episode.scenes[-1].copy(),
            }
        )
        self._frames.add(columns)
        self._steps, self._episodes = self._steps + episode.length, self._episodes + 1

    def _columns(self, record: Record) -> dict[str, NDArray[Any]]:
        episode = record.episode
        steps = np.arange(episode.length, dtype=np.int64)
        return {
            layout.STATE: episode.obs[:-1],
            layout.ACTION: episode.action,
            layout.REWARD: record.reward,
            layout.DONE: record.done,
            layout.TRUNCATED: record.truncated,
            layout.SUCCESS: record.succeeded,
            layout.INTERVENTION: episode.operator_steps,
            layout.IS_INTERVENTION: episode.operator_steps,
            layout.SCENE: episode.scenes[:-1],
            "timestamp": (steps / self._export.control_hz).astype(np.float32),
            "frame_index": steps,
            "episode_index": np.full_like(steps, record.index),
            "index": self._steps + steps,
            "task_index": np.zeros_like(steps),
        }

    def finish(self) -> None:
        """Write what is known only at the end."""
        self._frames.flush()
        self._rows.flush()
        self.close()
        write_tasks(self._folder / layout.TASKS, [self._export.task.goal])
        described = stats.split(self._running.result(), self._sizes) | self._videos.statistics()
        hz = self._export.control_hz
        info = {
            "codebase_version": layout.VERSION,
            "robot_type": self._export.robot,
            "total_episodes": self._episodes,
            "total_frames": self._steps,
            "total_tasks": 1,
            "chunks_size": layout.FILES_PER_CHUNK,
            "data_files_size_in_mb": layout.DATA_FILE_MB,
            "video_files_size_in_mb": layout.VIDEO_FILE_MB,
            "fps": int(hz) if hz == int(hz) else hz,
            "splits": {"train": f"0:{self._episodes}"},
            "data_path": layout.DATA,
            "video_path": layout.VIDEO if self._videos.keys else None,
            "features": self._features | self._videos.features(self._features),
        }
        for name, content in (
            (layout.INFO, info),
            (layout.STATS, described),
            (layout.ORIGIN, Origin.of(self._export).as_json()),
        ):
            (self._folder / name).write_text(
                json.dumps(content, indent=4, default=np.ndarray.tolist) + "\n", encoding="utf-8"
            )

    def close(self) -> None:
        self._data.close()
        self._meta.close()
        self._videos.close()


def _flat(described: Mapping[str, Statistics]) -> dict[str, NDArray[Any]]:
    return {
        f"stats/{feature}/{name}": values
        for feature, found in described.items()
        for name, values in found.items()
    }
