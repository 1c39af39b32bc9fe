"""Two made-up runs: a finished one with everything a run can have, and one just begun."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import (
    Choice,
    Demonstration,
    Driver,
    Evaluation,
    Kind,
    Outcome,
    Preference,
    Query,
    Segment,
    Takeover,
    derived_id,
)
from robot_rlhf.report.metrics import (
    Candidate,
    EpisodeEnded,
    Evaluated,
    HeldOut,
    KindFit,
    MetricsLog,
    Moment,
    OperatorFit,
    RewardFitted,
    SacUpdated,
)
from robot_rlhf.report.pictures import Picture
from robot_rlhf.report.statistics import wilson
from robot_rlhf.report.summary import RewardSummary, Summary, installed_versions, write_summary

EPISODES = 120
STEPS = 60
DEMONSTRATIONS = 8
CONFIG = """task = "pick_cube"
seed = 3
operator = "simulated"
feedback = ["demonstrations", "takeovers", "preferences", "evaluations", "outcomes"]
note = "<script>alert('a note is text')</script> & more"

[reward]
members = 3
hidden = 128
pessimism = 0.5

[sac]
batch = 256
updates_per_step = 1.0
"""


@dataclass(frozen=True)
class MadeRun:
    """A run's folder and what only a live session could hand to the report."""

    folder: Path
    clips: Mapping[str, list[Picture]]
    predicted_returns: Mapping[int, float]


@pytest.fixture
def complete_run(finished_run: MadeRun, tmp_path: Path) -> MadeRun:
    """A copy of the finished run, for tests that change it."""
    folder = tmp_path / finished_run.folder.name
    shutil.copytree(finished_run.folder, folder)
    return replace(finished_run, folder=folder)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> MadeRun:
    """A finished run with everything that a run can have and no report yet; not to be changed."""
    folder = tmp_path_factory.mktemp("made") / "a <b>run"
    folder.mkdir()
    rng = np.random.default_rng(0)
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    predicted = _fill_store(folder, rng)
    with MetricsLog(folder) as log:
        _fill_metrics(log, rng)
    low, high = wilson(94, 100)
    write_summary(
        folder,
        Summary(
            task="pick_cube",
            seed=3,
            success_rate=0.94,
            wilson_low=low,
            wilson_high=high,
            episodes=100,
            environment_steps=EPISODES * STEPS,
            operator_seconds=352.0,
            attended_seconds=711.0,
            wall_seconds=288.0,
            feedback=dict.fromkeys(Kind, 40) | {Kind.DEMONSTRATIONS: DEMONSTRATIONS},
            reward_model=RewardSummary(accuracy=0.88, nll=0.31, calibration_error=0.04),
            versions=installed_versions(),
        ),
    )
    clips = {"best": [_picture(i / 40) for i in range(41)], "worst": [_picture(i / 90) for i in range(41)]}
    return MadeRun(folder, clips, predicted)


@pytest.fixture
def begun_run(tmp_path: Path) -> Path:
    """A run of which only the configuration is written."""
    folder = tmp_path / "begun"
    folder.mkdir()
    (folder / "config.toml").write_text('[run]\ntask = "reach"\nseed = 0\n', encoding="utf-8")
    return folder


def moment(episode: int) -> Moment:
    return Moment(
        environment_steps=episode * STEPS,
        operator_seconds=120 + 230 * (episode / EPISODES) ** 0.5,
        attended_seconds=120 + 590 * episode / EPISODES,
        wall_seconds=288 * episode / EPISODES,
    )


def _fill_metrics(log: MetricsLog, rng: np.random.Generator) -> None:
    for episode in range(1, EPISODES + 1):
        at, done = moment(episode), episode / EPISODES
        role = Role.DEMONSTRATION if episode <= DEMONSTRATIONS else Role.ONLINE
        shared = 1.0 if role is Role.DEMONSTRATION else float(max(0.0, rng.normal(0.5 * (1 - done), 0.1)))
        marked = bool(rng.random() < 0.5 + 0.45 * done)
        log.write(
            at,
            EpisodeEnded(
                episode=episode, role=role, length=STEPS, success_mark=marked, operator_fraction=shared
            ),
        )
        log.write(at, _updates(episode, done, rng))
        if episode % 10 == 0:
            log.write(at, _fit(episode // 10, done, rng))
            successes = int(20 * min(1.0, 0.3 + 0.7 * done**0.7))
            log.write(at, _evaluated("policy", 20, successes, final=False))
    end = moment(EPISODES)
    log.write(end, _evaluated("policy", 100, 94, final=True))
    log.write(end, _evaluated("clone", 100, 61, final=True))


def _evaluated(policy: Candidate, episodes: int, successes: int, final: bool) -> Evaluated:
    return Evaluated(policy=policy, episodes=episodes, successes=successes, mean_length=38.4, final=final)


def _updates(episode: int, done: float, rng: np.random.Generator) -> SacUpdated:
    noise = rng.normal(size=4)
    return SacUpdated(
        updates=episode * STEPS,
        critic_loss=2 * np.exp(-3 * done + 0.2 * noise[0]),
        actor_loss=-4 * done + 0.2 * noise[1],
        bc_loss=0.4 * np.exp(-2 * done) + 0.01 * noise[2],
        alpha=0.2 * np.exp(-2 * done),
        entropy=float("nan") if episode == 1 else -2.0 - done + 0.1 * noise[3],
        q_mean=8 * done,
        q_std=1.5 - done,
        updates_per_second=110 + 3 * noise[0],
    )


def _fit(version: int, done: float, rng: np.random.Generator) -> RewardFitted:
    kinds = {
        kind: KindFit(
            count=int(40 * done) + 3,
            nll=0.7 - 0.3 * done,
            accuracy=float(np.clip(0.6 + 0.3 * done + 0.04 * rng.normal(), 0, 1)),
            calibration_error=0.05,
        )
        for kind in Kind
    }
    kinds[Kind.DEMONSTRATIONS] = KindFit(count=8, nll=None, accuracy=None, calibration_error=None)
    bins = np.linspace(0.525, 0.975, 10)
    rows = tuple((float(p), float(np.clip(p + 0.05 * rng.normal(), 0, 1)), int(4 + 40 * p)) for p in bins)
    heldout = HeldOut(
        nll=0.68 - 0.35 * done, accuracy=0.6 + 0.28 * done, calibration_error=0.04, calibration=rows
    )
    return RewardFitted(
        version=version,
        train_nll=0.66 - 0.4 * done,
        steps=200,
        seconds=0.8,
        kinds=kinds,
        heldout=heldout,
        operators={
            "hands": OperatorFit(rationality={"takeovers": 1.0 + done}, tie=0.8, leaning=0.3, lapse=0.06)
        },
    )


def _fill_store(folder: Path, rng: np.random.Generator) -> dict[int, float]:
    """Episodes with the simulation's truth, and feedback of every kind; returns predicted returns."""
    predicted = {}
    with Store.create(folder / "run.db") as store, store.transaction():
        for id in range(EPISODES):
            success = bool(rng.random() < 0.4 + 0.5 * id / EPISODES)
            reward = rng.normal(0.5 if success else 0.1, 0.05, STEPS).astype(np.float32)
            store.add_episode(_episode(id), (reward, success))
            predicted[id] = float(reward.sum() * 0.8 + rng.normal(0, 3))
            for event in _events(id, success):
                store.add_feedback(event)
        for index, choice in ((11, Choice.RIGHT), (13, Choice.LEFT)):  # asked again with sides swapped
            one, other = Segment(index, 0, 15), Segment(index - 1, 0, 15)
            store.add_query(Query(f"q{index}", one, other, "random"))
            store.add_query(Query(f"again{index}", other, one, "repeat"))
            store.add_feedback(
                Preference(
                    id=f"again{index}",
                    query=f"again{index}",
                    left=other,
                    right=one,
                    choice=choice,
                    response_s=2.0,
                    operator="hands",
                    session="s",
                    time_ns=10**12 + index,
                )
            )
        store.book("demonstrate", 96.0, 120.0)
        store.book("take_over", 180.0, 480.0)
        store.book("compare", 76.0, 111.0)
    return predicted


def _episode(id: int) -> Episode:
    demonstrated = id < DEMONSTRATIONS
    zeros = np.zeros((STEPS, 3), dtype=np.float32)
    return Episode(
        id=id,
        role=Role.DEMONSTRATION if demonstrated else Role.ONLINE,
        task="pick_cube",
        seed=id,
        policy_version=id,
        obs=np.zeros((STEPS + 1, 10), dtype=np.float32),
        action=zeros,
        proposed=zeros,
        driver=np.full(STEPS, Driver.OPERATOR if demonstrated else Driver.POLICY, dtype=np.uint8),
        scenes=np.zeros((STEPS + 1, 4), dtype=np.float32),
        terminated=False,
        truncated=True,
    )


def _events(id: int, success: bool) -> list[Demonstration | Takeover | Preference | Evaluation | Outcome]:
    def header(name: str) -> dict[str, Any]:
        time_ns = int((id + 1) * 5.5e9)
        return {"id": derived_id(3, name, id), "operator": "hands", "session": "s", "time_ns": time_ns}

    events: list[Demonstration | Takeover | Preference | Evaluation | Outcome] = [
        Outcome(episode=id, success=success, **header("outcome"))
    ]
    if id < DEMONSTRATIONS:
        events.append(Demonstration(episode=id, alternatives=(), **header("demonstration")))
    elif id % 3 == 0:
        takeover = Takeover(executed=Segment(id, 5, 10), counterfactual=None, **header("takeover"))
        press = Evaluation(episode=id, step=7, good=success, **header("press"))
        events += [takeover, press]
    elif id % 2:
        left, right = Segment(id, 0, 15), Segment(id - 1, 0, 15)
        events.append(
            Preference(
                query=f"q{id}",
                left=left,
                right=right,
                choice=Choice.LEFT,
                response_s=2.0,
                **header("preference"),
            )
        )
    return events


def _picture(done: float) -> Picture:
    """A table, a cube, and a gripper above it that comes down."""
    picture = np.full((96, 128, 3), (203, 210, 214), dtype=np.uint8)
    picture[70:] = (168, 148, 122)
    picture[58:72, 72:86] = (196, 62, 48)
    bottom, left = int(15 + 50 * done), int(40 + 36 * done)
    picture[:bottom, left : left + 6] = (70, 76, 84)
    picture[bottom : bottom + 5, left - 6 : left + 12] = (40, 44, 50)
    return picture
