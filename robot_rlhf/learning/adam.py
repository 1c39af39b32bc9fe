"""Adam (Kingma and Ba 2015) on given gradients, as one fused kernel call, with decoupled weight decay (AdamW,
Loshchilov and Hutter 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from robot_rlhf.learning.state import Tensors, copied

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class FusedAdam:
    """The same numbers as torch.optim.AdamW without its bookkeeping, which at this size of network costs
    as much as the arithmetic, and without the compiler that it loads, 70 MB and a second: parameters and
    moments are fixed lists, gradients are handed over."""

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float, weight_decay: float = 0.0) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.learning_rate = learning_rate
        self._weight_decay = weight_decay
        self._first = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._second = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._steps = [torch.zeros((), device=parameter.device) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step down `gradients`, one of the parameter's shape each."""
        torch._foreach_add_(self._steps, 1.0)
        torch._fused_adamw_(
            self.parameters, list(gradients), self._first, self._second, [], self._steps,
            lr=self.learning_rate, beta1=_BETA1, beta2=_BETA2, weight_decay=self._weight_decay,
            eps=_EPSILON, amsgrad=False, maximize=False,
        )  # fmt: skip

    def rescale(self, factors: Sequence[float]) -> None:
        """Go on in other units, in which the gradient of parameter i is `factors[i]` times as large."""
        for first, second, factor in zip(self._first, self._second, factors, strict=True):
            first.mul_(factor)
            second.mul_(factor**2)

    def state(self) -> Tensors:
        """Copies of the moments and step counts on the CPU, named by the parameter's index."""
        tensors: Tensors = {}
        for name, held in self._named():
            tensors |= {f"{index}.{name}": copied(tensor) for index, tensor in enumerate(held)}
        return tensors

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` returned."""
        for name, held in self._named():
            for index, tensor in enumerate(held):
                tensor.copy_(tensors[f"{index}.{name}"])

    def _named(self) -> tuple[tuple[str, list[Tensor]], ...]:
        return ("first", self._first), ("second", self._second), ("steps", self._steps)


def descend(loss: Tensor, *optimizers: FusedAdam) -> None:
    """A step of each down the gradients of `loss` (), on which all of their parameters must bear."""
    parameters = [parameter for each in optimizers for parameter in each.parameters]
    gradients = iter(torch.autograd.grad(loss, parameters))
    for each in optimizers:
        each.step([next(gradients).contiguous() for _ in each.parameters])
