"""How a run ended."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from robot_rlhf.report.files import REPORT
from robot_rlhf.report.summary import Summary, read_summary
from robot_rlhf.session.run_folder import RunError


def summary_of(run: Path) -> Summary | None:
    """The summary of a run, None while it has none. RunError naming what is not in order."""
    try:
        return read_summary(run)
    except ValueError as error:
        raise RunError(str(error)) from error


def summary_table(summary: Summary, out: Path) -> Table:
    """How a run ended, for a person."""
    table = Table(show_header=False, show_edge=False, box=None)
    low, high, episodes = summary.wilson_low, summary.wilson_high, summary.episodes
    what = "fresh starts" if summary.judged_by == "task" else "marked episodes that it drove alone"
    table.add_row("success", f"{summary.success_rate:.0%} of {episodes} {what} ({low:.0%} to {high:.0%})")
    table.add_row("operator", f"{summary.operator_seconds / 60:.1f} min active")
    table.add_row("wall time", f"{summary.wall_seconds / 60:.1f} min, {summary.environment_steps:,} steps")
    table.add_row("report", Text(str(out / REPORT)))
    return table
