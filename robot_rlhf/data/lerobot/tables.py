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

_TYPES = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}
_ROWS_AT_ONCE = 500  # episodes that are written to meta/episodes together


class Files:
    """Tables written one after the other into numbered files of at most about `DATA_FILE_MB` each."""

    def __init__(self, root: Path, pattern: str) -> None:
        self.place = Place()
        self._root, self._pattern = root, pattern
        self._writer: pq.ParquetWriter | None = None
        self._sink: Any = None

    def write(self, table: pa.Table) -> None:
        """Add a table as a row group of its own, to the file that `place` names."""
        if self._writer is None:
            path = self._root / self.place.of(self._pattern)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = pa.OSFile(str(path), "wb")
            self._writer = pq.ParquetWriter(self._sink, table.schema, compression="snappy")
        self._writer.write_table(table)

    def turn(self) -> None:
        """Go on with a new file where this one is full."""
        if self._sink is not None and self._sink.tell() >= DATA_FILE_MB << 20:
            self.close()
            self.place.advance()

    def close(self) -> None:
        """Finish the file; twice is fine."""
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
            self._writer = self._sink = None


def frames(columns: Mapping[str, NDArray[Any]], features: Mapping[str, Mapping[str, Any]]) -> pa.Table:
    """Arrays (T,) or (T, n) as a table with the types of their features."""
    arrays = []
    for name, values in columns.items():
        kind = _TYPES[features[name]["dtype"]]
        flat = pa.array(np.ascontiguousarray(values).reshape(-1), type=kind)
        arrays.append(flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1]))
    return pa.table(arrays, names=list(columns))


class EpisodeRows:
    """meta/episodes: a row an episode, kept back until there are enough of them to write."""

    def __init__(self, files: Files, types: Mapping[str, pa.DataType]) -> None:
        self._files = files
        self._schema = pa.schema(list(types.items()))
        self._rows: list[Mapping[str, Any]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """`row` lacks only the columns that say where it stands itself."""
        place = self._files.place
        where = {"meta/episodes/chunk_index": place.chunk, "meta/episodes/file_index": place.file}
        self._rows.append({**row, **where})
        if len(self._rows) >= _ROWS_AT_ONCE:
            self.flush()
            self._files.turn()

    def flush(self) -> None:
        """Write what was kept back."""
        if self._rows:
            self._files.write(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


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
