"""`sweep`: every cell a run of its own, the same on every runner, and nothing done twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from robot_rlhf import cli
from robot_rlhf.feedback.store import Store
from robot_rlhf.session.run_folder import RunFolder
from tests.conftest import ROOT

Captured = pytest.CaptureFixture[str]
Refused = Callable[..., str]

TINY = """
threads = 1
[schedule]
demonstrations = 1
alternatives = 1
episodes = 1
warmup_episodes = 1
episodes_per_fit = 1
pairs_first = 1
evaluate_every = 0
final_episodes = 2
compare_with_cloning = false
[sac]
hidden = 16
updates_per_step = 1
batch_size = 16
[reward_model]
hidden = 16
fit_steps = 10
min_steps = 5
[clone]
hidden = 16
steps = 20
chunk = 2
replan_every = 2
"""
GRID = ("--task", "reach", "--seeds", "3", "--set", "simulated.kind=ideal,noisy")
CELLS = ("simulated.kind=ideal/seed-3", "simulated.kind=noisy/seed-3")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """A sweep of two runs that take a second each."""
    file = tmp_path_factory.mktemp("settings") / "tiny.toml"
    file.write_text(TINY)
    return ("sweep", *GRID, "--config", str(file))


@pytest.fixture(scope="module")
def swept(words: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the runner 'serial' leaves of it."""
    out = tmp_path_factory.mktemp("sweeps") / "serial"
    assert cli.main([*words, "--out", str(out)]) == 0
    return out


def test_a_sweep_leaves_runs_results_and_a_report(swept: Path) -> None:
    rows = [json.loads(line) for line in (swept / "results.jsonl").read_text().splitlines()]
    assert [row["run"] for row in rows] == list(CELLS)
    assert [row["settings"] for row in rows] == [{"simulated.kind": "ideal"}, {"simulated.kind": "noisy"}]
    for row in rows:
        assert row["summary"] == json.loads((swept / row["run"] / "summary.json").read_text())
        assert (swept / row["run"] / "report.html").exists()
    page = (swept / "report.html").read_text()
    assert "kind noisy" in page
    assert "<svg" in page


@pytest.mark.slow  # each worker loads all of torch
def test_processes_learn_the_same_to_the_bit(swept: Path, words: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "processes"
    assert cli.main([*words, "--out", str(out), "--runner", "processes", "--workers", "2", "--json"]) == 0
    for cell in CELLS:
        assert learned(out / cell) == learned(swept / cell)


def learned(run: Path) -> list[bytes]:
    """Every episode and the newest weights of a run."""
    with Store.open_readonly(run / "run.db") as store:
        episodes = store.episodes()
    kept = [
        getattr(one, name).tobytes()
        for one in episodes
        for name in ("obs", "action", "proposed", "driver", "scenes")
    ]
    newest = max((run / "checkpoints").iterdir())
    return kept + [np.ascontiguousarray(tensor).tobytes() for _, tensor in sorted(load_file(newest).items())]


def test_what_is_finished_is_left_alone(swept: Path, words: tuple[str, ...], capsys: Captured) -> None:
    files = [path for cell in CELLS for path in (swept / cell).rglob("*") if "run.db-" not in path.name]
    before = {path: path.stat().st_mtime_ns for path in files}
    assert cli.main([*words, "--out", str(swept), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert [setting["seeds"] for setting in result["settings"]] == [1, 1]
    assert [cell["error"] for cell in result["cells"]] == ["", ""]
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
def test_what_was_begun_goes_on_after_a_kill(swept: Path, words: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "robot_rlhf.cli", *words, "--out", str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("robot-rlhf: 1 of 2"):
            break
    process.stderr.readline()  # the second run has begun: this is its first progress
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert not (out / CELLS[1] / "summary.json").exists()
    first = (out / CELLS[0] / "summary.json").stat().st_mtime_ns
    assert cli.main([*words, "--out", str(out)]) == 0
    assert (out / CELLS[0] / "summary.json").stat().st_mtime_ns == first
    assert len((out / "results.jsonl").read_text().splitlines()) == 2
    with (
        Store.open_readonly(out / CELLS[1] / "run.db") as ours,
        Store.open_readonly(swept / CELLS[1] / "run.db") as theirs,
    ):
        assert ours.counts() == theirs.counts()


@pytest.fixture
def copy(swept: Path, tmp_path: Path) -> Path:
    """A sweep to spoil."""
    return shutil.copytree(swept, tmp_path / "copy")


def test_a_run_that_cannot_go_on_does_not_stop_one_that_was_begun(
    copy: Path, words: tuple[str, ...], capsys: Captured
) -> None:
    before = json.loads((copy / CELLS[1] / "summary.json").read_text())
    for cell in CELLS:
        (copy / cell / "summary.json").unlink()
    (copy / CELLS[0] / "run.db").write_bytes(b"not a database" * 100)
    assert cli.main([*words, "--out", str(copy), "--json"]) == 1
    out, err = capsys.readouterr()
    first, second = json.loads(out)["cells"]
    assert "run.db" in first["error"]
    assert first["summary"] is None
    assert second["summary"]["operator_seconds"] == before["operator_seconds"]  # it went on from its end
    assert "simulated.kind=ideal, seed 3" in err.splitlines()[-1]
    assert "1 runs compared" in (copy / "report.html").read_text()


def test_a_run_that_was_begun_otherwise_is_refused_before_anything_runs(
    copy: Path, words: tuple[str, ...], refused: Refused
) -> None:
    (copy / CELLS[0] / "summary.json").unlink()
    file = Path(words[-1]).with_name("other.toml")
    file.write_text(TINY.replace("batch_size = 16", "batch_size = 17"))
    line = refused(*words[:-1], str(file), "--out", str(copy))
    assert "--sac.batch-size 17 (it was begun with 16)" in line
    assert not (copy / CELLS[0] / "summary.json").exists()


def test_a_folder_that_is_no_sweeps_is_left_alone(
    words: tuple[str, ...], tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "holds no sweep" in refused(*words, "--out", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_machine_that_does_not_see_the_folder_is_named(
    copy: Path, words: tuple[str, ...], refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robot_rlhf.commands.sweep._begin", lambda out: "elsewhere")
    assert "needs a folder that all of them share" in refused(*words, "--out", str(copy))


def test_a_run_that_another_process_holds_is_named(
    copy: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("robot_rlhf.commands.train._LOCKED_S", 0.0)
    (copy / CELLS[1] / "summary.json").unlink()
    with closing(RunFolder.open(copy / CELLS[1])):
        assert cli.main([*words, "--out", str(copy), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["cells"][1]["error"]
