"""A run that is killed in the middle loses nothing that was said, says nothing twice, and ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from safetensors.numpy import load_file, save_file

from robot_rlhf import cli
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.store import Store, StoredEvent
from robot_rlhf.feedback.types import Demonstration, Kind, Outcome, Preference
from robot_rlhf.report.metrics import EpisodeEnded, Evaluated, RewardFitted, SacUpdated, read_events
from robot_rlhf.report.summary import read_summary
from robot_rlhf.session.run_folder import CONFIG, RunFolder, read_config

if TYPE_CHECKING:
    from tests.conftest import FinishedRun

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]


def said(run: Path) -> list[StoredEvent]:
    """What of feedback is on the disk, in its order."""
    if not RunFolder.is_begun(run):
        return []
    with Store.open_readonly(run / "run.db") as store:
        return store.all_events()


def killed_at(events: int, words: Sequence[str], run: Path) -> list[StoredEvent]:
    """Have a process work on `run` until that many events are stored, kill it, and return what was said."""
    with (run.parent / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "robot_rlhf.cli", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=stderr,
        )
        while len(said(run)) < events:
            try:
                process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"it ended too early: {(run.parent / 'stderr').read_text()}")
        process.kill()
        assert process.wait() == -signal.SIGKILL
    return said(run)


@pytest.fixture(scope="module")
def killed_run(
    finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[list[StoredEvent]]]:
    """A run that was killed while it was demonstrated to, then while the policy drove, and then went on to
    its end; and what had been said at each kill."""
    run = tmp_path_factory.mktemp("killed") / "run"
    words = [
        *finished_run.words,
        "--out",
        str(run),
        "--schedule.demonstrations",
        "3",
        "--schedule.episodes",
        "8",
    ]
    kills = [killed_at(3, words, run)]
    kills.append(killed_at(len(kills[0]) + 16, words, run))
    assert not (run / "summary.json").exists()
    done = subprocess.run(
        [sys.executable, "-m", "robot_rlhf.cli", *words, "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "going on with" in done.stderr
    assert json.loads(done.stdout) == json.loads((run / "summary.json").read_text())
    return run, kills


KilledRun = tuple[Path, list[list[StoredEvent]]]


def test_all_that_was_acknowledged_is_still_there_in_its_order(killed_run: KilledRun) -> None:
    run, kills = killed_run
    events = said(run)
    for before in kills:
        assert events[: len(before)] == before
    assert len(kills[0]) < len(kills[1]) < len(events)


def test_nothing_was_said_twice(killed_run: KilledRun) -> None:
    events = said(killed_run[0])
    assert len({event.id for event in events}) == len(events)
    shown = [event.episode for event in events if isinstance(event, Demonstration)]
    marked = [event.episode for event in events if isinstance(event, Outcome)]
    answered = [event.query for event in events if isinstance(event, Preference)]
    assert len(set(shown)) == len(shown)
    assert len(set(marked)) == len(marked)
    assert len(set(answered)) == len(answered)


def test_the_schedule_was_done_just_once(killed_run: KilledRun, finished_run: FinishedRun) -> None:
    run, _ = killed_run
    schedule = read_config(run).schedule
    with Store.open_readonly(run / "run.db") as store:
        roles = [episode.role for episode in store.episodes()]
        assert len(store.queries()) == len(store.feedback({Kind.PREFERENCES}))
    assert roles.count(Role.DEMONSTRATION) == schedule.demonstrations
    assert roles.count(Role.ONLINE) == schedule.episodes


def test_the_summary_is_of_the_whole_run(killed_run: KilledRun) -> None:
    run, _ = killed_run
    summary = read_summary(run)
    assert summary is not None
    with Store.open_readonly(run / "run.db") as store:
        assert summary.feedback == store.counts()
        assert summary.operator_seconds == pytest.approx(store.operator_seconds().active_s)
        arm = [one.length for one in store.episodes() if one.role is not Role.COUNTERFACTUAL]
    assert summary.environment_steps == sum(arm)
    assert summary.reward_model is not None
    assert (run / "report.html").exists()


def test_the_log_grows_as_if_nothing_had_happened(killed_run: KilledRun) -> None:
    run, _ = killed_run
    lines = read_events(run)
    for one, other in pairwise(moment for moment, _ in lines):
        assert one.wall_seconds <= other.wall_seconds
        assert one.environment_steps <= other.environment_steps
        assert one.operator_seconds <= other.operator_seconds
    with Store.open_readonly(run / "run.db") as store:
        stored = [one.id for one in store.episodes() if one.role is not Role.COUNTERFACTUAL]
        seconds = float(store.meta("wall_seconds") or 0.0)
    events = [event for _, event in lines]
    assert [event.episode for event in events if isinstance(event, EpisodeEnded)] == stored
    versions = [event.version for event in events if isinstance(event, RewardFitted)]
    assert versions == list(range(1, len(versions) + 1))
    updates = [event.updates for event in events if isinstance(event, SacUpdated)]
    assert updates == sorted(set(updates))
    final = [event.policy for event in events if isinstance(event, Evaluated) and event.final]
    assert final == ["policy", "clone"]
    assert seconds >= lines[-1][0].wall_seconds


def error_of_resuming(run: Path, capsys: Captured) -> str:
    """The one line of complaint that follows the one that says what is gone on with."""
    capsys.readouterr()
    assert cli.main(["train", "--resume", "--out", str(run)]) == 1
    going_on, complaint = capsys.readouterr().err.splitlines()
    assert "going on with" in going_on
    assert complaint.startswith("robot-rlhf: error: ")
    return complaint


def unfinished(run: Path) -> None:
    """As if killed just before its last word."""
    (run / "summary.json").unlink()
    (run / "report.html").unlink()


def test_killed_after_its_evaluation_it_evaluates_again_and_keeps_what_it_knows_of_its_reward(
    run_copy: Path, finished_run: FinishedRun
) -> None:
    before = read_summary(run_copy)
    unfinished(run_copy)
    words = [*finished_run.words, "--out", str(run_copy)]
    assert cli.main(words) == 0
    after = read_summary(run_copy)
    assert before is not None
    assert after is not None
    assert after.reward_model == before.reward_model
    assert after.success_rate == before.success_rate
    assert after.feedback == before.feedback
    assert after.wall_seconds > before.wall_seconds
    final = [event for _, event in read_events(run_copy) if isinstance(event, Evaluated) and event.final]
    assert [event.policy for event in final] == ["policy", "clone"]


def test_a_finished_run_without_a_report_gets_one(run_copy: Path, capsys: Captured) -> None:
    (run_copy / "report.html").unlink()
    assert cli.main(["train", "--resume", "--json", "--out", str(run_copy)]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert "is finished" in err
    assert (run_copy / "report.html").exists()


def test_a_checkpoint_that_does_not_fit_is_one_line_and_nothing_is_touched(
    run_copy: Path, capsys: Captured
) -> None:
    unfinished(run_copy)
    for path in (run_copy / "checkpoints").iterdir():
        kept = {name: tensor for name, tensor in load_file(path).items() if name != "reward.scale"}
        save_file(kept, path, {"format": "robot-rlhf-checkpoint-2"})
    log, board = (run_copy / "metrics.jsonl").read_bytes(), sorted((run_copy / "tensorboard").iterdir())
    line = error_of_resuming(run_copy, capsys)
    assert "does not fit this run" in line
    assert "scale" in line
    assert (run_copy / "metrics.jsonl").read_bytes() == log
    assert sorted((run_copy / "tensorboard").iterdir()) == board


def test_a_log_that_cannot_be_read_is_one_line(run_copy: Path, capsys: Captured) -> None:
    unfinished(run_copy)
    with (run_copy / "metrics.jsonl").open("a") as file:
        file.write('{"event":"dance"}\n')
    assert "metrics.jsonl, line" in error_of_resuming(run_copy, capsys)


def test_a_beginning_that_was_cut_short_is_begun_by_resume(
    here: Path, finished_run: FinishedRun, capsys: Captured
) -> None:
    (here / "run").mkdir()
    for name in (".beginning", CONFIG, "run.db"):
        (here / "run" / name).write_text("half")
    assert cli.main([*finished_run.words, "--out", "run"]) == 0
    assert "beginning run" in capsys.readouterr().err
    assert read_summary(here / "run") is not None
