"""A run's metrics go to Weights & Biases where that is asked for, and never in the way."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # it is made as it loads
from wandb.sdk.internal.datastore import DataStore

from robot_rlhf import cli
from robot_rlhf.commands import extras
from robot_rlhf.commands.mirror import mirrored
from robot_rlhf.feedback.episode import Role
from robot_rlhf.report.metrics import EpisodeEnded, MetricsLog, Moment, read_metrics
from robot_rlhf.session.run_folder import RunFolder

AT = Moment(environment_steps=60, operator_seconds=4.5, attended_seconds=9.0, wall_seconds=2.0)
EPISODE = EpisodeEnded(episode=9, role=Role.ONLINE, length=60, success_mark=True, operator_fraction=0.25)


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key of W&B's, and without anything that the machine's owner told it."""
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_ENTITY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / ".netrc"))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")


def written(run: Path) -> list[Record]:
    """All that W&B's own files in a run hold, read as W&B reads them."""
    records = []
    for file in sorted(run.glob("wandb/offline-run-*/*.wandb")):
        store = DataStore()
        store.open_for_scan(str(file))
        while (data := store.scan_data()) is not None:
            record = Record()
            record.ParseFromString(data)
            records.append(record)
    return records


def history(run: Path) -> list[dict[str, Any]]:
    rows = []
    for record in written(run):
        if record.HasField("history"):
            items = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
            rows.append({key: json.loads(value) for key, value in items.items()})
    return rows


@pytest.mark.usefixtures("offline")
def test_every_line_is_there_once_under_the_names_of_tensorboard(
    run_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["wandb", str(run_copy), "--project", "arms", "--json"]
    assert cli.main(words) == 0
    told = json.loads(capsys.readouterr().out)
    lines = read_metrics(run_copy)
    rows = history(run_copy)
    assert (told["count"], told["is_sent"]) == (len(lines), False)
    assert [row["time/total_timesteps"] for row in rows] == [line["environment_steps"] for line in lines]
    marks = [row["rollout/success_rate"] for row in rows if "rollout/success_rate" in row]
    assert len(marks) == sum(line["event"] == "episode" for line in lines)
    assert rows[-1].keys() >= {"eval/success_rate"} or rows[-1].keys() >= {"eval/clone_success_rate"}
    settings = {
        item.key: item.value_json for record in written(run_copy) for item in record.run.config.update
    }
    assert json.loads(settings["task"]) == "reach"
    ended = {item.key: item.value_json for record in written(run_copy) for item in record.summary.update}
    assert "success_rate" in ended
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out)["count"] == 0


@pytest.mark.usefixtures("offline")
def test_a_process_beside_the_run_passes_on_what_comes_and_ends_with_it(
    run_copy: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robot_rlhf.commands.mirror._LAST_S", 120.0)  # on a machine with much to do
    had = len(read_metrics(run_copy))
    with (
        mirrored(run_copy, "me/arms", "a sweep"),
        contextlib.closing(RunFolder.open(run_copy)),
        MetricsLog(run_copy) as log,
    ):
        log.write(AT, EPISODE)
    assert len(history(run_copy)) == had + 1
    begun = next(record.run for record in written(run_copy) if record.HasField("run"))
    assert (begun.entity, begun.project, begun.run_group) == ("me", "arms", "a sweep")
    assert begun.display_name == run_copy.name
    out, err = capfd.readouterr()
    assert out == ""
    assert "wandb sync" in err


def test_where_it_is_not_installed_nothing_begins(
    here: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda package: package != "wandb")
    for command in ("train", "sweep"):
        words = ("--task", "reach", "--out", "mine", "--wandb", "arms")
        assert "robot-rlhf[wandb]" in refused(command, *words)
    assert not list(here.iterdir())


def test_without_a_key_none_is_asked_for(run_copy: Path, refused: Callable[..., str]) -> None:
    assert "No API key configured" in refused("wandb", str(run_copy), "--project", "arms")


def test_a_server_that_is_not_there_is_said_in_one_line(
    run_copy: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setattr("robot_rlhf.report.wandb_board._PATIENCE_S", 1.0)
    assert "W&B: " in refused("wandb", str(run_copy), "--project", "arms")
