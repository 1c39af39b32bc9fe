"""Demonstrations out of a LeRobotDataset v3.0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from robot_rlhf.data.errors import DataError
from robot_rlhf.data.files import inside, json_file
from robot_rlhf.data.lerobot import layout
from robot_rlhf.data.origin import known
from robot_rlhf.data.shown import MAX_EPISODE_BYTES, Float32, Header, Message, Part, Shown
from robot_rlhf.feedback.episode import Role

_ROWS, _MAX_FILES = 2048, 100_000
_MAX_GROUP_BYTES = 1 << 30
_OURS = ("episode_index", "role", "operator", "success", "terminated", "seed",
         layout.LAST_STATE, layout.LAST_SCENE)  # fmt: skip

Columns = dict[str, NDArray[Any]]


def read_lerobot(path: Path) -> Iterator[Message]:
    """What the dataset at PATH holds: a header, then its demonstrations, which are all of its episodes unless
    it is our own. An observation is observation.state.

    A frame is a step, and what was seen after the last one is known of our own datasets alone: of others the
    last action is left out. Raises DataError.
    """
    info = json_file(inside(path, path / layout.INFO))
    version = info.get("codebase_version")
    if not isinstance(version, str) or not version.startswith("v3."):
        advice = ": LeRobot converts older ones" if isinstance(version, str) and version < "v3" else ""
        raise DataError(f"{path} is a LeRobotDataset of version {version!r}, this program reads v3.0{advice}")
    sizes = {name: _width(info, name) for name in (layout.STATE, layout.ACTION)}
    has_scenes = layout.SCENE in info.get("features", {}) and (path / layout.ORIGIN).is_file()
    if has_scenes:
        sizes[layout.SCENE] = _width(info, layout.SCENE)
    ours = _ours(path)
    shown = {index for index, row in ours.items() if row["role"] == Role.DEMONSTRATION.value}
    count, frames = _count(info, "total_episodes"), _count(info, "total_frames")
    if ours and not shown:
        raise DataError(f"{path} holds no demonstrations: all of its {count} episodes a policy drove")
    origin = known(json_file(inside(path, path / layout.ORIGIN)) if (path / layout.ORIGIN).is_file() else {})
    hz = info.get("fps")
    yield Header(
        task=origin.task,
        robot=origin.robot,
        control_hz=float(hz) if isinstance(hz, (int, float)) else None,
        obs=(Part(layout.STATE, sizes[layout.STATE]),),
        action_size=sizes[layout.ACTION],
        episodes=len(shown) if ours else count,
    )
    seen = steps = 0
    for index, columns in _episodes(path, sizes):
        seen, steps = seen + 1, steps + len(columns[layout.ACTION])
        if not ours or index in shown:
            yield _shown(index, columns, ours.get(index))
    if (seen, steps) != (count, frames):
        raise DataError(
            f"{path}: meta/info.json says {count} episodes of {frames} frames, data/ holds {seen} of {steps}"
        )


def _width(info: Mapping[str, Any], name: str) -> int:
    features = info.get("features")
    feature = features.get(name) if isinstance(features, dict) else None
    shape = feature.get("shape") if isinstance(feature, dict) else None
    if (
        not isinstance(feature, dict)
        or not isinstance(shape, list)
        or feature.get("dtype") not in ("float32", "float64")
    ):
        raise DataError(f"meta/info.json has no feature {name} of numbers")
    if len(shape) != 1 or not isinstance(shape[0], int) or not 0 < shape[0] <= 1 << 16:
        raise DataError(
            f"meta/info.json: the feature {name} has shape {shape}, expected one number from 1 on"
        )
    return shape[0]


def _count(info: Mapping[str, Any], name: str) -> int:
    found = info.get(name)
    if not isinstance(found, int) or found < 1:
        raise DataError(f"meta/info.json: {name} is {found!r}, expected a number from 1 on")
    return found


def _files(path: Path, folder: str) -> list[Path]:
    found = sorted(inside(path, file) for file in (path / folder).glob("chunk-*/file-*.parquet"))
    if not 0 < len(found) <= _MAX_FILES:
        raise DataError(f"{path}/{folder} has {len(found)} files chunk-*/file-*.parquet")
    return found


def _batches(file: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    """A file's rows of these columns, some at a time."""
    with pq.ParquetFile(file) as opened:
        missing = [name for name in names if name not in opened.schema_arrow.names]
        if missing:
            raise DataError(f"{file} has no column {', '.join(missing)}")
        for number in range(opened.num_row_groups):
            size = opened.metadata.row_group(number).total_byte_size
            if not 0 <= size <= _MAX_GROUP_BYTES:
                raise DataError(f"{file}: a group of its rows has {size >> 20} MB")
        yield from opened.iter_batches(_ROWS, columns=names)


def _ours(path: Path) -> dict[int, dict[str, Any]]:
    """Episode -> what our own exports say of it; empty of other datasets."""
    files = _files(path, "meta/episodes")
    with pq.ParquetFile(files[0]) as first:
        if not set(_OURS) <= set(first.schema_arrow.names):
            return {}
    rows = (row for file in files for batch in _batches(file, list(_OURS)) for row in batch.to_pylist())
    return {int(row["episode_index"]): row for row in rows}


def _episodes(path: Path, sizes: Mapping[str, int]) -> Iterator[tuple[int, Columns]]:
    """The frames of each episode in turn."""
    parts: list[Columns] = []
    running, length = -1, 0
    most = MAX_EPISODE_BYTES // (4 * sum(sizes.values()))
    for file in _files(path, "data"):
        for batch in _batches(file, [*sizes, "episode_index", "frame_index"]):
            columns = {name: _table(batch.column(name), name, size) for name, size in sizes.items()}
            index, frame = (_integers(batch.column(name), name) for name in ("episode_index", "frame_index"))
            cuts = np.flatnonzero(np.diff(index)) + 1
            for rows in np.split(np.arange(len(index)), cuts):
                if len(rows) == 0:
                    continue
                here = int(index[rows[0]])
                if here != running:
                    if here != running + 1:
                        raise DataError(f"{file}: episode {here} follows episode {running}")
                    if parts:
                        yield running, _joined(parts)
                    running, parts, length = here, [], 0
                if not (frame[rows] == length + np.arange(len(rows))).all():
                    raise DataError(f"{file}: the frames of episode {here} are not in their order")
                length += len(rows)
                if length > most:
                    raise DataError(f"{file}: episode {here} has more than {most} frames")
                parts.append({name: values[rows] for name, values in columns.items()})
    if parts:
        yield running, _joined(parts)


def _joined(parts: list[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _table(column: pa.Array, name: str, size: int) -> Float32:
    """A column of `size` numbers a row as (N, size)."""
    kind = column.type
    is_list = pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind)
    values = column.flatten() if is_list else column
    if not pa.types.is_floating(values.type) or values.null_count or column.null_count:
        raise DataError(f"the column {name} holds {kind}, expected {size} numbers a row")
    even = len(values) == len(column) * size
    if even and is_list and not pa.types.is_fixed_size_list(kind):
        even = bool((np.diff(np.asarray(column.offsets)) == size).all())
    if not even:
        raise DataError(f"the column {name} has rows of other than {size} numbers")
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float32).reshape(-1, size)


def _integers(column: pa.Array, name: str) -> NDArray[np.int64]:
    if not pa.types.is_integer(column.type) or column.null_count:
        raise DataError(f"the column {name} holds {column.type}, expected whole numbers")
    return np.asarray(column.to_numpy(zero_copy_only=False), np.int64)


def _shown(index: int, columns: Columns, ours: Mapping[str, Any] | None) -> Shown:
    name = f"episode {index}"
    obs, action, scenes = columns[layout.STATE], columns[layout.ACTION], columns.get(layout.SCENE)
    if ours is None:
        return Shown.of(name, obs, action[:-1])
    obs = np.concatenate([obs, _row(ours[layout.LAST_STATE], obs.shape[1], name)])
    if scenes is not None:
        scenes = np.concatenate([scenes, _row(ours[layout.LAST_SCENE], scenes.shape[1], name)])
    return Shown.of(
        name,
        obs,
        action,
        scenes,
        seed=ours["seed"],
        operator=ours["operator"] or "",
        success=ours["success"],
        terminated=bool(ours["terminated"]),
    )


def _row(values: Any, size: int, name: str) -> Float32:
    if not isinstance(values, list) or len(values) != size:
        raise DataError(f"{name}: what was seen after its last step is not {size} numbers")
    return np.array([values], dtype=np.float32)
