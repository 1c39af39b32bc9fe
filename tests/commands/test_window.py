"""Where a window is needed, and that nothing is left behind where there cannot be one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hardware.security import ClientSecurity
from robot_rlhf import cli
from robot_rlhf.commands.arguments import LiveOptions
from robot_rlhf.commands.at_console import wire_of
from robot_rlhf.commands.keys import make_key


@pytest.fixture
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.mark.usefixtures("no_screen")
@pytest.mark.parametrize(
    "words", [("teleop",), ("train", "--operator", "console", "--out", "mine"), ("label", ".")]
)
def test_a_window_without_a_screen_is_refused_and_leaves_nothing(
    words: tuple[str, ...], refused: Callable[..., str], here: Path
) -> None:
    assert "--no-window waits for one elsewhere" in refused(*words)
    assert not list(here.iterdir())


@pytest.mark.usefixtures("no_screen")
def test_a_simulated_operator_needs_no_screen_in_real_time_either() -> None:
    assert not wire_of(LiveOptions(), opens=False).window


@pytest.mark.parametrize(("role", "watches"), [("observer", True), ("policy", True), ("operator", False)])
def test_a_key_that_may_only_watch_makes_a_console_that_says_so(
    role: str, watches: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bool] = []

    def run(address: str, name: str, *, security: ClientSecurity, watches: bool, options: object) -> int:
        opened.append(watches)
        return 0

    monkeypatch.setattr("robot_rlhf.console.app.run_console", run)
    key = make_key(tmp_path, "ada", role).file
    assert cli.main(["console", "--connect", "tcp://127.0.0.1:7001", "--key", key]) == 0
    assert opened == [watches]
