"""`report`: the page of one run, or one that compares several."""

from __future__ import annotations

from pathlib import Path

from robot_rlhf.commands.arguments import Report
from robot_rlhf.commands.extras import missing, need, pip_line
from robot_rlhf.commands.telling import say
from robot_rlhf.session.run_folder import RunError


def report(asked: Report) -> Path:
    """Write the page that was asked for; returns where it is."""
    return report_run(asked.runs[0]) if len(asked.runs) == 1 else _compare(asked)


def report_run(run: Path) -> Path:
    """The page of one run."""
    need("report", "learn")
    from robot_rlhf.commands.report import write_run_report

    if missing("sim"):
        say(f"the report has no clips, since nothing here draws them: {pip_line(['sim'])}")
    return write_run_report(run)


def _compare(command: Report) -> Path:
    need("report", "learn")
    from robot_rlhf.report.comparison_page import write_comparison

    try:
        return write_comparison(command.runs, command.out)
    except ValueError as error:
        raise RunError(str(error)) from error
