"""`report`: the page of a run, finished or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from robot_rlhf import cli
from robot_rlhf.commands import extras
from robot_rlhf.session.presets import preset
from robot_rlhf.session.run_folder import RunFolder

Captured = pytest.CaptureFixture[str]
Refused = Callable[..., str]


def test_report_prints_the_path_of_the_page_with_its_clips(run_copy: Path, capsys: Captured) -> None:
    (run_copy / "report.html").unlink()
    assert cli.main(["report", str(run_copy)]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == run_copy / "report.html"
    page = path.read_text(encoding="utf-8")
    assert page.count("data:image/png") == 2 * 8
    assert "No clip was rendered" not in page
    assert "No episode has both a predicted return" not in page


def test_without_the_simulator_the_report_has_no_clips_and_says_so(
    run_copy: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda package: package != "pybullet")
    assert cli.main(["report", str(run_copy)]) == 0
    assert "robot-rlhf[sim]" in capsys.readouterr().err
    assert "No clip was rendered" in (run_copy / "report.html").read_text(encoding="utf-8")


def test_a_run_that_has_just_begun_has_a_report_but_nothing_to_evaluate(
    here: Path, capsys: Captured, refused: Refused
) -> None:
    RunFolder.create(here / "run", preset("reach")).close()
    assert cli.main(["report", "run"]) == 0
    assert "has not finished" in (here / "run" / "report.html").read_text(encoding="utf-8")
    capsys.readouterr()
    assert "no checkpoint" in refused("evaluate", "run")


def test_a_folder_that_is_no_run_is_named(here: Path, refused: Refused) -> None:
    for command in ("evaluate", "report"):
        assert f"{here} is not a run folder" in refused(command, str(here))
