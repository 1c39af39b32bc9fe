"""Settings: flags win over a file, the file over the task's preset, and a resumed run keeps its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from robot_rlhf import cli
from robot_rlhf.commands.arguments import Train
from robot_rlhf.commands.parsing import parse
from robot_rlhf.session.presets import preset
from robot_rlhf.session.run_folder import load_config

if TYPE_CHECKING:
    from tests.conftest import FinishedRun

Captured = pytest.CaptureFixture[str]
Refused = Callable[..., str]


def test_flags_win_over_the_file_and_the_file_over_the_tasks_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('task = "reach"\nseed = 7\n[schedule]\nepisodes = 9\nfinal_episodes = 11\n')
    command = parse(["train", "--config", str(file), "--schedule.final-episodes", "13"])
    assert isinstance(command, Train)
    schedule = command.settings.schedule
    assert (command.settings.task, command.settings.seed) == ("reach", 7)
    assert (schedule.episodes, schedule.final_episodes) == (9, 13)
    assert schedule.demonstrations == preset("reach").schedule.demonstrations
    assert command.out == Path("runs/reach-7")


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("sede = 3", "unknown key sede, did you mean seed?"),
        ("[sac]\nhiden = 3", "unknown key sac.hiden, did you mean sac.hidden?"),
        ("seed = -1", "seed is -1"),
        ('task = "fly"', "no task named 'fly'"),
        ('arm = "pand"', "no arm named 'pand', did you mean 'panda'"),
        ('seed = "many"', "seed"),
        ("seed = [", "not valid TOML"),
    ],
)
def test_a_file_of_settings_that_is_not_in_order_is_named(
    text: str, fragment: str, here: Path, refused: Refused
) -> None:
    (here / "mine.toml").write_text(text)
    line = refused("train", "--config", "mine.toml")
    assert fragment in line
    assert [path.name for path in here.iterdir()] == ["mine.toml"]


def test_settings_without_an_arm_are_of_the_panda(tmp_path: Path) -> None:
    file = tmp_path / "older.toml"
    file.write_text('task = "reach"\n')
    assert load_config(file).arm == "panda"
    command = parse(["train", "--config", str(file), "--arm", "iiwa"])
    assert isinstance(command, Train) and command.settings.arm == "iiwa"


def test_a_file_of_settings_that_is_not_there_is_named(here: Path, refused: Refused) -> None:
    assert "nowhere.toml: No such file" in refused("train", "--config", "nowhere.toml")


def test_resuming_with_the_same_words_is_fine(finished_run: FinishedRun, capsys: Captured) -> None:
    assert cli.main(list(finished_run.words)) == 0
    assert "is finished" in capsys.readouterr().err


def test_resuming_with_other_words_names_them_and_both_values(
    finished_run: FinishedRun, refused: Refused
) -> None:
    words = ["--seed", "4", "--sac.hidden", "17", "--sac.no-q-filter"]
    line = refused("train", "--resume", "--out", str(finished_run.folder), *words)
    assert "--seed 4 (it was begun with 3)" in line
    assert "--sac.hidden 17 (it was begun with 16)" in line
    assert "--sac.q-filter False (it was begun with True)" in line
