"""Curves over the operator's seconds: what a point is, what lies between two, what a table says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.feedback_efficiency import (
    MODES,
    POINTS_S,
    Cell,
    all_cells,
    area,
    curve,
    interval,
    table,
)
from robot_rlhf.commands.arguments import Train
from robot_rlhf.commands.parsing import parse


def row(seconds: float, success: float, final: bool = False, seed: int = 0) -> dict[str, Any]:
    return {
        "key": f"reach:fused:{seed}",
        "task": "reach",
        "mode": "fused",
        "seed": seed,
        "operator_seconds": seconds,
        "attended_seconds": 2 * seconds,
        "wall_seconds": 10.0,
        "environment_steps": 100,
        "success_rate": success,
        "episodes": 100,
        "mean_length": 40.0,
        "final": final,
    }


def test_a_curve_holds_from_each_point_to_the_next_and_after_the_end() -> None:
    heights = curve([row(43.0, 0.5), row(95.0, 0.7), row(130.0, 0.9, final=True)])
    found = dict(zip(POINTS_S, heights, strict=True))
    assert found == {40: 0.5, 60: 0.5, 90: 0.7, 120: 0.9, 180: 0.9, 240: 0.9, 360: 0.9, 600: 0.9}


def test_before_the_first_point_nothing_is_known() -> None:
    assert curve([row(150.0, 0.9)])[0] == 0.0


def test_the_last_word_counts_where_two_were_said_at_the_same_time() -> None:
    assert curve([row(600.0, 0.8, final=True), row(600.0, 0.7)])[-1] == 0.8


def test_the_area_is_the_mean_height_from_the_first_point_on() -> None:
    ones = np.ones(len(POINTS_S))
    assert area(ones) == pytest.approx((600 - POINTS_S[0]) / 600)
    assert area(0.5 * ones) == pytest.approx(0.5 * area(ones))
    late = np.array([0.0] * (len(POINTS_S) - 1) + [1.0])
    assert area(late) == 0.0  # success at the very end was had for no time


def test_an_interval_holds_its_mean_and_is_a_point_where_all_are_alike() -> None:
    low, high = interval([0.8, 0.9, 1.0])
    assert 0.8 <= low < 0.9 < high <= 1.0
    assert interval([0.7, 0.7]) == pytest.approx((0.7, 0.7))


def test_a_table_pools_the_ends_of_all_seeds() -> None:
    rows = [row(100.0, 0.8, final=True), row(50.0, 0.1), row(100.0, 1.0, final=True, seed=1)]
    line = table(rows).splitlines()[-1]
    assert line.startswith("| reach | fused | 2 |")
    assert "0.900 (0.851 to 0.934)" in line


@pytest.mark.parametrize("mode", MODES)
def test_every_cell_is_a_command_line_that_makes_sense(mode: str, tmp_path: Path) -> None:
    command = parse(Cell("pick_cube", mode, 3, 120).words(tmp_path))
    assert isinstance(command, Train)
    assert command.settings.seed == 3
    assert command.settings.schedule.operator_seconds == 120.0


def test_cells_have_names_of_their_own_and_three_tasks() -> None:
    cells = all_cells(quick=False, seeds=2, other_seeds=1)
    assert len({cell.key for cell in cells}) == len(cells)
    assert {cell.task for cell in cells} == {"pick_cube", "reach", "push"}
    assert {cell.mode for cell in cells} == set(MODES)
