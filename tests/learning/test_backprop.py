"""Gradients by hand are autograd's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from robot_rlhf.learning.networks import MLP, CriticEnsemble, ResidualActor
from robot_rlhf.learning.policy_config import SACConfig
from robot_rlhf.learning.replay import Batch
from robot_rlhf.learning.sac import SAC

OBS, ACTION, ROWS = 5, 3, 40
CONFIG = SACConfig(
    hidden=32, critics=3, target_critics=3, actor_every=1, critic_warmup_updates=0, bc_weight_start=3.0
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=seeded(seed))


def close(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> None:
    assert len(ours) == len(theirs)
    for mine, reference in zip(ours, theirs, strict=True):
        assert mine.shape == reference.shape
        assert reference.abs().max() > 0.0
        torch.testing.assert_close(mine, reference, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_perceptron(layers: int) -> None:
    network = MLP(OBS, 32, layers, 4, seeded())
    x, gradient = numbers(ROWS, OBS), numbers(ROWS, 4, seed=2)
    with torch.no_grad():
        outputs, trace = network.trace(x)
        ours = network.gradients(trace, gradient)
    torch.testing.assert_close(outputs, network(x))
    close(ours, torch.autograd.grad((network(x) * gradient).sum(), list(network.parameters())))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("members", [1, 2, 5])
@pytest.mark.parametrize("every_row", [False, True])
def test_an_ensemble_of_critics(layers: int, members: int, every_row: bool) -> None:
    critic = CriticEnsemble(OBS, ACTION, 32, layers, members, seeded())
    obs, action, gradient = numbers(ROWS, OBS), numbers(ROWS, ACTION, seed=2), numbers(members, ROWS, seed=3)
    action.requires_grad_()
    with torch.no_grad():
        values, trace = critic.trace(obs, action)
        ours, by_action = (
            critic.gradients(trace, gradient),
            critic.action_gradient(trace, gradient, every_row),
        )
    torch.testing.assert_close(values, critic(obs, action))
    loss = (critic(obs, action) * gradient).sum()
    *theirs, wanted = torch.autograd.grad(loss, [*critic.parameters(), action])
    close([*ours, by_action], [*theirs, wanted])


@pytest.mark.parametrize("every_row", [False, True])
def test_an_action_is_told_of_by_the_members_alone_that_count_for_it(every_row: bool) -> None:
    critic = CriticEnsemble(OBS, ACTION, 32, 2, 3, seeded())
    obs, action = numbers(ROWS, OBS), numbers(ROWS, ACTION, seed=2)
    action.requires_grad_()
    with torch.no_grad():
        critic.biases[-1].sub_(critic(obs, action).mean(1, keepdim=True))
        critic.biases[-1][2] = 100.0  # never the least
        values, trace = critic.trace(obs, action)
        least = (values == values.amin(0)).float()
        assert 0 < least[0].sum() < ROWS and not least[2].any()
        ours = critic.action_gradient(trace, least, every_row)
    close([ours], torch.autograd.grad(critic(obs, action).amin(0).sum(), [action]))


@pytest.mark.parametrize("reach", [None, 0.2, 2.0])
def test_an_actor(reach: float | None) -> None:
    actor = ResidualActor(OBS, ACTION, 32, 2, (-1.6, 1.0), -1.2, seeded())
    inputs = torch.cat((numbers(ROWS, OBS), numbers(ROWS, ACTION, seed=2).tanh()), -1)
    by_mean, by_log_std = numbers(ROWS, ACTION, seed=3), numbers(ROWS, ACTION, seed=4)
    with torch.no_grad():
        actor.trunk.weights[-1].mul_(20.0)
    with torch.no_grad():
        mean, log_std, trace = actor.trace(inputs, reach)
        ours = actor.gradients(trace, by_mean, by_log_std)
    wanted = actor(inputs, reach)
    torch.testing.assert_close((mean, log_std), wanted)
    loss = (wanted[0] * by_mean).sum() + (wanted[1] * by_log_std).sum()
    close(ours, torch.autograd.grad(loss, list(actor.parameters())))


def made_batch() -> Batch:
    return Batch(
        obs=numbers(ROWS, OBS),
        action=numbers(ROWS, ACTION, seed=2).tanh(),
        reward=numbers(ROWS, seed=3),
        next_obs=numbers(ROWS, OBS, seed=4),
        terminated=(numbers(ROWS, seed=5) > 1.0).float(),
        operator=numbers(ROWS, seed=6) > 0.0,
        base=numbers(ROWS, ACTION, seed=7).tanh(),
        next_base=numbers(ROWS, ACTION, seed=8).tanh(),
    )


def steps_of(sac: SAC, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Tensor], list[Tensor]]:
    """The gradients that an update would step down, critics' and actor's, without the steps."""
    found: list[list[Tensor]] = []
    for optimizer in (sac._critic_optimizer, sac._actor_optimizer):
        monkeypatch.setattr(optimizer, "step", lambda gradients: found.append(list(gradients)))
    sac.update(batch)
    return found[0], found[1]


@pytest.mark.parametrize("nll", [0.0, 0.2])
@pytest.mark.parametrize("q_filter", [False, True])
def test_an_update_steps_down_the_gradients_of_its_losses(
    nll: float, q_filter: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sac, batch = SAC(OBS, ACTION, replace(CONFIG, bc_nll_weight=nll, q_filter=q_filter), seed=0), made_batch()
    with torch.no_grad():  # an actor that differs from its base, critics that differ from their targets
        sac.actor.trunk.weights[-1].mul_(20.0)
        for parameter in sac._target.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=seeded(9)))
    sac._spread = torch.tensor(0.4)
    config, noise = sac.config, seeded()
    noise.set_state(sac._generator.get_state())
    obs, next_obs = sac._inputs(batch.obs, batch.base), sac._inputs(batch.next_obs, batch.next_base)
    alpha = sac.temperature

    action, log_prob = sac.actor.sample(
        next_obs, torch.randn(ROWS, ACTION, generator=noise), config.correction_reach
    )
    assert batch.next_base is not None
    values, fallback = sac._target(next_obs, action), sac._target(next_obs, batch.next_base)
    corrected = values.amin(0) - alpha * log_prob
    is_better = (values - fallback > config.correction_margin * 0.4).all(0)
    assert 0 < is_better.sum() < (values > fallback).all(0).sum()  # the margin matters
    following = torch.where(is_better, corrected, fallback.amin(0))
    wanted = batch.reward + config.discount * (1.0 - batch.terminated) * following
    critic_loss = (sac.critic(obs, batch.action) - wanted.detach()).square().mean(1).sum()
    critics = torch.autograd.grad(critic_loss, list(sac.critic.parameters()))

    mean, log_std = sac.actor(obs, config.correction_reach)
    action, log_prob = sac.actor.squash(mean, log_std, torch.randn(ROWS, ACTION, generator=noise))
    value = sac.critic(obs, action).amin(0)
    spread = max(float(value.detach().std(correction=0)), config.spread_floor)
    loss = (alpha * log_prob - value).mean() / spread
    cloning = (torch.tanh(mean) - batch.action).square().sum(-1)
    likelihood = sac.actor.log_prob(mean, log_std, batch.action)[0]
    cloning = cloning - nll * likelihood / ACTION
    chosen = batch.operator.float()
    if q_filter:
        chosen = chosen * (sac.critic(obs, batch.action).amin(0) > value)
        assert 0 < chosen.sum() < batch.operator.sum()
    loss = loss + sac.bc_weight * (cloning * chosen).sum() / batch.operator.sum()
    actor = torch.autograd.grad(loss, list(sac.actor.parameters()))

    ours = steps_of(sac, batch, monkeypatch)
    close(ours[0], critics)
    close(ours[1], actor)
    assert math.isfinite(float(loss.detach()))
