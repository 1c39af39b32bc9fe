"""Episodes as one matrix of transitions, and windows as rows of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import Segment

Rows = NDArray[np.int64]
"""The transitions of a window, in order; one may stand there several times."""


class TransitionTable:
    """All transitions of `episodes`: first those the policy learns from, then counterfactuals, then the
    standing still that lengthens a window.

    `replayed` is how many the policy learns from.
    """

    def __init__(self, episodes: Mapping[int, Episode]) -> None:
        self._ordered = sorted(episodes.values(), key=lambda e: (e.role is Role.COUNTERFACTUAL, e.id))
        self._episodes = episodes
        self._first: dict[int, int] = {}
        self._still: dict[tuple[int, int], int] = {}
        self._size = 0
        self.replayed = 0
        for episode in self._ordered:
            self._first[episode.id] = self._size
            self._size += episode.length
            if episode.role is not Role.COUNTERFACTUAL:
                self.replayed = self._size

    def episode(self, number: int) -> Episode:
        """The episode, or a ValueError that says it is missing."""
        if number not in self._episodes:
            raise ValueError(f"feedback about episode {number}, which is not among the episodes given")
        return self._episodes[number]

    def rows(self, segment: Segment, length: int) -> Rows:
        """The segment's transitions, then its last state standing still until there are `length`.

        Raises ValueError for a segment outside its episode."""
        steps, stop = self.episode(segment.episode).length, segment.start + segment.length
        if stop > steps:
            raise ValueError(f"feedback about {segment}, but that episode has {steps} steps")
        first = self._first[segment.episode]
        rows = np.arange(first + segment.start, first + stop, dtype=np.int64)
        if length <= segment.length:
            return rows
        still = self._still.setdefault((segment.episode, stop), self._size + len(self._still))
        return np.concatenate((rows, np.full(length - segment.length, still)))

    def tensors(self) -> tuple[Tensor, Tensor]:
        """(obs, next_obs), each (N, n) float32."""
        still = [self._episodes[number].obs[step : step + 1] for number, step in self._still]
        obs = np.concatenate([*(e.obs[:-1] for e in self._ordered), *still])
        next_obs = np.concatenate([*(e.obs[1:] for e in self._ordered), *still])
        return torch.from_numpy(obs), torch.from_numpy(next_obs)


class WindowIndex:
    """Numbers windows, each different one once."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._rows: list[Rows] = []

    def number(self, rows: Rows) -> int:
        """The window's number."""
        number = self._numbers.setdefault(rows.tobytes(), len(self._rows))
        if number == len(self._rows):
            self._rows.append(rows)
        return number

    def tensors(self) -> tuple[Tensor, Tensor]:
        """rows (V, L), zero beyond a window's end, and length (V,), both int64."""
        length = np.array([len(rows) for rows in self._rows], dtype=np.int64)
        table = np.zeros((len(length), length.max(initial=0)), dtype=np.int64)
        for row, values in zip(table, self._rows, strict=True):
            row[: len(values)] = values
        return torch.from_numpy(table), torch.from_numpy(length)

    def means(self, rewards: Tensor) -> Tensor:
        """(M, V) mean over each window of rewards (M, N) given for every transition of the table."""
        return window_means(rewards, *self.tensors())


def window_means(rewards: Tensor, rows: Tensor, length: Tensor) -> Tensor:
    """(M, V) mean reward of V windows from (M, N) rewards, rows (V, L) and length (V,)."""
    inside = torch.arange(rows.shape[1], device=rows.device) < length.unsqueeze(1)
    return (rewards[:, rows] * inside).sum(dim=-1) / length
