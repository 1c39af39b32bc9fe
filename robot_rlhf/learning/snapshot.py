"""A policy as the control loop runs it: plain arrays, no torch, swapped whole between two steps.

It holds the clone, the explorer and the averaged actor that correct it, the slow critics that choose between
clone and correction, and the reward model that judged them, and computes with NumPy what `cloning.py`,
`networks.py` and `reward_network.py` compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

Float32 = NDArray[np.float32]

_EPSILON = np.float32(1e-5)  # torch's, inside the root of a layer norm
FORMAT = "robot-rlhf-policy-2"


class SnapshotError(Exception):
    """Bytes that are no policy of this version; the message says what does not fit."""


@dataclass(frozen=True, eq=False)
class Layers:
    """A perceptron with LayerNorm (without gain) and ReLU: weights (inputs, outputs) and biases."""

    weights: tuple[Float32, ...]
    biases: tuple[Float32, ...]

    def __call__(self, x: Float32) -> Float32:
        """(..., inputs) -> (..., outputs); a leading dimension of the weights is an ensemble's."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = x @ weight + bias
            x = x - x.mean(axis=-1, keepdims=True)
            x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + _EPSILON)
            x = np.maximum(x, 0.0)
        return np.asarray(x @ self.weights[-1] + self.biases[-1], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Version `version` of a policy. It takes raw observations (n,)."""

    version: int
    tensors: Mapping[str, NDArray[np.float32]]
    clone: Layers | None
    explorer: Layers
    deployed: Layers
    critic: Layers
    judge: Layers | None

    @staticmethod
    def of(tensors: Mapping[str, NDArray[np.float32]]) -> Snapshot:
        """From named arrays, as `SAC.snapshot`, `ChunkedClone.snapshot` and `RewardModel.snapshot` give them,
        without the latter two where there are none. Raises SnapshotError."""
        try:
            if not all(np.isfinite(value).all() for value in tensors.values()):
                raise SnapshotError("the policy holds numbers that are not finite")
            clone = _layers(tensors, "clone.") if "clone.mean" in tensors else None
            judge = _layers(tensors, "judge.") if "judge.mean" in tensors else None
            return Snapshot(
                int(tensors["version"][0]),
                tensors,
                clone,
                _layers(tensors, "explorer."),
                _layers(tensors, "deployed."),
                _layers(tensors, "critic."),
                judge,
            )
        except (KeyError, ValueError) as error:
            raise SnapshotError(f"this is no policy: {error}") from error

    @staticmethod
    def from_bytes(data: bytes) -> Snapshot:
        """The inverse of `to_bytes`. Raises SnapshotError."""
        try:
            tensors = load(data)
        except Exception as error:  # safetensors has an exception type of its own, which it does not export
            raise SnapshotError(f"this is no policy: {error}") from error
        return Snapshot.of(tensors)

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        return bytes(save(dict(self.tensors), metadata={"format": FORMAT}))

    def begin(self, rng: np.random.Generator | None) -> Acting:
        """Drive an episode: exploring, or without `rng` as deployed."""
        return Acting(self, rng)

    def reward(self, obs: Float32, next_obs: Float32) -> Float32 | None:
        """What the reward model says of transitions (N, n), (N, n), in its standard deviations (N,); None
        before its first fit."""
        if self.judge is None:
            return None
        t = self.tensors
        raw = np.concatenate([obs, next_obs - obs], axis=-1)
        members = np.tanh(self.judge((raw - t["judge.mean"]) / t["judge.std"])[..., 0])
        mean, std = t["judge.scale"]
        return np.asarray((members.mean(axis=0) - mean) / std, dtype=np.float32)


class Acting:
    """Drives an episode, from its first step to its last, by a snapshot that may be swapped between two."""

    def __init__(self, snapshot: Snapshot, rng: np.random.Generator | None) -> None:
        self._snapshot, self._rng = snapshot, rng
        self._chunk: Float32 = np.empty((0, 0), np.float32)  # what is left of what the clone predicted

    def swap(self, snapshot: Snapshot) -> None:
        """Go on with another policy. What is left of a chunk that the clone predicted before is carried out
        first, so that the next is predicted at the step at which it would have been: what the replay takes
        for the clone's base counts in chunks from the episode's start. The noise is the same stream."""
        self._snapshot = snapshot

    def act(self, obs: Float32) -> Float32:
        """The action (m,) in [-1, 1]: a sample of the explorer, or what the deployed actor does. Raises
        FloatingPointError rather than return a NaN."""
        snapshot, rng = self._snapshot, self._rng
        t = snapshot.tensors
        actor = snapshot.deployed if rng is None else snapshot.explorer
        size = actor.biases[-1].shape[-1] // 2
        base = self._base(obs, size)
        inputs = np.concatenate([_normalised(t, "obs", obs), base])
        residual, raw = np.split(actor(inputs), 2)
        edge = t["base_edge"]
        plain = np.arctanh(np.clip(base, -edge, edge))
        mean = plain + residual
        if snapshot.clone is not None:
            both = np.tanh(np.stack([mean, plain]))
            seen = np.concatenate([np.broadcast_to(inputs, (2, len(inputs))), both], axis=1)
            corrected, uncorrected = snapshot.critic(seen[None])[..., 0].T
            mean = mean if (corrected > uncorrected).all() else plain
        if rng is not None:
            middle, half = t["log_std"]
            mean = mean + np.exp(middle + half * np.tanh(raw)) * rng.standard_normal(mean.shape)
        action = np.tanh(mean).astype(np.float32)
        if not np.isfinite(action).all():
            raise FloatingPointError(f"the policy answered {action.tolist()} to observation {obs.tolist()}")
        return action

    def _base(self, obs: Float32, size: int) -> Float32:
        """What the clone would do (m,)."""
        clone, t = self._snapshot.clone, self._snapshot.tensors
        if clone is None:
            return np.zeros(size, np.float32)
        if len(self._chunk) == 0:
            said = np.tanh(clone(_normalised(t, "clone", obs)[None])).mean(axis=(0, 1))
            self._chunk = said.reshape(-1, size)[: int(t["clone.replan_every"][0])]
        base, self._chunk = self._chunk[0], self._chunk[1:]
        return np.asarray(base, np.float32)


def _normalised(tensors: Mapping[str, NDArray[np.float32]], name: str, obs: Float32) -> Float32:
    clip = tensors["obs.clip"]
    scaled = (obs - tensors[f"{name}.mean"]) * tensors[f"{name}.inverse_std"]
    return np.asarray(np.clip(scaled, -clip, clip))


def _layers(tensors: Mapping[str, NDArray[np.float32]], prefix: str) -> Layers:
    count = sum(name.startswith(f"{prefix}weights.") for name in tensors)
    if count == 0:
        raise KeyError(f"{prefix}weights.0")
    return Layers(
        tuple(tensors[f"{prefix}weights.{i}"] for i in range(count)),
        tuple(tensors[f"{prefix}biases.{i}"] for i in range(count)),
    )
