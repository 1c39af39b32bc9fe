"""Soft actor-critic for a policy that corrects a clone of the operator and learns from a changing reward.

Haarnoja et al. 2018 (SAC, with the automatic temperature), Ball et al. 2023 (RLPD: operator data in
every batch, LayerNorm critics), Nair et al. 2018 (the optional Q-filter on the cloning term).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.learning.adam import FusedAdam
from robot_rlhf.learning.device import Device, sent
from robot_rlhf.learning.networks import ACTION_EDGE, BASE_EDGE, CriticEnsemble, Normaliser, ResidualActor
from robot_rlhf.learning.policy_config import SACConfig
from robot_rlhf.learning.replay import Batch, Replay
from robot_rlhf.learning.scale import RewardScale
from robot_rlhf.learning.state import (
    Tensors,
    check_fits,
    copied,
    copied_array,
    module_state,
    under_prefix,
    with_prefix,
)

Metrics = dict[str, float]


class SAC:
    """Actor, critics, their targets and the temperature, with all state that training needs.

    The actor corrects what a base policy would do, which critics see too; whoever has no base leaves it out,
    for zeros. `normaliser` may be fitted once, before the first update. All randomness comes from one own
    generator, so the same seed and the same batches give the same numbers on the same machine. Updates are
    made on `device`, where batches must be, and all that is given out is on the CPU.
    """

    def __init__(
        self, obs_size: int, action_size: int, config: SACConfig, seed: int, device: Device = "cpu"
    ) -> None:
        self.config, self.device = config, device
        self.obs_size, self.action_size = obs_size, action_size
        self._generator = torch.Generator().manual_seed(seed)
        width, depth, bounds = config.hidden, config.layers, (config.log_std_low, config.log_std_high)
        start, inputs = config.log_std_start, obs_size + action_size
        self.normaliser = Normaliser(obs_size)
        self.actor = ResidualActor(obs_size, action_size, width, depth, bounds, start, self._generator)
        self.critic = CriticEnsemble(inputs, action_size, width, depth, config.critics, self._generator)
        self._target = copy.deepcopy(self.critic).requires_grad_(False)
        self._average = copy.deepcopy(self.actor).requires_grad_(False)
        for module in self._modules().values():
            module.to(device)
        self._log_alpha = torch.tensor(math.log(config.initial_temperature)).to(device)
        self._spread = torch.zeros((), device=device)  # of Q over a batch, running; 0 before an actor update
        self._updates = 0
        self._actor_updates = 0
        wanted = config.target_entropy
        self._target_entropy = -0.5 * action_size if wanted is None else wanted
        self._actor_optimizer = FusedAdam(self.actor.parameters(), config.actor_learning_rate)
        self._critic_optimizer = FusedAdam(self.critic.parameters(), config.critic_learning_rate)
        self._temperature_optimizer = FusedAdam([self._log_alpha], config.temperature_learning_rate)
        self._target_parameters: list[Tensor] = list(self._target.parameters())
        self._average_parameters: list[Tensor] = list(self._average.parameters())

    @property
    def updates(self) -> int:
        """Gradient updates done."""
        return self._updates

    @property
    def temperature(self) -> float:
        """What a nat of entropy is worth, in units of the reward."""
        return self._log_alpha.exp().item()

    @property
    def bc_weight(self) -> float:
        """Weight of the cloning term now."""
        config = self.config
        share = min(1.0, max(0, self._updates - config.critic_warmup_updates) / config.bc_anneal_updates)
        return config.bc_weight_start + share * (config.bc_weight_end - config.bc_weight_start)

    def at_hand(self) -> SAC:
        """What acts beside the arm: on the CPU this itself, else a copy there as it is now, to act alone.
        Both draw from the one generator."""
        if self.device == "cpu":
            return self
        acting = copy.copy(self)
        acting.device = "cpu"
        acting.normaliser = copy.deepcopy(self.normaliser).cpu()
        acting.actor, acting._average = copy.deepcopy(self.actor).cpu(), copy.deepcopy(self._average).cpu()
        acting._target = copy.deepcopy(self._target).cpu()
        acting._spread = self._spread.cpu()
        return acting

    def act(
        self,
        obs: NDArray[np.float32],
        base: NDArray[np.float32] | None = None,
        deterministic: bool = False,
        averaged: bool = False,
    ) -> NDArray[np.float32]:
        """The action (m,) for an observation (n,) and what the base would do (m,), or (N, m) for (N, n) and
        (N, m), in [-1, 1].

        The actor's proposal is taken where all of the slow critics find it better than the base's by
        `correction_margin`, since a young actor loses what its base can do (Hu et al. 2024, IBRL).
        `deterministic` takes the squashed mean instead of a sample around it; `averaged` asks the averaged
        actor.
        Raises ValueError for another shape and FloatingPointError rather than return a NaN. For what is on
        the CPU: see `at_hand`.
        """
        if obs.shape[-1] != self.obs_size or obs.ndim not in (1, 2):
            size = self.obs_size
            raise ValueError(f"obs has shape {obs.shape}, expected ({size},) or (N, {size})")
        actor = self._average if averaged else self.actor
        with torch.no_grad():
            inputs = self._inputs(_rows(obs), None if base is None else _rows(base))
            mean, log_std = actor(inputs, self._reach(base))
            if base is not None:
                plain = actor.base_mean(inputs)
                proposed, fallback = (self._target(inputs, torch.tanh(each)) for each in (mean, plain))
                mean = torch.where(self._is_better(proposed, fallback).unsqueeze(-1), mean, plain)
            if not deterministic:
                mean = torch.addcmul(mean, log_std.exp(), self._noise(len(mean)))
            action = torch.tanh(mean)
        result: NDArray[np.float32] = action.numpy().reshape(*obs.shape[:-1], self.action_size)
        if not np.isfinite(result).all():
            raise FloatingPointError(f"the policy answered {result.tolist()} to observation {obs.tolist()}")
        return result

    def _inputs(self, obs: Tensor, base: Tensor | None) -> Tensor:
        """What the networks see: raw observations (B, n) normalised, and the base's actions (B, m)."""
        base = obs.new_zeros(len(obs), self.action_size) if base is None else base
        return torch.cat((self.normaliser(obs), base), -1)

    def _reach(self, base: object) -> float | None:
        """How far from the base a correction may go; None where there is no base."""
        return None if base is None else self.config.correction_reach

    def values(self, obs: Tensor, action: Tensor, base: Tensor | None = None) -> Tensor:
        """Q of every critic, (M, B), for raw observations (B, n), actions and the base's (B, m)."""
        with torch.no_grad():
            return self.critic(self._inputs(obs, base), action)

    def train(self, replay: Replay, updates: int, rng: np.random.Generator) -> Metrics:
        """`updates` gradient updates on batches drawn from `replay`; the metrics of the last of them, the
        actor's being of its own last update."""
        if updates < 1:
            raise ValueError(f"updates is {updates}: it must be at least 1")
        measured = self._updates + updates - self.config.actor_every
        metrics: Metrics = {}
        for batch in replay.batches(
            updates, self.config.batch_size, self.config.operator_fraction, rng, self.device
        ):
            metrics |= self.update(batch, with_metrics=self._updates >= measured) or {}
        return metrics

    @torch.no_grad()
    def update(self, batch: Batch, with_metrics: bool = False) -> Metrics | None:
        """One gradient update, critics first. Metrics only when asked for, since they cost time.

        Raises FloatingPointError, when metrics are asked for, if one of them is not finite.
        """
        obs, next_obs = self._inputs(batch.obs, batch.base), self._inputs(batch.next_obs, batch.next_base)
        parts = self._update_critic(obs, next_obs, batch)
        since_warmup = self._updates - self.config.critic_warmup_updates
        if since_warmup >= 0 and since_warmup % self.config.actor_every == 0:
            parts.update(self._update_actor(obs, batch))
        self._updates += 1
        if not with_metrics:
            return None
        numbers = torch.stack(list(parts.values())).tolist()  # a GPU is waited for once
        metrics = dict(zip(parts, numbers, strict=True))
        bad = [f"{name} is {value}" for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            raise FloatingPointError(f"training diverged at update {self._updates}: {', '.join(bad)}")
        return metrics

    def carry_scale(self, old: RewardScale, new: RewardScale) -> None:
        """Go on after the reward's scale changed, as if critics and temperature had learned with `new`.

        With r' = (s0 r + mu0 - mu1) / s1, values become Q' = (s0 Q + (mu0 - mu1) / (1 - discount)) / s1
        and the temperature alpha s0 / s1. Exact where episodes are only ever truncated and no reward is
        clipped. Adam's moments are put into the new units too.
        """
        factor = old.std / new.std
        shift = (old.mean - new.mean) / (1.0 - self.config.discount) / new.std
        with torch.no_grad():
            for critic in (self.critic, self._target):
                critic.weights[-1].mul_(factor)
                critic.biases[-1].mul_(factor).add_(shift)
            self._log_alpha.add_(math.log(factor))
            self._spread.mul_(factor)
        # The squared error grows by factor^2, and the last layer's weights by factor.
        last = {self.critic.weights[-1], self.critic.biases[-1]}
        parameters = self._critic_optimizer.parameters
        self._critic_optimizer.rescale([factor if each in last else factor**2 for each in parameters])

    def snapshot(self) -> dict[str, NDArray[np.float32]]:
        """The arrays that a `learning.snapshot.Snapshot` acts from, copied."""
        normaliser = self.normaliser
        arrays = {
            "version": np.array([self._updates], np.float32),
            "obs.mean": copied_array(normaliser.mean),
            "obs.inverse_std": copied_array(normaliser.inverse_std),
            "obs.clip": np.array(normaliser.CLIP, np.float32),
            "log_std": np.array(self.actor.log_std_range, np.float32),
            "base_edge": np.array(BASE_EDGE, np.float32),
            "reach": np.array(self.config.correction_reach, np.float32),
            "action_edge": np.array(ACTION_EDGE, np.float32),
            "margin": np.array(self.config.correction_margin * self._spread.item(), np.float32),
        }
        for name, actor in (("explorer", self.actor), ("deployed", self._average)):
            for part, tensors in (("weights", actor.trunk.weights), ("biases", actor.trunk.biases)):
                for layer, tensor in enumerate(tensors):
                    arrays[f"{name}.{part}.{layer}"] = copied_array(tensor)
        *hidden, (weight, bias) = zip(self._target.weights, self._target.biases, strict=True)
        layers = [*hidden, (weight.mT, bias.unsqueeze(-1))]  # the last is kept as a row: see CriticEnsemble
        for layer, (weight, bias) in enumerate(layers):
            arrays[f"critic.weights.{layer}"] = copied_array(weight)
            arrays[f"critic.biases.{layer}"] = copied_array(bias)
        return arrays

    def state(self) -> Tensors:
        """Copies of everything that going on needs, as flat named tensors on the CPU."""
        tensors: Tensors = {}
        for name, module in self._modules().items():
            tensors |= with_prefix(name, module_state(module))
        for name, optimizer in self._optimizers().items():
            tensors |= with_prefix(name, optimizer.state())
        tensors["log_temperature"] = copied(self._log_alpha)
        tensors["spread"] = copied(self._spread)
        tensors["updates"] = torch.tensor([self._updates, self._actor_updates])
        tensors["generator"] = self._generator.get_state()
        return tensors

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned; training then goes on bit for bit. Raises CheckpointError
        naming the first tensor that does not fit; then nothing has changed."""
        check_fits(self.state(), state, "policy")
        for name, module in self._modules().items():
            module.load_state_dict(under_prefix(name, state))
        for name, optimizer in self._optimizers().items():
            optimizer.load(under_prefix(name, state))
        self._log_alpha.copy_(state["log_temperature"])
        self._spread = state["spread"].to(self.device, copy=True)
        self._updates, self._actor_updates = (int(count) for count in state["updates"])
        self._generator.set_state(state["generator"])

    def _modules(self) -> dict[str, torch.nn.Module]:
        return {
            "normaliser": self.normaliser,
            "actor": self.actor,
            "averaged_actor": self._average,
            "critic": self.critic,
            "target_critic": self._target,
        }

    def _optimizers(self) -> dict[str, FusedAdam]:
        return {
            "actor_optimizer": self._actor_optimizer,
            "critic_optimizer": self._critic_optimizer,
            "temperature_optimizer": self._temperature_optimizer,
        }

    def _noise(self, rows: int) -> Tensor:
        return sent(torch.randn(rows, self.action_size, generator=self._generator), self.device)

    def _is_better(self, proposed: Tensor, fallback: Tensor) -> Tensor:
        """(M, B), (M, B) -> (B,): whether every critic finds the proposal better by more than the margin."""
        margin = self.config.correction_margin * self._spread
        return (proposed - fallback > margin).all(0)

    def _least(self, values: Tensor) -> Tensor:
        """(M, B) -> (B,): the minimum over `target_critics` critics, drawn when there are more."""
        if self.config.target_critics < self.config.critics:
            drawn = torch.randperm(self.config.critics, generator=self._generator)
            values = values[sent(drawn[: self.config.target_critics], self.device)]
        return values.amin(0) if len(values) != 2 else torch.minimum(values[0], values[1])

    def _update_critic(self, obs: Tensor, next_obs: Tensor, batch: Batch) -> dict[str, Tensor]:
        noise, reach = self._noise(len(obs)), self._reach(batch.next_base)
        action, log_prob = self.actor.sample(next_obs, noise, reach)
        values = self._target(next_obs, action)
        following = self._least(values) - self._log_alpha.exp() * log_prob
        if batch.next_base is not None:  # as in `act`
            fallback = self._target(next_obs, batch.next_base)
            following = torch.where(self._is_better(values, fallback), following, self._least(fallback))
        wanted = batch.reward + self.config.discount * (1.0 - batch.terminated) * following
        values, trace = self.critic.trace(obs, batch.action)
        error = values - wanted
        self._critic_optimizer.step(self.critic.gradients(trace, error * (2.0 / len(obs))))
        torch._foreach_lerp_(
            self._target_parameters, self._critic_optimizer.parameters, self.config.target_rate
        )
        return {
            "critic_loss": error.square().mean(1).sum(),
            "q_mean": values.mean(),
            "reward_mean": batch.reward.mean(),
        }

    def _update_actor(self, obs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """A step down (alpha log pi - Q)/scale + weight * cloning, with u = mean + std * noise and
        a = tanh(u): log pi has the gradient 2 a by u, and -1 besides by the log standard deviation."""
        config, share = self.config, 1.0 / len(obs)
        noise = self._noise(len(obs))
        mean, log_std, trace = self.actor.trace(obs, self._reach(batch.base))
        action, log_prob = self.actor.squash(mean, log_std, noise)
        values, critic_trace = self.critic.trace(obs, action)
        value = self._least(values)
        alpha = self._log_alpha.exp()
        self._track_spread(value)
        scale = self._spread.clamp(min=config.spread_floor)
        least, on_gpu = (values == value).float(), self.device == "cuda"
        by_action = self.critic.action_gradient(critic_trace, least, every_row=on_gpu)
        by_sample = (2.0 * alpha * action - by_action * (1.0 - action.square())) * (share / scale)
        by_mean = by_sample
        by_log_std = by_sample * log_std.exp() * noise - alpha * (share / scale)
        parts = {
            "actor_loss": (alpha * log_prob - value).mean() / scale,
            "q_spread": self._spread,
            "temperature": alpha,
        }
        weight = self.bc_weight
        if weight > 0.0:
            loss, towards, narrower = self._cloning(obs, mean, log_std, value, batch)
            parts["bc_loss"] = loss
            by_mean = by_mean + weight * towards
            by_log_std = by_log_std + weight * narrower
        entropy = -log_prob.mean()
        parts["entropy"] = entropy
        self._actor_optimizer.step(self.actor.gradients(trace, by_mean, by_log_std))
        self._temperature_optimizer.step([entropy - self._target_entropy])
        self._log_alpha.clamp_(max=math.log(config.max_temperature))
        torch._foreach_lerp_(
            self._average_parameters, self._actor_optimizer.parameters, 1.0 - config.actor_average
        )
        self._actor_updates += 1
        return parts

    def _track_spread(self, value: Tensor) -> None:
        """Follow the spread of Q over a batch: what the actor loss is divided by, since a reward's zero
        is arbitrary and so is the mean of Q."""
        spread = value.std(correction=0)
        weight = 1.0 if self._actor_updates == 0 else 1.0 - self.config.spread_average
        self._spread = torch.lerp(self._spread, spread, weight)

    def _cloning(
        self, obs: Tensor, mean: Tensor, log_std: Tensor, value: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mean over the batch's operator rows (0 without any) of the squared error of tanh(mean), summed
        over action dimensions, plus the weighted negative log-likelihood; and its gradients by mean and
        log_std (B, m)."""
        nll_weight = self.config.bc_nll_weight / self.action_size
        chosen = batch.operator.float()
        if self.config.q_filter:
            chosen = chosen * (self._least(self.critic(obs, batch.action)) > value)
        chosen = (chosen / batch.operator.sum().clamp(min=1)).unsqueeze(-1)
        meant = torch.tanh(mean)
        error = meant - batch.action
        loss = (error.square() * chosen).sum()
        by_mean = 2.0 * error * (1.0 - meant.square()) * chosen
        by_log_std = torch.zeros_like(log_std)
        if nll_weight > 0.0:
            likelihood, away = self.actor.log_prob(mean, log_std, batch.action)
            loss = loss - nll_weight * (likelihood.unsqueeze(-1) * chosen).sum()
            by_mean = by_mean - nll_weight * away * torch.exp(-log_std) * chosen
            by_log_std = nll_weight * (1.0 - away.square()) * chosen
        return loss, by_mean, by_log_std


def _rows(values: NDArray[np.float32]) -> Tensor:
    """(n,) or (N, n) -> (1, n) or (N, n)."""
    return torch.from_numpy(np.atleast_2d(values).astype(np.float32, copy=False))
