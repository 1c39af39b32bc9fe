"""Which two clips to show the operator next.

Candidates come from the last episodes, so that answers are about what the policy does now
(query-policy alignment: Hu et al. 2024), and are ranked by how much the reward ensemble disagrees
about them (Christiano et al. 2017), and asked only where an answer is worth its time. What it is worth is
the caller's callable: nothing is learned here.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import Query, Segment

Pair: TypeAlias = tuple[Segment, Segment]
Worth: TypeAlias = Callable[[Sequence[Segment], Sequence[Segment]], NDArray[Any]]

_MAX_DRAWN = 20_000  # ordered pairs looked at in a round; all of them where there are fewer


@dataclass(frozen=True)
class QueryConfig:
    """How pairs of clips are chosen for the operator to compare."""

    segment_steps: int = 20
    """Length of a clip, in control steps."""
    recent_episodes: int = 20
    """How many of the newest episodes clips are cut from."""
    candidates_factor: int = 10
    """Candidate pairs ranked for each pair wanted."""
    repeat_fraction: float = 0.05
    """Share of pairs asked a second time with sides swapped, to measure the operator's self-agreement."""
    shared_fraction: float = 0.1
    """Share of pairs asked of a second operator too, where one is there, to measure their agreement."""

    def __post_init__(self) -> None:
        for name in ("segment_steps", "recent_episodes", "candidates_factor"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be at least 1")
        for name in ("repeat_fraction", "shared_fraction"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be from 0 to 1")


def label_demand(round_index: int, first: int, last: int, decay: float) -> int:
    """Pairs to ask for in round `round_index` (from 0): from `first` geometrically towards `last`."""
    if round_index < 0 or first < 0 or last < 0 or not 0.0 <= decay <= 1.0:
        raise ValueError(
            f"no label demand for round {round_index} from {first} to {last} by {decay}: "
            "round and counts must be from 0, the decay from 0 to 1"
        )
    return last + round((first - last) * decay**round_index)


def select_queries(
    episodes: Mapping[int, Episode],
    asked: Collection[Query],
    worth: Worth | None,
    count: int,
    config: QueryConfig,
    rng: np.random.Generator,
    id_of: Callable[[Segment, Segment], str],
    least: float = 0.0,
    sure: int = 0,
) -> list[Query]:
    """At most `count` queries, the most worth first; fewer where there are no more pairs worth `least`, but
    `sure` of them whatever they are worth.

    `episodes` are all there are, by id, of which only the newest are looked at. New pairs are cut from the
    newest `recent_episodes` of role ONLINE or DEMONSTRATION that have scenes to look at and are at least a
    segment long, ranked by
    `worth` of lists of K left and K right segments -> (K,) (None: taken at random), two clips of the
    same episode never overlapping. Which clip is left is random. A pair that was asked is not asked again, in
    either order, except as a 'repeat': sides swapped, once, and only while both of its episodes are among
    `episodes`; repeats stand anywhere between the others. `id_of` names a query by its (left, right), which
    are unique in a run. The same arguments and generator state give the same queries.
    """
    if count < 0:
        raise ValueError(f"count is {count}: it must not be negative")
    again = _repeats(episodes, asked, int(rng.binomial(count, config.repeat_fraction)), rng)
    wanted = count - len(again)
    pool = _candidates(episodes, asked, wanted * config.candidates_factor, config, rng)
    ranked, worthy = (pool, len(pool)) if worth is None else _rank(pool, worth, least)
    picked = _diversify(ranked[:worthy], wanted)
    picked = _diversify(ranked[worthy:], min(sure, wanted), picked)
    reason = "random" if worth is None else "disagreement"
    chosen = [(pair, reason) for pair in picked]
    for pair in again:
        chosen.insert(int(rng.integers(len(chosen) + 1)), (pair, "repeat"))
    return [Query(id_of(left, right), left, right, why) for (left, right), why in chosen]


def _repeats(
    episodes: Mapping[int, Episode], asked: Collection[Query], count: int, rng: np.random.Generator
) -> list[Pair]:
    """`count` pairs that were asked exactly once, sides swapped."""
    if count == 0:
        return []
    times = Counter(_key(query.left, query.right) for query in asked)
    once = [
        query
        for query in asked
        if times[_key(query.left, query.right)] == 1
        and query.left.episode in episodes
        and query.right.episode in episodes
    ]
    once.sort(key=lambda query: query.id)  # whatever order they are given in
    chosen = (once[int(i)] for i in rng.permutation(len(once))[:count])
    return [(query.right, query.left) for query in chosen]


def _candidates(
    episodes: Mapping[int, Episode],
    asked: Collection[Query],
    count: int,
    config: QueryConfig,
    rng: np.random.Generator,
) -> list[Pair]:
    """At most `count` different new pairs in random order, drawn evenly from all there are."""
    length = config.segment_steps
    newest_first = (episodes[id] for id in sorted(episodes, reverse=True))
    usable = (
        e for e in newest_first if e.role is not Role.COUNTERFACTUAL and e.length >= length and e.has_scenes
    )
    recent = {e.id: e for e in itertools.islice(usable, config.recent_episodes)}
    segments = [
        Segment(e.id, start, length)
        for e in reversed(recent.values())
        for start in range(e.length - length + 1)
    ]
    taken = {
        _key(query.left, query.right)
        for query in asked
        if query.left.episode in recent and query.right.episode in recent
    }
    pairs: list[Pair] = []
    for left, right in _drawn(segments, rng):
        if len(pairs) >= count:
            break
        key = _key(left, right)
        if key not in taken and not _overlap(left, right):
            taken.add(key)
            pairs.append((left, right))
    return pairs


def _drawn(segments: Sequence[Segment], rng: np.random.Generator) -> Iterator[Pair]:
    """Ordered pairs of two different segments, without replacement, in random order."""
    others = len(segments) - 1
    if others < 1:
        return
    total = len(segments) * others
    for rank in rng.choice(total, size=min(total, _MAX_DRAWN), replace=False).tolist():
        left, right = divmod(rank, others)
        yield segments[left], segments[right + (right >= left)]


def _rank(pairs: Sequence[Pair], worth: Worth, least: float) -> tuple[list[Pair], int]:
    """The pairs, the most worth first, and how many are worth `least`; ties stay in their (random) order."""
    if not pairs:
        return [], 0
    scores = np.asarray(worth([left for left, _ in pairs], [right for _, right in pairs]))
    if scores.shape != (len(pairs),) or not np.isfinite(scores).all():
        raise ValueError(f"worth has shape {scores.shape}, expected ({len(pairs)},) finite numbers")
    order = np.argsort(-scores, kind="stable")
    return [pairs[int(i)] for i in order], int((scores >= least).sum())


def _diversify(ranked: Sequence[Pair], count: int, before: Sequence[Pair] = ()) -> list[Pair]:
    """`before`, filled up to `count` with the first pairs that show different things, the conditions relaxed
    one by one for as long as there are too few: clips of different episodes, clips that overlap no chosen
    one, clips that are no chosen one."""
    chosen = list(before)
    rest = list(ranked)
    for apart, disjoint, fresh in ((1, 1, 1), (0, 1, 1), (0, 0, 1), (0, 0, 0)):
        left_over: list[Pair] = []
        for pair in rest:
            shown = [segment for other in chosen for segment in other]
            fits = (
                len(chosen) < count
                and not (apart and pair[0].episode == pair[1].episode)
                and not (disjoint and any(_overlap(mine, seen) for mine in pair for seen in shown))
                and not (fresh and (pair[0] in shown or pair[1] in shown))
            )
            (chosen if fits else left_over).append(pair)
        rest = left_over
    return chosen


def _key(left: Segment, right: Segment) -> frozenset[Segment]:
    """The same for both orders of a pair."""
    return frozenset((left, right))


def _overlap(one: Segment, other: Segment) -> bool:
    """True when both show some same step."""
    return (
        one.episode == other.episode
        and one.start < other.start + other.length
        and other.start < one.start + one.length
    )
