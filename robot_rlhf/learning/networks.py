"""The policy's networks: normaliser, perceptrons with LayerNorm, critic ensemble, Gaussian actor."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from robot_rlhf.learning import backprop
from robot_rlhf.learning.backprop import Trace

BASE_EDGE = 0.97
"""Where a base's action nearer to +-1 is put: from there a residual can still turn it round."""
_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
ACTION_EDGE = 1.0 - 1e-3
"""Where an action of +-1 is put so that its atanh is finite."""


def _uniform(shape: tuple[int, ...], fan_in: int, scale: float, generator: torch.Generator) -> nn.Parameter:
    bound = scale / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))


class _Norm(nn.Module):
    """LayerNorm (Ba et al. 2016) without learned gain and bias.

    A constant gain and bias are handed over all the same: the CPU kernel is a quarter faster with them.
    """

    _one: Tensor
    _zero: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = (size,)
        self.register_buffer("_one", torch.ones(size), persistent=False)
        self.register_buffer("_zero", torch.zeros(size), persistent=False)

    @property
    def constants(self) -> backprop.Norm:
        """The gain and the bias."""
        return backprop.Norm(self._one, self._zero)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self._size, self._one, self._zero)


def _sizes(inputs: int, hidden: int, layers: int, outputs: int) -> list[tuple[int, int]]:
    widths = [inputs, *[hidden] * layers, outputs]
    return list(itertools.pairwise(widths))


class Normaliser(nn.Module):
    """Shifts and scales observations by constants that are set once, from the demonstrations.

    Until then it passes them through. Its constants are buffers, so they are in every checkpoint.
    """

    STD_FLOOR = 1e-2  # a number that hardly moved in the demonstrations is not blown up
    CLIP = 10.0

    mean: Tensor
    inverse_std: Tensor
    is_fitted: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("inverse_std", torch.ones(size))
        self.register_buffer("is_fitted", torch.zeros((), dtype=torch.bool))

    def fit(self, obs: NDArray[np.float32]) -> None:
        """Set the constants from observations (N, n). Raises RuntimeError when called a second time,
        since networks have been trained on the first constants, and ValueError on a bad array."""
        if self.is_fitted:
            raise RuntimeError("the normaliser is already fitted: networks rely on its constants")
        if obs.ndim != 2 or obs.shape[1] != len(self.mean) or len(obs) == 0:
            raise ValueError(f"observations have shape {obs.shape}, expected (N, {len(self.mean)}), N >= 1")
        wide = obs.astype(np.float64)
        if not np.isfinite(wide).all():
            raise ValueError("observations to normalise by must be finite")
        std = np.maximum(wide.std(axis=0), self.STD_FLOOR)
        self.mean.copy_(torch.from_numpy(wide.mean(axis=0)))
        self.inverse_std.copy_(torch.from_numpy(1.0 / std))
        self.is_fitted.fill_(True)

    def forward(self, obs: Tensor) -> Tensor:
        """(..., n) -> (..., n), clipped to +-CLIP."""
        return ((obs - self.mean) * self.inverse_std).clamp_(-self.CLIP, self.CLIP)


class MLP(nn.Module):
    """(B, inputs) -> (B, outputs): `layers` times linear, LayerNorm without gain, ReLU; then linear."""

    def __init__(
        self,
        inputs: int,
        hidden: int,
        layers: int,
        outputs: int,
        generator: torch.Generator,
        last_scale: float = 1.0,
    ) -> None:
        super().__init__()
        sizes = _sizes(inputs, hidden, layers, outputs)
        scales = [*[1.0] * layers, last_scale]
        self.weights = nn.ParameterList(
            _uniform((low, high), low, scale, generator)
            for (low, high), scale in zip(sizes, scales, strict=True)
        )
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(high)) for _, high in sizes])
        self._norm = _Norm(hidden)

    def forward(self, x: Tensor) -> Tensor:
        *hidden, (last_weight, last_bias) = zip(self.weights, self.biases, strict=True)
        for weight, bias in hidden:
            x = self._norm(torch.addmm(bias, x, weight)).relu_()
        return _narrow(last_bias, x, last_weight)

    def trace(self, x: Tensor) -> tuple[Tensor, Trace]:
        """(B, inputs) -> (B, outputs), and what `gradients` needs to know of how. No autograd."""
        *weights, last_weight = self.weights
        *biases, last_bias = self.biases
        trace = backprop.forward(x, weights, biases, self._norm.constants)
        return _narrow(last_bias, trace.output, last_weight), trace

    def gradients(self, trace: Trace, gradient: Tensor) -> list[Tensor]:
        """A gradient by each of the parameters, in their order, from that by the output (B, outputs)."""
        *weights, last_weight = self.weights
        *biases, _ = self.biases
        by_weight, by_bias = backprop.parameter_gradients(
            gradient @ last_weight.mT, trace, weights, biases, self._norm.constants
        )
        last = (gradient.mT @ trace.output).mT.contiguous()  # as in `_narrow`
        return [*by_weight, last, *by_bias, gradient.sum(0)]


def _narrow(bias: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """`x` (B, h) @ `weight` (h, n) + `bias` (n,) for an n of a few: the other way round it is three times as
    fast on a CPU."""
    return torch.addmm(bias.unsqueeze(-1), weight.mT, x.mT).mT


class CriticEnsemble(nn.Module):
    """Q_1..Q_M of (obs, action), computed as one batched matrix product a layer."""

    def __init__(
        self,
        obs_size: int,
        action_size: int,
        hidden: int,
        layers: int,
        members: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        *sizes, (width, _) = _sizes(obs_size + action_size, hidden, layers, 1)
        weights = [_uniform((members, low, high), low, 1.0, generator) for low, high in sizes]
        biases = [nn.Parameter(torch.zeros(members, 1, high)) for _, high in sizes]
        self.weights = nn.ParameterList([*weights, _uniform((members, 1, width), width, 1.0, generator)])
        self.biases = nn.ParameterList([*biases, nn.Parameter(torch.zeros(members, 1))])
        self.members, self._action_size = members, action_size
        self._norm = _Norm(hidden)

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        """(B, n), (B, m) -> (M, B)."""
        x = torch.cat((obs, action), -1).expand(self.members, -1, -1)
        *hidden, _ = zip(self.weights, self.biases, strict=True)
        for weight, bias in hidden:
            x = self._norm(torch.baddbmm(bias, x, weight)).relu_()
        return self._last(x)

    def trace(self, obs: Tensor, action: Tensor) -> tuple[Tensor, Trace]:
        """(B, n), (B, m) -> (M, B), and what the gradients need to know of how. No autograd."""
        *weights, _ = self.weights
        *biases, _ = self.biases
        trace = backprop.forward(torch.cat((obs, action), -1), weights, biases, self._norm.constants)
        return self._last(trace.output), trace

    def _last(self, x: Tensor) -> Tensor:
        """(M, B, h) -> (M, B), the other way round as in `_narrow`."""
        return torch.baddbmm(self.biases[-1].unsqueeze(-1), self.weights[-1], x.mT).squeeze(1)

    def gradients(self, trace: Trace, gradient: Tensor) -> list[Tensor]:
        """A gradient by each of the parameters, in their order, from that by the values (M, B)."""
        *weights, last_weight = self.weights
        *biases, _ = self.biases
        by_weight, by_bias = backprop.parameter_gradients(
            gradient.unsqueeze(-1) * last_weight, trace, weights, biases, self._norm.constants
        )
        last = torch.bmm(gradient.unsqueeze(1), trace.output)
        return [*by_weight, last, *by_bias, gradient.sum(1, keepdim=True)]

    def action_gradient(self, trace: Trace, gradient: Tensor, every_row: bool = False) -> Tensor:
        """The gradient by the action (B, m), from that by the values (M, B).

        A member is gone through with the rows alone in which something hangs on it: those in which it is the
        least, where the least of all is what counts. `every_row`: with all of them, and all members at once;
        a GPU has room for that, and would be waited for to say which rows they are.
        """
        *weights, last_weight = self.weights
        numbers = slice(weights[0].shape[-2] - self._action_size, None)
        if every_row:
            by_output = gradient.unsqueeze(-1) * last_weight
            return backprop.input_gradient(by_output, trace, weights, self._norm.constants, numbers).sum(0)
        total = gradient.new_zeros(gradient.shape[1], self._action_size)
        for member, own in enumerate(gradient):
            rows = own.nonzero().squeeze(-1)
            by_output = own[rows].unsqueeze(-1) * last_weight[member]
            part = backprop.input_gradient(
                by_output,
                trace.of(member, rows),
                [each[member] for each in weights],
                self._norm.constants,
                numbers,
            )
            total.index_add_(0, rows, part)
        return total


def within_reach(base: Tensor, residual: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """atanh(base) + residual, the latter bent so that its tanh comes no further than `reach` from `base`
    (..., m), inside of +-BASE_EDGE; and the derivative by the residual (..., m)."""
    plain, side = torch.atanh(base), residual.sign()
    furthest = (base + reach * side).clamp(-ACTION_EDGE, ACTION_EDGE)
    room = ((torch.atanh(furthest) - plain) * side).clamp(min=1e-3)  # a residual of 0 has no side
    share = torch.tanh(residual / room)
    return torch.addcmul(plain, room, share), 1.0 - share.square()


class ActorTrace(NamedTuple):
    """How an actor came to its mean and log standard deviation: its trunk's trace, the log standard deviation
    over its range (B, m), and how much the mean moves with the residual (B, m); None: as much."""

    trunk: Trace
    bent: Tensor
    slope: Tensor | None


class ResidualActor(nn.Module):
    """A Gaussian squashed by tanh, around what a base policy would do (residual policy learning, Silver et
    al. 2018): a = tanh(atanh(base) + residual + std * noise). With a base of zeros it is a plain
    Gaussian actor. With a `reach` the residual is bent so that the mean's action is nowhere further than
    that from the base's (Yuan et al. 2024, Policy Decorator, bound it too).

    It takes normalised observations with the base's action behind them, and starts as the base: the residual
    is near 0. The log standard deviation is bounded smoothly, so its gradient never vanishes at once, and
    starts at `start_log_std`. Log-probabilities are taken before the squashing and corrected by
    log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)), which is exact for any u.
    """

    def __init__(
        self,
        obs_size: int,
        action_size: int,
        hidden: int,
        layers: int,
        log_std_bounds: tuple[float, float],
        start_log_std: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        low, high = log_std_bounds
        self.action_size = action_size
        self._middle, self._half = 0.5 * (high + low), 0.5 * (high - low)
        self.trunk = MLP(obs_size + action_size, hidden, layers, 2 * action_size, generator, last_scale=0.02)
        with torch.no_grad():
            self.trunk.biases[-1][action_size:] = math.atanh((start_log_std - self._middle) / self._half)

    @property
    def log_std_range(self) -> tuple[float, float]:
        """The middle of the log standard deviation's bounds, and half of their distance."""
        return self._middle, self._half

    def forward(self, inputs: Tensor, reach: float | None = None) -> tuple[Tensor, Tensor]:
        """(B, n + m) -> mean (B, m) and log standard deviation (B, m), both before the tanh."""
        residual, raw = self.trunk(inputs).chunk(2, -1)
        return self._mean(inputs, residual, reach)[0], self._middle + self._half * raw.tanh()

    def trace(self, inputs: Tensor, reach: float | None = None) -> tuple[Tensor, Tensor, ActorTrace]:
        """`forward`, and what `gradients` needs to know of how. No autograd."""
        outputs, trace = self.trunk.trace(inputs)
        residual, raw = outputs.chunk(2, -1)
        mean, slope = self._mean(inputs, residual, reach)
        bent = raw.tanh()
        return mean, self._middle + self._half * bent, ActorTrace(trace, bent, slope)

    def gradients(self, trace: ActorTrace, by_mean: Tensor, by_log_std: Tensor) -> list[Tensor]:
        """A gradient by each of the trunk's parameters, in their order, from those by mean and log standard
        deviation."""
        by_raw = by_log_std * (1.0 - trace.bent.square()) * self._half
        by_residual = by_mean if trace.slope is None else by_mean * trace.slope
        return self.trunk.gradients(trace.trunk, torch.cat((by_residual, by_raw), -1))

    def base_mean(self, inputs: Tensor) -> Tensor:
        """(B, n + m) -> the base's action before the tanh (B, m)."""
        return torch.atanh(self._base(inputs))

    def _base(self, inputs: Tensor) -> Tensor:
        return inputs[..., -self.action_size :].clamp(-BASE_EDGE, BASE_EDGE)

    def _mean(self, inputs: Tensor, residual: Tensor, reach: float | None) -> tuple[Tensor, Tensor | None]:
        """The mean before the tanh (B, m), and its derivative by the residual; None: one."""
        base = self._base(inputs)
        if reach is None:
            return torch.atanh(base) + residual, None
        return within_reach(base, residual, reach)

    def sample(self, inputs: Tensor, noise: Tensor, reach: float | None = None) -> tuple[Tensor, Tensor]:
        """(B, n + m) and standard normal noise (B, m) -> action (B, m) and its log-density (B,)."""
        mean, log_std = self.forward(inputs, reach)
        return self.squash(mean, log_std, noise)

    @staticmethod
    def squash(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """`sample`, given what `forward` returned."""
        before = torch.addcmul(mean, log_std.exp(), noise)
        return torch.tanh(before), _log_density(noise, log_std, before)

    @staticmethod
    def log_prob(mean: Tensor, log_std: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-density (B,) of given actions (B, m) in [-1, 1], and how many standard deviations they are from
        the mean before the tanh (B, m); the edges are moved in by 1e-3."""
        before = torch.atanh(action.clamp(-ACTION_EDGE, ACTION_EDGE))
        away = (before - mean) * torch.exp(-log_std)
        return _log_density(away, log_std, before), away


def _log_density(noise: Tensor, log_std: Tensor, before: Tensor) -> Tensor:
    """Of tanh(`before`), in few operations: each is longer on its way than at work."""
    gaussian = torch.addcmul(log_std, noise, noise, value=0.5)  # - log N, but for a constant
    squashing = before - 2.0 * F.softplus(before, -2.0)  # log(1 - tanh^2) / -2, but for a constant
    constant = noise.shape[-1] * (_HALF_LOG_TWO_PI + 2.0 * math.log(2.0))
    return torch.sub(2.0 * squashing, gaussian).sum(-1) - constant
