"""A policy that went out acts as the run's own does, where there is torch and nothing of ours."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from robot_rlhf import cli
from robot_rlhf.commands.trained import read_learner
from robot_rlhf.learning import checkpoint
from robot_rlhf.learning.snapshot import Snapshot
from sim.env import TaskEnv
from sim.pictured import PicturedEnv
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


@pytest.fixture(scope="module")
def seeing(seeing_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("policies") / "seeing"
    assert cli.main(["export-policy", str(seeing_run), "--out", str(out)]) == 0
    return out


def test_a_policy_that_sees_acts_as_the_run_does_on_the_same_pictures(seeing: Path, seeing_run: Path) -> None:
    _, learner = read_learner(seeing_run)
    assert learner is not None
    actor = learner.policy(explore=False)
    plain = TaskEnv("reach", cameras=("front", "wrist"), camera_px=40)
    env = PicturedEnv(plain)
    policy = runpy.run_path(str(seeing / "run_policy.py"))["Policy"]()
    for seed in (0, 1):
        obs, _ = env.reset(seed=seed)
        actor.reset()
        policy.reset()
        for _ in range(6):
            wanted = actor.act(obs["state"], plain.pictures)
            assert np.abs(policy.act(obs) - wanted).max() < 1e-5
            obs, *_ = env.step(wanted)
    env.close()


def test_a_policy_that_sees_has_its_encoder_among_its_weights(seeing: Path, seeing_run: Path) -> None:
    with safe_open(seeing / "policy.safetensors", framework="np") as file:
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    _, learner = read_learner(seeing_run)
    assert learner is not None and learner.encoder is not None
    for name, values in learner.encoder.state().items():
        assert (kept[f"encoder.{name}"] == values.numpy()).all()
    assert Snapshot.from_bytes((seeing / "policy.safetensors").read_bytes()).clone is not None


def test_the_card_of_a_policy_that_sees_says_what_pictures_it_takes(seeing: Path) -> None:
    card = (seeing / "README.md").read_text()
    for said in (
        "`state` and pictures of `front`, `wrist`",
        "(40, 40, 3) uint8, red first",
        "`state`: 6 numbers, float32",
        "| 0 to 2 | `tool` |",
    ):
        assert said in card


def test_a_policy_that_has_not_learned_to_see_says_so(
    seeing_run: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    run = shutil.copytree(seeing_run, tmp_path / "run")
    for path in (run / "checkpoints").iterdir():
        saved = checkpoint.load(path)
        saved.tensors["encoder._fitted"].fill_(False)
        checkpoint.save(path, saved.tensors, saved.metadata)
    line = refused("export-policy", str(run), "--out", str(tmp_path / "out"))
    assert "has not learned to see yet" in line
    assert not (tmp_path / "out").exists()


def test_the_runner_is_short(exported: Path, seeing: Path) -> None:
    for policy in (exported, seeing):
        lines = (policy / "run_policy.py").read_text().splitlines()
        assert sum(bool(line.strip()) for line in lines) <= 20


def test_the_weights_are_named_and_run_without_torch(exported: Path) -> None:
    data = (exported / "policy.safetensors").read_bytes()
    acting = Snapshot.from_bytes(data).begin(None)
    assert acting.act(np.zeros(14, np.float32)).shape == (3,)
    with safe_open(exported / "policy.safetensors", framework="np") as file:
        assert file.metadata()["format"] == "robot-rlhf-policy-3"


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
