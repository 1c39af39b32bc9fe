"""Curves over the operator's seconds: what a point is, what lies between two, what a table says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.feedback_efficiency import (
    MODES,
    Cell,
    all_cells,
    area,
    curve,
    height,
    interval,
    table,
)
from robot_rlhf.commands.arguments import Train
from robot_rlhf.commands.parsing import parse
from sim.task import TASKS


def row(seconds: float, success: float, final: bool = False, seed: int = 0) -> dict[str, Any]:
    return {
        "key": f"reach:fused:{seed}",
        "commit": f"abc{seed}",
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


def test_a_curve_holds_from_each_evaluation_to_the_next_and_after_the_end() -> None:
    steps = curve([row(130.0, 0.9, final=True), row(43.0, 0.5), row(95.0, 0.7)])
    seconds = (0.0, 42.9, 43.0, 94.0, 95.0, 129.0, 130.0, 600.0)
    assert [height(steps, at) for at in seconds] == [0.0, 0.0, 0.5, 0.5, 0.7, 0.7, 0.9, 0.9]


def test_the_last_word_counts_where_two_were_said_at_the_same_time() -> None:
    steps = curve([row(300.0, 0.8, final=True), row(300.0, 0.7)])
    assert height(steps, 300.0) == 0.8
    assert area(steps) == pytest.approx(0.4)


def test_the_area_is_the_mean_height() -> None:
    assert area(curve([row(0.0, 1.0)])) == 1.0
    assert area(curve([row(150.0, 1.0)])) == pytest.approx(0.75)
    assert area(curve([row(0.0, 0.2), row(300.0, 0.8)])) == pytest.approx(0.5)
    assert area(curve([row(0.0, 0.2), row(608.0, 0.8)])) == pytest.approx(0.2)  # after the end of the axis


def test_an_interval_holds_its_mean_and_is_a_point_where_all_are_alike() -> None:
    low, high = interval([0.8, 0.9, 1.0])
    assert 0.8 <= low < 0.9 < high <= 1.0
    assert interval([0.7, 0.7]) == pytest.approx((0.7, 0.7))


def test_a_table_pools_the_ends_of_all_seeds() -> None:
    rows = [row(100.0, 0.8, final=True), row(50.0, 0.1), row(100.0, 1.0, final=True, seed=1)]
    line = table(rows).splitlines()[-1]
    assert line.startswith("| reach | fused | 2 |")
    assert "0.900 (0.851 to 0.934)" in line
    assert line.endswith("| abc0, abc1 |")


@pytest.mark.parametrize("mode", MODES)
def test_every_cell_is_a_command_line_that_makes_sense(mode: str, tmp_path: Path) -> None:
    command = parse(Cell("pick_cube", mode, 3, 120).words(tmp_path))
    assert isinstance(command, Train)
    assert command.settings.seed == 3
    assert command.settings.schedule.operator_seconds == 120.0


def test_cells_have_names_of_their_own_and_every_task() -> None:
    cells = all_cells(quick=False, seeds=2, other_seeds=1)
    assert len({cell.name for cell in cells}) == len(cells)
    assert {cell.task for cell in cells} == set(TASKS)
    assert {cell.mode for cell in cells} == set(MODES)
