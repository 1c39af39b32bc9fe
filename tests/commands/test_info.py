"""`info`: what is told of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from robot_rlhf import cli
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Kind, Undo
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import RunFolder

if TYPE_CHECKING:
    from tests.conftest import FinishedRun

Captured = pytest.CaptureFixture[str]


def test_of_a_finished_run(finished_run: FinishedRun, capsys: Captured) -> None:
    assert cli.main(["info", str(finished_run.folder), "--json"]) == 0
    info, summary = json.loads(capsys.readouterr().out), json.loads(finished_run.stdout)
    assert (info["task"], info["seed"], info["state"]) == ("reach", 3, "finished")
    assert info["feedback"] == summary["feedback"]
    assert info["feedback_by_operator"] == {
        "simulated": {kind: count for kind, count in sorted(summary["feedback"].items()) if count}
    }
    assert info["environment_steps"] == summary["environment_steps"]
    assert info["active_minutes"] == pytest.approx(summary["operator_seconds"] / 60)
    assert info["success"]["episodes"] == summary["episodes"] and info["success"]["final"]
    assert info["sizes_bytes"]["run.db"] == (finished_run.folder / "run.db").stat().st_size
    assert any(line.startswith("robot-rlhf evaluate ") for line in info["next"])


def test_of_one_that_has_just_begun_and_is_being_worked_on(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "my run"
    with RunFolder.create(path, RunConfig(task="push")).store:
        assert cli.main(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert "push, seed 0, being worked on" in out
    assert "not evaluated yet" in out and "none yet" in out
    assert cli.main(["info", str(path)]) == 0
    assert f"robot-rlhf train --resume --out '{path}'" in capsys.readouterr().out


def test_what_was_taken_back_does_not_count(run_copy: Path, capsys: Captured) -> None:
    with Store.open(run_copy / "run.db") as store:
        mark = store.feedback({Kind.OUTCOMES})[0]
        before = store.counts()[Kind.OUTCOMES]
        store.add_feedback(Undo(id="u", operator="eve", session="s", time_ns=0, target=mark.id))
    assert cli.main(["info", str(run_copy), "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["undone"], info["feedback"]["outcomes"]) == (1, before - 1)
    assert cli.main(["info", str(run_copy)]) == 0
    assert "; 1 taken back" in capsys.readouterr().out
