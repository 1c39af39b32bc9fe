"""Autonomous success over the operator's seconds: our five kinds fused, the known methods, and ablations.

Every cell is one `robot-rlhf train` with a simulated operator who has human-like hands and errs in 5% of
their judgements. At fixed amounts of the operator's active time the policy, as it would be deployed at that
moment, acts alone from 100 fresh starts. Finished cells are kept in an append-only file and not run again, so
the table can stop and go on:

    python benchmarks/feedback_efficiency.py --json fe.json --jobs 2             # every cell
    python benchmarks/feedback_efficiency.py --json fe.json --quick              # three small cells, minutes
    python benchmarks/feedback_efficiency.py --only pick_cube:fused --seeds 10   # one row
    python benchmarks/feedback_efficiency.py --cached --plot curves.svg          # what is there, nothing run

A run that has given all the feedback it asks for keeps its last success for the rest of the axis. The area
is the mean height of a curve from 0 to 600 operator seconds, 0 before its first point.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_rlhf.commands import arguments
from robot_rlhf.commands.parsing import parse
from robot_rlhf.commands.train import bring_to_end
from robot_rlhf.report.statistics import wilson
from robot_rlhf.runners.processes import ProcessRunner
from sim.task import TASKS

RESULTS = Path(__file__).parent / "results" / "feedback_efficiency.jsonl"
POINTS_S = (40, 60, 90, 120, 180, 240, 360, 600)
SHOWN_S = (75, 130, 250)  # a point is measured at the end of whatever the operator was about
AXIS_S = 600.0
BUDGETS_S = (60, 120, 240)
"""Operator seconds at which demonstrations alone get a run each, since reward and policy come after them."""
KINDS = ("demonstrations", "takeovers", "preferences", "evaluations", "outcomes")


def without(kind: str) -> list[str]:
    """The flag that leaves one kind of feedback out."""
    return ["--feedback", ",".join(name for name in KINDS if name != kind)]


MODES: dict[str, list[str]] = {
    "fused": [],
    "bc": [
        *("--policy", "clone", "--feedback", "demonstrations,outcomes"),  # marks say what not to imitate
        *("--schedule.demonstrations", "1000", "--schedule.episodes", "0"),
    ],
    "hg_dagger": [
        *("--policy", "clone", "--feedback", "demonstrations,takeovers,outcomes"),
        *("--schedule.episodes", "1000", "--schedule.takeover-seconds", "10000"),
    ],
    "hil_serl": ["--feedback", "demonstrations,takeovers,outcomes", "--rewarded-by", "outcomes"],
    "preferences": [
        *("--feedback", "preferences", "--schedule.warmup-episodes", "1"),
        *("--schedule.pairs-first", "12", "--schedule.pairs-last", "8", "--schedule.episodes", "60"),
    ],
    "demonstrations": [
        *("--feedback", "demonstrations", "--schedule.demonstrations", "1000"),
        *("--schedule.episodes", "36"),
    ],
    "task_reward": ["--reward", "task"],
    "noisy": ["--simulated.kind", "noisy"],
    "shuffled": ["--labels", "shuffled"],
    "presses_always": ["--schedule.no-weigh-presses"],
    **{f"no_{kind}": without(kind) for kind in KINDS},
}
HEADLINE = ("fused", "bc", "hg_dagger", "hil_serl", "preferences", "demonstrations", "task_reward")
QUICK = (
    "--schedule.episodes",
    "6",
    "--schedule.evaluation-episodes",
    "20",
    "--schedule.final-episodes",
    "20",
)


@dataclass(frozen=True)
class Cell:
    """One run: `budget_s` is how much of the operator's time it may take."""

    task: str
    mode: str
    seed: int
    budget_s: int = POINTS_S[-1]
    quick: bool = False

    @property
    def name(self) -> str:
        budget = f":{self.budget_s}" if self.budget_s != POINTS_S[-1] else ""
        return f"{self.task}:{self.mode}:{self.seed}{budget}{':quick' if self.quick else ''}"

    def words(self, out: Path) -> list[str]:
        """The command line that runs it."""
        points = [str(point) for point in POINTS_S if point <= self.budget_s]
        if self.mode == "demonstrations":
            points = []  # its one point is the end
        return [
            *(
                "train",
                "--task",
                self.task,
                "--seed",
                str(self.seed),
                "--out",
                str(out),
                "--json",
                "--resume",
            ),
            *("--schedule.no-compare-with-cloning", "--schedule.evaluate-every", "0"),
            *("--schedule.evaluation-episodes", "100", "--schedule.operator-seconds", str(self.budget_s)),
            *(["--schedule.evaluate-at", *points] if points else []),
            *MODES[self.mode],
            *(QUICK if self.quick else ()),
        ]


def all_cells(quick: bool, seeds: int, other_seeds: int) -> list[Cell]:
    """The table's cells: every seed of one task after the other, the headline modes first."""
    if quick:
        return [Cell("reach", mode, 0, 60, True) for mode in ("fused", "bc", "hg_dagger")]
    cells = []
    for task in ("pick_cube", *(name for name in TASKS if name != "pick_cube")):
        for seed in range(seeds if task == "pick_cube" else other_seeds):
            for mode in HEADLINE:
                budgets = BUDGETS_S if mode == "demonstrations" else (POINTS_S[-1],)
                cells += [Cell(task, mode, seed, budget) for budget in budgets]
    ablations = [mode for mode in MODES if mode not in HEADLINE]
    return cells + [
        Cell(task, mode, seed)
        for task in ("pick_cube", "push")
        for seed in range(other_seeds)
        for mode in ablations
    ]


def code_version() -> str:
    """The commit that is measured, with a + where the code differs from it; empty where git does not know."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        here = Path(__file__).resolve().parents[1]
        return subprocess.run(["git", *words], capture_output=True, text=True, cwd=here, check=False)

    changed = git("diff", "--quiet", "HEAD", "--", "robot_rlhf", "sim", "hardware").returncode != 0
    commit = git("rev-parse", "--short", "HEAD").stdout.strip()
    return f"{commit}+" if commit and changed else commit


@dataclass(frozen=True)
class Train:
    """What a worker does: a cell's rows, one for each point of the curve, the end included."""

    runs: Path
    commit: str

    def __call__(self, cell: Cell) -> list[dict[str, Any]]:
        out = self.runs / cell.name.replace(":", "-")
        command = parse(cell.words(out))
        assert isinstance(command, arguments.Train)
        with open(os.devnull, "w") as nowhere:
            bring_to_end(out, command.settings, nowhere)
        return rows_of(cell, out, self.commit)


def rows_of(cell: Cell, out: Path, commit: str) -> list[dict[str, Any]]:
    """The curve of the run at `out`."""
    rows = []
    for line in (out / "metrics.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "evaluation" and event["policy"] == "policy":
            rows.append(
                {
                    "key": cell.name,
                    "commit": commit,
                    "task": cell.task,
                    "mode": cell.mode,
                    "seed": cell.seed,
                    **{
                        name: round(event[name], 2)
                        for name in ("operator_seconds", "attended_seconds", "wall_seconds")
                    },
                    "environment_steps": event["environment_steps"],
                    "success_rate": event["successes"] / event["episodes"],
                    "episodes": event["episodes"],
                    "mean_length": round(event["mean_length"], 2),
                    "final": event["final"],
                }
            )
    return rows


def curve(rows: Sequence[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """One seed's steps: operator seconds (K,) and the success (K,) that holds from each to the next. What was
    evaluated last at a time is what holds from it."""
    ordered = sorted(rows, key=lambda row: (row["operator_seconds"], row["final"]))
    at = np.array([row["operator_seconds"] for row in ordered])
    return at, np.array([row["success_rate"] for row in ordered])


def height(steps: tuple[np.ndarray, np.ndarray], seconds: float) -> float:
    """Success after so many operator seconds; 0 before the first evaluation."""
    at, success = steps
    before = int(np.searchsorted(at, seconds, side="right"))
    return float(success[before - 1]) if before else 0.0


def area(steps: tuple[np.ndarray, np.ndarray]) -> float:
    """Mean height from 0 to AXIS_S."""
    at, success = steps
    widths = np.diff(np.append(np.minimum(at, AXIS_S), AXIS_S))
    return float((success * widths).sum() / AXIS_S)


def interval(values: Sequence[float], draws: int = 10_000) -> tuple[float, float]:
    """95% bootstrap interval of the mean over seeds."""
    array = np.asarray(values)
    means = array[np.random.default_rng(0).integers(0, len(array), (draws, len(array)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def grouped(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[int, list[dict[str, Any]]]]:
    """(task, mode) -> seed -> rows."""
    groups: dict[tuple[str, str], dict[int, list[dict[str, Any]]]] = {}
    for row in rows:
        groups.setdefault((row["task"], row["mode"]), {}).setdefault(row["seed"], []).append(row)
    return groups


def table(rows: Sequence[dict[str, Any]]) -> str:
    """One line a (task, mode), in Markdown."""
    at = " | ".join(f"by {point} s" for point in SHOWN_S)
    lines = [
        f"| task | mode | seeds | area (95%) | {at} | end: success (95%) | active s | attended s | wall s "
        "| steps of a success | code |",
        "|---|---|---|---|" + "---|" * len(SHOWN_S) + "---|---|---|---|---|---|",
    ]
    for (task, mode), seeds in grouped(rows).items():
        curves = [curve(own) for own in seeds.values()]
        areas = [area(steps) for steps in curves]
        low, high = interval(areas)
        ends = [max(own, key=lambda row: (row["final"], row["operator_seconds"])) for own in seeds.values()]
        trials = sum(end["episodes"] for end in ends)
        successes = round(sum(end["success_rate"] * end["episodes"] for end in ends))
        least, most = wilson(successes, trials)
        medians = [
            f"{np.median([end[name] for end in ends]):.0f}"
            for name in ("operator_seconds", "attended_seconds", "wall_seconds", "mean_length")
        ]
        shown = [f"{np.mean([height(steps, point) for steps in curves]):.2f}" for point in SHOWN_S]
        line = [task, mode, str(len(seeds)), f"{np.mean(areas):.3f} ({low:.3f} to {high:.3f})", *shown]
        code = ", ".join(sorted({end["commit"] for end in ends}))
        line += [f"{successes / trials:.3f} ({least:.3f} to {most:.3f})", *medians, code]
        lines.append(f"| {' | '.join(line)} |")
    return "\n".join(lines)


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Curves with the range over seeds as a band, a panel a task."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = grouped(rows)
    tasks = sorted({task for task, _ in groups})
    columns = min(len(tasks), 3)
    lines = -(-len(tasks) // columns)
    figure, panels = pyplot.subplots(lines, columns, figsize=(5.5 * columns, 3.6 * lines), squeeze=False)
    for unused in panels.flat[len(tasks) :]:
        unused.set_axis_off()
    shown: dict[str, Any] = {}
    for panel, task in zip(panels.flat, tasks, strict=False):
        for mode in HEADLINE:
            if (task, mode) not in groups:
                continue
            axis = np.arange(0.0, AXIS_S + 1.0)
            steps = [curve(own) for own in groups[task, mode].values()]
            heights = np.array([[height(one, second) for second in axis] for one in steps])
            colour = f"C{HEADLINE.index(mode)}"
            (shown[mode],) = panel.step(axis, heights.mean(axis=0), where="post", color=colour)
            low, high = heights.min(axis=0), heights.max(axis=0)
            panel.fill_between(axis, low, high, step="post", alpha=0.12, color=colour, lw=0)
        panel.set(title=task, xlabel="operator seconds (active)", ylim=(0, 1.02), xlim=(0, AXIS_S))
    for panel in panels[:, 0]:
        panel.set_ylabel("autonomous success")
    panels[0][0].legend(shown.values(), shown, fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Run what is lacking, print the table, write JSON and picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--plot", type=Path, help="write the curves to this file (svg, png)")
    parser.add_argument("--quick", action="store_true", help="three small cells, not kept")
    parser.add_argument("--cached", action="store_true", help="run nothing: show what is there")
    parser.add_argument("--seeds", type=int, default=10, help="seeds for pick_cube's headline")
    parser.add_argument("--other-seeds", type=int, default=3, help="seeds elsewhere")
    parser.add_argument("--jobs", type=int, default=1, help="cells at the same time")
    parser.add_argument(
        "--only", default="", help="cells whose key starts with one of these, comma-separated"
    )
    parser.add_argument("--runs", type=Path, help="keep the run folders here (default: thrown away)")
    asked = parser.parse_args()
    kept = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    cells = all_cells(asked.quick, asked.seeds, asked.other_seeds)
    cells = [cell for cell in cells if cell.name.startswith(tuple(asked.only.split(",")))]
    if not cells:
        parser.error(f"--only {asked.only!r} names no cell")
    rows = {cell.name: [row for row in kept if row["key"] == cell.name] for cell in cells}
    todo = [] if asked.cached else [cell for cell in cells if not rows[cell.name]]
    with tempfile.TemporaryDirectory() as folder:
        work = Train(asked.runs or Path(folder), code_version())
        for found in ProcessRunner(asked.jobs).map(work, todo):
            end = found[-1]
            rows[end["key"]] = found
            print(
                f"{end['key']}: {end['success_rate']:.2f} after {end['operator_seconds']:.0f} operator s "
                f"and {end['wall_seconds']:.0f} s",
                file=sys.stderr,
                flush=True,
            )
            if not asked.quick:
                RESULTS.parent.mkdir(exist_ok=True)
                with RESULTS.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in found)
    chosen = [row for cell in cells for row in rows[cell.name]]
    print(table(chosen))
    if asked.plot is not None:
        plot(chosen, asked.plot)
    if asked.json is not None:
        machine = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
        }
        asked.json.write_text(json.dumps({"machine": machine, "rows": chosen}, indent=2) + "\n")


if __name__ == "__main__":
    main()
