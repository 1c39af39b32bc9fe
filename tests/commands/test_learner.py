"""`learner serve` and `train --learner`: the learner itself, over CURVE, killed in the middle of a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from robot_rlhf import cli
from robot_rlhf.commands.keys import make_key
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.report.metrics import EpisodeEnded, read_events
from robot_rlhf.session.run_folder import DATABASE, RunFolder, read_config
from tests.conftest import TINY
from tests.session.remote.machine import rows

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "ROBOT_RLHF_PAIR_S": "0.2"}
Refused = Callable[..., str]


class Serving:
    """`learner serve` with keys, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.keys = folder / "learner", folder / "keys"
        self.key = Path(make_key(self.keys, "arm", "session").file)
        self.address = "tcp://127.0.0.1:0"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        words = [
            "learner",
            "serve",
            "--bind",
            self.address,
            "--keys",
            str(self.keys),
            "--runs",
            str(self.folder),
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "robot_rlhf.cli", *words],
            env=ENVIRONMENT,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert "robot-rlhf train --learner tcp://" in line, line
        assert line.endswith("--learner-key FILE\n")
        self.address = next(word for word in line.split() if word.startswith("tcp://"))

    def end(self, how: signal.Signals) -> str:
        """What else it said."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.communicate(timeout=60)[1]


@dataclass(frozen=True)
class FarRun:
    """A run whose learner was elsewhere, and was killed and started anew."""

    folder: Path
    mirror: Path
    done: subprocess.CompletedProcess[str]
    said: str
    """What the learner's machine said at its end, by Ctrl-C."""
    code: int


@pytest.fixture(scope="module")
def far_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarRun]:
    folder = tmp_path_factory.mktemp("far")
    serving, run = Serving(folder), folder / "run"
    serving.start()
    try:
        learner = ["--learner", serving.address, "--learner-key", str(serving.key)]
        less = "--schedule.demonstrations 1 --schedule.final-episodes 1 --schedule.no-compare-with-cloning"
        words = (
            "train",
            "--live",
            "--task",
            "reach",
            *TINY.split(),
            *less.split(),
            "--out",
            str(run),
            *learner,
        )
        session = subprocess.Popen(
            [sys.executable, "-m", "robot_rlhf.cli", *words, "--json"],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not online(run):
            assert session.poll() is None, session.communicate()[1]
            time.sleep(0.02)
        serving.end(signal.SIGKILL)
        serving.start()
        out, err = session.communicate(timeout=400)
        done = subprocess.CompletedProcess(words, session.returncode, out, err)
        said = serving.end(signal.SIGINT)
        assert serving.process is not None
        (mirror,) = serving.folder.iterdir()
        yield FarRun(run, mirror, done, said, serving.process.returncode)
    finally:
        if serving.process is not None:
            serving.process.kill()


def online(run: Path) -> bool:
    """Whether an episode that the policy drove is stored."""
    if not RunFolder.is_begun(run):
        return False
    with Store.open_readonly(run / DATABASE) as store:
        return bool(store.episode_steps(Role.ONLINE))


def test_the_run_ends_as_any_other_with_all_of_it_in_its_own_folder(far_run: FarRun) -> None:
    run, done = far_run.folder, far_run.done
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert json.loads(line) == json.loads((run / "summary.json").read_text())
    assert "Traceback" not in done.stderr
    assert (run / "report.html").exists()
    assert list((run / "tensorboard").iterdir())
    stored = RunFolder.open(run)
    assert stored.latest_checkpoint() is not None
    stored.close()
    assert not list((run / ".incoming").iterdir())


def test_every_row_is_here_and_there_once(far_run: FarRun) -> None:
    mine, theirs = rows(far_run.folder), rows(far_run.mirror)
    assert mine["truth"]
    assert mine | {"truth": []} == theirs
    config = read_config(far_run.folder)
    with Store.open_readonly(far_run.folder / DATABASE) as store:
        assert len(store.episode_steps(Role.ONLINE)) == config.schedule.episodes


def test_the_session_says_that_the_learner_was_gone_and_came_back(far_run: FarRun) -> None:
    lines = [line for line in far_run.done.stderr.splitlines() if "the learner at" in line]
    assert any("the arm goes on with the policy it has" in line for line in lines)
    assert lines[-1].endswith("is there again")


def test_the_log_has_every_episode_once(far_run: FarRun) -> None:
    logged = [event.episode for _, event in read_events(far_run.folder) if isinstance(event, EpisodeEnded)]
    with Store.open_readonly(far_run.folder / DATABASE) as store:
        arms = [*store.episode_steps(Role.DEMONSTRATION), *store.episode_steps(Role.ONLINE)]
    assert sorted(logged) == sorted(arms)


def test_what_reads_a_run_reads_this_one(far_run: FarRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", str(far_run.folder), "--json"]) == 0  # rows, checkpoints, logs, summary
    assert json.loads(capsys.readouterr().out)["findings"] == []


def test_ctrl_c_ends_it(far_run: FarRun) -> None:
    assert far_run.code == 130
    assert "Traceback" not in far_run.said
    assert far_run.said.splitlines()[-1] == "robot-rlhf: stopped"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["learner"], "learner needs"),
        (["learner", "serve"], "--bind"),
        (["learner", "serve", "--bind", "here"], "tcp://HOST:PORT"),
        (["learner", "serve", "--bind", "tcp://0.0.0.0:5000"], "without keys"),
        (["learner", "serve", "--bind", "tcp://0.0.0.0:5000", "--keys", "none"], "none"),
        (["train", "--out", "run", "--learner", "tcp://127.0.0.1:5000"], "--learner is for real time"),
        (["train", "--live", "--out", "run", "--group", "bench"], "go with --learner"),
        (["train", "--out", "run", "--device", "gpu"], "gpu"),
        (
            ["train", "--live", "--out", "run", "--device", "auto", "--learner", "tcp://127.0.0.1:5000"],
            "say it to `robot-rlhf learner serve`",
        ),
        (["train", "--live", "--out", "run", "--learner", "there"], "tcp://HOST:PORT"),
        (["train", "--live", "--out", "run", "--learner", "tcp://192.0.2.1:5000"], "without keys"),
        (["train", "--live", "--out", "run", "--learner", "tcp://127.0.0.1:5000", "--group", "a/b"], "'a/b'"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_told_in_one_line(
    words: list[str], told: str, here: Path, refused: Refused
) -> None:
    assert told in refused(*words)
    assert not (here / "run").exists()


@pytest.mark.parametrize(
    "words", [["train", "--out", "run"], ["learner", "serve", "--bind", "tcp://127.0.0.1:0"]]
)
def test_a_gpu_that_is_not_there_is_named_before_anything_begins(
    words: list[str], here: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "there is only the CPU here" in refused(*words, "--device", "cuda")
    assert not list(here.iterdir())


def test_an_operator_s_key_has_nothing_learned(tmp_path: Path, refused: Refused) -> None:
    serving = Serving(tmp_path)
    key = make_key(serving.keys, "ada", "operator").file
    serving.start()
    try:
        words = ["train", "--live", "--out", str(tmp_path / "run"), "--learner", serving.address]
        assert "the role operator" in refused(*words, "--learner-key", key)
        assert "runs with keys" in refused(*words)
        assert not (tmp_path / "run").exists()
    finally:
        serving.end(signal.SIGKILL)
