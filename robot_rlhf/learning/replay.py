"""Every transition the policy learns from, kept by episode, with rewards that cannot go stale."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.learning.device import Device, sent

Rewarder = Callable[[Tensor, Tensor], Tensor]
"""(obs (N, n), next_obs (N, n)) -> rewards (N,)."""

Base = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""An episode's observations (T + 1, n) -> what a base policy answers to each in turn, (T + 1, m)."""

_SCORE_ROWS = 1 << 16  # transitions handed to a rewarder at once
_GATHER_BATCHES = 16  # batches gathered from the arrays at once


class Batch(NamedTuple):
    """Transitions as float32 tensors: obs and next_obs (B, n), action (B, m), reward and terminated (B,);
    `operator` (B,) bool is True where the operator drove, and those rows come first. `base` and `next_base`
    (B, m) are what the base policy would do there and next; None without one."""

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor
    operator: Tensor
    base: Tensor | None = None
    next_base: Tensor | None = None


class _Rows:
    """An array that grows at its end by doubling its capacity."""

    def __init__(self, width: tuple[int, ...], dtype: DTypeLike) -> None:
        self._buffer: NDArray[Any] = np.empty((1024, *width), dtype)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    @property
    def values(self) -> NDArray[Any]:
        """The rows in use, a view that the next `extend` may leave behind."""
        return self._buffer[: self._used]

    def extend(self, rows: NDArray[Any]) -> None:
        used = self._used + len(rows)
        if used > len(self._buffer):
            grown = np.empty((max(used, 2 * len(self._buffer)), *self._buffer.shape[1:]), self._buffer.dtype)
            grown[: self._used] = self.values
            self._buffer = grown
        self._buffer[self._used : used] = rows
        self._used = used


class Replay:
    """Transitions of whole episodes, sampled uniformly, half of them (or another share) the operator's.

    An episode's T + 1 observations are stored once, in a row, and a transition is a place among them:
    its next observation is the row behind it and so always of the same episode. Only an episode that
    ended its task ends with a termination; one that ran out of time does not. Rewards come from one
    source: `score` (a reward model, versioned) or `set_rewards` (given numbers). What the base policy would
    do is worked out once an episode.
    """

    def __init__(self, obs_size: int, action_size: int, base: Base | None = None) -> None:
        self._obs = _Rows((obs_size,), np.float32)
        self._base_policy = base
        self._base = _Rows((action_size,), np.float32)  # a row for each of _obs
        self._action = _Rows((action_size,), np.float32)
        self._terminated = _Rows((), np.float32)
        self._operator = _Rows((), np.bool_)
        self._place = _Rows((), np.int64)  # a transition's row in _obs
        self._reward = _Rows((), np.float32)  # NaN where there is none of this version
        self._operator_rows = _Rows((), np.int64)
        self._policy_rows = _Rows((), np.int64)
        self._span: dict[int, slice] = {}  # episode id -> its transitions
        self._version: int | None = None
        self._given = False
        self._unscored = 0

    def __len__(self) -> int:
        """Transitions held."""
        return len(self._action)

    def __contains__(self, episode_id: int) -> bool:
        return episode_id in self._span

    @property
    def operator_steps(self) -> int:
        """Transitions that the operator drove."""
        return len(self._operator_rows)

    @property
    def version(self) -> int | None:
        """Version of the rewards held; None before the first `score`."""
        return self._version

    def add(self, episode: Episode, imitate: NDArray[np.bool_] | None = None) -> None:
        """Take in a whole episode; its transitions have no reward yet. `imitate` (T,) says which of the
        operator's steps count as theirs (not pauses, not a demonstration marked as failed). Raises
        ValueError for an episode already held, a counterfactual one, and sizes that do not fit; then
        nothing has changed."""
        if episode.id in self._span:
            raise ValueError(f"episode {episode.id} is already in the replay")
        if episode.role is Role.COUNTERFACTUAL:
            raise ValueError(f"episode {episode.id} is counterfactual: such episodes are never replayed")
        for name, rows, own in (("obs", episode.obs, self._obs), ("action", episode.action, self._action)):
            if rows.shape[1:] != own.values.shape[1:]:
                raise ValueError(
                    f"episode {episode.id}: {name} is {rows.shape[1:]} a step, not {own.values.shape[1:]}"
                )
        steps, first = episode.length, len(self)
        transitions = np.arange(first, first + steps)
        operator = episode.operator_steps if imitate is None else episode.operator_steps & imitate
        terminated = np.zeros(steps, np.float32)
        terminated[-1] = episode.terminated
        self._place.extend(np.arange(len(self._obs), len(self._obs) + steps))
        self._obs.extend(episode.obs)
        self._base.extend(self._based(episode.obs))
        self._action.extend(episode.action)
        self._terminated.extend(terminated)
        self._operator.extend(operator)
        self._operator_rows.extend(transitions[operator])
        self._policy_rows.extend(transitions[~operator])
        self._reward.extend(np.full(steps, np.nan, np.float32))
        self._unscored += steps
        self._span[episode.id] = slice(first, first + steps)

    def rebase(self, base: Base) -> None:
        """Have another base policy from now on, for the episodes held too."""
        self._base_policy = base
        for span in self._span.values():
            first = self._place.values[span.start]
            rows = slice(first, first + span.stop - span.start + 1)
            self._base.values[rows] = self._based(self._obs.values[rows])

    def _based(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._base_policy is None:
            return np.zeros((len(obs), self._base.values.shape[1]), np.float32)
        return self._base_policy(obs)

    def score(self, rewarder: Rewarder, version: int) -> None:
        """Give every transition its reward of `version`: all of them when the version is new, else those
        without one. Raises ValueError for a version older than the one held, a rewarder that returns
        another shape or a number that is not finite, and rewards that were given by `set_rewards`;
        then the rewards held are unchanged."""
        if self._given:
            raise ValueError("rewards were given by set_rewards: a reward model cannot score beside them")
        if self._version is not None and version < self._version:
            raise ValueError(f"reward version {version} is older than the version {self._version} held")
        held = self._reward.values
        rows = np.flatnonzero(np.isnan(held)) if version == self._version else np.arange(len(self))
        fresh = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _SCORE_ROWS):
            part = slice(start, start + _SCORE_ROWS)
            place = self._place.values[rows[part]]
            with torch.no_grad():
                reward = rewarder(
                    torch.from_numpy(self._obs.values[place]), torch.from_numpy(self._obs.values[place + 1])
                )
            if reward.shape != (len(place),):
                raise ValueError(f"the rewarder returned {tuple(reward.shape)}, expected ({len(place)},)")
            fresh[part] = reward.numpy()
        if not np.isfinite(fresh).all():
            raise ValueError(f"reward version {version} has {(~np.isfinite(fresh)).sum()} non-finite rewards")
        held[rows] = fresh
        self._version, self._unscored = version, 0

    def set_rewards(self, episode_id: int, rewards: NDArray[np.float32]) -> None:
        """Give an episode's transitions their rewards (T,). Raises KeyError for an episode not held and
        ValueError for another shape, non-finite numbers, and a replay scored by a reward model."""
        if self._version is not None:
            raise ValueError(f"rewards are scored by a reward model (version {self._version}), not given")
        if episode_id not in self._span:
            raise KeyError(f"episode {episode_id} is not in the replay")
        held = self._reward.values[self._span[episode_id]]
        if rewards.shape != held.shape or not np.isfinite(rewards).all():
            raise ValueError(f"rewards of episode {episode_id} must be {held.shape} finite numbers")
        self._unscored -= int(np.isnan(held).sum())
        held[:] = rewards
        self._given = True

    def sample(self, size: int, operator_fraction: float, rng: np.random.Generator) -> Batch:
        """One batch; see `batches`."""
        return next(self.batches(1, size, operator_fraction, rng))

    def batches(
        self,
        count: int,
        size: int,
        operator_fraction: float,
        rng: np.random.Generator,
        device: Device = "cpu",
    ) -> Iterator[Batch]:
        """`count` batches on `device` of `size` transitions drawn uniformly with replacement, round(size *
        operator_fraction) of them the operator's, first; when there are none of one sort the other fills
        the batch. Raises ValueError when empty and RuntimeError while any transition lacks its reward."""
        if len(self) == 0:
            raise ValueError("the replay is empty")
        if self._unscored:
            raise RuntimeError(f"{self._unscored} transitions have no reward: call score() or set_rewards()")
        wanted = round(size * operator_fraction)
        if not len(self._policy_rows):
            wanted = size
        if not len(self._operator_rows):
            wanted = 0
        for start in range(0, count, _GATHER_BATCHES):
            group = min(_GATHER_BATCHES, count - start)
            halves = [
                pool.values[rng.integers(0, len(pool), (group, drawn))]
                for pool, drawn in ((self._operator_rows, wanted), (self._policy_rows, size - wanted))
                if drawn
            ]
            yield from self._gather(np.concatenate(halves, axis=1), device)

    def _gather(self, rows: NDArray[np.int64], device: Device) -> Iterator[Batch]:
        """One Batch for each row of `rows` (G, B)."""
        place = self._place.values[rows]
        columns = (
            self._obs.values[place],
            self._action.values[rows],
            self._reward.values[rows],
            self._obs.values[place + 1],
            self._terminated.values[rows],
            self._operator.values[rows],
            *(() if self._base_policy is None else (self._base.values[place], self._base.values[place + 1])),
        )
        for batch in zip(*(sent(torch.from_numpy(column), device) for column in columns), strict=True):
            yield Batch(*batch)
