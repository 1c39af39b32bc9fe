"""What is said of a setting over its seeds, and the file of all runs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from robot_rlhf.report.summary import Summary
from robot_rlhf.report.sweep import CellResult, by_setting, write_results


def result(setting: str, seed: int, rate: float | None, seconds: float = 60.0) -> CellResult:
    summary = None
    if rate is not None:
        summary = Summary(
            task="reach",
            seed=seed,
            success_rate=rate,
            wilson_low=0.0,
            wilson_high=1.0,
            episodes=100,
            environment_steps=1,
            operator_seconds=seconds,
            attended_seconds=2 * seconds,
            wall_seconds=3 * seconds,
            feedback={},
            reward_model=None,
            versions={},
        )
    run, error = f"{setting}/seed-{seed}", "" if summary else "it broke"
    return CellResult(
        setting=setting, settings={"a": setting}, seed=seed, run=run, summary=summary, error=error
    )


def test_a_setting_is_the_mean_of_its_seeds_and_the_interval_of_all_their_episodes() -> None:
    (one, other) = by_setting(
        [result("x", 0, 0.8, 30.0), result("y", 0, None), result("x", 1, 1.0, 90.0), result("x", 2, 0.9)]
    )
    assert one.success_rate == pytest.approx(0.9)
    assert (one.lowest, one.highest, one.seeds, one.failed) == (0.8, 1.0, 3, 0)
    assert 0.85 < one.wilson_low < 0.9 < one.wilson_high < 0.95
    assert (one.operator_seconds, one.attended_seconds, one.wall_seconds) == (60.0, 120.0, 180.0)
    assert (other.success_rate, other.seeds, other.failed) == (None, 0, 1)


def test_results_are_lines_that_replace_the_older_ones(tmp_path: Path) -> None:
    for count in (2, 1):
        cells = [result("x", seed, 0.5) for seed in range(count)]
        lines = write_results(tmp_path, cells).read_bytes().splitlines()
        assert [msgspec.json.decode(line, type=CellResult) for line in lines] == cells
