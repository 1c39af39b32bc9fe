"""A policy that went out acts as the run's own does, where there is torch and nothing of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from robot_rlhf import cli
from robot_rlhf.commands.trained import read_learner
from robot_rlhf.learning.snapshot import Snapshot
from tests.conftest import FinishedRun

_ONLY_TORCH = """
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("robot_rlhf", "sim", "hardware", "gymnasium", "safetensors", "msgspec"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.fixture(scope="module")
def exported(finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("policies") / "policy"
    words = [str(finished_run.folder), "--out", str(out), "--license", "apache-2.0"]
    assert cli.main(["export-policy", *words]) == 0
    return out


def test_the_runner_acts_as_the_run_does_with_torch_alone(exported: Path, finished_run: FinishedRun) -> None:
    rng = np.random.default_rng(0)
    episodes = rng.standard_normal((2, 25, 14)).astype(np.float32)
    lines = [line for episode in episodes for line in [*map(json.dumps, episode.tolist()), "null"]]
    process = subprocess.run(
        [sys.executable, "-c", _ONLY_TORCH, str(exported / "run_policy.py")],
        input="\n".join(lines),
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    answers = [json.loads(line) for line in process.stdout.splitlines()]
    _, learner = read_learner(finished_run.folder)
    assert learner is not None
    actor = learner.policy(explore=False)
    wanted: list[list[float] | None] = []
    for episode in episodes:
        actor.reset()
        wanted += [*(actor.act(obs).tolist() for obs in episode), None]
    for answer, action in zip(answers, wanted, strict=True):
        assert (answer is None) == (action is None)
        if action is not None:
            assert np.abs(np.array(answer) - action).max() < 1e-6


def test_the_runner_is_short(exported: Path) -> None:
    lines = (exported / "run_policy.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 20


def test_the_weights_are_named_and_run_without_torch(exported: Path) -> None:
    data = (exported / "policy.safetensors").read_bytes()
    acting = Snapshot.from_bytes(data).begin(None)
    assert acting.act(np.zeros(14, np.float32)).shape == (3,)
    with safe_open(exported / "policy.safetensors", framework="np") as file:
        assert file.metadata()["format"] == "robot-rlhf-policy-2"


def test_the_card_says_what_it_takes_gives_and_can(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    for said in (
        "Bring the gripper to the green marker.",
        "Observation: 14 numbers",
        "`velocity_x` | -1 to 1 of 0.15 m/s",
        "It decides 10 times a second",
        "of 2 fresh starts (95% interval",
        "2 demonstrations of",
        "SHA-256",
    ):
        assert said in card


def test_a_run_without_a_policy_says_so(made_run_without: Path, refused: Callable[..., str]) -> None:
    line = refused("export-policy", str(made_run_without), "--out", str(made_run_without.parent / "out"))
    assert "has no checkpoint yet" in line
    assert not (made_run_without.parent / "out").exists()


@pytest.fixture
def made_run_without(tmp_path: Path) -> Path:
    from robot_rlhf.session.config import RunConfig
    from robot_rlhf.session.run_folder import RunFolder

    RunFolder.create(tmp_path / "run", RunConfig(task="reach")).close()
    return tmp_path / "run"


def test_a_folder_that_is_there_is_left_alone(
    exported: Path, finished_run: FinishedRun, refused: Callable[..., str]
) -> None:
    assert "choose another --out" in refused(
        "export-policy", str(finished_run.folder), "--out", str(exported)
    )
