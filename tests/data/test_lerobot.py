"""LeRobotDataset v3.0, as LeRobot reads it. benchmarks/peer_lerobot.py has LeRobot itself read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_rlhf.data.lerobot import tables
from robot_rlhf.data.lerobot.export import export_lerobot
from robot_rlhf.data.stream import Export, Record

Planned = Callable[..., Export]
Untold = Callable[[Record], None]


@pytest.fixture
def dataset(planned: Planned, untold: Untold, tmp_path: Path) -> Path:
    export_lerobot(planned(), tmp_path / "out", untold)
    return tmp_path / "out"


def column(table: Any, name: str) -> Any:
    return np.array(table.column(name).to_pylist())


def test_info_json_is_as_the_format_says(dataset: Path) -> None:
    info = json.loads((dataset / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert info["fps"] == 10
    assert info["robot_type"] == "panda"
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (5, 44, 1)
    assert (info["chunks_size"], info["data_files_size_in_mb"], info["video_files_size_in_mb"]) == (
        1000,
        100,
        200,
    )
    assert info["splits"] == {"train": "0:5"}
    assert info["data_path"] == "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    assert info["video_path"] is None
    assert info["features"]["observation.state"]["shape"] == [14]
    assert info["features"]["action"]["names"] == ["velocity_x", "velocity_y", "velocity_z"]


def test_frames_are_the_steps_to_the_bit(dataset: Path, planned: Planned) -> None:
    table = pq.read_table(dataset / "data/chunk-000/file-000.parquet")
    records = list(planned().records())
    episodes = [record.episode for record in records]
    columns: dict[str, list[Any]] = {
        "observation.state": [one.obs[:-1] for one in episodes],
        "action": [one.action for one in episodes],
        "next.reward": [record.reward for record in records],
        "next.done": [record.done for record in records],
        "next.truncated": [record.truncated for record in records],
        "next.success": [record.succeeded for record in records],
        "intervention": [one.operator_steps for one in episodes],
        "complementary_info.is_intervention": [one.operator_steps for one in episodes],
        "complementary_info.scene": [one.scenes[:-1] for one in episodes],
        "frame_index": [np.arange(one.length) for one in episodes],
        "episode_index": [np.full(one.length, index) for index, one in enumerate(episodes)],
    }
    for name, parts in columns.items():
        assert (column(table, name) == np.concatenate(parts)).all(), name
    assert (column(table, "index") == np.arange(44)).all()
    assert np.allclose(column(table, "timestamp"), column(table, "frame_index") / 10, atol=1e-6)
    info = json.loads((dataset / "meta/info.json").read_text())
    assert set(table.column_names) == set(info["features"])


def test_every_episode_has_its_place_its_statistics_and_what_followed_its_last_step(
    dataset: Path, planned: Planned
) -> None:
    rows = pq.read_table(dataset / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    start = 0
    for row, record in zip(rows, planned().records(), strict=True):
        episode = record.episode
        assert (row["dataset_from_index"], row["dataset_to_index"]) == (start, start + episode.length)
        assert row["length"] == episode.length
        assert row["operator"] == record.operator
        assert row["role"] == episode.role.value
        assert row["tasks"] == ["Bring the gripper to the green marker."]
        assert (np.array(row["last/observation.state"], np.float32) == episode.obs[-1]).all()
        assert np.allclose(row["stats/action/max"], episode.action.max(axis=0))
        assert row["stats/action/count"] == [episode.length]
        start += episode.length


def test_statistics_are_those_of_all_frames(dataset: Path, planned: Planned) -> None:
    stats = json.loads((dataset / "meta/stats.json").read_text())
    actions = np.concatenate([record.episode.action for record in planned().records()]).astype(np.float64)
    found = stats["action"]
    for name, wanted in {
        "min": actions.min(0),
        "max": actions.max(0),
        "mean": actions.mean(0),
        "std": actions.std(0),
        "q01": np.quantile(actions, 0.01, 0),
        "q50": np.median(actions, 0),
        "q99": np.quantile(actions, 0.99, 0),
    }.items():
        assert np.allclose(found[name], wanted, rtol=1e-12), name
    assert found["count"] == [44]
    assert set(stats) == set(json.loads((dataset / "meta/info.json").read_text())["features"])


def test_tasks_have_the_metadata_by_which_pandas_finds_its_index(dataset: Path) -> None:
    table = pq.read_table(dataset / "meta/tasks.parquet")
    assert table.to_pylist() == [{"task_index": 0, "task": "Bring the gripper to the green marker."}]
    pandas = json.loads(table.schema.metadata[b"pandas"])
    assert pandas["index_columns"] == ["task"]


def test_the_reward_is_named(dataset: Path) -> None:
    origin = json.loads((dataset / "meta/robot_rlhf.json").read_text())
    assert origin["reward"] == "learned from feedback: fit 7, of checkpoints/step-00000001.safetensors"


@pytest.mark.parametrize("at_once, where", [(1, [0, 1, 2, 3, 4]), (15, [0, 0, 1, 1, 1])])
def test_a_full_file_is_followed_by_another(
    planned: Planned,
    untold: Untold,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
    where: list[int],
) -> None:
    monkeypatch.setattr(tables, "DATA_FILE_MB", 0)
    monkeypatch.setattr(tables, "FRAMES_AT_ONCE", at_once)
    export_lerobot(planned(), tmp_path / "out", untold)
    rows = pq.read_table(tmp_path / "out" / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["data/file_index"] for row in rows] == where
    for file in set(where):
        frames = pq.read_table(tmp_path / "out" / f"data/chunk-000/file-{file:03d}.parquet")
        held = [index for index, at in enumerate(where) if at == file]
        assert sorted(set(frames.column("episode_index").to_pylist())) == held
    assert len(list((tmp_path / "out" / "data").rglob("*.parquet"))) == len(set(where))


def test_episodes_share_groups_of_rows(planned: Planned, untold: Untold, tmp_path: Path) -> None:
    export_lerobot(planned(), tmp_path / "out", untold)
    with pq.ParquetFile(tmp_path / "out" / "data/chunk-000/file-000.parquet") as file:
        assert file.num_row_groups == 1


def test_an_export_that_fails_leaves_nothing(planned: Planned, tmp_path: Path) -> None:
    def breaks(record: Record) -> None:
        if record.index == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_lerobot(planned(), tmp_path / "out", breaks)
    assert list(tmp_path.iterdir()) == []
