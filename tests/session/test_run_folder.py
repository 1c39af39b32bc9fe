"""A run's folder: its settings survive the disk, and a folder that is no run gets one clear line."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from robot_rlhf.feedback.store import Store, StoreError
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import (
    BEGINNING,
    CONFIG,
    DATABASE,
    RunError,
    RunFolder,
    load_config,
    read_config,
    to_toml,
)

ROOT = Path(__file__).parents[2]


WORDS = {
    "task": "push",
    "feedback": "preferences,outcomes",
    "reward": "task",
    "labels": "shuffled",
    "kind": "ideal",
}


def changed(name: str, value: Any) -> Iterator[Any]:
    """Other values that a setting might take."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif isinstance(value, float):
        yield from (value * 0.93, value * 1.07, value + 1e-5)
    elif isinstance(value, tuple):
        yield tuple(one + 1 if isinstance(one, int) else one * 1.5 for one in value)
    elif value is None:
        yield 0.75
    elif name in WORDS:
        yield WORDS[name]


def variants(config: Any) -> Iterator[tuple[str, Any]]:
    """(setting, config) for every setting, however deep, that can take another value by itself."""
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        nested = dataclasses.is_dataclass(value)
        others = variants(value) if nested else ((item.name, o) for o in changed(item.name, value))
        for name, other in others:
            try:
                varied = dataclasses.replace(config, **{item.name: other})
            except ValueError:
                continue
            yield f"{item.name}.{name}" if nested else name, varied


VARIANTS = dict(variants(RunConfig()))


def test_the_variants_reach_nearly_every_setting() -> None:
    assert {"seed", "feedback", "schedule.pairs_decay", "simulated.hands.reaction_s", "sac.hidden"} <= set(
        VARIANTS
    )
    assert "reward_model.kind_weights.preferences" in VARIANTS
    assert len(VARIANTS) > 90


def test_every_setting_survives_the_disk(tmp_path: Path) -> None:
    file = tmp_path / CONFIG
    for name, config in VARIANTS.items():
        file.write_text(to_toml(config), encoding="utf-8")
        assert load_config(file) == config, name


def test_the_plain_config_survives_the_disk_and_is_readable(tmp_path: Path) -> None:
    text = to_toml(RunConfig())
    (tmp_path / CONFIG).write_text(text)
    assert load_config(tmp_path / CONFIG) == RunConfig()
    assert text.startswith('task = "pick_cube"\nseed = 0\n')
    assert "\n[simulated.hands]\n" in text


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("sede = 1", ["unknown key sede", "did you mean seed?"]),
        ("[schedule]\nepisode = 1", ["schedule.episode,", "did you mean schedule.episodes?"]),
        ("[simulated.hands]\ntremr = 0.1", ["simulated.hands.tremr", "did you mean simulated.hands.tremor?"]),
        (
            "[reward_model.kind_weights]\npreference = 1.0",
            ["did you mean reward_model.kind_weights.preferences?"],
        ),
        ("[console]\nx = 1", ["unknown key console"]),
        ("seed = -1", ["seed is -1", "negative"]),
        ("[sac]\nhidden = 0", ["hidden is 0"]),
        ("[sac]\nhidden = 'wide'", ["sac.hidden"]),
        ("sac = 3", ["sac"]),
        ("schedule = []", ["schedule"]),
        ('feedback = "demos"', ["'demos'", "demonstrations"]),
        ('labels = "wrong"', ["labels"]),
        ('reward = "task"\nlabels = "shuffled"', ["--labels shuffled"]),
        ("seed = ", ["not valid TOML"]),
        ("\x00", ["not valid TOML"]),
        ("a = " + "[" * 50_000, ["not valid TOML"]),
    ],
)
def test_settings_that_are_not_in_order_get_one_line(text: str, fragments: list[str], tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(RunError) as caught:
        load_config(tmp_path / CONFIG)
    line = str(caught.value)
    assert str(tmp_path / CONFIG) in line
    assert [fragment for fragment in fragments if fragment not in line] == []


def test_a_run_of_an_older_version_may_name_what_is_no_setting_any_more(tmp_path: Path) -> None:
    """Its own config may; a file that somebody writes for a new run may not."""
    RunFolder.create(tmp_path / "run", RunConfig(seed=3)).close()
    file = tmp_path / "run" / CONFIG
    text = file.read_text().replace("[clone]", "[clone]\nidle_speed = 0.03\ndrop_idle = true")
    file.write_text(text.replace("[encoder]", "[encoder]\nchunk = 10\nhorizons = [3, 6, 12]"))
    assert read_config(tmp_path / "run") == RunConfig(seed=3)
    with pytest.raises(RunError, match=r"unknown key clone\.idle_speed"):
        load_config(file)


def test_bytes_that_are_no_text_are_no_settings(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_bytes(b"\xff\xfe\x00s")
    with pytest.raises(RunError, match="not valid TOML"):
        load_config(tmp_path / CONFIG)


def test_a_run_is_made_closed_opened_and_the_same(tmp_path: Path) -> None:
    config = RunConfig(task="push", seed=9)
    path = tmp_path / "deep" / "run"
    run = RunFolder.create(path, config)
    assert RunFolder.is_begun(path)
    run.close()
    run.close()
    assert (
        read_config(path),
        sorted(item.name for item in path.iterdir() if item.name != f"{DATABASE}.lock"),
    ) == (
        config,
        ["checkpoints", CONFIG, DATABASE],
    )
    again = RunFolder.open(path)
    assert (again.config, again.store.meta("task"), again.store.meta("seed")) == (config, "push", "9")
    again.close()


def test_an_empty_folder_that_is_there_already_is_fine(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, RunConfig()).close()
    assert RunFolder.is_begun(tmp_path)


def test_only_one_process_has_a_run_open(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, RunConfig())
    with pytest.raises(StoreError):
        RunFolder.open(tmp_path)
    run.close()


@pytest.mark.parametrize("there", ["note", CONFIG, DATABASE])
def test_a_folder_with_something_in_it_is_left_as_it_is(there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(RunError, match="not an empty folder"):
        RunFolder.create(tmp_path, RunConfig())
    assert {item.name: item.read_text() for item in tmp_path.iterdir()} == {there: "mine"}


def test_a_place_where_nothing_can_be_written_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunError, match="file"):
            RunFolder.create(path, RunConfig())
    assert (tmp_path / "file").read_text() == "mine"
    for path in (Path("/proc/run"), Path("/sys/run")):  # refused to root as well
        with pytest.raises(RunError, match=f"cannot write to {path}"):
            RunFolder.create(path, RunConfig())


@pytest.mark.parametrize("missing", [CONFIG, DATABASE])
def test_a_folder_that_is_no_run_is_named_with_what_it_lacks(missing: str, tmp_path: Path) -> None:
    RunFolder.create(tmp_path, RunConfig()).close()
    (tmp_path / missing).unlink()
    with pytest.raises(RunError, match=f"is not a run folder: it has no {missing}"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize("already_there", [False, True])
def test_a_beginning_that_fails_leaves_nothing(
    already_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> NoReturn:
        path.with_name(f"{DATABASE}.new").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    path = tmp_path / "new" / "run"
    if already_there:
        path.mkdir(parents=True)
    monkeypatch.setattr(Store, "create", full)
    with pytest.raises(RunError, match="No space left on device"):
        RunFolder.create(path, RunConfig())
    assert list(tmp_path.rglob("*")) == ([path.parent, path] if already_there else [])


DIE = """
import os, signal, sys
from pathlib import Path
from robot_rlhf.feedback.store import Store
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session import run_folder

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

moments = {"config": (run_folder, "to_toml"), "store": (Store, "create"), "notes": (Store, "set_meta")}
setattr(*moments[sys.argv[2]], die)
run_folder.RunFolder.create(Path(sys.argv[1]), RunConfig(seed=5))
"""


@pytest.mark.parametrize("moment", ["config", "store", "notes"])
def test_a_beginning_that_was_killed_is_no_run_and_can_be_begun_again(moment: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    killed = subprocess.run(
        [sys.executable, "-c", DIE, str(out), moment],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert (out / BEGINNING).exists()
    assert not RunFolder.is_begun(out)
    with pytest.raises(RunError, match="cut short: train --resume"):
        RunFolder.open(out)
    run = RunFolder.create(out, RunConfig(seed=6))
    assert (run.store.meta("seed"), read_config(out).seed) == ("6", 6)
    run.close()
    assert not (out / BEGINNING).exists()


def test_what_a_person_put_beside_a_beginning_that_was_cut_short_is_left_alone(tmp_path: Path) -> None:
    for name in (BEGINNING, CONFIG, "note"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(RunError, match="not an empty folder"):
        RunFolder.create(tmp_path, RunConfig())
    assert sorted(item.name for item in tmp_path.iterdir()) == [BEGINNING, CONFIG, "note"]


def test_the_two_newest_checkpoints_are_kept_and_the_newest_that_is_there_is_found(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, RunConfig())
    assert run.latest_checkpoint() is None
    for step in (10, 20, 30):
        path = run.new_checkpoint(step)
        path.write_bytes(b"weights")
        run.keep(step, path)
    there = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert there == ["step-00000020.safetensors", "step-00000030.safetensors"]
    assert run.latest_checkpoint() == run.new_checkpoint(30)
    run.new_checkpoint(30).unlink()
    assert run.latest_checkpoint() == run.new_checkpoint(20)
    run.new_checkpoint(20).unlink()
    assert run.latest_checkpoint() is None
    run.close()


def test_one_that_is_newer_than_what_is_entered_is_left_alone(tmp_path: Path) -> None:
    """A learner writes the next one while the one before is still being entered."""
    run = RunFolder.create(tmp_path, RunConfig())
    for step, written_s in ((10, 1), (20, 2), (30, 3), (40, 4)):
        run.new_checkpoint(step).write_bytes(b"weights")
        os.utime(run.new_checkpoint(step), (written_s, written_s))
    run.keep(20, run.new_checkpoint(20))
    run.keep(30, run.new_checkpoint(30))
    there = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert there == [f"step-000000{step}.safetensors" for step in (20, 30, 40)]
    run.close()


def test_a_checkpoint_that_was_never_entered_does_not_count(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, RunConfig())
    run.new_checkpoint(10).write_bytes(b"killed before it was entered")
    assert run.latest_checkpoint() is None
    run.close()
