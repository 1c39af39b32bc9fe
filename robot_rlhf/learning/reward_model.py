"""One reward function learned from five kinds of feedback."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Container, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import Feedback, Kind, Segment, Undo
from robot_rlhf.learning.device import Device
from robot_rlhf.learning.evidence import Evidence, family, gather, standing
from robot_rlhf.learning.information import information
from robot_rlhf.learning.likelihoods import preference
from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.learning.reward_fit import FitError, Fitted, NothingToFitError, answer_chances, fit
from robot_rlhf.learning.reward_network import Operators, RewardNetwork
from robot_rlhf.learning.reward_report import FitReport, KindReport, OperatorReport, Predictions, report
from robot_rlhf.learning.scale import RewardScale
from robot_rlhf.learning.split import Split
from robot_rlhf.learning.state import copied_array
from robot_rlhf.learning.windows import TransitionTable, WindowIndex

__all__ = [
    "FitError",
    "FitReport",
    "KindReport",
    "NothingToFitError",
    "RewardConfig",
    "RewardModel",
    "RewardScale",
]

_CHUNK = 16384


class RewardModel:
    """An ensemble of rewards r_m(s, s') in [-1, 1], fitted again and again as feedback comes in.

    `version` counts the fits; `scale` belongs to the version. A fit either succeeds wholly or leaves the
    model as it was. It starts from what is known: beliefs about the operators wholly, weights as far as
    `carry` says. Seeded: the same calls give the same numbers on the same machine. It is fitted on `device`
    and judges on the CPU.
    """

    def __init__(self, obs_size: int, config: RewardConfig, seed: int, device: Device = "cpu") -> None:
        if obs_size < 1:
            raise ValueError(f"obs_size is {obs_size}: it must be at least 1")
        if not 0 <= seed < 2**31:
            raise ValueError(f"seed is {seed}: it must be from 0 to 2**31 - 1")
        self.version = 0
        self.scale = RewardScale(0.0, 1.0)
        self._obs_size, self._config, self._seed, self._device = obs_size, config, seed, device
        self._network = RewardNetwork(obs_size, config, torch.Generator().manual_seed(seed))
        self._operators = Operators(config)
        self._names: list[str] = []
        self._adopted: frozenset[tuple[int, int]] = frozenset()

    def fit(
        self,
        events: Sequence[Feedback | Undo],
        episodes: Mapping[int, Episode],
        kinds: frozenset[Kind] = frozenset(Kind),
    ) -> FitReport:
        """Fit to every event of `kinds` that was not taken back, starting from what is known.

        `episodes` must hold every episode the events speak of. `version` grows by one and `scale` becomes
        the exact mean and standard deviation over the transitions of all demonstration and online
        episodes. Raises FitError where there is nothing to learn from or a number stops being finite,
        ValueError where events and episodes do not fit together; the model then stays as it was.
        """
        began = time.perf_counter()
        self._check_episodes(episodes)
        kept = standing(events)
        named = sorted({event.operator for event in kept} - set(self._names))
        names = [*self._names, *named]
        evidence, split = self._gather(kept, episodes, kinds, names)
        network = copy.deepcopy(self._network)
        network.renormalise(evidence.obs[: evidence.replayed], evidence.next_obs[: evidence.replayed])
        # towards the same first weights each time, so that the reward changes only as far as the data do;
        # wholly at the first fit, which is the first to know the input's scale
        first_weights = torch.Generator().manual_seed(self._seed)
        network.refresh(self._config.carry if self.version else 0.0, first_weights)
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self.version + 1)
        operators = self._operators.grown(len(names), self._config).to(self._device)
        network = network.to(self._device)
        fitted = fit(network, operators, evidence, self._config, generator, self._device)
        network, operators = network.cpu(), operators.cpu()
        old = self.scale
        new = _scale(network, evidence, self._config.scale_floor)
        self.version, self.scale = self.version + 1, new
        self._network, self._operators, self._names = network, operators, names
        self._adopted = split.adopted
        seconds = time.perf_counter() - began
        return _report(self.version, evidence, fitted, operators.reports(names), seconds, old, new)

    def forget(self) -> None:
        """Observations mean something else from now on: the next fit starts from nothing but what is known of
        the operators, and `version` goes on."""
        self._network = RewardNetwork(self._obs_size, self._config, torch.Generator().manual_seed(self._seed))

    @torch.no_grad()
    def members(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """(M, N) in [-1, 1]: what each member makes of N transitions, given as two (N, n)."""
        if obs.shape != next_obs.shape or obs.ndim != 2 or obs.shape[1] != self._obs_size:
            raise ValueError(
                f"obs is {tuple(obs.shape)} and next_obs {tuple(next_obs.shape)}: both must be "
                f"(N, {self._obs_size})"
            )
        rewards = _rewards(self._network, obs, next_obs)
        if not torch.isfinite(rewards).all():
            raise ValueError("obs and next_obs must be finite")
        return rewards

    def score(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """(N,) what the policy learns from: the mean of the members in units of `scale`, less `pessimism`
        times their standard deviation, clipped."""
        rewards = self.members(obs, next_obs)
        mean = (rewards.mean(dim=0) - self.scale.mean) / self.scale.std
        doubt = rewards.std(dim=0, correction=0) / self.scale.std
        return (mean - self._config.pessimism * doubt).clamp(-self._config.clip, self._config.clip)

    def segment_returns(self, obs: Tensor, next_obs: Tensor) -> NDArray[np.float32]:
        """(M, K) returns of K windows of L transitions, given as two (K, L, n): `return_scale` times the
        mean reward, so that windows of any length compare."""
        if obs.ndim != 3:
            raise ValueError(f"obs is {tuple(obs.shape)}: windows must be (K, L, {self._obs_size})")
        rewards = self.members(obs.flatten(0, 1), next_obs.flatten(0, 1))
        returns = self._config.return_scale * rewards.view(-1, *obs.shape[:2]).mean(dim=2)
        return np.asarray(returns.numpy())

    def pair_information(
        self, left: Sequence[Segment], right: Sequence[Segment], episodes: Mapping[int, Episode]
    ) -> NDArray[np.float32]:
        """(K,) nats that an answer to each pair would tell of which member's reward is right, from somebody
        who is as the known operators are on average."""
        if len(left) != len(right):
            raise ValueError(f"{len(left)} left and {len(right)} right segments: there must be as many")
        if not left:
            return np.zeros(0, dtype=np.float32)
        concerned = {segment.episode for segment in (*left, *right)} & episodes.keys()
        table, index = TransitionTable({number: episodes[number] for number in concerned}), WindowIndex()
        pairs = torch.tensor(
            [
                [index.number(table.rows(side, max(one.length, other.length))) for side in (one, other)]
                for one, other in zip(left, right, strict=True)
            ]
        )
        returns = self._config.return_scale * index.means(self.members(*table.tensors()))
        nu, lapse = (of.detach().mean() for of in (self._operators.log_nu, self._operators.lapse))
        chances = preference(returns[:, pairs[:, 0]], returns[:, pairs[:, 1]], nu, lapse)
        return np.asarray(information(chances).numpy())

    def event_information(
        self,
        events: Sequence[Feedback | Undo],
        episodes: Mapping[int, Episode],
        kinds: frozenset[Kind],
        new: Container[str],
    ) -> dict[Kind, float]:
        """Nats that the events of each kind whose ids are `new` tell of which member's reward is right, in
        sum, before they are fitted to. The rest is as for `fit`."""
        kept = standing(events)
        names = [*self._names, *sorted({event.operator for event in kept} - set(self._names))]
        split = Split(self._seed, self._config.members, self._config.held_out, family(kept, episodes))
        evidence = gather(kept, episodes, kinds, names, split, self._config, new)
        operators = self._operators.grown(len(names), self._config).agreed()
        chances = answer_chances(self._network, operators, evidence, self._config)
        return {
            kind: float(information(of) @ evidence.judgements[kind].share) for kind, of in chances.items()
        }

    def snapshot(self) -> dict[str, NDArray[np.float32]]:
        """The arrays that a `learning.snapshot.Snapshot` judges by, copied; none before the first fit."""
        if self.version == 0:
            return {}
        network = self._network
        arrays = {
            "judge.mean": copied_array(network.mean.float()),
            "judge.std": copied_array(network.std.float()),
            "judge.scale": np.array([self.scale.mean, self.scale.std], np.float32),
        }
        for part, tensors in (("weights", network.weights), ("biases", network.biases)):
            for layer, tensor in enumerate(tensors):
                arrays[f"judge.{part}.{layer}"] = copied_array(tensor)
        return arrays

    def state(self) -> dict[str, Tensor]:
        """All that makes up the model, as tensors. A fit makes an optimizer of its own and draws from
        (seed, version), so a model restored from this goes on exactly as this one would."""
        parts = {"network": self._network, "operators": self._operators}
        tensors = {
            f"{name}.{key}": value.clone()
            for name, part in parts.items()
            for key, value in part.state_dict().items()
        }
        tensors["version"] = torch.tensor([self.version, self._seed])
        tensors["scale"] = torch.tensor([self.scale.mean, self.scale.std], dtype=torch.float64)
        tensors["names"] = torch.tensor(list(json.dumps(self._names).encode()), dtype=torch.uint8)
        tensors["adopted"] = torch.tensor(sorted(self._adopted), dtype=torch.int64).reshape(-1, 2)
        return tensors

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Become the model whose `state` this is. Raises ValueError, unchanged, where it does not fit."""
        own = self.state()
        if own.keys() != state.keys():
            odd = sorted(own.keys() ^ state.keys())
            raise ValueError(f"this is no state of this reward model: {odd} missing or unknown")
        for key, value in state.items():
            growing = key in ("names", "adopted") or key.startswith("operators.")
            same = value.ndim == own[key].ndim if growing else value.shape == own[key].shape
            if not same or (value.is_floating_point() and not torch.isfinite(value).all()):
                raise ValueError(
                    f"{key} has shape {tuple(value.shape)}, expected {tuple(own[key].shape)}, and all finite"
                )
        names = json.loads(bytes(state["names"].tolist()))
        operators = Operators(self._config).grown(len(names), self._config)
        network = copy.deepcopy(self._network)
        operators.load_state_dict(_part(state, "operators."))
        network.load_state_dict(_part(state, "network."))
        mean, std = state["scale"].tolist()
        self.scale = RewardScale(mean, std)
        self.version, self._seed = state["version"].tolist()
        self._network, self._operators, self._names = network, operators, names
        self._adopted = frozenset((m, e) for m, e in state["adopted"].tolist())

    def _gather(
        self,
        events: Sequence[Feedback],
        episodes: Mapping[int, Episode],
        kinds: frozenset[Kind],
        names: Sequence[str],
    ) -> tuple[Evidence, Split]:
        """The evidence and the split it follows; a member that would learn from nothing adopts all."""
        config = self._config
        if not events:
            raise NothingToFitError(
                "nothing to fit a reward to: no feedback was given, or all of it was taken back"
            )
        if all(episode.role is Role.COUNTERFACTUAL for episode in episodes.values()):
            raise FitError("no demonstration or online episode was given, so the reward would have no scale")
        parents = family(events, episodes)
        split = Split(self._seed, config.members, config.held_out, parents, self._adopted)
        evidence = gather(events, episodes, kinds, names, split, config)
        if not evidence.judgements:
            raise NothingToFitError(
                f"nothing to fit a reward to: none of the {len(events)} events compares anything under "
                f"the kinds {sorted(kind.value for kind in kinds)}"
            )
        idle = evidence.idle_members()
        for member in idle:
            split = split.adopt(member, evidence.judged)
        return (gather(events, episodes, kinds, names, split, config) if idle else evidence), split

    def _check_episodes(self, episodes: Mapping[int, Episode]) -> None:
        for number, episode in episodes.items():
            if episode.obs.shape[1] != self._obs_size or episode.id != number:
                raise ValueError(
                    f"episode {number} has id {episode.id} and {episode.obs.shape[1]} numbers an "
                    f"observation, expected id {number} and {self._obs_size}"
                )


def _rewards(network: RewardNetwork, obs: Tensor, next_obs: Tensor) -> Tensor:
    """(M, N), in pieces that fit the cache and the memory."""
    pieces = zip(obs.float().split(_CHUNK), next_obs.float().split(_CHUNK), strict=True)
    return torch.cat([network(network.features(one, other)) for one, other in pieces], dim=1)


@torch.no_grad()
def _scale(network: RewardNetwork, evidence: Evidence, floor: float) -> RewardScale:
    obs, next_obs = evidence.obs[: evidence.replayed], evidence.next_obs[: evidence.replayed]
    reward = _rewards(network, obs, next_obs).mean(dim=0).double()
    mean, std = float(reward.mean()), float(reward.std(correction=0))
    if not (math.isfinite(mean) and math.isfinite(std)):
        raise FitError("the fitted reward is not finite")
    return RewardScale(mean, max(std, floor))


def _report(
    version: int,
    evidence: Evidence,
    fitted: Fitted,
    operators: dict[str, OperatorReport],
    seconds: float,
    old: RewardScale,
    new: RewardScale,
) -> FitReport:
    kinds = {kind: report(count, fitted.predictions[kind]) for kind, count in evidence.events.items()}
    pooled = report(sum(evidence.events.values()), Predictions.join(list(fitted.predictions.values())))
    return FitReport(version, kinds, pooled, operators, fitted.train_nll, fitted.steps, seconds, old, new)


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
