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
PATCH = 4
"""Pixels, each way, that the first layer takes together."""
SHARPNESS = 3.0
"""Of the softmax over a picture."""
LIKELY = 5.0
"""A keypoint's activation where tanh tells that it is there."""
FINE = 2.0
"""What is foretold of the next event is also told through a tanh that saturates so soon."""


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
        clip, acts = arrays[f"{PREFIX}clip"], int(arrays[f"{PREFIX}acts"][0])
        scaled = (state - arrays[f"{PREFIX}mean"]) * arrays[f"{PREFIX}inverse_std"]
        foretold = self.head(np.concatenate([seen, np.clip(scaled, -clip, clip)]))[acts:]
        fine = np.tanh(FINE * foretold[: len(state)])
        observation = np.concatenate([state, foretold, fine, seen]).astype(np.float32)
        if not np.isfinite(observation).all():
            raise FloatingPointError("the encoder gave an observation that is not finite")
        return observation

    def _keypoints(self, camera: str, picture: Picture) -> Float32:
        """(3 K,): columns, rows, and how surely each keypoint is there."""
        by_patch, around, keypoints = (
            (
                self.arrays[f"{PREFIX}camera.{camera}.weights.{i}"],
                self.arrays[f"{PREFIX}camera.{camera}.biases.{i}"],
            )
            for i in range(3)
        )
        height, width = picture.shape[0] // PATCH, picture.shape[1] // PATCH
        patches = picture[: height * PATCH, : width * PATCH].reshape(height, PATCH, width, PATCH, 3)
        maps = patches.swapaxes(1, 2).reshape(height, width, -1).astype(np.float32) / 255 - np.float32(0.5)
        maps = np.maximum(maps @ by_patch[0] + by_patch[1], 0)
        padded = np.pad(maps, ((1, 1), (1, 1), (0, 0)))
        windows = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
        maps = np.maximum(np.concatenate(windows, axis=-1) @ around[0] + around[1], 0)
        maps = maps @ keypoints[0] + keypoints[1]
        peak = maps.max(axis=(0, 1))
        where = np.exp((maps - peak) * SHARPNESS)
        where /= where.sum(axis=(0, 1))
        columns = np.linspace(-1, 1, width) @ where.sum(axis=0)
        rows = np.linspace(-1, 1, height) @ where.sum(axis=1)
        return np.concatenate([columns, rows, np.tanh(peak / LIKELY)])
