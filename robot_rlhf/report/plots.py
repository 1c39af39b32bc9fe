"""The report's plots, each an SVG string, or None where the run holds nothing to draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.types import Kind
from robot_rlhf.report.data import Records, ReturnPair
from robot_rlhf.report.metrics import (
    EpisodeEnded,
    Evaluated,
    HeldOut,
    Moment,
    Number,
    RewardFitted,
    SacUpdated,
)
from robot_rlhf.report.statistics import moving_mean, wilson
from robot_rlhf.report.svg import BLUE, GREEN, INK, ORANGE, PURPLE, SIZE_IN, VERMILLION, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

Against = Literal["environment_steps", "operator_minutes"]
AXIS_NAMES: Mapping[Against, str] = {
    "environment_steps": "environment steps",
    "operator_minutes": "operator minutes (active)",
}
MEAN_EPISODES = 20
SMALL_IN = (3.4, 2.2)

COLOUR = {
    Kind.DEMONSTRATIONS: BLUE,
    Kind.TAKEOVERS: VERMILLION,
    Kind.PREFERENCES: GREEN,
    Kind.EVALUATIONS: ORANGE,
    Kind.OUTCOMES: PURPLE,
}


def success(records: Records, against: Against) -> str | None:
    """Autonomous success with its interval, and beside it how training episodes were marked."""
    evaluated = [(at, e) for at, e in records.of(Evaluated) if e.policy == "policy" and e.episodes]
    marked = [
        (at, e) for at, e in records.of(EpisodeEnded) if e.role is Role.ONLINE and e.success_mark is not None
    ]
    if not evaluated and not marked:
        return None

    def paint(axes: Axes) -> None:
        if marked:
            x = [progress(at, against) for at, _ in marked]
            mean = moving_mean([float(bool(e.success_mark)) for _, e in marked], MEAN_EPISODES)
            label = f"in training, mean of {MEAN_EPISODES}"
            axes.plot(x, mean, color=ORANGE, linewidth=1.2, label=label)
        if evaluated:
            x = [progress(at, against) for at, _ in evaluated]
            rate = [e.successes / e.episodes for _, e in evaluated]
            bounds = np.array([wilson(e.successes, e.episodes) for _, e in evaluated])
            if len(x) > 1:
                axes.fill_between(x, bounds[:, 0], bounds[:, 1], color=BLUE, alpha=0.18, linewidth=0)
            else:
                axes.vlines(x, bounds[:, 0], bounds[:, 1], color=BLUE, alpha=0.4, linewidth=3)
            axes.plot(x, rate, color=BLUE, marker="o", markersize=4, label="autonomous, 95% interval")
        axes.set_ylabel("success")
        axes.set_ylim(-0.02, 1.02)
        percent(axes.yaxis)
        progress_axis(axes, against)
        legend(axes)

    return draw(f"success_{against}", paint)


def feedback(minutes: Mapping[Kind, Sequence[float]]) -> str | None:
    """How much feedback of each kind had been given by when; minutes are those of the run's own clock."""
    if not any(minutes.values()):
        return None
    end = max(max(times) for times in minutes.values() if times)

    def paint(axes: Axes) -> None:
        for kind, times in minutes.items():
            if times:
                x = [*sorted(times), end]
                y = [*range(1, len(times) + 1), len(times)]
                axes.step(x, y, where="post", color=COLOUR[kind], label=kind.value)
        axes.set_ylabel("given so far")
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.set_xlabel("minutes since the first feedback")
        legend(axes)

    return draw("feedback", paint)


def operator_share(records: Records) -> str | None:
    """The share of each training episode that the operator drove, and its running mean."""
    online = [(at, e) for at, e in records.of(EpisodeEnded) if e.role is Role.ONLINE]
    if not online:
        return None

    def paint(axes: Axes) -> None:
        x = [at.environment_steps for at, _ in online]
        share = [e.operator_fraction for _, e in online]
        axes.scatter(x, share, s=9, color=VERMILLION, alpha=0.35, linewidths=0, label="episode")
        axes.plot(x, moving_mean(share, MEAN_EPISODES), color=VERMILLION, label=f"mean of {MEAN_EPISODES}")
        axes.set_ylabel("driven by the operator")
        axes.set_ylim(-0.02, 1.02)
        percent(axes.yaxis)
        progress_axis(axes, "environment_steps")
        legend(axes)

    return draw("operator_share", paint)


def reward_likelihood(records: Records) -> str | None:
    """Negative log-likelihood of the feedback under the reward model, fitted and held out."""
    fits = records.of(RewardFitted)
    return _lines(
        "reward_likelihood",
        "negative log-likelihood",
        [
            ("fitted", ORANGE, [(at, fit.train_nll) for at, fit in fits]),
            ("held out", BLUE, [(at, fit.heldout.nll) for at, fit in fits]),
        ],
    )


def reward_accuracy(records: Records) -> str | None:
    """How much of the held-out feedback the reward model agrees with, in all and by kind."""
    fits = records.of(RewardFitted)
    curves = [
        (
            kind.value,
            COLOUR[kind],
            [(at, fit.kinds[kind].accuracy) for at, fit in fits if kind in fit.kinds],
        )
        for kind in Kind
    ]
    curves.append(("all kinds", INK, [(at, fit.heldout.accuracy) for at, fit in fits]))
    return _lines("reward_accuracy", "held-out accuracy", curves, rate=True)


def calibration(heldout: HeldOut | None) -> str | None:
    """How often the model was right against how sure it was; the area of a dot is how often it was so."""
    if heldout is None or not heldout.calibration:
        return None

    def paint(axes: Axes) -> None:
        predicted, observed, count = np.array(heldout.calibration, dtype=float).T
        low = np.floor(10 * min(predicted.min(), observed.min(), 0.5)) / 10
        axes.plot([low, 1], [low, 1], color=INK, alpha=0.4, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(predicted, observed, color=GREEN, linewidth=1)
        area = 12 + 140 * count / max(count.max(), 1.0)
        axes.scatter(predicted, observed, s=area, color=GREEN, alpha=0.75, linewidths=0)
        axes.set_xlabel("how sure it was")
        axes.set_ylabel("how often it was right")
        axes.set_xlim(low - 0.04 * (1 - low), 1 + 0.04 * (1 - low))
        axes.set_ylim(axes.get_xlim())
        percent(axes.xaxis)
        percent(axes.yaxis)

    return draw("calibration", paint)


def returns(pairs: Sequence[ReturnPair]) -> str | None:
    """The return that the reward model gives an episode against the one that the simulation knows."""
    if not pairs:
        return None

    def paint(axes: Axes) -> None:
        for success, label, colour in ((True, "succeeded", GREEN), (False, "failed", ORANGE)):
            points = np.array([(pair.true, pair.predicted) for pair in pairs if pair.success is success])
            if len(points):
                axes.scatter(
                    points[:, 0], points[:, 1], s=18, color=colour, alpha=0.65, linewidths=0, label=label
                )
        axes.set_xlabel("true return (simulation)")
        axes.set_ylabel("predicted return")
        legend(axes)

    return draw("returns", paint)


def sac(records: Records) -> list[tuple[str, str | None]]:
    """(caption, plot) for every SAC curve; empty before the first update."""
    updates = records.of(SacUpdated)

    def one(name: str, number: Callable[[SacUpdated], Number], colour: str, log: bool = False) -> str | None:
        curve = [("", colour, [(at, number(update)) for at, update in updates])]
        return _lines(f"sac_{name}", name.replace("_", " "), curve, log=log, size_in=SMALL_IN)

    drawn = (
        ("Critic loss", one("critic_loss", lambda u: u.critic_loss, BLUE, log=True)),
        ("Actor loss", one("actor_loss", lambda u: u.actor_loss, GREEN)),
        ("Cloning loss in the actor", one("bc_loss", lambda u: u.bc_loss, VERMILLION)),
        ("Temperature", one("alpha", lambda u: u.alpha, ORANGE, log=True)),
        ("Entropy of the policy", one("entropy", lambda u: u.entropy, PURPLE)),
        ("Value, mean and spread", _value(updates)),
    )
    return [(caption, plot) for caption, plot in drawn] if updates else []


Curve = tuple[str, str, Sequence[tuple[Moment, Number]]]


def _lines(
    name: str,
    label: str,
    curves: Sequence[Curve],
    *,
    rate: bool = False,
    log: bool = False,
    size_in: tuple[float, float] = SIZE_IN,
) -> str | None:
    """Curves of (label, colour, points) against environment steps; points without a number are left out."""
    numbers = ((text, c, [(at, y) for at, y in points if y is not None]) for text, c, points in curves)
    known = [curve for curve in numbers if curve[2]]
    if not known:
        return None

    def paint(axes: Axes) -> None:
        for text, colour, points in known:
            x, y = zip(*((at.environment_steps, y) for at, y in points), strict=True)
            axes.plot(x, y, color=colour, label=text, marker="o" if len(x) == 1 else None, markersize=4)
        if log and all(y > 0 for _, _, points in known for _, y in points):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:.3g}")
            axes.yaxis.set_minor_formatter("")
        axes.set_ylabel(label)
        if rate:
            axes.set_ylim(top=1.02)
            percent(axes.yaxis)
        progress_axis(axes, "environment_steps")
        if any(text for text, _, _ in known):
            legend(axes)

    return draw(name, paint, size_in)


def _value(updates: Sequence[tuple[Moment, SacUpdated]]) -> str | None:
    """The critic's mean value with one standard deviation either side."""
    known = [
        (at.environment_steps, u.q_mean, u.q_std)
        for at, u in updates
        if u.q_mean is not None and u.q_std is not None
    ]
    if not known:
        return None

    def paint(axes: Axes) -> None:
        x, mean, spread = np.array(known, dtype=float).T
        axes.fill_between(x, mean - spread, mean + spread, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(x, mean, color=BLUE)
        axes.set_ylabel("Q")
        progress_axis(axes, "environment_steps")

    return draw("sac_q", paint, SMALL_IN)


def progress(moment: Moment, against: Against) -> float:
    """How far that is along an axis."""
    return moment.environment_steps if against == "environment_steps" else moment.operator_seconds / 60


def progress_axis(axes: Axes, against: Against) -> None:
    """The axis that a run's way is shown along, from its beginning, with its name."""
    from matplotlib.ticker import EngFormatter

    axes.set_xlim(left=0)
    if against == "environment_steps":
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel(AXIS_NAMES[against])


def percent(axis: Axis) -> None:
    """Rates from 0 to 1 as percentages."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def legend(axes: Axes) -> None:
    """Above the axes, where it covers no data."""
    entries = len(axes.get_legend_handles_labels()[1])
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.03), ncols=2 if entries == 4 else min(entries, 3))
