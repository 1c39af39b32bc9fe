"""A policy as the control loop runs it: plain arrays, no torch, swapped whole between two steps.

It holds the clone, the explorer and the averaged actor that correct it, the slow critics that choose between
clone and correction, the reward model that judged them, and where there are cameras what makes observations
of pictures; and computes with NumPy what `cloning.py`, `networks.py`, `reward_network.py` and `encoder.py`
compute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from robot_rlhf.learning.layers import Layers
from robot_rlhf.learning.sight import Sight

Float32 = NDArray[np.float32]

FORMAT = "robot-rlhf-policy-3"


class SnapshotError(Exception):
    """Bytes that are no policy of this version; the message says what does not fit."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Version `version` of a policy. It takes raw observations (n,): what `observe` makes of a moment."""

    version: int
    tensors: Mapping[str, NDArray[np.float32]]
    clone: Layers | None
    explorer: Layers
    deployed: Layers
    critic: Layers
    judge: Layers | None
    eyes: Sight | None
    reach: float
    """How far a number of a corrected action is at most from the clone's."""
    margin: float
    """How much better than its clone every slow critic must find a correction."""

    @staticmethod
    def of(tensors: Mapping[str, NDArray[np.float32]]) -> Snapshot:
        """From named arrays, as `SAC.snapshot`, `ChunkedClone.snapshot`, `RewardModel.snapshot` and
        `Encoder.snapshot` give them, without the latter three where there are none. Raises SnapshotError."""
        try:
            if not all(np.isfinite(value).all() for value in tensors.values()):
                raise SnapshotError("the policy holds numbers that are not finite")
            clone = Layers.of(tensors, "clone.") if "clone.mean" in tensors else None
            judge = Layers.of(tensors, "judge.") if "judge.mean" in tensors else None
            return Snapshot(
                int(tensors["version"][0]),
                tensors,
                clone,
                Layers.of(tensors, "explorer."),
                Layers.of(tensors, "deployed."),
                Layers.of(tensors, "critic."),
                judge,
                Sight.of(tensors),
                float(tensors["reach"]),
                float(tensors["margin"]),
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

    @property
    def cameras(self) -> tuple[str, ...]:
        """What it sees with."""
        return () if self.eyes is None else self.eyes.cameras

    def observe(self, state: Float32, pictures: Mapping[str, bytes]) -> Float32:
        """The observation (n,) of a moment: what the environment told, and what is seen in its pictures where
        there are cameras. Raises ValueError for a camera that is missing and for what is no picture."""
        return state if self.eyes is None else self.eyes.observe(state, pictures)

    def as_seen(self, states: Float32, pictures: Mapping[str, Sequence[bytes]]) -> Float32:
        """The observations (T + 1, n) of an episode, of which each camera has T + 1 pictures."""
        if self.eyes is None:
            return states
        frames = ({name: seen[i] for name, seen in pictures.items()} for i in range(len(states)))
        return np.stack([self.observe(*moment) for moment in zip(states, frames, strict=True)])

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
        near = np.clip(base, -edge, edge)
        plain = np.arctanh(near)
        mean = plain + residual
        if snapshot.clone is not None:
            side, edge = np.sign(residual), t["action_edge"]
            furthest = np.arctanh(np.clip(near + snapshot.reach * side, -edge, edge))
            room = np.maximum((furthest - plain) * side, 1e-3)
            mean = plain + room * np.tanh(residual / room)
            both = np.tanh(np.stack([mean, plain]))
            seen = np.concatenate([np.broadcast_to(inputs, (2, len(inputs))), both], axis=1)
            corrected, uncorrected = snapshot.critic(seen[None])[..., 0].T
            mean = mean if (corrected - uncorrected > snapshot.margin).all() else plain
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
