"""How well the reward predicts answers it was not trained on, by kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.feedback.types import Kind
from robot_rlhf.learning.scale import RewardScale

BINS = 10
"""Bins of a calibration curve, equally wide from 0 to 1."""


@dataclass(frozen=True)
class KindReport:
    """Out-of-bag quality of one kind, or of all together; None where nothing was held out.

    `count` events carried a loss, `held_out` judgements were predicted by members that had not seen
    their episodes. `accuracy` is the share of those whose most probable answer was given, ties left out
    (a tie is never the most probable answer of a close pair); `calibration` is (mean confidence, accuracy,
    count) of each bin that is not empty, `calibration_error` their mean gap weighted by count.
    """

    count: int
    held_out: int
    nll: float | None
    accuracy: float | None
    calibration_error: float | None
    calibration: list[tuple[float, float, int]]


@dataclass(frozen=True)
class OperatorReport:
    """What the members believe of an operator, on average: `rationality` by the names of
    `reward_config.Rationalities`, where larger is more reliable; `tie` nu, the readiness to call two clips
    equal; `leaning` towards pressing good, in logits; `lapse`, the share of judgements given at random."""

    rationality: dict[str, float]
    tie: float
    leaning: float
    lapse: float


@dataclass(frozen=True)
class FitReport:
    """What a fit did. `heldout` pools the kinds; `operators` are by name; `train_nll` is the mean over what
    members trained on."""

    version: int
    kinds: dict[Kind, KindReport]
    heldout: KindReport
    operators: dict[str, OperatorReport]
    train_nll: float
    steps: int
    seconds: float
    old_scale: RewardScale
    new_scale: RewardScale


@dataclass(frozen=True, eq=False)
class Predictions:
    """Out-of-bag predictions of E judgements: probability (E,) of the answer given; confidence (E,) of the
    answer thought best and whether that was it, correct (E,), NaN confidence for a tie."""

    probability: NDArray[np.float64]
    confidence: NDArray[np.float64]
    correct: NDArray[np.bool_]

    @staticmethod
    def join(parts: Sequence[Predictions]) -> Predictions:
        """All predictions as one."""
        return Predictions(
            np.concatenate([np.empty(0), *(part.probability for part in parts)]),
            np.concatenate([np.empty(0), *(part.confidence for part in parts)]),
            np.concatenate([np.empty(0, dtype=bool), *(part.correct for part in parts)]),
        )


def report(count: int, predictions: Predictions) -> KindReport:
    """The report of `count` events and what was predicted of those held out."""
    held_out = len(predictions.probability)
    if held_out == 0:
        return KindReport(count, 0, None, None, None, [])
    nll = float(-np.log(predictions.probability).mean())
    decided = ~np.isnan(predictions.confidence)
    confidence, correct = predictions.confidence[decided], predictions.correct[decided]
    if len(confidence) == 0:
        return KindReport(count, held_out, nll, None, None, [])
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    calibration = [
        (float(confidence[bins == b].mean()), float(correct[bins == b].mean()), int((bins == b).sum()))
        for b in np.unique(bins)
    ]
    gap = math.fsum(n * abs(said - was) for said, was, n in calibration) / len(confidence)
    return KindReport(count, held_out, nll, float(correct.mean()), gap, calibration)
