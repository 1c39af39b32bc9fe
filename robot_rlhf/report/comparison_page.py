"""One page over several runs: success with bands over seeds, and group against group."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from robot_rlhf.report.comparison import Group, band, difference, grouped, interval
from robot_rlhf.report.data import read_run
from robot_rlhf.report.files import write_atomically
from robot_rlhf.report.markup import document, figure, interval_bar, section, table
from robot_rlhf.report.plots import AXIS_NAMES, Against, legend, percent, progress_axis
from robot_rlhf.report.svg import BLUE, GREEN, ORANGE, PURPLE, VERMILLION, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE)
_STYLES = ("-", "--", ":")


def write_comparison(runs: Sequence[Path], out: Path) -> Path:
    """Write a page over the runs in these folders to `out` and return it. Raises what `read_run` raises."""
    groups = grouped([read_run(run, None, None) for run in runs])
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, render(groups).encode("utf-8"))
    return out


def render(groups: Sequence[Group]) -> str:
    """The whole page."""
    count = sum(len(group.runs) for group in groups)
    tasks = sorted({run.task or "task unknown" for group in groups for run in group.runs})
    header = (
        f'<p class="eyebrow">{escape(", ".join(tasks))}</p><h1>{count} runs compared</h1>'
        '<p class="lead">Runs that differ in nothing but the seed are one group; bands and intervals are 95% '
        "bootstraps over runs, so that one run alone has none.</p>"
    )
    sections = [_ends(groups), _ways(groups), _differences(groups), _members(groups)]
    return document("Runs compared", header, sections, "This page holds all that it shows and loads nothing.")


def _ends(groups: Sequence[Group]) -> str:
    rows = []
    for group in groups:
        summaries = [run.summary for run in group.runs if run.summary is not None]
        minutes = f"{mean(s.operator_seconds for s in summaries) / 60:.1f}" if summaries else ""
        wall = f"{mean(s.wall_seconds for s in summaries) / 60:.1f}" if summaries else ""
        rates = ["", '<span class="missing">not evaluated</span>', ""]
        if len(group.final):
            rate = float(group.final.mean())
            low, high = (float(bound) for bound in interval(group.final))
            said = f"{low:.0%} to {high:.0%}" if len(group.final) > 1 else "one run"
            rates = [interval_bar(rate, low, high), f"{rate:.1%}", said]
        rows.append([_named(groups, group), *rates, str(len(group.runs)), minutes, wall])
    head = ("Runs with", "", "Success", "95% interval", "Runs", "Operator, min", "Wall, min")
    return section("How they ended", "Autonomous success, from fresh starts: the last word of each run.",
                   table(head, rows))  # fmt: skip


def _ways(groups: Sequence[Group]) -> str:
    ways: tuple[Against, ...] = ("operator_minutes", "environment_steps")
    plots = [
        figure(f"Against {AXIS_NAMES[way]}", _plot(groups, way), "No run was evaluated on its way.")
        for way in ways
    ]
    return section(
        "On their way", "Mean of the runs, and its band.", f'<div class="plots">{"".join(plots)}</div>'
    )


def _plot(groups: Sequence[Group], against: Against) -> str | None:
    bands = [(group, found) for group in groups if (found := band(group, against)) is not None]
    if not bands:
        return None

    def paint(axes: Axes) -> None:
        for index, (group, found) in enumerate(bands):
            colour, style = _COLOURS[index % len(_COLOURS)], _STYLES[index // len(_COLOURS) % len(_STYLES)]
            axes.fill_between(found.x, found.low, found.high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(found.x, found.mean, style, color=colour, label=_letter(groups, group))
        axes.set_ylabel("success")
        axes.set_ylim(-0.02, 1.02)
        percent(axes.yaxis)
        progress_axis(axes, against)
        legend(axes)

    return draw(f"compared_{against}", paint)


def _differences(groups: Sequence[Group]) -> str:
    first, rows = groups[0], []
    for other in groups[1:]:
        found = difference(other, first)
        cells = ["", '<span class="missing">not evaluated</span>']
        if found is not None:
            gap, low, high = (100 * value for value in found)
            cells = [f"{gap:+.1f} points", f"{low:+.1f} to {high:+.1f}"]
        rows.append([_named(groups, other), *cells])
    if not rows:
        return ""
    return section(
        "Against the first",
        f"How much higher than {_letter(groups, first)} they ended; an interval with 0 in it shows nothing.",
        table(("Runs with", "Difference", "95% interval"), rows),
    )


def _letter(groups: Sequence[Group], group: Group) -> str:
    """What a plot has room for; the first table says what it stands for."""
    index = groups.index(group)
    return chr(ord("A") + index) if index < 26 else f"A{index}"


def _named(groups: Sequence[Group], group: Group) -> str:
    return f"{_letter(groups, group)}: {escape(group.label)}"


def _members(groups: Sequence[Group]) -> str:
    rows = []
    for group in groups:
        for run in group.runs:
            verdict = run.records.verdict("policy")
            rate = "" if verdict is None else f"{verdict.successes} of {verdict.episodes}"
            ended = "finished" if run.summary is not None else "not finished"
            rows.append([escape(run.name), _letter(groups, group), str(run.seed), rate, ended])
    return section("The runs", "Each by its folder.", table(("Run", "With", "Seed", "Success", ""), rows))
