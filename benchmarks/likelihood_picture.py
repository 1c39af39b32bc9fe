"""The picture of the five likelihoods in docs/method.md, drawn by the functions that fit the reward.

python benchmarks/likelihood_picture.py docs/pictures/likelihoods.png
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import torch

matplotlib.use("Agg")
from matplotlib import pyplot

from robot_rlhf.learning import likelihoods
from robot_rlhf.learning.reward_config import Rationalities, RewardConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

GAP = torch.linspace(-6.0, 6.0, 241)
ZERO = torch.zeros_like(GAP)
CONFIG, START = RewardConfig(), Rationalities()


def beta(value: float) -> Tensor:
    """The same rationality everywhere."""
    return torch.full_like(GAP, value)


def lapse(share: float) -> Tensor:
    """The same share of lapses everywhere, in logits."""
    return torch.full_like(GAP, share).logit()


def preference(panel: Axes) -> None:
    chances = likelihoods.preference(GAP, ZERO, torch.zeros(()), lapse(CONFIG.lapse)).exp()
    for answer, name in ((likelihoods.LEFT, "A"), (likelihoods.EQUAL, "equal"), (likelihoods.RIGHT, "B")):
        panel.plot(GAP, chances[:, answer], label=name)


def evaluation(panel: Axes) -> None:
    for bias in (-1.0, 0.0, 1.0):
        chances = likelihoods.evaluation(
            GAP, ZERO, beta(START.evaluations), torch.full_like(GAP, bias), lapse(CONFIG.lapse)
        ).exp()
        panel.plot(GAP, chances[:, likelihoods.GOOD], label=f"leaning {bias:+.0f}")


def takeover(panel: Axes) -> None:
    for value, name in ((START.takeovers, "rolled out"), (START.takeovers_before, "clip before")):
        chances = likelihoods.takeover(GAP, ZERO, beta(value)).exp()
        panel.plot(GAP, chances[:, likelihoods.FIRST], label=f"{name}: {value:g}")


def demonstration(panel: Axes) -> None:
    for others in (1, 3, 8):
        returns = torch.stack([GAP, *[ZERO] * others], dim=-1)
        present = torch.ones_like(returns, dtype=torch.bool)
        chances = likelihoods.demonstration(returns, present, beta(START.demonstrations)).exp()
        panel.plot(GAP, chances[:, likelihoods.FIRST], label=f"of {others + 1}")


def outcome(panel: Axes) -> None:
    for share in (0.001, CONFIG.lapse, 0.3):
        chances = likelihoods.outcome(GAP, ZERO, beta(START.outcomes), lapse(share)).exp()
        panel.plot(GAP, chances[:, likelihoods.FIRST], label=f"lapse {share:g}")


PANELS = (
    (preference, "Preference", "R(A) - R(B)", "probability of the answer"),
    (evaluation, "Press", "R(w) - R(before)", "probability of 'good'"),
    (takeover, "Takeover", "R(operator) - R(policy)", "probability that it is better"),
    (demonstration, "Demonstration", "R(demo) - R(others)", "probability of the demo"),
    (outcome, "Outcome", "R(success's end) - R(other)", "probability that it is better"),
)


def main(arguments: Sequence[str]) -> None:
    """Draw the five panels into the file that is named."""
    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(15.0, 3.1), sharey=True)
    for panel, (draw, title, across, up) in zip(axes, PANELS, strict=True):
        draw(panel)
        panel.set(title=title, xlabel=across, ylabel=up, ylim=(0, 1))
        panel.legend(fontsize=8, frameon=False)
        panel.grid(alpha=0.2)
    figure.tight_layout()
    figure.savefig(Path(arguments[0]), dpi=110)


if __name__ == "__main__":
    main(sys.argv[1:])
