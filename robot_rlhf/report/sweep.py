"""What a sweep came to, for programs: FOLDER/results.jsonl, one line a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median

import msgspec

from robot_rlhf.report.files import write_atomically
from robot_rlhf.report.statistics import wilson
from robot_rlhf.report.summary import Summary

NAME = "results.jsonl"


class CellResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a sweep. `settings` are those that were set, as they were written; `run` is its folder in
    the sweep's; a run that failed has no summary but an `error`."""

    setting: str
    settings: dict[str, str]
    seed: int
    run: str
    summary: Summary | None
    error: str = ""


class SettingResult(msgspec.Struct, frozen=True, kw_only=True):
    """A setting over its seeds. `success_rate` is the mean, `lowest` and `highest` are of single seeds, the
    Wilson interval is of all their episodes together; seconds are medians. None where no seed has ended."""

    setting: str
    settings: dict[str, str]
    seeds: int
    failed: int
    success_rate: float | None
    lowest: float | None
    highest: float | None
    wilson_low: float
    wilson_high: float
    operator_seconds: float | None
    attended_seconds: float | None
    wall_seconds: float | None


def by_setting(cells: Sequence[CellResult]) -> list[SettingResult]:
    """A result a setting, in the order in which they first appear."""
    groups: dict[str, list[CellResult]] = {}
    for cell in cells:
        groups.setdefault(cell.setting, []).append(cell)
    return [_over_seeds(own) for own in groups.values()]


def _over_seeds(cells: Sequence[CellResult]) -> SettingResult:
    ended = [cell.summary for cell in cells if cell.summary is not None]
    rates = [one.success_rate for one in ended]
    low, high = wilson(
        sum(round(one.success_rate * one.episodes) for one in ended), sum(one.episodes for one in ended)
    )
    return SettingResult(
        setting=cells[0].setting,
        settings=cells[0].settings,
        seeds=len(ended),
        failed=len(cells) - len(ended),
        success_rate=fmean(rates) if rates else None,
        lowest=min(rates, default=None),
        highest=max(rates, default=None),
        wilson_low=low,
        wilson_high=high,
        operator_seconds=median(one.operator_seconds for one in ended) if ended else None,
        attended_seconds=median(one.attended_seconds for one in ended) if ended else None,
        wall_seconds=median(one.wall_seconds for one in ended) if ended else None,
    )


def write_results(folder: Path, cells: Sequence[CellResult]) -> Path:
    """Write FOLDER/results.jsonl, replacing an older one in one step, and return its path."""
    path = folder / NAME
    write_atomically(path, b"".join(msgspec.json.encode(cell) + b"\n" for cell in cells))
    return path
