"""Several runs side by side: which belong together, and what can be said of their difference.

Runs that differ in nothing but the seed are one group. Bands and intervals are percentile bootstraps over
runs (Efron 1979; as in Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice"): what is
uncertain is which seed one gets. One run alone has no band.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.report.data import RunData
from robot_rlhf.report.metrics import Evaluated
from robot_rlhf.report.plots import Against, progress

Array = NDArray[np.float64]

_GRID = 60
_RESAMPLES = 2_000
_APART = ("seed",)  # settings that may differ within a group


@dataclass(frozen=True, eq=False)
class Group:
    """Runs that differ in nothing but their seed; `label` is what tells them from the other groups."""

    label: str
    runs: tuple[RunData, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted(run.seed for run in self.runs if run.seed is not None))

    @property
    def final(self) -> Array:
        """(n,) The last success rate of each run that was evaluated."""
        verdicts = [run.records.verdict("policy") for run in self.runs]
        return np.array([v.successes / v.episodes for v in verdicts if v is not None])


@dataclass(frozen=True, eq=False)
class Band:
    """A mean over runs along `x`, with its 95% band; `low` and `high` are the mean where there is one run."""

    x: Array
    mean: Array
    low: Array
    high: Array


def grouped(runs: Sequence[RunData]) -> list[Group]:
    """The groups in the order in which their first runs were named."""
    settings = [dict(_flat(msgspec.toml.decode(run.config_toml or ""))) for run in runs]
    keys = sorted({key for one in settings for key in one} - set(_APART))
    members: dict[tuple[Any, ...], list[int]] = {}
    for index, one in enumerate(settings):
        members.setdefault(tuple(repr(one.get(key)) for key in keys), []).append(index)
    telling = _telling({key: [found[place] for found in members] for place, key in enumerate(keys)})
    return [
        Group(_label(settings[chosen[0]], telling), tuple(runs[index] for index in chosen))
        for chosen in members.values()
    ]


def _telling(values: Mapping[str, Sequence[str]]) -> list[str]:
    """Settings by which all groups can be told apart, given what each has in every group: those at the top of
    a config first, and no more than it takes."""
    ordered = sorted((key for key in values if len(set(values[key])) > 1), key=lambda key: ("." in key, key))
    chosen: list[str] = []
    apart = 1
    for key in ordered:
        told = len(set(zip(*(values[one] for one in (*chosen, key)), strict=True)))
        if told > apart:
            chosen, apart = [*chosen, key], told
    return chosen


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _label(settings: Mapping[str, Any], telling: Sequence[str]) -> str:
    said = [f"{key.rpartition('.')[2].replace('_', ' ')} {settings.get(key, 'default')}" for key in telling]
    return ", ".join(said) or "all runs"


def band(group: Group, against: Against) -> Band | None:
    """The group's autonomous success along its way; None where no run was evaluated. A run that has ended
    keeps its last success; the band begins where every run has been evaluated once."""
    curves = [_curve(run, against) for run in group.runs]
    curves = [curve for curve in curves if len(curve)]
    if not curves:
        return None
    x = np.linspace(max(curve[0, 0] for curve in curves), max(curve[-1, 0] for curve in curves), _GRID)
    rates = np.stack([np.interp(x, curve[:, 0], curve[:, 1]) for curve in curves])
    return Band(x, rates.mean(axis=0), *interval(rates))


def _curve(run: RunData, against: Against) -> Array:
    """(n, 2): how far, and the success rate there."""
    found = [(at, e) for at, e in run.records.of(Evaluated) if e.policy == "policy" and e.episodes]
    return np.array([(progress(at, against), e.successes / e.episodes) for at, e in found]).reshape(-1, 2)


def interval(values: Array) -> tuple[Array, Array]:
    """95% bootstrap interval of the mean over the first axis; the mean itself where there is one value."""
    means = _resampled(values)
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return low, high


def difference(one: Group, other: Group) -> tuple[float, float, float] | None:
    """How much higher `one` ended than `other`, with its 95% interval; None where one was not evaluated."""
    if not len(one.final) or not len(other.final):
        return None
    gaps = _resampled(one.final) - _resampled(other.final, 1)
    low, high = np.percentile(gaps, [2.5, 97.5])
    return float(one.final.mean() - other.final.mean()), float(low), float(high)


def _resampled(values: Array, stream: int = 0) -> Array:
    """(resamples, ...): means of as many values, drawn with replacement, the same at every call."""
    drawn = np.random.default_rng(stream).integers(0, len(values), (_RESAMPLES, len(values)))
    return np.asarray(values[drawn].mean(axis=1))
