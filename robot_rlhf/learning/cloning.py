"""Behaviour cloning of the steps that the operator drove: what the policy starts from, and two baselines."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from robot_rlhf.feedback.episode import Episode, Float32, Role
from robot_rlhf.learning.networks import MLP, GaussianActor, Normaliser
from robot_rlhf.learning.policy_config import CloneConfig
from robot_rlhf.learning.state import Tensors, check_fits, module_state

_SPEED_AXES = 3  # the first action numbers are the tool's velocity; what follows is the gripper
_MIN_EPISODES_TO_HOLD_OUT = 5


@dataclass(frozen=True)
class CloneReport:
    """How a fit went: mean squared error an action number on the fitted episodes and on those held out
    (None: none were), the gradient step whose weights were kept, examples, and how many were held out."""

    train_error: float
    heldout_error: float | None
    steps: int
    examples: int
    heldout_examples: int


@dataclass(frozen=True, eq=False)
class _Examples:
    """obs (N, n), action (N, K, m), valid (N, K) 1 where the action was executed, episode (N,) ids."""

    obs: Tensor
    action: Tensor
    valid: Tensor
    episode: NDArray[np.int64]

    def take(self, rows: NDArray[np.bool_]) -> _Examples:
        chosen = torch.from_numpy(np.flatnonzero(rows))
        return _Examples(self.obs[chosen], self.action[chosen], self.valid[chosen], self.episode[rows])


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(normalised obs, action, valid), as in _Examples -> scalar."""


def moving_steps(action: Float32, config: CloneConfig) -> NDArray[np.bool_]:
    """(T, m) consecutive actions -> (T,) False where the operator paused.

    A pause is a step slower than `idle_speed` of full speed whose gripper command has the same sign as
    the step before, unless the gripper's last change is at most `idle_keep_steps` back: waiting for the
    fingers is part of the task.
    """
    still = np.linalg.norm(action[:, :_SPEED_AXES], axis=1) <= config.idle_speed
    gripper = np.sign(action[:, _SPEED_AXES:])
    changed = np.zeros(len(action), np.bool_)
    changed[1:] = (gripper[1:] != gripper[:-1]).any(axis=1)
    steps = np.arange(len(action))
    last_change = np.maximum.accumulate(np.where(changed, steps, -config.idle_keep_steps - 1))
    settled: NDArray[np.bool_] = steps - last_change > config.idle_keep_steps
    return ~(still & settled)


def operator_runs(episode: Episode) -> list[slice]:
    """The uninterrupted stretches of an episode that the operator drove, in order."""
    edges = np.flatnonzero(np.diff(episode.operator_steps.astype(np.int8), prepend=0, append=0))
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _examples(episodes: Iterable[Episode], chunk: int, config: CloneConfig) -> _Examples:
    obs, action, valid, ids = [], [], [], []
    for episode in episodes:
        if episode.role is Role.COUNTERFACTUAL:
            continue
        for run in operator_runs(episode):
            executed = episode.action[run]
            kept = moving_steps(executed, config) if config.drop_idle else np.ones(len(executed), np.bool_)
            executed = executed[kept]
            ahead = np.arange(len(executed))[:, None] + np.arange(chunk)
            obs.append(episode.obs[run][kept])
            action.append(executed[np.minimum(ahead, max(len(executed) - 1, 0))])
            valid.append((ahead < len(executed)).astype(np.float32))
            ids.append(np.full(len(executed), episode.id, np.int64))
    if sum(map(len, ids)) == 0:
        raise ValueError("nothing to clone: in no step of these episodes did the operator move the arm")
    return _Examples(
        torch.from_numpy(np.concatenate(obs)),
        torch.from_numpy(np.concatenate(action)),
        torch.from_numpy(np.concatenate(valid)),
        np.concatenate(ids),
    )


def clone_actor(
    actor: GaussianActor,
    normaliser: Normaliser,
    episodes: Iterable[Episode],
    config: CloneConfig,
    rng: np.random.Generator,
) -> CloneReport:
    """Fit SAC's actor to the operator's actions, in place.

    The squashed mean is fitted by squared error; the standard deviation by the likelihood of the
    actions around that mean, so exploration starts where the operator's own actions scatter. Call
    `SAC.sync_average` afterwards. Raises ValueError when the episodes hold nothing to clone.
    """

    def loss(obs: Tensor, action: Tensor, valid: Tensor) -> Tensor:
        mean, log_std = actor(obs)
        likelihood = actor.log_prob(mean.detach(), log_std, action[:, 0]).mean() / actor.action_size
        return (torch.tanh(mean) - action[:, 0]).square().mean() - config.std_weight * likelihood

    def error(obs: Tensor, action: Tensor, valid: Tensor) -> Tensor:
        return (actor.mode(obs) - action[:, 0]).square().mean()

    return _fit(actor, normaliser, _examples(episodes, 1, config), loss, error, config, rng)


class ChunkedClone:
    """A deterministic policy that predicts the next K actions at once (Zhao et al. 2023, ACT).

    Either it carries `replan_every` of them out before it predicts again, or it predicts at every step
    and carries out the average of what the last K predictions said of that step, older ones counting
    less by exp(-ensemble_decay * age). One arm at a time: call `reset` before each episode.
    """

    def __init__(self, obs_size: int, action_size: int, config: CloneConfig, seed: int) -> None:
        self.config = config
        self._shape = (config.chunk, action_size)
        self._obs_size = obs_size
        generator = torch.Generator().manual_seed(seed)
        self._normaliser = Normaliser(obs_size)
        outputs = config.chunk * action_size
        self._network = MLP(obs_size, config.hidden, config.layers, outputs, generator, last_scale=0.1)
        self._chunks: deque[NDArray[np.float32]] = deque(maxlen=config.replan_every or config.chunk)
        self._position = 0

    def fit(self, episodes: Iterable[Episode], rng: np.random.Generator) -> CloneReport:
        """Fit to the operator's actions. Once: the normaliser is set from the same steps. Raises
        ValueError when there is nothing to clone."""

        def loss(obs: Tensor, action: Tensor, valid: Tensor) -> Tensor:
            error = (self._predict(obs) - action).square().mean(-1)
            return (error * valid).sum() / valid.sum()

        examples = _examples(episodes, self.config.chunk, self.config)
        self._normaliser.fit(examples.obs.numpy())
        return _fit(self._network, self._normaliser, examples, loss, loss, self.config, rng)

    def reset(self) -> None:
        """Forget what was predicted: a new episode begins."""
        self._chunks.clear()
        self._position = 0

    def act(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next action (m,) in [-1, 1] for the observation (n,) of the running episode."""
        if obs.shape != (self._obs_size,):
            raise ValueError(f"obs has shape {obs.shape}, expected ({self._obs_size},)")
        if self.config.replan_every:
            if self._position % self.config.replan_every == 0:
                self._chunks.append(self._chunk(obs))
                self._position = 0
            self._position += 1
            return self._chunks[-1][self._position - 1]
        self._chunks.appendleft(self._chunk(obs))
        ages = np.arange(len(self._chunks))
        said = np.stack([chunk[age] for age, chunk in enumerate(self._chunks)])
        weights = np.exp(-self.config.ensemble_decay * ages)
        average: NDArray[np.float32] = np.average(said, axis=0, weights=weights).astype(np.float32)
        return average

    def state(self) -> Tensors:
        """Copies of the weights and the normaliser, as named tensors."""
        return module_state(self._modules())

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned. Raises CheckpointError naming a tensor that does not fit."""
        modules = self._modules()
        check_fits(modules.state_dict(), state, "chunked clone")
        modules.load_state_dict(dict(state))
        self.reset()

    def _modules(self) -> nn.ModuleDict:
        return nn.ModuleDict({"normaliser": self._normaliser, "network": self._network})

    def _predict(self, obs: Tensor) -> Tensor:
        """Normalised (B, n) -> (B, K, m)."""
        return torch.tanh(self._network(obs)).view(-1, *self._shape)

    def _chunk(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            rows = self._normaliser(torch.from_numpy(obs)[None])
            actions: NDArray[np.float32] = self._predict(rows)[0].numpy()
        if not np.isfinite(actions).all():
            raise FloatingPointError(f"the chunked policy is not finite at observation {obs.tolist()}")
        return actions


def _fit(
    network: nn.Module,
    normaliser: Normaliser,
    examples: _Examples,
    loss: Loss,
    error: Loss,
    config: CloneConfig,
    rng: np.random.Generator,
) -> CloneReport:
    """Fit `network` in place by `loss` and keep the weights with the least held-out `error`; without
    held-out episodes, the last ones."""
    heldout_rows = _heldout_rows(examples.episode, config.heldout_fraction, rng)
    train, heldout = examples.take(~heldout_rows), examples.take(heldout_rows)
    train_obs, heldout_obs = normaliser(train.obs), normaliser(heldout.obs)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    best_error, best_step, best = math.inf, config.steps, copy.deepcopy(network.state_dict())
    for step in range(1, config.steps + 1):
        share = (step - 1) / config.steps
        optimizer.param_groups[0]["lr"] = config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))
        rows = torch.from_numpy(rng.integers(0, len(train_obs), config.batch_size))
        optimizer.zero_grad()
        loss(train_obs[rows], train.action[rows], train.valid[rows]).backward()
        optimizer.step()
        if len(heldout_obs) and (step % config.check_every == 0 or step == config.steps):
            with torch.no_grad():
                now = error(heldout_obs, heldout.action, heldout.valid).item()
            if now < best_error:
                best_error, best_step, best = now, step, copy.deepcopy(network.state_dict())
            elif step - best_step >= config.patience * config.check_every:
                break
    kept = best_error if len(heldout_obs) else None
    if kept is not None:
        network.load_state_dict(best)
    with torch.no_grad():
        train_error = error(train_obs, train.action, train.valid).item()
    if not math.isfinite(train_error + (kept or 0.0)):
        raise FloatingPointError(f"cloning diverged: error {train_error}, held out {kept}")
    return CloneReport(train_error, kept, best_step, len(examples.obs), len(heldout_obs))


def _heldout_rows(episode: NDArray[np.int64], fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(N,) True for the examples of the episodes drawn to be held out: whole episodes, at least one,
    none where episodes are too few to spare one."""
    ids = np.unique(episode)
    if fraction == 0.0 or len(ids) < _MIN_EPISODES_TO_HOLD_OUT:
        return np.zeros(len(episode), np.bool_)
    count = min(max(1, round(fraction * len(ids))), len(ids) - 1)
    return np.isin(episode, rng.permutation(ids)[:count])
