"""The five likelihoods: probabilities, gradients, limits, symmetries."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from robot_rlhf.learning import likelihoods
from robot_rlhf.learning.likelihoods import BAD, EQUAL, FIRST, GOOD, LEFT, RIGHT

Likelihood = Callable[..., Tensor]


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def logit(share: float) -> Tensor:
    return number(share).logit()


LAPSE = 0.05
SOME, NONE = logit(LAPSE), number(-1e3)


def demonstration_of(first: Tensor, second: Tensor, third: Tensor, beta: Tensor) -> Tensor:
    present = torch.tensor([True, True, False, True])
    returns = torch.stack((first, second, torch.zeros_like(first), third))
    return likelihoods.demonstration(returns, present, beta)[[0, 1, 3]]


EVERY = [
    pytest.param(likelihoods.preference, 4, id="preference"),
    pytest.param(likelihoods.evaluation, 5, id="evaluation"),
    pytest.param(likelihoods.takeover, 3, id="takeover"),
    pytest.param(demonstration_of, 4, id="demonstration"),
    pytest.param(likelihoods.outcome, 4, id="outcome"),
]


@pytest.mark.parametrize(("likelihood", "arguments"), EVERY)
@pytest.mark.parametrize("seed", range(4))
def test_gradients_match_finite_differences(likelihood: Likelihood, arguments: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = [
        (2 * torch.rand((), generator=generator, dtype=torch.float64)).requires_grad_()
        for _ in range(arguments)
    ]
    assert torch.autograd.gradcheck(likelihood, values)


@pytest.mark.parametrize(("likelihood", "arguments"), EVERY)
def test_probabilities_of_all_answers_sum_to_one(likelihood: Likelihood, arguments: int) -> None:
    values = [number(0.3 + 0.7 * i) for i in range(arguments)]
    assert likelihood(*values).exp().sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize(("likelihood", "arguments"), EVERY)
def test_hopeless_returns_give_finite_values_and_gradients(likelihood: Likelihood, arguments: int) -> None:
    values = [number(v).requires_grad_() for v in [-500.0, 500.0, 1.0, 1.0, -1.0][:arguments]]
    chances = likelihood(*values)
    chances.sum().backward()
    assert torch.isfinite(chances).all()
    assert all(value.grad is not None and torch.isfinite(value.grad) for value in values)


@pytest.mark.parametrize("nu", [0.3, 1.0, 4.0])
def test_a_preference_without_rationality_is_one_one_nu(nu: float) -> None:
    chances = likelihoods.preference(number(3.0), number(-2.0), number(math.log(nu)), NONE, beta=0.0)
    expected = torch.tensor([1.0, 1.0, nu], dtype=torch.float64) / (2.0 + nu)
    torch.testing.assert_close(chances.exp(), expected)


def test_a_perfectly_rational_preference_errs_only_by_lapse() -> None:
    chances = likelihoods.preference(number(1.0), number(0.0), number(0.0), SOME, beta=1e6).exp()
    assert chances[LEFT].item() == pytest.approx(1.0 - 2.0 * LAPSE / 3.0)
    assert chances[RIGHT].item() == pytest.approx(LAPSE / 3.0)
    assert chances[EQUAL].item() == pytest.approx(LAPSE / 3.0)


def test_swapping_the_sides_swaps_the_answers_and_leaves_the_tie() -> None:
    one, other, log_nu = number(1.7), number(-0.4), number(0.2)
    chances, swapped = (likelihoods.preference(*pair, log_nu, SOME) for pair in ((one, other), (other, one)))
    torch.testing.assert_close(chances, swapped[[RIGHT, LEFT, EQUAL]])


def test_a_tie_is_most_probable_and_pulls_nowhere_at_equal_returns() -> None:
    left = number(0.5).requires_grad_()
    tie = likelihoods.preference(left, number(0.5), number(0.0), SOME)[EQUAL]
    tie.backward()
    assert left.grad is not None and left.grad.item() == pytest.approx(0.0)
    assert tie > likelihoods.preference(number(0.6), number(0.5), number(0.0), SOME)[EQUAL]


@pytest.mark.parametrize("first", [-1.0, 0.0, 2.0])
def test_binary_kinds_know_nothing_without_rationality_and_all_with_it(first: float) -> None:
    none, much, other = number(0.0), number(1e6), number(first - 1.0)
    assert likelihoods.takeover(number(first), other, none)[FIRST].exp().item() == pytest.approx(0.5)
    assert likelihoods.takeover(number(first), other, much)[FIRST].exp().item() == pytest.approx(1.0)
    blind = likelihoods.outcome(number(first), other, none, SOME).exp()
    sharp = likelihoods.outcome(number(first), other, much, SOME).exp()
    assert blind[FIRST].item() == pytest.approx(0.5)
    assert sharp[FIRST].item() == pytest.approx(1.0 - LAPSE / 2.0)
    bias = number(0.7)
    good = likelihoods.evaluation(number(first), other, none, bias, NONE)[GOOD].exp().item()
    assert good == pytest.approx(1.0 / (1.0 + math.exp(-0.7)))
    bad = likelihoods.evaluation(other, number(first), much, bias, SOME)[BAD].exp().item()
    assert bad == pytest.approx(1.0 - LAPSE * good)


def test_whoever_only_lapses_answers_as_if_returns_were_equal() -> None:
    better, worse, same, beta, always = (number(value) for value in (3.0, -3.0, 0.0, 2.0, 1e3))
    for compare in (
        lambda a, b, lapse: likelihoods.preference(a, b, number(0.4), lapse),
        lambda a, b, lapse: likelihoods.evaluation(a, b, beta, number(1.0), lapse),
        lambda a, b, lapse: likelihoods.outcome(a, b, beta, lapse),
    ):
        torch.testing.assert_close(compare(better, worse, always), compare(same, same, NONE))


def test_a_demonstration_is_one_of_those_present_without_rationality_and_the_best_with_it() -> None:
    returns = torch.tensor([1.0, 0.5, 9.0, -1.0], dtype=torch.float64)
    present = torch.tensor([True, True, False, True])
    blind = likelihoods.demonstration(returns, present, number(0.0)).exp()
    sharp = likelihoods.demonstration(returns, present, number(1e6)).exp()
    torch.testing.assert_close(blind, present.double() / 3.0)
    torch.testing.assert_close(sharp, torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64))


def test_a_demonstration_against_one_alternative_is_a_takeover() -> None:
    returns, beta = torch.tensor([0.4, -0.9], dtype=torch.float64), number(0.6)
    choice = likelihoods.demonstration(returns, torch.tensor([True, True]), beta)
    torch.testing.assert_close(choice, likelihoods.takeover(returns[0], returns[1], beta))


@pytest.mark.parametrize("shift", [-3.0, 0.5, 40.0])
def test_no_likelihood_knows_the_zero_of_the_reward(shift: float) -> None:
    one, other, beta = number(1.2), number(0.3), number(0.8)
    near = (one, other), (one + shift, other + shift)
    for compare in (
        lambda a, b: likelihoods.preference(a, b, number(0.1), SOME),
        lambda a, b: likelihoods.evaluation(a, b, beta, number(0.4), SOME),
        lambda a, b: likelihoods.takeover(a, b, beta),
        lambda a, b: demonstration_of(a, b, b - 1.0, beta),
        lambda a, b: likelihoods.outcome(a, b, beta, SOME),
    ):
        torch.testing.assert_close(compare(*near[0]), compare(*near[1]))
