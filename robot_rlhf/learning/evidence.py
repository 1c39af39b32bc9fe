"""Feedback events and episodes as tensors: which windows of transitions every answer compares."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import KIND_OF, Demonstration, Feedback, Kind, Takeover, Undo
from robot_rlhf.learning.comparisons import Comparer, Comparison
from robot_rlhf.learning.device import Device
from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.learning.reward_network import BETAS
from robot_rlhf.learning.split import Split, bootstrap_weight
from robot_rlhf.learning.windows import TransitionTable, WindowIndex

TRAIN, HELD_OUT, NEITHER = 0, 1, 2
"""What a judgement is to a member: NEITHER where its episodes lie across the member's split."""


@dataclass(frozen=True, eq=False)
class Judgements:
    """E judgements of one kind, each over at most W windows, as M members see them.

    windows (M, E, W) int64 numbers of windows, -1 where there is none; side (M, E) of TRAIN, HELD_OUT
    and NEITHER; weight (M, E) what a member counts it for in training, 0 unless on TRAIN; share (E,)
    the part of an event it stands for; answer, operator and beta (E,) int64, beta a column of
    `Operators.log_beta`.
    """

    windows: Tensor
    side: Tensor
    weight: Tensor
    share: Tensor
    answer: Tensor
    operator: Tensor
    beta: Tensor

    def to(self, device: Device) -> Judgements:
        """The same there."""
        return Judgements(**{item.name: getattr(self, item.name).to(device) for item in fields(self)})


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that a fit learns from.

    obs and next_obs (N, n) float32 are transitions, of which the first `replayed` are those the policy
    learns from; rows (V, L) has each window's transitions, of which the first length (V,) count;
    `events` is how many events of each kind carry a loss, `judged` the episodes they judge.
    """

    obs: Tensor
    next_obs: Tensor
    replayed: int
    rows: Tensor
    length: Tensor
    judgements: Mapping[Kind, Judgements]
    events: Mapping[Kind, int]
    judged: frozenset[int]

    def to(self, device: Device) -> Evidence:
        """The same there."""
        return replace(
            self,
            **{name: getattr(self, name).to(device) for name in ("obs", "next_obs", "rows", "length")},
            judgements={kind: of.to(device) for kind, of in self.judgements.items()},
        )

    def idle_members(self) -> list[int]:
        """The members that would train on nothing."""
        weight = sum(of.weight.sum(dim=1) for of in self.judgements.values())
        return [] if isinstance(weight, int) else torch.nonzero(weight == 0).flatten().tolist()


def standing(events: Iterable[Feedback | Undo]) -> list[Feedback]:
    """The events that were not taken back, each once, in the order given."""
    given = list(events)
    undone = {event.target for event in given if isinstance(event, Undo)}
    kept = {e.id: e for e in given if not isinstance(e, Undo) and e.id not in undone}
    return list(kept.values())


def family(events: Iterable[Feedback], episodes: Mapping[int, Episode]) -> dict[int, int]:
    """Counterfactual episode -> the episode for whose sake it was recorded (the first, if several)."""
    parents: dict[int, int] = {}
    for event in events:
        if isinstance(event, Takeover) and event.counterfactual is not None:
            parents.setdefault(event.counterfactual.episode, event.executed.episode)
        elif isinstance(event, Demonstration):
            for alternative in event.alternatives:
                parents.setdefault(alternative, event.episode)
    side_episodes = {e.id for e in episodes.values() if e.role is Role.COUNTERFACTUAL}
    return {child: parent for child, parent in parents.items() if child in side_episodes}


def gather(
    events: Sequence[Feedback],
    episodes: Mapping[int, Episode],
    kinds: frozenset[Kind],
    operators: Sequence[str],
    split: Split,
    config: RewardConfig,
    only: Container[str] | None = None,
) -> Evidence:
    """The evidence of `kinds` in `events`, all of them standing and by one of `operators`; with `only`, in
    those with these ids.

    Outcome marks keep failed demonstrations and successful alternatives out, whatever `kinds` is. Raises
    ValueError for an event about an episode that is not given, or steps outside it.
    """
    table, index = TransitionTable(episodes), WindowIndex()
    comparer = Comparer(events, table, split, config)
    judgements: dict[Kind, Judgements] = {}
    counts: dict[Kind, int] = {}
    judged: set[int] = set()
    for kind in (kind for kind in Kind if kind in kinds):
        asked = (event for event in events if only is None or event.id in only)
        each = [comparer.compare(event) for event in asked if KIND_OF[type(event)] is kind]
        comparisons = [comparison for found in each for comparison in found]
        if comparisons:
            counts[kind] = sum(map(bool, each))
            judgements[kind] = _numbered(comparisons, index, operators, split, config)
            judged.update(*(comparison.episodes for comparison in comparisons))
    rows, length = index.tensors()
    obs, next_obs = table.tensors()
    return Evidence(obs, next_obs, table.replayed, rows, length, judgements, counts, frozenset(judged))


def _numbered(
    comparisons: Sequence[Comparison],
    index: WindowIndex,
    operators: Sequence[str],
    split: Split,
    config: RewardConfig,
) -> Judgements:
    widest = max(len(windows) for c in comparisons for windows in c.windows)
    numbers = torch.full((split.members, len(comparisons), widest), -1)
    for m in range(split.members):
        for row, comparison in zip(numbers[m], comparisons, strict=True):
            mine = [index.number(rows) for rows in comparison.windows[m]]
            row[: len(mine)] = torch.tensor(mine)
    side = torch.tensor([[_side(split, m, c) for c in comparisons] for m in range(split.members)])
    share = torch.tensor([c.share for c in comparisons])
    drawn = torch.tensor(
        [
            [float(bootstrap_weight(split.seed, m, c.event, config.bootstrap_rate)) for c in comparisons]
            for m in range(split.members)
        ]
    )
    trained = (side == TRAIN).float()
    empty = (drawn * trained).sum(dim=1, keepdim=True) == 0
    return Judgements(
        windows=numbers,
        side=side,
        weight=torch.where(empty, trained, drawn * trained) * share,
        share=share,
        answer=torch.tensor([c.answer for c in comparisons]),
        operator=torch.tensor([operators.index(c.operator) for c in comparisons]),
        beta=torch.tensor([0 if c.beta is None else BETAS.index(c.beta) for c in comparisons]),
    )


def _side(split: Split, member: int, comparison: Comparison) -> int:
    sides = {split.held_out(member, episode) for episode in comparison.episodes}
    if len(sides) > 1 or len(comparison.windows[member]) < 2:
        return NEITHER
    return HELD_OUT if sides.pop() else TRAIN
