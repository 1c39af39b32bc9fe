"""What the reward model promises, on a point in the plane whose operator likes it to be far to the right."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from robot_rlhf.feedback.episode import Episode, Float32, Role
from robot_rlhf.feedback.types import (
    Choice,
    Demonstration,
    Evaluation,
    Feedback,
    Kind,
    Outcome,
    Preference,
    Segment,
    Takeover,
    Undo,
)
from robot_rlhf.learning.reward_config import KindWeights, RewardConfig
from robot_rlhf.learning.reward_model import FitError, RewardModel, RewardScale

SMALL = RewardConfig(hidden=32, fit_steps=60, min_steps=20, learning_rate=3e-3, carry=0.5, bootstrap_rate=1.0)
STEPS, PEOPLE = 24, 60

Events = list[Feedback]
Book = dict[int, Episode]


def who(name: str) -> dict[str, Any]:
    return {"id": name, "operator": "ada", "session": "s", "time_ns": 0}


def liked(obs: Float32) -> Float32:
    """The operator's hidden reward of being at `obs` (..., 2)."""
    return np.tanh(obs[..., 0])


def wander(number: int, rng: np.random.Generator, role: Role = Role.ONLINE) -> Episode:
    moves = rng.normal(0.0, 0.15, (STEPS + 1, 2))
    obs = (rng.normal(0.0, 1.0, 2) + np.cumsum(moves, axis=0)).astype(np.float32)
    action = np.zeros((STEPS, 3), dtype=np.float32)
    driver, scenes = np.zeros(STEPS, dtype=np.uint8), np.zeros((STEPS + 1, 26), dtype=np.float32)
    return Episode(number, role, "plane", 0, 0, obs, action, action, driver, scenes, False, True)


def online(rng: np.random.Generator) -> Book:
    return {n: wander(n, rng) for n in range(PEOPLE)}


def true_return(episodes: Book, segment: Segment) -> float:
    return float(10.0 * liked(episodes[segment.episode].window(segment)[1]).mean())


def preferences(rng: np.random.Generator, noisy: bool = True, count: int = 2 * PEOPLE) -> tuple[Events, Book]:
    episodes, events = online(rng), []
    for n in range(count):
        left, right = (Segment(int(rng.integers(PEOPLE)), int(rng.integers(12)), 10) for _ in range(2))
        better = true_return(episodes, left) - true_return(episodes, right)
        if noisy:
            weights = np.exp([better / 2.0, -better / 2.0, 0.0])
            choice = [Choice.LEFT, Choice.RIGHT, Choice.EQUAL][rng.choice(3, p=weights / weights.sum())]
        else:
            choice = Choice.LEFT if better > 0 else Choice.RIGHT
        answer: dict[str, Any] = {"query": f"q{n}", "left": left, "right": right, "response_s": 1.0}
        events.append(Preference(choice=choice, **answer, **who(f"p{n}")))
    return list(events), episodes


def evaluations(rng: np.random.Generator) -> tuple[Events, Book]:
    episodes, events = online(rng), []
    for number in episodes:
        for step in (10, 18):
            good = true_return(episodes, Segment(number, step - 8, 6)) > 0.0
            events.append(Evaluation(episode=number, step=step, good=good, **who(f"e{number} {step}")))
    return list(events), episodes


def takeovers(rng: np.random.Generator) -> tuple[Events, Book]:
    episodes, events = online(rng), []
    for number in range(PEOPLE):
        side = PEOPLE + number
        episodes[side] = wander(side, rng, Role.COUNTERFACTUAL)
        pair = [Segment(number, 4, 10), Segment(side, 4, 10)]
        executed, instead = sorted(pair, key=lambda of: -true_return(episodes, of))
        events.append(Takeover(executed=executed, counterfactual=instead, **who(f"t{number}")))
    return list(events), episodes


def demonstrations(rng: np.random.Generator) -> tuple[Events, Book]:
    episodes: Book = {}
    events = []
    for number in range(0, 120, 6):
        tried = {n: wander(n, rng, Role.COUNTERFACTUAL) for n in range(number, number + 6)}
        best = max(tried, key=lambda n: true_return(tried, Segment(n, 0, STEPS)))
        tried[best] = replace(tried[best], role=Role.DEMONSTRATION)
        others = tuple(n for n in tried if n != best)
        episodes |= tried
        events.append(Demonstration(episode=best, alternatives=others, **who(f"d{number}")))
    return list(events), episodes


def outcomes(rng: np.random.Generator) -> tuple[Events, Book]:
    episodes = online(rng)
    marks = [
        Outcome(episode=n, success=bool(episode.obs[-1, 0] > 0.0), **who(f"o{n}"))
        for n, episode in episodes.items()
    ]
    return list(marks), episodes


@pytest.fixture(scope="module")
def trained() -> RewardModel:
    """A model that knows the reward; not to be changed."""
    return fitted(*preferences(np.random.default_rng(1)))


ALONE: dict[Kind, Callable[[np.random.Generator], tuple[Events, Book]]] = {
    Kind.PREFERENCES: preferences,
    Kind.EVALUATIONS: evaluations,
    Kind.TAKEOVERS: takeovers,
    Kind.DEMONSTRATIONS: demonstrations,
    Kind.OUTCOMES: outcomes,
}


def agreement(model: RewardModel) -> float:
    """Correlation of the learned with the hidden reward over fresh moves."""
    rng = np.random.default_rng(123)
    obs = rng.normal(0.0, 1.0, (500, 2)).astype(np.float32)
    after = obs + rng.normal(0.0, 0.15, obs.shape).astype(np.float32)
    learned = model.members(torch.from_numpy(obs), torch.from_numpy(after)).mean(dim=0).numpy()
    return float(np.corrcoef(learned, liked(after))[0, 1])


def fitted(events: Events, episodes: Book, config: RewardConfig = SMALL, fits: int = 1) -> RewardModel:
    model = RewardModel(2, config, seed=0)
    for _ in range(fits):
        model.fit(events, episodes)
    return model


@pytest.mark.parametrize("kind", list(ALONE))
def test_each_kind_alone_teaches_the_reward(kind: Kind) -> None:
    events, episodes = ALONE[kind](np.random.default_rng(1))
    assert agreement(fitted(events, episodes)) > 0.6


def test_a_known_reward_is_recovered_from_sampled_preferences() -> None:
    events, episodes = preferences(np.random.default_rng(2))
    model = RewardModel(2, SMALL, seed=0)
    report = model.fit(events, episodes)
    assert agreement(model) > 0.8
    assert report.heldout.nll is not None
    assert report.heldout.nll < math.log(3.0)
    fresh, more = preferences(np.random.default_rng(3), noisy=False)
    right = 0
    for event in fresh:
        assert isinstance(event, Preference)
        clips = [more[side.episode].window(side) for side in (event.left, event.right)]
        windows = (torch.from_numpy(np.stack(part)) for part in zip(*clips, strict=True))
        left, other = model.segment_returns(*windows).mean(axis=0)
        right += (left > other) == (event.choice is Choice.LEFT)
    assert right / len(fresh) > 0.85


def test_swapped_answers_teach_the_opposite() -> None:
    events, episodes = preferences(np.random.default_rng(1))
    swap = {Choice.LEFT: Choice.RIGHT, Choice.RIGHT: Choice.LEFT, Choice.EQUAL: Choice.EQUAL}
    contrary: Events = [
        Preference(
            **{**who(e.id), "query": e.query, "left": e.left, "right": e.right, "response_s": 1.0},
            choice=swap[e.choice],
        )
        for e in events
        if isinstance(e, Preference)
    ]
    assert agreement(fitted(contrary, episodes)) < -0.6


def test_only_the_kinds_asked_for_teach() -> None:
    right, episodes = preferences(np.random.default_rng(1))
    misleading: Events = [
        Evaluation(episode=n, step=18, good=bool(e.obs[12, 0] < 0.0), **who(f"e{n}"))
        for n, e in episodes.items()
    ]
    alone, chosen = RewardModel(2, SMALL, 0), RewardModel(2, SMALL, 0)
    alone.fit(right, episodes)
    report = chosen.fit([*right, *misleading], episodes, frozenset({Kind.PREFERENCES}))
    assert set(report.kinds) == {Kind.PREFERENCES}
    assert same(alone.state(), chosen.state())


def test_what_was_taken_back_or_could_not_be_told_teaches_nothing() -> None:
    events, episodes = preferences(np.random.default_rng(1))
    one, other = Segment(0, 0, 9), Segment(1, 0, 9)
    unsure = Preference(
        query="q", left=one, right=other, choice=Choice.CANNOT_TELL, response_s=1.0, **who("unsure")
    )
    wrong = Outcome(episode=0, success=True, **who("wrong"))
    with_noise, without = RewardModel(2, SMALL, 0), RewardModel(2, SMALL, 0)
    report = with_noise.fit([*events, unsure, wrong, Undo(target="wrong", **who("undo"))], episodes)
    without.fit(events, episodes)
    assert report.kinds[Kind.PREFERENCES].count == len(events)
    assert set(report.kinds) == {Kind.PREFERENCES}
    assert same(with_noise.state(), without.state())


def test_a_return_is_the_same_however_long_a_clip_of_constant_reward_is(trained: RewardModel) -> None:
    still = torch.tensor([0.7, -0.2])
    returns = [trained.segment_returns(still.expand(1, n, 2), still.expand(1, n, 2)) for n in (1, 7, 60)]
    np.testing.assert_allclose(returns[0], returns[1], rtol=1e-5)
    np.testing.assert_allclose(returns[0], returns[2], rtol=1e-5)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_a_seed_gives_the_same_model_and_another_seed_another() -> None:
    events, episodes = preferences(np.random.default_rng(1))
    assert same(fitted(events, episodes).state(), fitted(events, episodes).state())
    other = RewardModel(2, SMALL, seed=1)
    other.fit(events, episodes)
    assert not same(fitted(events, episodes).state(), other.state())


def test_a_restored_model_is_the_same_bit_for_bit_and_goes_on_the_same() -> None:
    events, episodes = preferences(np.random.default_rng(1))
    model, restored = fitted(events, episodes), RewardModel(2, SMALL, seed=5)
    restored.load(model.state())
    assert same(model.state(), restored.state())
    assert restored.version == 1
    assert restored.scale == model.scale
    more, _ = evaluations(np.random.default_rng(1))
    newcomer = Evaluation(**{**who("new"), "operator": "ben"}, episode=3, step=12, good=True)
    for each in (model, restored):
        each.fit([*events, *more, newcomer], episodes)
    assert same(model.state(), restored.state())


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(trained: RewardModel) -> None:
    before = trained.state()
    with pytest.raises(ValueError, match=r"network\.mean"):
        trained.load(RewardModel(3, SMALL, 0).state())
    with pytest.raises(ValueError, match="finite"):
        trained.load(before | {"scale": torch.tensor([math.nan, 1.0], dtype=torch.float64)})
    with pytest.raises(ValueError, match="version"):
        trained.load({key: value for key, value in before.items() if key != "version"})
    assert same(before, trained.state())


def test_the_scale_is_exact_over_what_the_policy_learns_from() -> None:
    events, episodes = takeovers(np.random.default_rng(1))
    model = RewardModel(2, SMALL, 0)
    report = model.fit(events, episodes)
    assert report.old_scale == RewardScale(0.0, 1.0)
    assert report.new_scale == model.scale
    replayed = [e for e in episodes.values() if e.role is not Role.COUNTERFACTUAL]
    obs = torch.from_numpy(np.concatenate([e.obs[:-1] for e in replayed]))
    after = torch.from_numpy(np.concatenate([e.obs[1:] for e in replayed]))
    reward = model.members(obs, after).mean(dim=0)
    assert model.scale.mean == pytest.approx(reward.mean().item(), abs=1e-5)
    assert model.scale.std == pytest.approx(reward.std(correction=0).item(), rel=1e-4)


def test_the_score_is_normalised_pessimistic_and_clipped(trained: RewardModel) -> None:
    obs = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    members = trained.members(obs, obs)
    assert members.shape == (SMALL.members, 50)
    assert members.abs().max() <= 1.0
    doubt = members.std(dim=0, correction=0)
    expected = ((members.mean(dim=0) - trained.scale.mean - 0.5 * doubt) / trained.scale.std).clamp(-5.0, 5.0)
    torch.testing.assert_close(trained.score(obs, obs), expected)
    timid = RewardModel(2, replace(SMALL, clip=0.1), 0)
    timid.load(trained.state())
    assert timid.score(obs, obs).abs().max().item() == pytest.approx(0.1)


def test_new_data_renormalises_the_input_without_changing_the_function() -> None:
    model = fitted(*preferences(np.random.default_rng(1)))
    obs = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    before = model.members(obs, obs + 0.1)
    model._network.renormalise(5.0 + 3.0 * obs, 5.0 + 3.1 * obs)
    torch.testing.assert_close(model.members(obs, obs + 0.1), before, rtol=1e-4, atol=1e-5)


def test_a_pair_tells_as_much_either_way_round_and_a_clip_with_itself_nothing(trained: RewardModel) -> None:
    _, episodes = preferences(np.random.default_rng(1))
    left = [Segment(n, 0, 8) for n in range(10)]
    right = [Segment(n + 10, 2, 12) for n in range(10)]
    there, back = (trained.pair_information(*pair, episodes) for pair in ((left, right), (right, left)))
    assert there.shape == (10,)
    assert (there > 0.0).all()
    assert (there <= 0.5).all()
    np.testing.assert_allclose(there, back, atol=1e-6)
    assert trained.pair_information(left, left, episodes).max() == 0.0
    assert trained.pair_information([], [], episodes).shape == (0,)


@pytest.mark.parametrize("kind", list(ALONE))
def test_events_tell_less_once_they_are_learned_from_and_nothing_but_what_is_new_counts(kind: Kind) -> None:
    events, episodes = ALONE[kind](np.random.default_rng(1))
    half = len(events) // 2
    first, then = {event.id for event in events[:half]}, {event.id for event in events[half:]}
    model = RewardModel(2, replace(SMALL, bootstrap_rate=0.0), 0)

    def told(new: set[str]) -> float:
        return sum(model.event_information(events, episodes, frozenset(Kind), new).values())

    assert told(first) < 0.01, "members that know nothing agree"
    model.fit(events[:half], episodes)
    before = told(then)
    assert 0.0 < before < len(then) * math.log(SMALL.members)
    assert told(first | then) == pytest.approx(told(first) + before, rel=1e-3)
    assert told(set()) == 0.0
    assert model.event_information(events, episodes, frozenset(Kind), then).keys() == {kind}
    assert model.event_information(events, episodes, frozenset(), then) == {}


def test_the_report_counts_and_calibrates_what_was_held_out() -> None:
    rng = np.random.default_rng(1)
    events, episodes = takeovers(rng)
    pressed: Events = [
        Evaluation(episode=n, step=18, good=bool(episodes[n].obs[12, 0] > 0.0), **who(f"e{n}"))
        for n in range(PEOPLE)
    ]
    report = RewardModel(2, SMALL, 0).fit([*events, *pressed], episodes)
    assert {kind: of.count for kind, of in report.kinds.items()} == {
        Kind.TAKEOVERS: PEOPLE,
        Kind.EVALUATIONS: PEOPLE,
    }
    assert report.heldout.count == 2 * PEOPLE
    assert report.heldout.held_out == sum(of.held_out for of in report.kinds.values())
    for of in (*report.kinds.values(), report.heldout):
        assert of.held_out > 0
        assert of.nll is not None and of.nll > 0.0
        assert of.accuracy is not None and of.accuracy > 0.6
        assert of.calibration_error is not None and 0.0 <= of.calibration_error <= 1.0
        assert sum(count for *_, count in of.calibration) == of.held_out
    assert SMALL.min_steps <= report.steps <= SMALL.fit_steps
    assert math.isfinite(report.train_nll)


def test_one_event_is_enough_for_every_member() -> None:
    events, episodes = preferences(np.random.default_rng(1))
    report = RewardModel(2, replace(SMALL, held_out=0.9), 0).fit(events[:1], episodes)
    assert report.heldout.nll is None
    assert report.train_nll < math.log(3.0)


def test_a_kind_of_weight_zero_teaches_nothing_but_is_reported() -> None:
    events, episodes = evaluations(np.random.default_rng(1))
    marks, _ = outcomes(np.random.default_rng(1))
    config = replace(SMALL, kind_weights=KindWeights(evaluations=0.0))
    model = RewardModel(2, config, 0)
    report = model.fit([*events, *marks], episodes)
    beta = model.state()["operators.log_beta"][:, :, 0]
    torch.testing.assert_close(beta, torch.full_like(beta, math.log(0.5)), atol=1e-5, rtol=0.0)
    assert report.kinds[Kind.EVALUATIONS].count == len(events)


def test_an_operators_leaning_towards_good_is_learned_and_their_own() -> None:
    _, episodes = evaluations(np.random.default_rng(1))
    press = [
        Evaluation(**{**who(f"{name}{n}"), "operator": name}, episode=n, step=18, good=name == "kind")
        for n in episodes
        for name in ("kind", "stern")
    ]
    config = replace(SMALL, likelihood_rate=0.05)
    kind, stern = fitted(list(press), episodes, config).state()["operators.bias"].mean(dim=0).tolist()
    assert kind > 0.3
    assert stern < -0.3


def compared_by(
    name: str, rng: np.random.Generator, wrong: float, count: int = 2 * PEOPLE
) -> tuple[Events, Book]:
    """Preferences without a doubt, a share of them the wrong way round."""
    events, episodes = preferences(rng, noisy=False, count=count)
    return [
        replace_answer(event, name, event.choice if rng.random() >= wrong else OTHER[event.choice])
        for event in events
        if isinstance(event, Preference)
    ], episodes


OTHER = {Choice.LEFT: Choice.RIGHT, Choice.RIGHT: Choice.LEFT}


def replace_answer(event: Preference, name: str, choice: Choice) -> Preference:
    return msgspec.structs.replace(event, id=f"{name} {event.id}", operator=name, choice=choice)


@pytest.mark.parametrize("wrong", [0.5, 1.0], ids=["random", "contrary"])
def test_operators_who_conflict_are_told_apart_by_their_lapses(wrong: float) -> None:
    config = replace(SMALL, likelihood_rate=0.05)
    events, episodes = compared_by("careful", np.random.default_rng(1), wrong=0.0)
    half = [event for event in events if int(event.id.split("p")[-1]) % 2]
    others, _ = compared_by("careless", np.random.default_rng(1), wrong)
    model = RewardModel(2, config, seed=0)
    for _ in range(3):
        report = model.fit([*events, *others[: len(half)]], episodes)
    assert report.operators["careless"].lapse > 2.0 * report.operators["careful"].lapse
    assert agreement(model) > 0.8


@pytest.mark.parametrize("seed", range(3))
def test_confidence_stays_honest_with_an_operator_who_errs_more_than_is_assumed(seed: int) -> None:
    events, episodes = compared_by("careless", np.random.default_rng(seed), wrong=0.3, count=480)
    found = RewardModel(2, RewardConfig(held_out=0.4), seed).fit(events, episodes).kinds[Kind.PREFERENCES]
    assert found.held_out >= 100
    assert found.accuracy is not None
    assert found.accuracy > 0.55
    assert found.calibration_error is not None
    assert found.calibration_error < 0.2


@pytest.mark.parametrize(
    ("events", "episodes"),
    [
        ([], {}),
        ([], {0: wander(0, np.random.default_rng(0))}),
        ([Outcome(episode=0, success=True, **who("o"))], {0: wander(0, np.random.default_rng(0))}),
        ([Outcome(episode=0, success=True, **who("o"))], {}),
    ],
)
def test_without_anything_to_compare_a_fit_says_so(events: Events, episodes: Book) -> None:
    model = RewardModel(2, SMALL, 0)
    with pytest.raises(FitError, match=r"nothing to fit|was given"):
        model.fit(events, episodes)
    assert model.version == 0


def test_a_fit_that_goes_wrong_leaves_the_model_as_it_was() -> None:
    events, episodes = preferences(np.random.default_rng(1))
    model = RewardModel(2, replace(SMALL, learning_rate=1e30, weight_decay=1.0), 0)
    before = model.state()
    with pytest.raises(FitError, match="learning_rate"):
        model.fit(events, episodes)
    assert same(before, model.state())


def test_numbers_that_are_not_finite_and_shapes_that_do_not_fit_are_refused() -> None:
    model = RewardModel(2, SMALL, 0)
    good = torch.zeros(3, 2)
    with pytest.raises(ValueError, match="finite"):
        model.members(good, torch.full((3, 2), math.nan))
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        model.score(torch.zeros(3, 4), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="windows"):
        model.segment_returns(good, good)
    with pytest.raises(ValueError, match="obs_size"):
        RewardModel(0, SMALL, 0)
    with pytest.raises(ValueError, match="episode 7"):
        model.fit([], {7: wander(0, np.random.default_rng(0))})


@pytest.mark.parametrize(
    "wrong", [{"members": 0}, {"lapse": 1.0}, {"press_from_s": 0.1}, {"min_steps": 999}, {"clip": math.inf}]
)
def test_a_config_that_makes_no_sense_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RewardConfig(**wrong)
