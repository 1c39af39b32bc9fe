"""A dataset's folder is there whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from robot_rlhf.data.errors import DataError
from robot_rlhf.data.folders import new_folder


def test_the_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    with new_folder(target) as draft:
        (draft / "part").mkdir()
        (draft / "part" / "file").write_text("x")
        assert not target.exists()
    assert (target / "part" / "file").read_text() == "x"
    assert os.listdir(target.parent) == ["b"]


def test_after_an_error_all_is_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "a" / "b") as draft:
        (draft / "file").write_text("x")
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_a_disk_that_is_full_is_said_in_one_line(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "Unable to create file (file write failed, buf = 0x564276fc)")
    with pytest.raises(DataError, match=r"b: No space left on device$"), new_folder(tmp_path / "b"):
        raise full
    assert os.listdir(tmp_path) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for target in (tmp_path, tmp_path / "file", tmp_path / "link"):
        with pytest.raises(DataError, match="choose another --out"), new_folder(target):
            pass
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as draft:
        (draft / "file").write_text("x")
    assert (tmp_path / "empty" / "file").exists()
