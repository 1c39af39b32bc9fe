"""Perceptrons forward and backward by hand.

An update of networks as small as the policy's is some hundred short operations, and autograd's bookkeeping
adds a third to them. These are the same numbers without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_EPSILON = 1e-5  # as torch's LayerNorm has it

_norm_backward = torch.ops.aten.native_layer_norm_backward
_relu_backward = torch.ops.aten.threshold_backward


@dataclass(frozen=True, eq=False)
class Trace:
    """What hidden layers made of an input: the input of each layer and at last their output, the numbers
    before each norm, and its mean and inverse deviation."""

    states: list[Tensor]
    before: list[Tensor]
    moments: list[tuple[Tensor, Tensor]]

    @property
    def output(self) -> Tensor:
        return self.states[-1]

    def of(self, network: int, rows: Tensor) -> Trace:
        """That of some rows (R,) through one of the networks side by side."""

        def taken(numbers: Tensor) -> Tensor:
            return numbers[network].index_select(0, rows)

        return Trace(
            [self.states[0], *(taken(state) for state in self.states[1:])],
            [taken(numbers) for numbers in self.before],
            [(taken(mean), taken(inverse_std)) for mean, inverse_std in self.moments],
        )


@dataclass(frozen=True, eq=False)
class Norm:
    """LayerNorm's gain of ones and bias of zeros (size,)."""

    one: Tensor
    zero: Tensor


def forward(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], norm: Norm) -> Trace:
    """`x` (B, n) through layers of product, LayerNorm without gain, ReLU. Weights are (n, h) and biases (h,),
    or (M, n, h) and (M, 1, h) for M networks side by side, whose `x` may be (B, n) or (M, B, n)."""
    product = torch.baddbmm if weights[0].dim() == 3 else torch.addmm
    states, before, moments = [x], [], []
    for weight, bias in zip(weights, biases, strict=True):
        x = x.expand(len(weight), -1, -1) if weight.dim() > x.dim() else x
        linear = product(bias, x, weight)
        x, mean, inverse_std = torch.native_layer_norm(linear, norm.one.shape, norm.one, norm.zero, _EPSILON)
        x = x.relu_()
        states.append(x)
        before.append(linear)
        moments.append((mean, inverse_std))
    return Trace(states, before, moments)


def through_hidden(gradient: Tensor, trace: Trace, layer: int, norm: Norm) -> Tensor:
    """The gradient by a layer's product, from that by its output."""
    rectified = _relu_backward(gradient, trace.states[layer + 1], 0.0)
    mean, inverse_std = trace.moments[layer]
    before = trace.before[layer]
    shape, only_input = norm.one.shape, [True, False, False]
    result: Tensor = _norm_backward(
        rectified, before, shape, mean, inverse_std, norm.one, norm.zero, only_input
    )[0]
    return result


def parameter_gradients(
    gradient: Tensor, trace: Trace, weights: Sequence[Tensor], biases: Sequence[Tensor], norm: Norm
) -> tuple[list[Tensor], list[Tensor]]:
    """Gradients by the hidden layers' weights and biases, from that by their output."""
    by_weight, by_bias = [], []
    for layer in reversed(range(len(weights))):
        gradient = through_hidden(gradient, trace, layer, norm)
        by_weight.append(trace.states[layer].mT @ gradient)
        by_bias.append(gradient.sum(-2, keepdim=biases[layer].dim() == gradient.dim()))
        if layer:
            gradient = gradient @ weights[layer].mT
    return by_weight[::-1], by_bias[::-1]


def input_gradient(
    gradient: Tensor, trace: Trace, weights: Sequence[Tensor], norm: Norm, numbers: slice
) -> Tensor:
    """The gradient by `numbers` of the input, from that by the output of one network or of several."""
    for layer in reversed(range(1, len(weights))):
        gradient = through_hidden(gradient, trace, layer, norm) @ weights[layer].mT
    return through_hidden(gradient, trace, 0, norm) @ weights[0][..., numbers, :].mT
