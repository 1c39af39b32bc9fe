"""State as flat named tensors, out and in again, for checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from robot_rlhf.learning.checkpoint import CheckpointError

Tensors = dict[str, Tensor]


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """The same tensors named `prefix.name`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """The tensors named `prefix.name`, named `name`: the inverse of `with_prefix`."""
    start = f"{prefix}."
    return {name[len(start) :]: tensor for name, tensor in tensors.items() if name.startswith(start)}


def check_fits(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], what: str) -> None:
    """Raises CheckpointError naming the first tensor that is missing, unknown, or of another shape or
    type than expected."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise CheckpointError(f"{what}: tensor {name} is missing")
        if name not in expected:
            raise CheckpointError(f"{what}: tensor {name} is unknown")
        want, got = expected[name], found[name]
        if want.shape != got.shape or want.dtype != got.dtype:
            raise CheckpointError(
                f"{what}: tensor {name} is {tuple(got.shape)} {got.dtype}, "
                f"expected {tuple(want.shape)} {want.dtype}"
            )


def copied(tensor: Tensor) -> Tensor:
    """A copy on the CPU, wherever the tensor is."""
    return tensor.detach().to("cpu", copy=True)


def copied_array(tensor: Tensor) -> NDArray[np.float32]:
    """A copy as a contiguous array, wherever the tensor is."""
    array: NDArray[np.float32] = copied(tensor).contiguous().numpy()
    return array


def module_state(module: nn.Module) -> Tensors:
    """Copies of a module's parameters and buffers, on the CPU."""
    return {name: copied(tensor) for name, tensor in module.state_dict().items()}
