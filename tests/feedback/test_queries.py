"""Query selection: new pairs of recent clips that the ensemble disagrees about most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.queries import QueryConfig, label_demand, select_queries
from robot_rlhf.feedback.types import Query, Segment, derived_id

Maker = Callable[..., Episode]
NO_REPEATS = QueryConfig(repeat_fraction=0.0)


def id_of(left: Segment, right: Segment) -> str:
    return derived_id(0, left, right)


def late(left: Sequence[Segment], right: Sequence[Segment]) -> NDArray[Any]:
    """Disagrees most about what happened late."""
    return np.array([a.start + b.start for a, b in zip(left, right, strict=True)], dtype=np.float64)


def select(
    episodes: Sequence[Episode],
    count: int,
    asked: Sequence[Query] = (),
    config: QueryConfig = NO_REPEATS,
    seed: int = 0,
    by: Callable[..., NDArray[Any]] | None = late,
    least: float = 0.0,
    sure: int = 0,
) -> list[Query]:
    by_id = {episode.id: episode for episode in episodes}
    return select_queries(by_id, asked, by, count, config, np.random.default_rng(seed), id_of, least, sure)


def pair(query: Query) -> frozenset[Segment]:
    return frozenset((query.left, query.right))


def overlap(one: Segment, other: Segment) -> bool:
    steps = [set(range(s.start, s.start + s.length)) for s in (one, other)]
    return one.episode == other.episode and bool(steps[0] & steps[1])


def test_pairs_are_equal_clips_of_different_recent_episodes(make_episode: Maker) -> None:
    episodes = [make_episode(i, 60, Role.DEMONSTRATION if i % 2 else Role.ONLINE) for i in range(40)]
    queries = select(episodes, 9)
    assert len(queries) == len({query.id for query in queries}) == 9
    for query in queries:
        assert query.reason == "disagreement"
        assert query.left.episode != query.right.episode
        for clip in (query.left, query.right):
            assert clip.length == 20 and clip.start + 20 <= 60
            assert clip.episode >= 20, "older than the newest 20"


def test_the_most_disagreed_about_come_first(make_episode: Maker) -> None:
    episodes = [make_episode(i, 100) for i in range(20)]
    scored = [float(late([q.left], [q.right])[0]) for q in select(episodes, 5)]
    chance = [float(late([q.left], [q.right])[0]) for q in select(episodes, 5, by=None)]
    assert scored == sorted(scored, reverse=True)
    assert min(scored) > np.mean(chance)


def test_ten_times_as_many_candidates_are_ranked(make_episode: Maker) -> None:
    seen = []

    def record(left: Sequence[Segment], right: Sequence[Segment]) -> NDArray[Any]:
        seen.append({frozenset(p) for p in zip(left, right, strict=True)})
        return np.zeros(len(left))

    select([make_episode(i) for i in range(5)], 7, by=record)
    assert [len(pairs) for pairs in seen] == [70]


def test_without_a_reward_model_pairs_are_random_and_say_so(make_episode: Maker) -> None:
    queries = select([make_episode(i) for i in range(5)], 4, by=None)
    assert [query.reason for query in queries] == ["random"] * 4


def test_no_clip_is_shown_twice_in_a_round(make_episode: Maker) -> None:
    queries = select([make_episode(i, 100) for i in range(20)], 10)
    clips = [clip for query in queries for clip in (query.left, query.right)]
    assert not any(overlap(a, b) for i, a in enumerate(clips) for b in clips[:i])


def test_a_clip_is_shown_twice_where_there_are_no_others(make_episode: Maker) -> None:
    queries = select([make_episode(i, 20) for i in range(3)], 3)
    assert len({pair(query) for query in queries}) == 3


def test_one_episode_gives_pairs_that_do_not_overlap(make_episode: Maker) -> None:
    queries = select([make_episode(0, 41)], 5)
    assert len(queries) == 3  # starts 0-20, 0-21 and 1-21
    assert not any(overlap(query.left, query.right) for query in queries)


@pytest.mark.parametrize("steps", [[], [20], [19, 19], [39]])
def test_too_little_to_compare_gives_no_query(make_episode: Maker, steps: list[int]) -> None:
    assert select([make_episode(i, n) for i, n in enumerate(steps)], 5) == []


def test_counterfactuals_are_never_asked_about(make_episode: Maker) -> None:
    assert select([make_episode(i, 60, Role.COUNTERFACTUAL) for i in range(5)], 5) == []


def test_what_cannot_be_looked_at_is_never_asked_about(make_episode: Maker) -> None:
    episodes = [make_episode(i, 60) for i in range(6)]
    episodes[4:] = [replace(one, scenes=np.full_like(one.scenes, np.nan)) for one in episodes[4:]]
    assert not episodes[5].has_scenes
    asked = {segment.episode for query in select(episodes, 8) for segment in (query.left, query.right)}
    assert asked <= {0, 1, 2, 3}
    assert asked


def test_a_pair_is_never_asked_twice_in_a_run(make_episode: Maker) -> None:
    episodes = [make_episode(i, 21) for i in range(4)]  # 8 clips, 24 pairs that do not overlap
    asked: list[Query] = []
    for seed in range(10):
        asked += select(episodes, 5, asked, seed=seed)
    assert len(asked) == len({pair(query) for query in asked}) == 24


def test_a_repeat_swaps_the_sides_of_a_pair_asked_once(make_episode: Maker) -> None:
    episodes = [make_episode(i, 60) for i in range(10)]
    first = select(episodes, 6)
    config = QueryConfig(repeat_fraction=1.0)
    again = select(episodes, 4, first, config)
    assert [query.reason for query in again] == ["repeat"] * 4
    assert {(q.right, q.left) for q in again} < {(q.left, q.right) for q in first}
    assert not {q.id for q in again} & {q.id for q in first}
    third = select(episodes, 6, [*first, *again], config)
    assert Counter(query.reason for query in third) == {"repeat": 2, "disagreement": 4}
    assert not {pair(query) for query in third} & {pair(query) for query in again}


def test_one_pair_in_twenty_is_a_repeat(make_episode: Maker) -> None:
    episodes = [make_episode(i, 100) for i in range(20)]
    asked: list[Query] = []
    for seed in range(60):
        asked += select(episodes, 10, asked, QueryConfig(), seed)
    share = sum(query.reason == "repeat" for query in asked) / len(asked)
    assert len(asked) == 600
    assert 0.02 < share < 0.08


def test_a_repeat_needs_both_its_episodes(make_episode: Maker) -> None:
    first = select([make_episode(0, 60), make_episode(1, 60)], 5)
    later = select([make_episode(1, 60), make_episode(2, 60)], 5, first, QueryConfig(repeat_fraction=1.0))
    assert {query.reason for query in later} == {"disagreement"}


def test_neither_side_is_favoured(make_episode: Maker) -> None:
    episodes = [make_episode(i, 60) for i in range(10)]
    queries = [query for seed in range(40) for query in select(episodes, 10, seed=seed)]
    share = np.mean([query.left.episode < query.right.episode for query in queries])
    assert 0.4 < share < 0.6


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 12),
    many=st.integers(0, 6),
    shuffler=st.randoms(use_true_random=False),
)
def test_a_seed_repeats_whatever_the_order_of_its_inputs(
    make_episode: Maker, seed: int, count: int, many: int, shuffler: Any
) -> None:
    episodes = [make_episode(i, 45) for i in range(many)]
    config = QueryConfig(repeat_fraction=0.3)
    asked = select(episodes, 6, seed=1)
    once = select(episodes, count, asked, config, seed)
    shuffler.shuffle(episodes)
    shuffler.shuffle(asked)
    assert select(episodes, count, asked, config, seed) == once
    assert len(once) <= count


def test_what_is_not_worth_its_time_is_not_asked_but_repeated_all_the_same(make_episode: Maker) -> None:
    episodes = [make_episode(i, 100) for i in range(20)]
    every = select(episodes, 5)
    worth = [float(late([q.left], [q.right])[0]) for q in every]
    asked = select(episodes, 5, least=worth[2])
    assert 3 <= len(asked) <= 5
    assert all(float(late([q.left], [q.right])[0]) >= worth[2] for q in asked)
    assert not select(episodes, 5, least=np.inf)
    repeats = QueryConfig(repeat_fraction=1.0)
    assert {q.reason for q in select(episodes, 5, every, repeats, least=np.inf)} == {"repeat"}


def test_a_worth_of_the_wrong_shape_is_named(make_episode: Maker) -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 10\), expected \(10,\)"):
        select([make_episode(0), make_episode(1)], 1, by=lambda left, right: np.zeros((1, len(left))))
    with pytest.raises(ValueError, match="finite"):
        select([make_episode(0), make_episode(1)], 1, by=lambda left, right: np.full(len(left), np.nan))


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="count is -1"):
        select([], -1)


@pytest.mark.parametrize(
    "field",
    [
        {"segment_steps": 0},
        {"recent_episodes": 0},
        {"candidates_factor": 0},
        {"repeat_fraction": 1.5},
        {"repeat_fraction": float("nan")},
    ],
)
def test_a_config_that_makes_no_sense_is_refused_by_name(field: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(field))):
        QueryConfig(**field)


def test_label_demand_falls_from_first_to_last() -> None:
    assert [label_demand(i, first=20, last=4, decay=0.5) for i in range(6)] == [20, 12, 8, 6, 5, 4]
    assert label_demand(50, first=20, last=4, decay=0.5) == 4
    assert label_demand(3, first=8, last=8, decay=0.9) == 8
    with pytest.raises(ValueError, match="decay"):
        label_demand(0, 8, 4, 1.5)


def test_as_many_as_are_sure_are_asked_whatever_they_are_worth(make_episode: Maker) -> None:
    episodes = [make_episode(i, 100) for i in range(20)]
    every = select(episodes, 5)
    assert select(episodes, 5, least=np.inf, sure=2) == every[:2]
    assert select(episodes, 5, least=np.inf, sure=9) == every
    worth = float(late([every[0].left], [every[0].right])[0])
    assert select(episodes, 5, least=worth, sure=3)[:3] == every[:3]
    assert not select(episodes, 0, least=np.inf, sure=2)
