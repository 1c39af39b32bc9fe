"""A made-up run with every sort of episode that an export has to tell apart; its arrays are random."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.data import stream
from robot_rlhf.data.stream import Export, Reward, RewardFacts
from robot_rlhf.data.tasks import task_facts
from robot_rlhf.feedback.episode import Episode, Float32, Role
from robot_rlhf.feedback.types import (
    Demonstration,
    Driver,
    Outcome,
    Removal,
    Segment,
    Takeover,
    derived_id,
)
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import RunFolder

TASK = task_facts("reach")
LENGTHS = (7, 12, 9, 5, 11, 1)


def episode(id: int, role: Role, length: int, taken_over: slice | None = None) -> Episode:
    """A made-up episode of reach."""
    rng = np.random.default_rng(id)
    drivers = np.full(length, Driver.OPERATOR if role is Role.DEMONSTRATION else Driver.POLICY, np.uint8)
    if taken_over is not None:
        drivers[taken_over] = Driver.OPERATOR
    action = rng.uniform(-1, 1, (length, TASK.action_size)).astype(np.float32)
    return Episode(
        id=id,
        role=role,
        task=TASK.name,
        seed=1000 + id,
        policy_version=id,
        obs=rng.standard_normal((length + 1, TASK.obs_size)).astype(np.float32),
        action=action,
        proposed=np.full_like(action, np.nan) if role is Role.DEMONSTRATION else -action,
        driver=drivers,
        scenes=rng.standard_normal((length + 1, TASK.scene_size)).astype(np.float32),
        terminated=id == 4,
        truncated=id != 4,
    )


def fill(run: RunFolder) -> None:
    """Demonstrations 0, 1 (Ann's, marked good) and 2 (Bob's, marked bad), policy episodes 3, 4 (with a
    takeover by Bob) and 5 (removed), and 6, rolled out beside 0."""

    def said(*what: object) -> dict[str, Any]:
        return {"id": derived_id(0, *what), "session": "s", "time_ns": 1}

    store = run.store
    with store.transaction():
        for id, length in enumerate(LENGTHS):
            role = Role.DEMONSTRATION if id < 3 else Role.ONLINE
            store.add_episode(episode(id, role, length, slice(2, 5) if id == 4 else None))
        store.add_episode(episode(6, Role.COUNTERFACTUAL, 7))
        for id, who in enumerate(("ann", "ann", "bob")):
            event = Demonstration(
                **said("d", id), operator=who, episode=id, alternatives=(6,) if not id else ()
            )
            store.add_feedback(event)
        taken = Takeover(**said("t"), operator="bob", executed=Segment(4, 2, 3), counterfactual=None)
        store.add_feedback(taken)
        for id, good in ((0, True), (1, True), (2, False), (4, True)):
            store.add_feedback(Outcome(**said("o", id), operator="eve", episode=id, success=good))
        store.add_feedback(Removal(**said("r"), operator="ann", episode=5))


@pytest.fixture(scope="session")
def made_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's folder; not to be changed. Episode 5 is removed, so five of its six go out."""
    folder = tmp_path_factory.mktemp("runs") / "made"
    run = RunFolder.create(folder, RunConfig(task="reach", seed=3))
    fill(run)
    run.close()
    return folder


def score(of: Episode) -> Float32:
    """A made-up reward."""
    return np.asarray((of.obs[1:] - of.obs[:-1])[:, 0], np.float32)


REWARD = Reward(RewardFacts(7, "checkpoints/step-00000001.safetensors", "0" * 64), score)


@pytest.fixture(scope="session")
def planned(made_run: Path) -> Callable[..., Export]:
    """planned(**changes): what goes out of the made-up run, with a made-up reward."""

    def plan(**changes: Any) -> Export:
        options: dict[str, Any] = {
            "control_hz": 10.0,
            "robot": "panda",
            "software": "robot-rlhf test",
            "reward": REWARD,
        }
        return stream.plan(made_run, **(options | changes))

    return plan


@pytest.fixture(scope="session")
def make_episode() -> Callable[..., Episode]:
    """make_episode(id, role, length, taken_over=None): a made-up episode of reach."""
    return episode


@pytest.fixture
def untold() -> Callable[[stream.Record], None]:
    """For exports that nobody watches."""
    return lambda record: None


@pytest.fixture(scope="session")
def exporting() -> Callable[[Export, int], Export]:
    """exporting(export, count): only its first `count` episodes."""
    return lambda export, count: dataclasses.replace(export, ids=export.ids[:count])
