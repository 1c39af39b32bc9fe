"""Fits the reward ensemble to evidence: minibatches of events, stopped by out-of-bag likelihood."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robot_rlhf.feedback.types import Kind
from robot_rlhf.learning import likelihoods
from robot_rlhf.learning.adam import FusedAdam, descend
from robot_rlhf.learning.device import Device, sent
from robot_rlhf.learning.evidence import HELD_OUT, TRAIN, Evidence, Judgements
from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.learning.reward_network import Operators, RewardNetwork
from robot_rlhf.learning.reward_report import Predictions
from robot_rlhf.learning.windows import window_means


class FitError(RuntimeError):
    """A reward could not be fitted; the model stays what it was."""


class NothingToFitError(FitError):
    """The evidence compares nothing yet, as when every mark so far is a failure."""


@dataclass(frozen=True)
class Fitted:
    """How a fit went: gradient steps taken, mean negative log-likelihood of what was trained on, and
    out-of-bag predictions of each kind."""

    steps: int
    train_nll: float
    predictions: dict[Kind, Predictions]


def fit(
    network: RewardNetwork,
    operators: Operators,
    evidence: Evidence,
    config: RewardConfig,
    generator: torch.Generator,
    device: Device = "cpu",
) -> Fitted:
    """Fit `network` and `operators`, which are on `device`, in place, from where they are, and keep the best
    by held-out likelihood. Members never mix: each has its own events, network and beliefs about the
    operators. The evidence and the generator are on the CPU.

    Raises FitError when a number stops being finite.
    """
    trainer = _Trainer(network, operators, evidence, config, generator, device)
    there = trainer.evidence_there
    everything = _Examiner(network, operators, there, config)
    enough = trainer.held_out >= config.min_held_out
    exam = _Examiner(network, operators, there, config, held_out_only=True) if enough else None
    best, best_nll, since = None, math.inf, 0
    steps = 0
    while steps < config.fit_steps and since < config.patience:
        trainer.step()
        steps += 1
        if exam is None or steps < config.min_steps or steps % config.check_every:
            continue
        nll = exam.mean_nll(HELD_OUT)
        if nll < best_nll:
            best, best_nll, since = copy.deepcopy((network.state_dict(), operators.state_dict())), nll, 0
        else:
            since += 1
    if best is not None:
        network.load_state_dict(best[0])
        operators.load_state_dict(best[1])
    train_nll = everything.mean_nll(TRAIN)
    return Fitted(steps, train_nll, everything.predictions())


def answer_chances(
    network: RewardNetwork, operators: Operators, evidence: Evidence, config: RewardConfig
) -> dict[Kind, Tensor]:
    """(M, E, A) log-probability by each member of every answer to the E judgements of each kind."""
    return _Examiner(network, operators, evidence, config).chances() if evidence.judgements else {}


def log_probabilities(
    kind: Kind, of: Judgements, picked: Tensor, returns: Tensor, operators: Operators
) -> Tensor:
    """(M, B, A) log-probability of every answer to the judgements `picked` (M, B), whose windows have
    `returns` (M, B, W); where a window is missing its return is not looked at."""
    member = torch.arange(len(picked), device=picked.device).unsqueeze(1)
    operator = of.operator[picked]
    beta = operators.log_beta[member, operator, of.beta[picked]].exp()
    lapse = operators.lapse[member, operator]
    first, second = returns[..., 0], returns[..., 1]
    match kind:
        case Kind.PREFERENCES:
            return likelihoods.preference(first, second, operators.log_nu[member, operator], lapse)
        case Kind.EVALUATIONS:
            return likelihoods.evaluation(first, second, beta, operators.bias[member, operator], lapse)
        case Kind.TAKEOVERS:
            return likelihoods.takeover(first, second, beta)
        case Kind.DEMONSTRATIONS:
            present = of.windows[member, picked] >= 0
            return likelihoods.demonstration(returns, present, beta)
        case Kind.OUTCOMES:
            return likelihoods.outcome(first, second, beta, lapse)


class _Trainer:
    """Draws minibatches on the CPU and takes gradient steps where the network is."""

    def __init__(
        self,
        network: RewardNetwork,
        operators: Operators,
        evidence: Evidence,
        config: RewardConfig,
        generator: torch.Generator,
        device: Device,
    ) -> None:
        self._network, self._operators, self._evidence = network, operators, evidence
        self._config, self._generator, self._device = config, generator, device
        self.evidence_there = there = evidence.to(device)
        self._features = network.features(there.obs, there.next_obs)
        self._optimizers = (
            FusedAdam(network.parameters(), config.learning_rate, config.weight_decay),
            FusedAdam(operators.parameters(), config.likelihood_rate),
        )
        judgements = evidence.judgements
        self.held_out = sum(int((of.side == HELD_OUT).sum()) for of in judgements.values())
        # (M, K): what each kind weighs for each member, and how many of the step's events it gets
        weight = torch.stack(
            [of.weight.sum(dim=1) * config.kind_weights.of(kind) for kind, of in judgements.items()], dim=1
        )
        part = weight / weight.sum(dim=1, keepdim=True).clamp_min(1e-9)
        self._total, self._part = weight.sum(dim=1).clamp_min(1.0).to(device), part.to(device)
        batch = (part.mean(dim=0) * config.batch_events).ceil().clamp_min(1).int().tolist()
        self._batch = dict(zip(judgements, batch, strict=True))

    def step(self) -> None:
        """One gradient step on one minibatch."""
        evidence, config = self._evidence, self._config
        members = len(self._total)
        drawn = {kind: self._draw(of, self._batch[kind]) for kind, of in evidence.judgements.items()}
        rows = {kind: self._rows(evidence.judgements[kind], picked) for kind, (picked, _) in drawn.items()}
        shape = (members, config.batch_transitions)
        replayed = torch.randint(evidence.replayed, shape, generator=self._generator)
        every = torch.cat([*(of.flatten(1) for of in rows.values()), replayed], dim=1)
        rewards = self._network(self._features[sent(every, self._device)])
        *parts, penalised = rewards.split([*(of[0].numel() for of in rows.values()), shape[1]], dim=1)
        loss = config.reward_penalty * penalised.square().mean(dim=1)
        for (kind, (picked, weight)), part, column in zip(drawn.items(), parts, self._part.T, strict=True):
            of = self.evidence_there.judgements[kind]
            picked, weight = sent(picked, self._device), sent(weight, self._device)
            returns = config.return_scale * part.view_as(rows[kind]).mean(dim=-1)
            chances = log_probabilities(kind, of, picked, returns, self._operators)
            nll = -chances.gather(-1, of.answer[picked].unsqueeze(-1)).squeeze(-1)
            loss = loss + column * (weight * nll).sum(dim=1)
        loss = (loss + self._priors() / self._total).sum()
        if not torch.isfinite(loss):
            raise FitError(f"the reward's loss became {loss.item()}: lower learning_rate or look at the data")
        descend(loss, *self._optimizers)

    def _draw(self, of: Judgements, size: int) -> tuple[Tensor, Tensor]:
        """(M, B) judgements and their weights, which sum to 1 for a member that trains on any."""
        members, count = of.weight.shape
        if count <= size:
            total = of.weight.sum(dim=1, keepdim=True).clamp_min(1e-9)
            return torch.arange(count).expand(members, -1), of.weight / total
        idle = of.weight.sum(dim=1, keepdim=True) == 0
        chance = torch.where(idle, torch.ones_like(of.weight), of.weight)
        picked = torch.multinomial(chance, size, replacement=True, generator=self._generator)
        return picked, (~idle).float().expand(-1, size) / size

    def _rows(self, of: Judgements, picked: Tensor) -> Tensor:
        """(M, B, W, S) transitions, S spread evenly over each window with a random offset each."""
        member = torch.arange(len(picked)).unsqueeze(1)
        windows = of.windows[member, picked].clamp_min(0)
        length = self._evidence.length[windows].unsqueeze(-1)
        samples = min(self._config.window_samples, int(length.max()))
        place = torch.arange(samples) + torch.rand((*windows.shape, samples), generator=self._generator)
        position = (place * (length / samples)).long()
        return self._evidence.rows[windows.unsqueeze(-1), torch.minimum(position, length - 1)]

    def _priors(self) -> Tensor:
        """(M,) negative log prior of what is believed about the operators."""
        operators, config = self._operators, self._config
        penalty = likelihoods.gaussian_penalty
        beta = penalty(operators.log_beta, operators.start, config.rationality_spread).sum(dim=(1, 2))
        tie = penalty(operators.log_nu, operators.tie, config.tie_spread)
        bias = penalty(operators.bias, 0.0, config.bias_spread)
        lapse = penalty(operators.lapse, operators.lapsing, config.lapse_spread)
        return beta + (tie + bias + lapse).sum(dim=1)


class _Examiner:
    """Judges exactly, without gradient, all judgements or those that some member holds out."""

    def __init__(
        self,
        network: RewardNetwork,
        operators: Operators,
        evidence: Evidence,
        config: RewardConfig,
        held_out_only: bool = False,
    ) -> None:
        self._network, self._operators, self._config = network, operators, config
        self._judgements = evidence.judgements
        self._picked: dict[Kind, Tensor] = {}
        for kind, of in evidence.judgements.items():
            wanted = (of.side == HELD_OUT).any(dim=0) if held_out_only else torch.ones_like(of.answer).bool()
            self._picked[kind] = torch.nonzero(wanted).flatten().expand(len(of.side), -1)
        used = [evidence.judgements[kind].windows[:, picked[0]] for kind, picked in self._picked.items()]
        windows = torch.unique(torch.cat([of.flatten() for of in used]))
        self._windows = windows[windows >= 0]
        self._length = evidence.length[self._windows]
        kept, self._rows = torch.unique(evidence.rows[self._windows], return_inverse=True)
        self._features = network.features(evidence.obs[kept], evidence.next_obs[kept])

    @torch.no_grad()
    def chances(self) -> dict[Kind, Tensor]:
        """(M, E, A) log-probability of every answer, for each kind."""
        rewards = self._network(self._features)
        returns = self._config.return_scale * window_means(rewards, self._rows, self._length)
        chances = {}
        for kind, picked in self._picked.items():
            of = self._judgements[kind]
            windows = of.windows[:, picked[0]]
            place = torch.searchsorted(self._windows, windows.clamp_min(self._windows[0]))
            member = torch.arange(len(picked), device=picked.device).view(-1, 1, 1)
            mine = returns[member, place]
            chances[kind] = log_probabilities(kind, of, picked, mine, self._operators)
        return chances

    def mean_nll(self, side: int) -> float:
        """Mean negative log-likelihood over what is on `side` of each member, kinds by their weight."""
        parts = []
        for kind, chances in self.chances().items():
            of, picked = self._judgements[kind], self._picked[kind]
            nll = -chances.gather(-1, of.answer[picked].unsqueeze(-1)).squeeze(-1)
            weight = of.share[picked] * (of.side[:, picked[0]] == side) * self._config.kind_weights.of(kind)
            parts.append(torch.stack(((weight * nll).sum(), weight.sum())))
        total, weights = (sum(column) for column in zip(*torch.stack(parts).tolist(), strict=True))
        return total / weights if weights else math.nan

    def predictions(self) -> dict[Kind, Predictions]:
        """Of each held-out judgement, the mean prediction of the members that hold it out."""
        found = {}
        for kind, chances in self.chances().items():
            of, picked = self._judgements[kind], self._picked[kind][0]
            judges = (of.side[:, picked] == HELD_OUT).double().unsqueeze(-1)
            judged = judges.sum(dim=(0, 2)) > 0
            mean = ((judges * chances.double().exp()).sum(dim=0) / judges.sum(dim=0))[judged]
            answer = of.answer[picked][judged]
            probability = mean.gather(-1, answer.unsqueeze(-1)).squeeze(-1)
            if kind is Kind.PREFERENCES:
                mean = mean[:, : likelihoods.EQUAL] / mean[:, : likelihoods.EQUAL].sum(dim=-1, keepdim=True)
            confidence, choice = mean.max(dim=-1)
            tied = (answer == likelihoods.EQUAL) & (kind is Kind.PREFERENCES)
            confidence = confidence.masked_fill(tied, math.nan)
            correct = (choice == answer).cpu().numpy()
            found[kind] = Predictions(probability.cpu().numpy(), confidence.cpu().numpy(), correct)
        return found
