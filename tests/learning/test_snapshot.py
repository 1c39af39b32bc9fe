"""A snapshot acts and judges as the networks it was taken of, without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import Driver, Outcome
from robot_rlhf.learning.cloning import ChunkedClone
from robot_rlhf.learning.policy_config import CloneConfig, SACConfig
from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.learning.reward_model import RewardModel
from robot_rlhf.learning.sac import SAC
from robot_rlhf.learning.snapshot import Snapshot, SnapshotError

OBS, ACTION = 6, 3


def make_sac() -> SAC:
    sac = SAC(OBS, ACTION, SACConfig(hidden=16), seed=4)
    sac.normaliser.fit(np.random.default_rng(0).normal(2.0, 3.0, (50, OBS)).astype(np.float32))
    with torch.no_grad():
        for parameter in sac.actor.parameters():  # so that explorer and deployed differ
            parameter.add_(0.1)
    return sac


def make_reward() -> RewardModel:
    rng = np.random.default_rng(1)

    def episode(number: int, drift: float) -> Episode:
        obs = np.cumsum(rng.normal(drift, 0.1, (21, OBS)), axis=0).astype(np.float32)
        action = np.zeros((20, ACTION), np.float32)
        return Episode(
            id=number,
            role=Role.ONLINE,
            task="reach",
            seed=0,
            policy_version=0,
            obs=obs,
            action=action,
            proposed=action,
            driver=np.full(20, Driver.POLICY, np.uint8),
            scenes=np.zeros((21, 5), np.float32),
            terminated=False,
            truncated=True,
        )

    episodes = {0: episode(0, 0.2), 1: episode(1, -0.2)}
    marks = [
        Outcome(id=str(n), operator="ada", session="s", time_ns=n, episode=n, success=n == 0) for n in (0, 1)
    ]
    model = RewardModel(OBS, RewardConfig(hidden=16, fit_steps=20, min_steps=5), seed=2)
    model.fit(marks, episodes)
    return model


def make_clone(seed: int = 5) -> ChunkedClone:
    rng = np.random.default_rng(2)
    obs = rng.normal(0.0, 2.0, (21, OBS)).astype(np.float32)
    action = rng.uniform(-1, 1, (20, ACTION)).astype(np.float32)
    driver = np.full(20, Driver.OPERATOR, np.uint8)
    scenes = np.zeros((21, 5), np.float32)
    shown = Episode(0, Role.DEMONSTRATION, "reach", 0, 0, obs, action, action, driver, scenes, False, True)
    clone = ChunkedClone(OBS, ACTION, CloneConfig(hidden=16, steps=20, chunk=4, replan_every=3), seed)
    clone.fit([shown], rng)
    return clone


@pytest.fixture(scope="module")
def taken() -> tuple[SAC, RewardModel, Snapshot]:
    sac, reward = make_sac(), make_reward()
    return sac, reward, Snapshot.of(sac.snapshot() | reward.snapshot())


def driven(snapshot: Snapshot, obs: np.ndarray, seed: int | None = None) -> np.ndarray:
    """What it does along an episode (N, m)."""
    acting = snapshot.begin(None if seed is None else np.random.default_rng(seed))
    return np.stack([acting.act(row) for row in obs])


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0.0, 5.0, (count, OBS)).astype(np.float32)


def test_it_does_what_the_averaged_actor_does(taken: tuple[SAC, RewardModel, Snapshot]) -> None:
    sac, _, snapshot = taken
    obs = rows(200)
    wanted = sac.act(obs, deterministic=True, averaged=True)
    assert np.abs(driven(snapshot, obs) - wanted).max() < 1e-5
    assert np.abs(wanted - sac.act(obs, deterministic=True)).max() > 1e-3, "the two actors must differ here"


def test_it_corrects_the_clone_as_the_averaged_actor_does(taken: tuple[SAC, RewardModel, Snapshot]) -> None:
    sac, clone, obs = make_sac(), make_clone(), rows(40)
    before = sac.act(obs, clone.along(obs), deterministic=True, averaged=True)
    sac._spread = torch.tensor(0.01)
    snapshot = Snapshot.from_bytes(Snapshot.of(sac.snapshot() | clone.snapshot()).to_bytes())
    wanted = sac.act(obs, clone.along(obs), deterministic=True, averaged=True)
    assert np.abs(driven(snapshot, obs) - wanted).max() < 1e-5
    is_base = np.isclose(wanted, clone.along(obs), atol=1e-5).all(axis=1)
    assert 0 < is_base.sum() < len(obs), "both must be taken here"
    assert not np.allclose(wanted, before), "the margin must matter here"


def test_it_explores_as_the_actor_does(taken: tuple[SAC, RewardModel, Snapshot]) -> None:
    sac, _, snapshot = taken
    obs = np.tile(rows(1), (4000, 1))
    ours = np.arctanh(np.clip(driven(snapshot, obs, seed=0), -0.999999, 0.999999))
    theirs = np.arctanh(np.clip(sac.act(obs), -0.999999, 0.999999))
    assert np.allclose(ours.mean(0), theirs.mean(0), atol=0.1)
    assert np.allclose(ours.std(0), theirs.std(0), rtol=0.1)


def test_it_judges_as_the_reward_model_does(taken: tuple[SAC, RewardModel, Snapshot]) -> None:
    _, reward, snapshot = taken
    obs = rows(51)
    before, after = torch.from_numpy(obs[:-1]), torch.from_numpy(obs[1:])
    wanted = (reward.members(before, after).mean(0) - reward.scale.mean) / reward.scale.std
    ours = snapshot.reward(obs[:-1], obs[1:])
    assert ours is not None
    assert np.abs(ours - wanted.numpy()).max() < 1e-3


def test_it_survives_the_wire(taken: tuple[SAC, RewardModel, Snapshot]) -> None:
    snapshot = taken[2]
    again = Snapshot.from_bytes(snapshot.to_bytes())
    assert again.version == snapshot.version
    assert np.array_equal(driven(again, rows(5)), driven(snapshot, rows(5)))


def test_before_the_first_fit_it_has_no_opinion() -> None:
    snapshot = Snapshot.of(make_sac().snapshot())
    assert snapshot.reward(rows(2)[:1], rows(2)[1:]) is None


def test_what_is_no_policy_is_refused(taken: tuple[SAC, RewardModel, Snapshot]) -> None:
    snapshot = taken[2]
    with pytest.raises(SnapshotError, match="no policy"):
        Snapshot.from_bytes(b"not a policy at all")
    with pytest.raises(SnapshotError, match="no policy"):
        Snapshot.from_bytes(snapshot.to_bytes()[:-40])
    lacking = {name: value for name, value in snapshot.tensors.items() if not name.startswith("explorer")}
    with pytest.raises(SnapshotError, match="explorer"):
        Snapshot.of(lacking)
    spoilt = dict(snapshot.tensors) | {"obs.mean": np.full(OBS, np.nan, np.float32)}
    with pytest.raises(SnapshotError, match="not finite"):
        Snapshot.of(spoilt)


def test_it_needs_no_torch() -> None:
    code = "import sys; import robot_rlhf.learning.snapshot; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_that_is_swapped_for_another_carries_out_what_its_clone_foresaw(
    taken: tuple[SAC, RewardModel, Snapshot],
) -> None:
    sac, obs = taken[0], rows(7)
    one, other = make_clone(), make_clone(seed=6)
    acting = Snapshot.of(sac.snapshot() | one.snapshot()).begin(None)
    first = [acting.act(row) for row in obs[:4]]
    acting.swap(Snapshot.of(sac.snapshot() | other.snapshot()))
    did = np.stack([*first, *(acting.act(row) for row in obs[4:])])
    base = np.concatenate([one.along(obs)[:6], other.along(obs)[6:]])  # of chunks of three, from 0, 3 and 6
    assert np.abs(did - sac.act(obs, base, deterministic=True, averaged=True)).max() < 1e-5
    assert np.abs(one.along(obs)[6] - other.along(obs)[6]).max() > 0.01
