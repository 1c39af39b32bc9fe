"""The parquet files of a LeRobotDataset: frames, episodes and tasks, written as they come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from robot_rlhf.data.lerobot.layout import DATA_FILE_MB, Place

Columns = Mapping[str, NDArray[Any]]

_TYPES = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}
FRAMES_AT_ONCE, EPISODES_AT_ONCE = 8192, 500
"""Rows that are written together, one group of the file each: a group costs memory until the file is closed,
and more time than the rows in it."""


class Files:
    """Tables written one after the other into numbered files of at most about `DATA_FILE_MB` each."""

    def __init__(self, root: Path, pattern: str) -> None:
        self.place = Place()
        self._root, self._pattern = root, pattern
        self._writer: pq.ParquetWriter | None = None
        self._sink: Any = None

    def write(self, table: pa.Table) -> None:
        """Add a table as a row group of its own, to the file that `place` names, and go on with a new file
        where that one is full."""
        if self._writer is None:
            path = self._root / self.place.of(self._pattern)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = pa.OSFile(str(path), "wb")
            self._writer = pq.ParquetWriter(self._sink, table.schema, compression="snappy")
        self._writer.write_table(table)
        if self._sink.tell() >= DATA_FILE_MB << 20:
            self.close()
            self.place.advance()

    def close(self) -> None:
        """Finish the file; twice is fine."""
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
            self._writer = self._sink = None


class Frames:
    """data: a row a frame. Episodes are kept back until there are enough of them to write."""

    def __init__(self, files: Files, features: Mapping[str, Mapping[str, Any]]) -> None:
        self._files, self._features = files, features
        self._episodes: list[Columns] = []
        self._rows = 0

    def add(self, columns: Columns) -> None:
        """An episode's frames, which end up in the file that `Files.place` names now."""
        self._episodes.append(columns)
        self._rows += len(next(iter(columns.values())))
        if self._rows >= FRAMES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what was kept back."""
        if self._episodes:
            names = self._episodes[0].keys()
            self._files.write(pa.table({name: self._column(name) for name in names}))
            self._episodes, self._rows = [], 0

    def _column(self, name: str) -> pa.Array:
        """(T,) as numbers, (T, n) as lists of n."""
        values = np.concatenate([columns[name] for columns in self._episodes])
        flat = pa.array(values.reshape(-1), type=_TYPES[self._features[name]["dtype"]])
        return flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


class EpisodeRows:
    """meta/episodes: a row an episode, kept back until there are enough of them to write."""

    def __init__(self, files: Files, types: Mapping[str, pa.DataType]) -> None:
        self._files = files
        self._schema = pa.schema(list(types.items()))
        self._rows: list[Mapping[str, Any]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """`row` lacks only the columns that say where it stands itself. Its arrays have one shape in all
        rows. They are not made lists of: what keeps ten thousands of those has Python's collector of cycles
        go through them again and again."""
        place = self._files.place
        where = {"meta/episodes/chunk_index": place.chunk, "meta/episodes/file_index": place.file}
        self._rows.append({**row, **where})
        if len(self._rows) >= EPISODES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what was kept back."""
        if self._rows:
            columns = [_column([row[field.name] for row in self._rows], field.type) for field in self._schema]
            self._files.write(pa.Table.from_arrays(columns, schema=self._schema))
            self._rows = []


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Numbers, texts or equally shaped arrays as a column; arrays become lists, of lists where they have
    more dimensions than one."""
    if not isinstance(values[0], np.ndarray):
        return pa.array(values, type=kind)
    stacked = np.stack(values)
    column = pa.array(stacked.reshape(-1))
    for size in reversed(stacked.shape[1:]):
        starts = np.arange(0, len(column) + 1, size, dtype=np.int32)
        column = pa.ListArray.from_arrays(pa.array(starts), column)
    return column


def episode_types(cameras: Sequence[str], statistics: Mapping[str, int]) -> dict[str, pa.DataType]:
    """The columns of meta/episodes; `statistics` is feature -> dimensions of its statistics (1, or 3 of
    pictures)."""
    types: dict[str, pa.DataType] = {
        "episode_index": pa.int64(),
        "tasks": pa.list_(pa.string()),
        "length": pa.int64(),
        "dataset_from_index": pa.int64(),
        "dataset_to_index": pa.int64(),
        "data/chunk_index": pa.int64(),
        "data/file_index": pa.int64(),
        "meta/episodes/chunk_index": pa.int64(),
        "meta/episodes/file_index": pa.int64(),
    }
    for key in cameras:
        types |= {f"videos/{key}/{name}": pa.int64() for name in ("chunk_index", "file_index")}
        types |= {f"videos/{key}/{name}": pa.float64() for name in ("from_timestamp", "to_timestamp")}
    return types | {
        f"stats/{feature}/{name}": pa.list_(pa.int64()) if name == "count" else _nested(dimensions)
        for feature, dimensions in statistics.items()
        for name in ("min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99")
    }


def _nested(dimensions: int) -> pa.DataType:
    kind = pa.float64()
    for _ in range(dimensions):
        kind = pa.list_(kind)
    return kind


def write_tasks(path: Path, goals: Sequence[str]) -> None:
    """meta/tasks.parquet: what pandas reads back as a frame indexed by `task`, with `task_index`."""
    index = {
        "name": "task",
        "field_name": "task",
        "pandas_type": "unicode",
        "numpy_type": "object",
        "metadata": None,
    }
    column = {
        "name": "task_index",
        "field_name": "task_index",
        "pandas_type": "int64",
        "numpy_type": "int64",
        "metadata": None,
    }
    names = {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object"}
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [{**names, "metadata": {"encoding": "UTF-8"}}],
        "columns": [column, index],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.0",
    }
    table = pa.table({"task_index": pa.array(range(len(goals)), pa.int64()), "task": pa.array(list(goals))})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), path)
