"""What a person's answer says about the returns of the windows they saw: one likelihood a kind.

All five are reward-rational choices (Jeon, Milli and Dragan 2020): the person prefers larger returns,
more sharply the larger their rationality beta. A share of their judgements, the lapse (in logits, so that
any number is one), goes by habit alone, by how readily they call things equal or good. Each function
returns log-probabilities of every answer that could have been given, on a new last axis, so that loss,
accuracy and calibration come from one place. Returns may have any leading shape; the parameters broadcast
against it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

LEFT, RIGHT, EQUAL = 0, 1, 2
"""Answers to a preference."""

GOOD, BAD = 0, 1
"""Answers of an evaluation."""

FIRST = 0
"""The answer of a takeover, demonstration or outcome: the first window is the better one."""


def preference(left: Tensor, right: Tensor, log_nu: Tensor, lapse: Tensor, beta: float = 1.0) -> Tensor:
    """(..., 3) log-probability of LEFT, RIGHT, EQUAL by Davidson's model of ties (1970), beside lapses.

    `log_nu` is the logarithm of the tie parameter: equal returns tie with probability nu / (2 + nu).
    """
    half = 0.5 * beta * (left - right)
    scores = torch.stack(torch.broadcast_tensors(half, -half, log_nu), dim=-1)
    habit = torch.stack(torch.broadcast_tensors(0.0 * half, 0.0 * half, log_nu), dim=-1)
    return _lapsed(functional.log_softmax(scores, dim=-1), lapse, functional.log_softmax(habit, dim=-1))


def evaluation(window: Tensor, baseline: Tensor, beta: Tensor, bias: Tensor, lapse: Tensor) -> Tensor:
    """(..., 2) log-probability of GOOD, BAD for a window against what was usual before it; `bias` is the
    operator's leaning towards good."""
    return _lapsed(_binary(beta * (window - baseline) + bias), lapse, _binary(bias))


def takeover(executed: Tensor, policy: Tensor, beta: Tensor) -> Tensor:
    """(..., 2) log-probability that what the operator did is better, or worse, than the policy's way."""
    return _binary(beta * (executed - policy))


def demonstration(returns: Tensor, present: Tensor, beta: Tensor) -> Tensor:
    """(..., 1 + K) log-probability of each candidate being the one demonstrated (maximum entropy).

    `returns` (..., 1 + K) has the demonstration first; `present` (..., 1 + K) is False where there is no
    such alternative, which then has probability 0 and no gradient. `beta` has no last axis.
    """
    scores = (beta.unsqueeze(-1) * returns).masked_fill(~present, -math.inf)
    return functional.log_softmax(scores, dim=-1)


def outcome(success: Tensor, failure: Tensor, beta: Tensor, lapse: Tensor) -> Tensor:
    """(..., 2) log-probability that the end of a marked success is better, or worse, than that of a
    marked failure: a preference that cannot tie."""
    return _lapsed(_binary(beta * (success - failure)), lapse, _binary(torch.zeros_like(beta)))


def gaussian_penalty(value: Tensor, mean: Tensor | float, spread: float) -> Tensor:
    """Negative log of a normal prior, without its constant, elementwise."""
    return 0.5 * ((value - mean) / spread) ** 2


def _binary(score: Tensor) -> Tensor:
    return torch.stack((functional.logsigmoid(score), functional.logsigmoid(-score)), dim=-1)


def _lapsed(log_probability: Tensor, lapse: Tensor, habit: Tensor) -> Tensor:
    """(..., A) where a share of the answers, `lapse` (...) in logits, is given by `habit` (..., A) alone."""
    kept, random = functional.logsigmoid(-lapse), functional.logsigmoid(lapse)
    return torch.logaddexp(log_probability + kept.unsqueeze(-1), habit + random.unsqueeze(-1))
