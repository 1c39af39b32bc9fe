"""`view`: what is missing is named; where rerun-sdk is installed, the file that it writes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from robot_rlhf import cli
from robot_rlhf.commands import extras


def test_what_is_not_installed_is_named(
    run_copy: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda package: package != "rerun-sdk")
    assert 'view needs rerun-sdk, not installed here: pip install "robot-rlhf[sim,view]"' in refused(
        "view", str(run_copy)
    )


def test_without_a_screen_a_file_is_offered(
    run_copy: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda package: True)
    assert "--save FILE.rrd writes a file for it" in refused("view", str(run_copy))


if importlib.util.find_spec("rerun") is not None:  # half a gigabyte, so that the tests do without

    def test_a_file_for_the_viewer_is_written_whole(
        run_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "out" / "run.rrd"
        assert cli.main(["view", str(run_copy), "--episodes", "0", "1", "--save", str(file)]) == 0
        assert "has episodes 0, 1" in capsys.readouterr().out
        assert file.read_bytes()[:3] == b"RRF"
        assert [item.name for item in file.parent.iterdir()] == ["run.rrd"]
