"""The reward ensemble r_m(s, s') and the parameters of the people it learns from."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.learning.reward_report import OperatorReport

BETAS = ("evaluations", "takeovers", "takeovers_before", "demonstrations", "outcomes")
"""Which rationality is learned in which column of `Operators.log_beta`; named as in `Rationalities`."""


class RewardNetwork(nn.Module):
    """M networks in one: stacked weights, one batched matrix product a layer.

    The input is the state and the change of state, each normalised; hidden layers are linear, layer
    normalised, rectified; the output is tanh, near zero at the start.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, obs_size: int, config: RewardConfig, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [2 * obs_size, *[config.hidden] * config.layers, 1]
        self._gains = [1.0] * config.layers + [0.01]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for inputs, outputs, gain in zip(sizes[:-1], sizes[1:], self._gains, strict=True):
            shape = torch.Size((config.members, inputs, outputs))
            self.weights.append(nn.Parameter(_drawn(shape, gain, generator)))
            self.biases.append(nn.Parameter(torch.zeros(config.members, 1, outputs)))
        self.register_buffer("mean", torch.zeros(2 * obs_size, dtype=torch.float64))
        self.register_buffer("std", torch.ones(2 * obs_size, dtype=torch.float64))

    def features(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """(..., 2n) normalised state and change of state from two (..., n)."""
        raw = torch.cat((obs, next_obs - obs), dim=-1)
        return (raw - self.mean.float()) / self.std.float()

    def forward(self, features: Tensor) -> Tensor:
        """(M, N) rewards in [-1, 1] from (N, 2n), or (M, N, 2n) where each member has rows of its own."""
        hidden = features.expand(len(self.weights[0]), -1, -1)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = torch.baddbmm(bias, hidden, weight)
            hidden = functional.relu(functional.layer_norm(hidden, hidden.shape[-1:]))
        return torch.tanh(torch.baddbmm(self.biases[-1], hidden, self.weights[-1])).squeeze(-1)

    @torch.no_grad()
    def renormalise(self, obs: Tensor, next_obs: Tensor) -> None:
        """Normalise by these transitions' mean and standard deviation from now on, with the first layer
        rewritten so that the function stays what it is. A number that never varies keeps unit scale."""
        raw = torch.cat((obs, next_obs - obs), dim=-1).double()
        mean, std = raw.mean(dim=0), raw.std(dim=0, correction=0)
        std = torch.where(std > 1e-6, std, torch.ones_like(std))
        weight = self.weights[0].double() / self.std.unsqueeze(-1)
        self.biases[0].add_(((mean - self.mean).unsqueeze(0) @ weight).to(self.biases[0].dtype))
        self.weights[0].copy_(weight * std.unsqueeze(-1))
        self.mean, self.std = mean, std

    @torch.no_grad()
    def refresh(self, carry: float, generator: torch.Generator) -> None:
        """Keep `carry` of the weights, the rest drawn anew in the units of the normalised input (shrink and
        perturb, Ash and Adams 2020)."""
        for weight, bias, gain in zip(self.weights, self.biases, self._gains, strict=True):
            weight.lerp_(_drawn(weight.shape, gain, generator), 1.0 - carry)
            bias.mul_(carry)


def _drawn(shape: torch.Size, gain: float, generator: torch.Generator) -> Tensor:
    """(M, inputs, outputs) first weights."""
    return torch.randn(shape, generator=generator) * (gain / math.sqrt(shape[1]))


class Operators(nn.Module):
    """How each operator answers, as each of M members believes: rationalities, ties, leaning, lapses.

    log_beta is (M, O, 5); log_nu, bias and lapse, in logits, are (M, O). A member's are its own, so that what
    it is validated on has not reached it through the others. `start` (5,) is the middle of log_beta's prior,
    `tie` that of log_nu's and `lapsing` that of lapse's.
    """

    start: Tensor

    def __init__(self, config: RewardConfig) -> None:
        super().__init__()
        self._members = config.members
        start = [math.log(getattr(config.rationalities, name)) for name in BETAS]
        self.register_buffer("start", torch.tensor(start), persistent=False)
        self.tie = math.log(config.tie)
        self.lapsing = math.log(config.lapse / (1.0 - config.lapse))
        self.log_beta = nn.Parameter(torch.empty(config.members, 0, len(BETAS)))
        self.log_nu = nn.Parameter(torch.empty(config.members, 0))
        self.bias = nn.Parameter(torch.empty(config.members, 0))
        self.lapse = nn.Parameter(torch.empty(config.members, 0))

    @torch.no_grad()
    def reports(self, names: Sequence[str]) -> dict[str, OperatorReport]:
        """What is believed of the operators, who are `names` in this order: means over the members of what
        may be any number, such as a logarithm."""
        log_beta, log_nu, bias, lapse = (
            of.mean(dim=0).tolist()
            for of in (self.log_beta, self.log_nu, self.bias, torch.sigmoid(self.lapse))
        )
        return {
            name: OperatorReport(
                {kind: math.exp(value) for kind, value in zip(BETAS, log_beta[index], strict=True)},
                math.exp(log_nu[index]),
                bias[index],
                lapse[index],
            )
            for index, name in enumerate(names)
        }

    @torch.no_grad()
    def agreed(self) -> Operators:
        """A copy in which every member believes what they believe on average."""
        agreed = copy.deepcopy(self)
        for belief in agreed.parameters():
            belief.copy_(belief.mean(dim=0, keepdim=True).expand_as(belief))
        return agreed

    def grown(self, count: int, config: RewardConfig) -> Operators:
        """A copy for `count` operators, as many as here or more; new ones start from the priors' middle."""
        grown = Operators(config)
        more = count - self.log_nu.shape[1]
        starts = {"log_beta": self.start, "log_nu": self.tie, "bias": 0.0, "lapse": self.lapsing}
        for name, known in self.named_parameters():
            new = torch.empty(self._members, more, *known.shape[2:])
            new[:] = torch.as_tensor(starts[name])
            setattr(grown, name, nn.Parameter(torch.cat((known.detach(), new), dim=1)))
        return grown
