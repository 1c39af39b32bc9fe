"""`train`: what it leaves, how it is gone on with, and which folders it leaves alone."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from robot_rlhf import cli
from robot_rlhf.feedback.store import Store
from robot_rlhf.session.run_folder import read_config

if TYPE_CHECKING:
    from tests.conftest import FinishedRun

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]
Refused = Callable[..., str]


def test_json_is_the_summary_on_one_line_and_all_else_goes_to_stderr(finished_run: FinishedRun) -> None:
    (line,) = finished_run.stdout.splitlines()
    assert json.loads(line) == json.loads((finished_run.folder / "summary.json").read_text())
    assert "beginning" in finished_run.stderr
    assert (finished_run.folder / "report.html").exists()


def test_a_finished_run_says_so_when_it_is_resumed(finished_run: FinishedRun, capsys: Captured) -> None:
    before = sorted(path.name for path in finished_run.folder.iterdir())
    assert cli.main(["train", "--resume", "--json", "--out", str(finished_run.folder)]) == 0
    out, err = capsys.readouterr()
    assert out == finished_run.stdout
    assert "is finished" in err
    assert sorted(path.name for path in finished_run.folder.iterdir()) == before


def test_without_resume_a_run_is_left_alone(finished_run: FinishedRun, refused: Refused) -> None:
    assert "--resume" in refused("train", "--out", str(finished_run.folder))


def test_ctrl_c_says_how_to_go_on_and_what_was_said_is_there(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = [*finished_run.words, "--out", str(out), "--schedule.episodes", "1000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "robot_rlhf.cli", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job ignores it
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("demonstrations |"):
            process.send_signal(signal.SIGINT)
            break
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert err.splitlines()[-1].endswith(f"robot-rlhf train --resume --out {out}")
    assert "Traceback" not in err
    assert read_config(out).schedule.episodes == 1000
    with Store.open(out / "run.db") as store:
        assert store.next_episode_id() == len(store.episodes())


def test_a_folder_that_cannot_be_made_is_named(here: Path, refused: Refused) -> None:
    (here / "file").write_text("")
    out = here / "file" / "run"
    assert str(out) in refused("train", "--out", str(out))
    assert (here / "file").read_text() == ""


def test_a_folder_with_something_in_it_is_left_alone(here: Path, refused: Refused) -> None:
    (here / "note").write_text("mine")
    assert "--resume" in refused("train", "--out", str(here))
    assert [path.name for path in here.iterdir()] == ["note"]


def spoil_version(run: Path) -> None:
    with sqlite3.connect(run / "run.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def spoil_bytes(run: Path) -> None:
    (run / "run.db").write_bytes(b"no database at all" * 1000)


def spoil_permission(run: Path) -> None:
    (run / "run.db").chmod(0o444)


def spoil_config(run: Path) -> None:
    with (run / "config.toml").open("a") as file:
        file.write('\n[console]\ndevice = "gamepad"\n')


@pytest.mark.parametrize(
    ("spoil", "fragment"),
    [
        (spoil_version, "schema version 99"),
        (spoil_bytes, "run.db"),
        (spoil_permission, "read-only"),
        (spoil_config, "unknown key console"),
    ],
)
def test_a_run_that_is_not_in_order_is_not_gone_on_with(
    spoil: Callable[[Path], None], fragment: str, run_copy: Path, refused: Refused
) -> None:
    (run_copy / "summary.json").unlink()
    spoil(run_copy)
    before = {path: path.read_bytes() for path in run_copy.rglob("*") if path.is_file()}
    assert fragment in refused("train", "--resume", "--out", str(run_copy))
    assert {path: path.read_bytes() for path in run_copy.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("spoil", [spoil_version, spoil_bytes, spoil_config])
def test_nor_is_it_evaluated_or_reported_on(
    spoil: Callable[[Path], None], run_copy: Path, refused: Refused
) -> None:
    spoil(run_copy)
    before = (run_copy / "report.html").read_bytes()
    refused("evaluate", str(run_copy))
    refused("report", str(run_copy))
    assert (run_copy / "report.html").read_bytes() == before


def test_a_summary_that_cannot_be_read_is_named(run_copy: Path, refused: Refused) -> None:
    (run_copy / "summary.json").write_text("{")
    assert "summary.json" in refused("train", "--resume", "--out", str(run_copy))
