"""An encoder of pictures as the control loop runs it: plain arrays, no torch.

It computes with NumPy what `encoder.py` computes, one moment at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.learning.layers import Layers
from sim.jpeg import Picture, decode

Float32 = NDArray[np.float32]

PREFIX = "eyes."
PLACE, EYE, HEAD = f"{PREFIX}place.", f"{PREFIX}camera.", f"{PREFIX}head."
"""Of the arrays that say which camera comes when, of those that look, and of those that foretell."""
WINDOW, STRIDE = 4, 2
"""Pixels, each way, that the first layer takes together, and how far its windows are apart."""
SHARPNESS = 3.0
"""Of the softmax over a map, in its standard deviations."""
VARIANCE_FLOOR = 1e-6
"""Added to a map's variance before it is scaled by it."""
LIKELY = 10.0
"""Standard deviations by which a keypoint stands out where tanh tells that it is there."""
CHANGES = 2.0
"""What is foretold of the arm's place, in a state's own units."""
FINE = 2.0
"""The way to the next event is also told through a tanh that saturates so soon."""
TOOL, HAND = slice(0, 3), slice(6, None)
"""Where a state has the tool's place, and what the hand itself is like: its opening, the one that is wanted,
how it is turned. Between them is how fast it moves (`sim.task.proprioception`)."""


def posture(state: Float32) -> Float32:
    """(..., p) -> (..., q): of a state what says where the arm is, and not how it moves."""
    return np.concatenate([state[..., TOOL], state[..., HAND]], axis=-1)


def looked_at(pictures: Mapping[str, bytes], cameras: Sequence[str]) -> list[Picture]:
    """What those cameras saw, each (height, width, 3). Raises ValueError for a camera that is missing and for
    a picture that cannot be read."""
    if missing := [name for name in cameras if name not in pictures]:
        there = ", ".join(pictures) or "no camera"
        raise ValueError(f"there is no picture of {', '.join(missing)} (of {there})")
    return [decode(pictures[name]) for name in cameras]


@dataclass(frozen=True, eq=False)
class Sight:
    """(state (p,), what `cameras` saw) -> observation, by the arrays that `Encoder.snapshot` gives."""

    cameras: tuple[str, ...]
    arrays: Mapping[str, Float32]
    head: Layers

    @staticmethod
    def of(arrays: Mapping[str, Float32]) -> Sight | None:
        """From a snapshot's arrays; None where there are no cameras. Raises KeyError for what is missing."""
        places = {name: int(at[0]) for name, at in arrays.items() if name.startswith(PLACE)}
        if not places:
            return None
        cameras = tuple(name.removeprefix(PLACE) for name in sorted(places, key=places.__getitem__))
        return Sight(cameras, arrays, Layers.of(arrays, HEAD))

    def observe(self, state: Float32, pictures: Mapping[str, bytes]) -> Float32:
        """The observation of a moment. Raises ValueError as `looked_at` does, and FloatingPointError rather
        than return a NaN."""
        arrays = self.arrays
        keypoints = [
            self._keypoints(camera, picture)
            for camera, picture in zip(self.cameras, looked_at(pictures, self.cameras), strict=True)
        ]
        seen = np.concatenate(keypoints)
        clip = arrays[f"{PREFIX}clip"]
        scaled = np.clip((state - arrays[f"{PREFIX}mean"]) * arrays[f"{PREFIX}inverse_std"], -clip, clip)
        there, from_hand = np.split(self.head(np.concatenate([seen, scaled[HAND]])), 2)
        way = np.concatenate([there - CHANGES * posture(state), from_hand])
        observation = np.concatenate([state, way, np.tanh(FINE * way), seen]).astype(np.float32)
        if not np.isfinite(observation).all():
            raise FloatingPointError("the encoder gave an observation that is not finite")
        return observation

    def _keypoints(self, camera: str, picture: Picture) -> Float32:
        """(3 K,): columns, rows, and how surely each keypoint is there."""
        first, around, keypoints = (
            (self.arrays[f"{EYE}{camera}.weights.{i}"], self.arrays[f"{EYE}{camera}.biases.{i}"])
            for i in range(3)
        )
        height, width = picture.shape[0] // STRIDE, picture.shape[1] // STRIDE
        maps = _windows(picture.astype(np.float32) / np.float32(255) - np.float32(0.5), WINDOW, STRIDE)
        maps = np.maximum(maps @ first[0] + first[1], 0)
        maps = np.maximum(_windows(maps, 3, 1) @ around[0] + around[1], 0)
        flat = (maps @ keypoints[0] + keypoints[1]).reshape(height * width, -1)
        flat = (flat - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + np.float32(VARIANCE_FLOOR))
        peak = flat.max(axis=0)
        likely = np.exp((flat - peak) * SHARPNESS)
        likely = (likely / likely.sum(axis=0)).reshape(height, width, -1)
        columns = np.linspace(-1, 1, width) @ likely.sum(axis=0)
        rows = np.linspace(-1, 1, height) @ likely.sum(axis=1)
        return np.concatenate([columns, rows, np.tanh(peak / LIKELY)])


def _windows(maps: Float32, size: int, stride: int) -> Float32:
    """(H, W, C) -> (H / stride, W / stride, size * size * C): what a convolution takes together, with an edge
    of one 0 around."""
    height, width = maps.shape[0] // stride, maps.shape[1] // stride
    padded = np.pad(maps, ((1, 1), (1, 1), (0, 0)))
    parts = [
        padded[i : i + stride * height : stride, j : j + stride * width : stride]
        for i in range(size)
        for j in range(size)
    ]
    return np.concatenate(parts, axis=-1)
