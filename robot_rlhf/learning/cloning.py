"""Behaviour cloning of the steps that the operator drove: what the policy starts from, and a baseline."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.learning.adam import FusedAdam, descend
from robot_rlhf.learning.device import Device, sent
from robot_rlhf.learning.networks import MLP, Normaliser
from robot_rlhf.learning.policy_config import CloneConfig
from robot_rlhf.learning.state import Tensors, check_fits, copied_array, module_state
from robot_rlhf.learning.strides import operator_runs, strides

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

    @staticmethod
    def mean(reports: Sequence[CloneReport]) -> CloneReport:
        """Of an ensemble whose members all held episodes out, or none did."""
        held_out = [report.heldout_error for report in reports if report.heldout_error is not None]
        return CloneReport(
            float(np.mean([report.train_error for report in reports])),
            float(np.mean(held_out)) if held_out else None,
            round(float(np.mean([report.steps for report in reports]))),
            reports[0].examples,
            round(float(np.mean([report.heldout_examples for report in reports]))),
        )


@dataclass(frozen=True, eq=False)
class _Examples:
    """obs (N, n), action (N, K, m), valid (N, K) 1 where the action was executed, episode (N,) ids, shown
    (N,) whether of a demonstration."""

    obs: Tensor
    action: Tensor
    valid: Tensor
    episode: NDArray[np.int64]
    shown: NDArray[np.bool_]

    def take(self, rows: NDArray[np.bool_]) -> _Examples:
        chosen = torch.from_numpy(np.flatnonzero(rows))
        tensors = self.obs[chosen], self.action[chosen], self.valid[chosen]
        return _Examples(*tensors, self.episode[rows], self.shown[rows])

    def to(self, device: Device) -> _Examples:
        """The same there."""
        tensors = (self.obs.to(device), self.action.to(device), self.valid.to(device))
        return _Examples(*tensors, self.episode, self.shown)


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(normalised obs, action, valid), as in _Examples -> scalar."""


def _examples(episodes: Sequence[Episode], successes: Sequence[Episode], config: CloneConfig) -> _Examples:
    obs, action, valid, ids, shown = [], [], [], [], []
    imitated = [(one, operator_runs(one)) for one in episodes if one.role is not Role.COUNTERFACTUAL]
    for episode, runs in [*imitated, *((one, [slice(0, one.length)]) for one in successes)]:
        for run in runs:
            kept, executed = strides(episode.action[run], config)
            ahead = np.arange(len(executed))[:, None] + np.arange(config.chunk)
            obs.append(episode.obs[run][kept])
            action.append(executed[np.minimum(ahead, max(len(executed) - 1, 0))])
            valid.append((ahead < len(executed)).astype(np.float32))
            ids.append(np.full(len(executed), episode.id, np.int64))
            shown.append(np.full(len(executed), episode.role is Role.DEMONSTRATION))
    if sum(map(len, ids)) == 0:
        raise ValueError("nothing to clone: in no step of these episodes did the operator move the arm")
    return _Examples(
        torch.from_numpy(np.concatenate(obs)),
        torch.from_numpy(np.concatenate(action)),
        torch.from_numpy(np.concatenate(valid)),
        np.concatenate(ids),
        np.concatenate(shown),
    )


class ChunkedClone:
    """A deterministic policy that predicts the next K actions at once (Zhao et al. 2023, ACT).

    It carries `replan_every` of them out before it predicts again: a policy that decides anew at every step
    stands still where people do now this and now that, since it does the average of both. An ensemble, each
    member holding out episodes of its own; what is carried out is the members' mean. One arm at a time: call
    `reset` before each episode.
    """

    def __init__(self, obs_size: int, action_size: int, config: CloneConfig, seed: int) -> None:
        self.config = config
        self.obs_size, self.action_size = obs_size, action_size
        generator = torch.Generator().manual_seed(seed)
        outputs = config.chunk * action_size
        self._normaliser = Normaliser(obs_size)
        self._members = nn.ModuleList(
            MLP(obs_size, config.hidden, config.layers, outputs, generator, last_scale=0.1)
            for _ in range(config.members)
        )
        self._chunk: NDArray[np.float32] = np.empty((0, action_size), np.float32)  # what is left of it
        self.heldout_error: float | None = None
        """Of the last fit, as in its report; None where nothing was held out."""

    def fit(
        self,
        episodes: Sequence[Episode],
        rng: np.random.Generator,
        device: Device = "cpu",
        successes: Sequence[Episode] = (),
    ) -> CloneReport:
        """Fit on `device` to the operator's actions in `episodes`, and to all actions of `successes`, whoever
        drove (self-imitation, Oh et al. 2018); what acts then is on the CPU. Once: the normaliser is set from
        the same steps. Raises ValueError when there is nothing to clone. The report is the members' mean.
        What members hold out follows from the demonstrations and the generator alone, so that clones of the
        same ones compare."""
        examples = _examples(episodes, successes, self.config)
        self._normaliser.fit(examples.obs.numpy())
        fraction, reports = self.config.heldout_fraction, []
        held_out = [_heldout_rows(examples, fraction, rng) for _ in self._members]
        self._modules().to(device)
        for member, rows in zip(self._members, held_out, strict=True):

            def loss(obs: Tensor, action: Tensor, valid: Tensor, member: nn.Module = member) -> Tensor:
                error = (torch.tanh(member(obs)).view_as(action) - action).square().mean(-1)
                return (error * valid).sum() / valid.sum()

            reports.append(_fit(member, self._normaliser, examples, rows, loss, self.config, rng, device))
        self._modules().cpu()
        self.reset()
        report = CloneReport.mean(reports)
        self.heldout_error = report.heldout_error
        return report

    def reset(self) -> None:
        """Forget what was predicted: a new episode begins."""
        self._chunk = self._chunk[:0]

    def act(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next action (m,) in [-1, 1] for the observation (n,) of the running episode."""
        if obs.shape != (self.obs_size,):
            raise ValueError(f"obs has shape {obs.shape}, expected ({self.obs_size},)")
        if len(self._chunk) == 0:
            self._chunk = self._chunks(obs[None])[0]
        action, self._chunk = self._chunk[0], self._chunk[1:]
        return action

    def along(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        """What `act` would have answered to each observation (T, n) of an episode in turn, (T, m)."""
        if len(obs) == 0:
            return np.empty((0, self.action_size), np.float32)
        chunks = self._chunks(obs[:: self.config.replan_every])
        return np.ascontiguousarray(chunks.reshape(-1, self.action_size)[: len(obs)])

    def snapshot(self) -> dict[str, NDArray[np.float32]]:
        """The arrays that a `learning.snapshot.Snapshot` acts from, copied."""
        arrays = {
            "clone.mean": copied_array(self._normaliser.mean),
            "clone.inverse_std": copied_array(self._normaliser.inverse_std),
            "clone.replan_every": np.array([self.config.replan_every], np.float32),
        }
        members = [member for member in self._members if isinstance(member, MLP)]
        for layer in range(self.config.layers + 1):
            weights = [member.weights[layer].detach().numpy() for member in members]
            biases = [member.biases[layer].detach().numpy()[None] for member in members]
            arrays[f"clone.weights.{layer}"] = np.ascontiguousarray(np.stack(weights))
            arrays[f"clone.biases.{layer}"] = np.stack(biases)
        return arrays

    def state(self) -> Tensors:
        """Copies of the weights and the normaliser, as named tensors."""
        return module_state(self._modules())

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned. Raises CheckpointError naming a tensor that does not fit."""
        modules = self._modules()
        check_fits(modules.state_dict(), state, "clone")
        modules.load_state_dict(dict(state))
        self.reset()

    def _modules(self) -> nn.ModuleDict:
        return nn.ModuleDict({"normaliser": self._normaliser, "members": self._members})

    def _chunks(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, n) -> (N, replan_every, m): what is carried out of the chunks predicted."""
        with torch.no_grad():
            rows = self._normaliser(torch.from_numpy(obs))
            said = torch.stack([torch.tanh(member(rows)) for member in self._members]).mean(0)
        actions = said.view(len(obs), self.config.chunk, self.action_size)[:, : self.config.replan_every]
        if not torch.isfinite(actions).all():
            raise FloatingPointError(f"the clone is not finite at observation {obs[0].tolist()}")
        result: NDArray[np.float32] = actions.numpy()
        return result


def _fit(
    network: nn.Module,
    normaliser: Normaliser,
    examples: _Examples,
    heldout_rows: NDArray[np.bool_],
    error: Loss,
    config: CloneConfig,
    rng: np.random.Generator,
    device: Device,
) -> CloneReport:
    """Fit `network` in place and keep the weights with the least `error` on the rows held out; without any,
    the last ones."""
    train, heldout = (examples.take(rows).to(device) for rows in (~heldout_rows, heldout_rows))
    train_obs, heldout_obs = normaliser(train.obs), normaliser(heldout.obs)
    optimizer = FusedAdam(network.parameters(), config.learning_rate, config.weight_decay)
    best_error, best_step, best = math.inf, config.steps, copy.deepcopy(network.state_dict())
    for step in range(1, config.steps + 1):
        share = (step - 1) / config.steps
        optimizer.learning_rate = config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))
        rows = sent(torch.from_numpy(rng.integers(0, len(train_obs), config.batch_size)), device)
        drawn = rng.standard_normal((len(rows), train_obs.shape[1]), dtype=np.float32) * config.obs_noise
        noise = sent(torch.from_numpy(drawn), device)
        descend(error(train_obs[rows] + noise, train.action[rows], train.valid[rows]), optimizer)
        looks = step >= config.min_steps and step % config.check_every == 0
        if len(heldout_obs) and (looks or step == config.steps):
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


def _heldout_rows(examples: _Examples, fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(N,) True for the examples of the episodes drawn to be held out: whole demonstrations, at least one,
    none where they are too few to spare one. No takeovers: they are where the policy is wrong, and few."""
    ids = np.unique(examples.episode[examples.shown])
    if fraction == 0.0 or len(ids) < _MIN_EPISODES_TO_HOLD_OUT:
        return np.zeros(len(examples.episode), np.bool_)
    count = min(max(1, round(fraction * len(ids))), len(ids) - 1)
    return np.isin(examples.episode, rng.permutation(ids)[:count])
