"""Where things lie in a LeRobotDataset v3.0, and what its columns are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from robot_rlhf.data.stream import Export

VERSION = "v3.0"
FILES_PER_CHUNK = 1000
DATA_FILE_MB, VIDEO_FILE_MB = 100, 200

INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
ORIGIN = "meta/robot_rlhf.json"
"""Ours, which LeRobot leaves alone: where the dataset comes from, and which reward is in it."""
FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA = f"data/{FILE}.parquet"
EPISODES = f"meta/episodes/{FILE}.parquet"
VIDEO = f"videos/{{video_key}}/{FILE}.mp4"

STATE, ACTION, REWARD = "observation.state", "action", "next.reward"
DONE, TRUNCATED, SUCCESS = "next.done", "next.truncated", "next.success"
INTERVENTION, IS_INTERVENTION = "intervention", "complementary_info.is_intervention"
SCENE = "complementary_info.scene"
INDEX_COLUMNS = ("timestamp", "frame_index", "episode_index", "index", "task_index")

LAST_STATE, LAST_SCENE = "last/observation.state", "last/complementary_info.scene"
"""Columns of meta/episodes: a frame is a step, so what was seen after the last step stands there."""


def image_key(camera: str) -> str:
    """The feature of a camera's pictures."""
    return f"observation.images.{camera}"


@dataclass
class Place:
    """Which file comes next: `file` of `chunk`."""

    chunk: int = 0
    file: int = 0

    def advance(self) -> None:
        """On to the next file."""
        self.file += 1
        if self.file == FILES_PER_CHUNK:
            self.chunk, self.file = self.chunk + 1, 0

    def of(self, pattern: str, **names: str) -> str:
        """The path that `pattern` gives for it."""
        return pattern.format(chunk_index=self.chunk, file_index=self.file, **names)


def features(export: Export, scene_size: int) -> dict[str, dict[str, Any]]:
    """meta/info.json's `features`: each column's type, shape and names."""
    task = export.task
    found = {
        STATE: _feature("float32", [task.obs_size], task.obs_names),
        ACTION: _feature("float32", [task.action_size], task.action_names),
        REWARD: _feature("float32", [1]),
        DONE: _feature("bool", [1]),
        TRUNCATED: _feature("bool", [1]),
        SUCCESS: _feature("bool", [1]),
        INTERVENTION: _feature("bool", [1]),
        IS_INTERVENTION: _feature("bool", [1]),
        SCENE: _feature("float32", [scene_size]),
    }
    images = export.images
    for camera in () if images is None else images.cameras:
        assert images is not None
        shape = list(images.shape(camera))
        found[image_key(camera)] = _feature("video", shape, ["height", "width", "channels"])
    kinds = ("float32", "int64", "int64", "int64", "int64")
    return found | {name: _feature(kind, [1]) for name, kind in zip(INDEX_COLUMNS, kinds, strict=True)}


def _feature(dtype: str, shape: list[int], names: list[str] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "names": names}
