"""A perceptron as plain arrays: what a control loop computes with, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_EPSILON = np.float32(1e-5)  # torch's, inside the root of a layer norm


@dataclass(frozen=True, eq=False)
class Layers:
    """A perceptron with LayerNorm (without gain) and ReLU: weights (inputs, outputs) and biases."""

    weights: tuple[Float32, ...]
    biases: tuple[Float32, ...]

    @staticmethod
    def of(arrays: Mapping[str, Float32], prefix: str) -> Layers:
        """From `{prefix}weights.0` and so on. Raises KeyError where there are none."""
        count = sum(name.startswith(f"{prefix}weights.") for name in arrays)
        if count == 0:
            raise KeyError(f"{prefix}weights.0")
        return Layers(
            tuple(arrays[f"{prefix}weights.{i}"] for i in range(count)),
            tuple(arrays[f"{prefix}biases.{i}"] for i in range(count)),
        )

    def __call__(self, x: Float32) -> Float32:
        """(..., inputs) -> (..., outputs); a leading dimension of the weights is an ensemble's."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = x @ weight + bias
            x = x - x.mean(axis=-1, keepdims=True)
            x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + _EPSILON)
            x = np.maximum(x, 0.0)
        return np.asarray(x @ self.weights[-1] + self.biases[-1], dtype=np.float32)
