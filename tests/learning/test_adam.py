"""The optimizer: the published formulas, on gradients that are handed over or taken of a loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from robot_rlhf.learning.adam import FusedAdam, descend

RATE, DECAY = 0.01, 0.1


@pytest.mark.parametrize("decay", [0.0, DECAY])
def test_it_steps_as_the_paper_says(decay: float) -> None:
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=(3, 5))
    parameter = torch.tensor(wanted, dtype=torch.float32)
    optimizer = FusedAdam([parameter], RATE, decay)
    first = second = np.zeros_like(wanted)
    for step in range(1, 6):
        gradient = rng.normal(size=wanted.shape)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        wanted = wanted - RATE * decay * wanted
        wanted = wanted - RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        optimizer.step([torch.tensor(gradient, dtype=torch.float32)])
        assert parameter.numpy() == pytest.approx(wanted, abs=1e-6)


def test_several_descend_the_gradients_of_one_loss_each_at_its_rate() -> None:
    one, other, alone = (torch.ones(4, requires_grad=True) for _ in range(3))
    slow, fast = FusedAdam([one], RATE), FusedAdam([other], 10 * RATE)
    for _ in range(3):
        descend((one.square() + other.square()).sum(), slow, fast)
    by_hand = FusedAdam([alone], RATE)
    for _ in range(3):
        by_hand.step([2.0 * alone.detach()])
    assert torch.equal(one, alone)
    assert (1.0 - other).min() > 5 * (1.0 - one).max()


def test_its_rate_can_fall() -> None:
    parameter = torch.ones(2)
    optimizer = FusedAdam([parameter], RATE)
    optimizer.learning_rate = 0.0
    optimizer.step([torch.ones(2)])
    assert torch.equal(parameter, torch.ones(2))
