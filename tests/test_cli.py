"""What the command line promises: help one can read, one clear line for what is wrong, clean stdout."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec
import pytest

from robot_rlhf import __version__, cli
from robot_rlhf.commands import extras
from robot_rlhf.commands.arguments import COMMANDS
from robot_rlhf.commands.settings import flag, settings_of
from robot_rlhf.learning.device import Device
from robot_rlhf.report.summary import Summary, read_summary
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.presets import preset
from robot_rlhf.session.run_folder import RunFolder

if TYPE_CHECKING:
    from robot_rlhf.commands.live import Wire
    from tests.conftest import FinishedRun

ROOT = Path(__file__).parents[1]
Captured = pytest.CaptureFixture[str]
Refused = Callable[..., str]


def test_help_names_every_command(capsys: Captured) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"• {name} " in shown for name in COMMANDS)
    assert "robot-rlhf demo --headless" in shown


@pytest.mark.parametrize("command", ["train", "demo"])
def test_help_is_short_and_help_all_has_every_setting(command: str, capsys: Captured) -> None:
    assert cli.main([command, "--help"]) == 0
    short = capsys.readouterr().out
    assert cli.main([command, "--help-all"]) == 0
    full = capsys.readouterr().out
    settings = [flag(name) for name in settings_of(RunConfig())]
    assert [name for name in settings if not re.search(rf"{re.escape(name)}[ ,]", full)] == []
    assert [name for name in settings if "." in name and name in short] == []
    for name in ("--task", "--seed", "--out", "--resume", "--config", "--json", "--help-all", "--feedback"):
        assert f"{name} " in short


def test_the_help_of_a_task_shows_the_settings_that_suit_it(capsys: Captured) -> None:
    cli.main(["train", "--task", "reach", "--help-all"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    wanted = preset("reach").schedule.demonstrations
    assert f"Episodes the operator drives before the policy starts. (default: {wanted})" in shown


def test_the_version_is_told(capsys: Captured) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"robot-rlhf {__version__}\n"


def test_the_command_line_loads_nothing_heavy_before_a_command_runs() -> None:
    code = (
        "import sys, robot_rlhf.cli as cli; cli.main(['train', '--help']); "
        "sys.exit(str({'torch', 'pybullet', 'pygame', 'matplotlib', 'tensorboard'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.stderr.strip() == "set()"


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        ("", ["say what to do", "doctor"]),
        ("trian", ["'trian'", "did you mean train?"]),
        ("train --sed 3", ["--sed", "did you mean --seed?"]),
        ("train --schedule.epsodes 3", ["--schedule.epsodes", "did you mean --schedule.episodes?"]),
        ("train --seed=-1", ["seed is -1", "must not be negative"]),
        ("train --seed three", ["--seed", "three"]),
        ("train --seed", ["--seed"]),
        ("train --task pikcube", ["'pikcube'", "did you mean 'pick_cube'?"]),
        ("train --task reach extra", ["'extra'"]),
        ("train --labels wrong", ["--labels", "wrong", "given", "shuffled"]),
        ("train --reward task --labels shuffled", ["--labels shuffled", "--reward learned"]),
        ("train --feedback demos", ["'demos'", "demonstrations"]),
        ("train --sac.hidden 0", ["hidden is 0", "at least 1"]),
        ("train --control-hz nan", ["control_hz is nan"]),
        ("evaluate", ["evaluate RUN"]),
        ("evaluate somewhere --episodes 0", ["--episodes is 0", "at least 1"]),
        ("evaluate somewhere --seed -1", ["--seed is -1"]),
        ("evaluate somewhere --task reach", ["without --task"]),
        ("evaluate somewhere --policy expert", ["--task"]),
        ("evaluate somewhere --arm iiwa", ["--arm", "leave it out"]),
        ("evaluate --policy expert --task reach --arm ii", ["'ii'", "did you mean 'iiwa'"]),
        ("train --arm iiwa --live --robot tcp://127.0.0.1:1", ["--arm iiwa beside --robot"]),
        ("evaluate --policy expert --task reach --randomise.mass 2", ["randomise.mass is 2.0", "0 to 0.9"]),
        ("train --live --randomise.delay-steps 2", ["randomise.delay_steps is for lockstep"]),
        ("evaluate --policy expert --task fly", ["'fly'", "reach, push, pick_cube"]),
        ("report", ["RUN"]),
        ("doctor --jsn", ["--jsn", "did you mean --json?"]),
        ("evaluate --polcy expert --task reach", ["no flag --polcy, did you mean --policy?"]),
        ("evaluate --policy expert --task reach --nosuch x", ["no flag --nosuch", "--episodes"]),
        ("evaluate --nosuch", ["no flag --nosuch"]),
        ("evaluate --nosuch=x", ["no flag --nosuch"]),
        ("report --nosuch x", ["no flag --nosuch"]),
        ("robot ping --kye ada.key", ["no flag --kye", "--key"]),
        ("train --sac.no-q-filtr --labels wrong", ["--sac.no-q-filtr"]),
        ("train --sac.no-q-filter --labels wrong", ["--labels", "shuffled"]),
        ("demo --headless --operator console", ["--operator console", "--headless"]),
    ],
)
def test_words_that_make_no_sense_get_one_line(
    words: str, fragments: list[str], here: Path, refused: Refused
) -> None:
    line = refused(*words.split())
    assert [fragment for fragment in fragments if fragment not in line] == []
    assert cli.main(words.split()) == 2
    assert list(here.iterdir()) == []


def test_the_flags_that_there_are_do_not_count_words_without_one(refused: Refused) -> None:
    assert "--run," not in refused("evaluate", "--nosuch")
    assert "--what" not in refused("keys", "list", "--nosuch")


def test_a_demo_on_a_served_arm_is_not_headless(here: Path, refused: Refused) -> None:
    address = "tcp://127.0.0.1:5555"
    line = refused("demo", "--headless", "--robot", address, "--out", "new")
    assert "new" not in line.split() and "begun" not in line
    assert f"train --operator simulated --live --robot {address}" in line
    assert list(here.iterdir()) == []


def test_a_narrow_terminal_without_our_characters_gets_the_same_line(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "COLUMNS": "24"}
    command = [sys.executable, "-m", "robot_rlhf.cli", "train", "--sac.hidden", "0"]
    result = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.stderr == "robot-rlhf: error: SACConfig.hidden is 0: it must be at least 1\n"


def test_debug_shows_where_an_error_arose() -> None:
    with pytest.raises(Exception, match="must not be negative"):
        cli.main(["train", "--seed", "-1", "--debug"])


def test_a_full_disk_is_said(here: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(RunFolder, "create", full)
    assert f"{here / 'run'}: No space left on device" in refused("train", "--out", str(here / "run"))


@pytest.mark.parametrize(
    "words", [["train"], ["demo", "--headless"], ["evaluate", "run"], ["report", "run"]], ids=lambda w: w[0]
)
def test_a_missing_extra_is_told_with_the_pip_line(
    words: list[str], here: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda package: package != "torch")
    line = refused(*words)
    assert f"{words[0]} needs torch" in line
    assert "pip install" in line
    assert "learn]" in line
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(("words", "told"), [([], True), (["--headless"], False)])
def test_a_demo_without_a_display_says_that_nobody_but_a_simulated_operator_can_teach(
    words: list[str],
    told: bool,
    here: Path,
    finished_run: FinishedRun,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    summary = read_summary(finished_run.folder)
    assert summary is not None

    def chatty(run: RunFolder, device: Device) -> Summary:
        print("a library says something")
        os.write(1, b"and so does one that is written in C\n")
        return summary

    monkeypatch.setattr("robot_rlhf.commands.train.train", chatty)
    assert cli.main(["demo", *words, "--json"]) == 0
    out, err = capfd.readouterr()
    assert msgspec.json.decode(out, type=Summary) == summary
    assert out.count("\n") == 1
    assert ("there is no screen here" in err) == told
    assert "a library says something" in err
    assert "written in C" in err
    assert RunFolder.is_begun(here / "runs" / "pick_cube-0")


def test_a_run_that_a_person_began_is_not_handed_to_a_simulated_operator(
    here: Path, refused: Refused
) -> None:
    out = here / "hers"
    RunFolder.create(out, replace(RunConfig(), operator="console")).close()
    line = refused("demo", "--headless", "--resume", "--out", str(out))
    assert "--no-window" in line
    assert str(out) in line


def test_a_demo_where_there_is_a_display_is_taught_by_whoever_sits_there(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    taught: list[tuple[str, tuple[str, ...]]] = []

    def left_at_once(path: Path, config: RunConfig, wire: Wire, on: Device) -> bool:
        taught.append((config.operator, wire.console))
        return False

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("robot_rlhf.commands.live.train_live", left_at_once)
    assert cli.main(["demo"]) == 130
    assert taught == [("console", ("--guide",))]
    assert "to go on: robot-rlhf demo --resume" in capsys.readouterr().err
