"""Progress goes to the stream it was given: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import io

import pytest

from robot_rlhf.feedback.types import Kind
from robot_rlhf.report.progress import Progress

COUNTS = {Kind.DEMONSTRATIONS: 8, Kind.TAKEOVERS: 0}


class Clock:
    """Seconds as the test sets them."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_says_all_there_is_to_say() -> None:
    stream = io.StringIO()
    with Progress(10_000, stream) as progress:
        progress.update(2_500, 90.0, 0.42, "training", COUNTS)
    assert stream.getvalue() == (
        "training | 2,500 of 10,000 steps (25%) | operator 1.5 min | success 42% | demonstrations 8\n"
    )


def test_lines_come_every_ten_seconds_and_the_last_state_is_said_at_the_end() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(100, stream, clock) as progress:
        for step in range(26):
            clock.now_s = 100.0 + step
            progress.update(step, 0.0, None, "training", {})
    steps = [line.split(" | ")[1].split()[0] for line in stream.getvalue().splitlines()]
    assert steps == ["0", "10", "20", "25"]


def test_a_state_that_was_said_is_not_said_again_at_the_end() -> None:
    stream = io.StringIO()
    with Progress(100, stream) as progress:
        progress.update(5, 0.0, None, "cloning", {})
    assert len(stream.getvalue().splitlines()) == 1


def test_a_terminal_gets_a_bar_that_is_redrawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    with Progress(10_000, stream) as progress:
        progress.update(2_500, 90.0, 0.42, "training", COUNTS)
    drawn = stream.getvalue()
    assert "\x1b[" in drawn
    for said in ("training", "25%", "2,500 of 10,000 steps", "success 42%", "demonstrations 8"):
        assert said in drawn


def test_a_terminal_that_cannot_redraw_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress(10, stream) as progress:
        progress.update(5, 0.0, None, "training", {})
    assert stream.getvalue().startswith("training | 5 of 10 steps")


def test_nothing_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(10) as progress:
        progress.update(5, 0.0, None, "training", {})
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "training" in shown.err


def test_there_must_be_steps_to_make() -> None:
    with pytest.raises(ValueError, match="total_steps is 0"):
        Progress(0)
