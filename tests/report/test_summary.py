"""summary.json has the fields that programs rely on, and is never half a file."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from robot_rlhf.feedback.types import Kind
from robot_rlhf.report.files import write_atomically
from robot_rlhf.report.summary import RewardSummary, Summary, installed_versions, read_summary, write_summary

SUMMARY = Summary(
    task="reach",
    seed=4,
    success_rate=0.98,
    wilson_low=0.93,
    wilson_high=0.99,
    episodes=100,
    environment_steps=3000,
    operator_seconds=40.0,
    attended_seconds=70.5,
    wall_seconds=33.0,
    feedback=dict.fromkeys(Kind, 2),
    reward_model=RewardSummary(accuracy=0.9, nll=0.3, calibration_error=None),
    versions={"python": "3.11"},
)


def test_the_file_has_exactly_the_promised_fields(tmp_path: Path) -> None:
    written = json.loads(write_summary(tmp_path, SUMMARY).read_text())
    assert list(written) == [
        "task",
        "seed",
        "success_rate",
        "wilson_low",
        "wilson_high",
        "episodes",
        "environment_steps",
        "operator_seconds",
        "attended_seconds",
        "wall_seconds",
        "feedback",
        "reward_model",
        "versions",
        "judged_by",
    ]
    assert set(written["feedback"]) == {
        "demonstrations",
        "takeovers",
        "preferences",
        "evaluations",
        "outcomes",
    }
    assert set(written["reward_model"]) == {"accuracy", "nll", "calibration_error"}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read_summary(tmp_path) is None
    write_summary(tmp_path, SUMMARY)
    assert read_summary(tmp_path) == SUMMARY


def test_a_summary_that_is_none_is_refused_by_file_and_field(tmp_path: Path) -> None:
    path = write_summary(tmp_path, SUMMARY)
    path.write_text(path.read_text().replace('"seed": 4', '"seed": "four"'))
    with pytest.raises(ValueError, match=r"summary\.json is not a run's summary.*seed"):
        read_summary(tmp_path)


def test_a_rate_outside_its_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="wilson_low <= success_rate"):
        msgspec.structs.replace(SUMMARY, success_rate=0.5)


def test_writing_replaces_whole_files_and_leaves_nothing_beside_them(tmp_path: Path) -> None:
    write_summary(tmp_path, SUMMARY)
    write_summary(tmp_path, msgspec.structs.replace(SUMMARY, seed=5))
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]
    summary = read_summary(tmp_path)
    assert summary is not None
    assert summary.seed == 5


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_versions_name_python_and_what_is_installed() -> None:
    versions = installed_versions()
    assert {"python", "numpy", "msgspec"} <= set(versions)
    assert all(versions.values())
