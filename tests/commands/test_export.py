"""`export` and `import` at the command line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from robot_rlhf import cli
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import RunFolder
from tests.conftest import FinishedRun

FORMATS = ("lerobot", "robomimic", "minari")


@pytest.mark.parametrize("format", FORMATS)
def test_json_is_one_line_that_names_the_reward(
    format: str, finished_run: FinishedRun, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["export", str(finished_run.folder), "--format", format, "--out", str(tmp_path / "out"), "--json"]
    assert cli.main(words) == 0
    (line,) = capfd.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["format"] == format
    assert (told["episodes"], told["demonstrations"]) == (4, 2)
    assert told["reward"].startswith("learned from feedback: fit ")
    assert "checkpoints/step-" in told["reward"]


def test_what_was_only_recorded_goes_out_with_rewards_of_zero(
    finished_run: FinishedRun, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recorded = shutil.copytree(finished_run.folder, tmp_path / "recorded")
    shutil.rmtree(recorded / "checkpoints")
    words = [
        "--format",
        "robomimic",
        "--out",
        str(tmp_path / "out"),
        "--episodes",
        "demonstrations",
        "--json",
    ]
    assert cli.main(["export", str(recorded), *words]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["reward"] == "none: no reward model was fitted, every reward is 0"
    assert told["episodes"] == 2


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, refused: Callable[..., str]) -> None:
    line = refused("export", str(tmp_path), "--format", "minari", "--out", str(tmp_path / "out"))
    assert "is not a run folder" in line


def test_a_run_without_episodes_says_so(tmp_path: Path, refused: Callable[..., str]) -> None:
    RunFolder.create(tmp_path / "run", RunConfig(task="reach")).close()
    line = refused("export", str(tmp_path / "run"), "--format", "lerobot", "--out", str(tmp_path / "out"))
    assert "has no episodes to export" in line
    assert os.listdir(tmp_path) == ["run"]


def test_a_target_that_is_there_is_left_alone(
    finished_run: FinishedRun, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "mine").write_text("x")
    for format in FORMATS:
        line = refused("export", str(finished_run.folder), "--format", format, "--out", str(tmp_path))
        assert "choose another --out" in line
    assert os.listdir(tmp_path) == ["mine"]


def test_a_format_that_there_is_not_is_refused(refused: Callable[..., str]) -> None:
    assert "--format" in refused("export", "run", "--format", "csv", "--out", "out")


def test_pixels_make_a_picture(
    finished_run: FinishedRun, tmp_path: Path, refused: Callable[..., str]
) -> None:
    words = ["--format", "minari", "--out", str(tmp_path / "out"), "--images", "top", "--pixels", "3"]
    assert "too small" in refused("export", str(finished_run.folder), *words)
    assert os.listdir(tmp_path) == []
