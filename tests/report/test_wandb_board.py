"""A line of a run's log is passed on once, whatever becomes of the log meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_rlhf.report.metrics import NAME, keep_lines
from robot_rlhf.report.wandb_board import NewLines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / NAME


def new(lines: NewLines) -> list[bytes]:
    found = [line for line, is_new in lines() if is_new]
    for line in found:
        lines.mark(line)
    return found


def test_lines_come_as_they_are_written_whole_ones_alone(log: Path) -> None:
    lines = NewLines(log.parent, log.with_name("passed"))
    assert new(lines) == []
    log.write_bytes(b"{1}\n{2}\n{3")
    assert new(lines) == [b"{1}", b"{2}"]
    assert new(lines) == []
    with log.open("ab") as file:
        file.write(b"}\n")
    assert new(lines) == [b"{3}"]


def test_what_a_resume_takes_out_and_writes_again_does_not_come_twice(log: Path) -> None:
    lines = NewLines(log.parent, log.with_name("passed"))
    log.write_bytes(b"{1}\n{2}\n{3}\n")
    new(lines)
    keep_lines(log.parent, [True, False, True])
    with log.open("ab") as file:
        file.write(b"{2}\n{4}\n")
    assert new(lines) == [b"{4}"]


def test_another_process_goes_on_where_the_last_one_was(log: Path) -> None:
    log.write_bytes(b"{1}\n{2}\n")
    lines = NewLines(log.parent, log.with_name("passed"))
    (first, _), *_ = lines()
    lines.mark(first)
    assert new(NewLines(log.parent, log.with_name("passed"))) == [b"{2}"]
