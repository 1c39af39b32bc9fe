"""What holds for every test: one thread a process, repeatable properties, and no skipping where CI runs.

With ROBOT_RLHF_CI set, a test that skips has failed: what it wanted is for `.ci/run` or the extras of
`make test` to install.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch and numpy are loaded; workers share the cores
os.environ.pop("DISPLAY", None)  # no test opens a window, unless it says so itself
os.environ.pop("WAYLAND_DISPLAY", None)

import pytest
from hypothesis import settings

_STATE = tempfile.TemporaryDirectory()
os.environ["XDG_STATE_HOME"] = _STATE.name  # where hosts of real arms record

IN_CI = bool(os.environ.get("ROBOT_RLHF_CI"))
ROOT = Path(__file__).parents[1]

settings.register_profile("robot_rlhf", deadline=None, derandomize=IN_CI, print_blob=True)
settings.load_profile("robot_rlhf")


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if IN_CI and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, which ROBOT_RLHF_CI forbids: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """The drivers of real arms make the thread that asks them a real-time one. It must not stay so: what the
    next tests start would be real-time too, and a busy loop among it leaves nobody else a core."""
    yield
    if sys.platform == "linux" and os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


TINY = """
--threads 1 --schedule.demonstrations 2 --schedule.alternatives 1 --schedule.episodes 2
--schedule.warmup-episodes 1 --schedule.episodes-per-fit 1 --schedule.pairs-first 2
--schedule.evaluate-every 0 --schedule.final-episodes 2 --sac.hidden 16 --sac.updates-per-step 1
--sac.batch-size 16 --sac.q-filter --reward-model.hidden 16 --reward-model.fit-steps 10
--reward-model.min-steps 5 --clone.hidden 16 --clone.members 3 --clone.steps 20 --clone.chunk 2
--clone.replan-every 2
"""
"""Settings of a run that goes the whole road in seconds and learns nothing."""


@dataclass(frozen=True)
class FinishedRun:
    """A run that goes the whole road in seconds and learns nothing, begun by `train --resume --json`.

    `words` are all that was said but --json, `stdout` and `stderr` what was answered. Tests that change
    its folder take `run_copy`.
    """

    folder: Path
    words: tuple[str, ...]
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    words = ["train", "--task", "reach", "--seed", "3", "--out", str(folder), "--resume", *TINY.split()]
    process = subprocess.run(
        [sys.executable, "-m", "robot_rlhf.cli", *words, "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return FinishedRun(folder, tuple(words), process.stdout, process.stderr)


_SEEING = """
--cameras front,wrist --camera-px 40 --encoder.keypoints 2 --encoder.channels 4 --encoder.hidden 16
--encoder.steps 5 --encoder.batch-size 16
"""


@pytest.fixture(scope="session")
def seeing_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a run whose policy sees, with the cameras front and wrist, 40 pixels wide."""
    from robot_rlhf.commands.arguments import Train
    from robot_rlhf.commands.parsing import parse
    from robot_rlhf.commands.train import train
    from robot_rlhf.session.run_folder import RunFolder

    command = parse(["train", "--task", "reach", "--seed", "3", *TINY.split(), *_SEEING.split()])
    assert isinstance(command, Train)
    folder = tmp_path_factory.mktemp("runs") / "seeing"
    with contextlib.closing(RunFolder.create(folder, command.settings)) as run:
        train(run)
    return folder


@pytest.fixture
def run_copy(finished_run: FinishedRun, tmp_path: Path) -> Path:
    """A finished run to spoil."""
    return shutil.copytree(finished_run.folder, tmp_path / "copy")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Calls the command line with the given words, makes sure that all it answers is one line, and
    returns that."""
    from robot_rlhf import cli

    def call(*words: str) -> str:
        code = cli.main(list(words))
        out, err = capsys.readouterr()
        assert code in (1, 2)
        assert out == ""
        assert len(err.splitlines()) == 1, err
        assert err.startswith("robot-rlhf: error: ")
        return err.strip()

    return call
