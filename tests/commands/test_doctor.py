"""`doctor`: what it says of a machine that is well and of one that lacks something."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import NoReturn

import pytest

from robot_rlhf import cli
from robot_rlhf.commands import extras

Captured = pytest.CaptureFixture[str]


def test_the_doctor_says_in_json_that_a_headless_run_can_go_ahead(here: Path, capsys: Captured) -> None:
    assert cli.main(["doctor", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    diagnosis = json.loads(line)
    names = [finding["name"] for finding in diagnosis["findings"]]
    assert diagnosis["healthy"]
    assert {"python", "extra sim", "extra learn", "durable commit", "physics", "torch"} <= set(names)
    assert list(here.iterdir()) == []


def test_the_doctor_names_what_is_missing(
    here: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda package: package not in ("torch", "pygame"))
    assert cli.main(["doctor"]) == 1
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "no torch" in shown
    assert '"robot-rlhf[learn]"' in shown
    assert "(only if wanted)" in shown


def test_the_doctor_names_a_folder_that_cannot_be_written(
    here: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    assert cli.main(["doctor", "--json"]) == 1
    disk = [f for f in json.loads(capsys.readouterr().out)["findings"] if f["name"] == "disk"]
    assert "Permission denied" in disk[0]["found"]
