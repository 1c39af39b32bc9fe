"""A policy as one function of torch does what ours does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from robot_rlhf.learning.cloning import ChunkedClone
from robot_rlhf.learning.policy_config import CloneConfig, SACConfig
from robot_rlhf.learning.portable import Portable
from robot_rlhf.learning.sac import SAC
from robot_rlhf.learning.snapshot import Snapshot

N, M, STEPS = 5, 3, 40


@pytest.fixture
def sac() -> SAC:
    """Made anew, but with weights that matter and an observation's scale."""
    sac = SAC(N, M, SACConfig(hidden=16), seed=0)
    sac._spread = torch.tensor(0.8)
    sac.normaliser.fit(np.random.default_rng(1).normal(3.0, 2.0, (50, N)).astype(np.float32))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in (sac._average, sac._target):
            for parameter in module.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return sac


@pytest.fixture
def clone() -> ChunkedClone:
    clone = ChunkedClone(N, M, CloneConfig(hidden=16, chunk=6, replan_every=4), seed=0)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in clone._modules().parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return clone


def observations() -> np.ndarray:
    return np.random.default_rng(0).normal(3.0, 2.0, (STEPS, N)).astype(np.float32)


def driven(portable: Portable) -> np.ndarray:
    memory, actions = torch.zeros(portable.memory_size), []
    for obs in observations():
        action, memory = portable(torch.from_numpy(obs), memory)
        actions.append(action.numpy())
    return np.stack(actions)


def test_the_corrected_clone(sac: SAC, clone: ChunkedClone) -> None:
    actions, bases = [], []
    for obs in observations():
        base = clone.act(obs)
        bases.append(base)
        actions.append(sac.act(obs, base, deterministic=True, averaged=True))
    corrected = ~np.isclose(np.stack(actions), np.stack(bases), atol=1e-3).all(axis=1)
    assert corrected.any()
    assert not corrected.all()  # both branches were gone through
    found = driven(Portable(Snapshot.of(sac.snapshot() | clone.snapshot())))
    assert np.abs(found - np.stack(actions)).max() < 1e-6


def test_the_actor_without_a_clone(sac: SAC) -> None:
    wanted = [sac.act(obs, deterministic=True, averaged=True) for obs in observations()]
    assert np.abs(driven(Portable(Snapshot.of(sac.snapshot()))) - np.stack(wanted)).max() < 1e-6


def test_the_clone_alone(sac: SAC, clone: ChunkedClone) -> None:
    wanted = [clone.act(obs) for obs in observations()]
    portable = Portable(Snapshot.of(sac.snapshot() | clone.snapshot()), cloned=True)
    assert np.abs(driven(portable) - np.stack(wanted)).max() < 1e-6


def test_it_begins_anew_with_an_empty_memory(sac: SAC, clone: ChunkedClone) -> None:
    portable = Portable(Snapshot.of(sac.snapshot() | clone.snapshot()))
    assert (driven(portable) == driven(portable)).all()


def test_a_clone_that_is_not_there_is_refused(sac: SAC) -> None:
    with pytest.raises(ValueError, match="there is none"):
        Portable(Snapshot.of(sac.snapshot()), cloned=True)
