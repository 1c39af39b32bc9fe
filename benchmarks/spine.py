"""What feedback teaches: every task over five seeds, and pick_cube with each kind of evidence taken away.

Each cell is one `robot-rlhf train` in a process of its own, evaluated once at the end on fresh starts.
Finished cells are kept in an append-only file and not run again, so the table can stop and go on:

    python benchmarks/spine.py --json spine.json                 # all cells
    python benchmarks/spine.py --json spine.json --quick         # two small cells, minutes
    python benchmarks/spine.py --only pick_cube:fused --jobs 1   # one row, wall times undisturbed
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from robot_rlhf.report.statistics import wilson

RESULTS = Path(__file__).parent / "results" / "spine.jsonl"
WITHOUT = "demonstrations,takeovers,preferences,evaluations,outcomes"


def without(kind: str) -> list[str]:
    """The flag that leaves one kind of feedback out."""
    return ["--feedback", ",".join(name for name in WITHOUT.split(",") if name != kind)]


VARIANTS: dict[str, list[str]] = {
    "fused": [],
    "shuffled": ["--labels", "shuffled"],
    "no_demonstrations": without("demonstrations"),
    "no_preferences": without("preferences"),
    "no_takeovers": without("takeovers"),
    "task_reward": ["--reward", "task"],
}
QUICK = ["--schedule.episodes", "6", "--schedule.final-episodes", "20"]


@dataclass(frozen=True)
class Cell:
    """One run of the table."""

    task: str
    variant: str
    seed: int
    quick: bool

    @property
    def key(self) -> str:
        return f"{self.task}:{self.variant}:{self.seed}{':quick' if self.quick else ''}"


def all_cells(quick: bool, seeds: int, ablation_seeds: int) -> list[Cell]:
    """The table's cells, headline rows first."""
    if quick:
        return [Cell("reach", "fused", 0, True), Cell("pick_cube", "fused", 0, True)]
    headline = [
        Cell(task, "fused", s, False) for task in ("pick_cube", "reach", "push") for s in range(seeds)
    ]
    rest = [name for name in VARIANTS if name != "fused"]
    return headline + [Cell("pick_cube", name, s, False) for s in range(ablation_seeds) for name in rest]


def run_cell(cell: Cell, runs: Path) -> dict[str, Any]:
    """Train and evaluate one cell; the run folder stays under `runs`."""
    out = runs / cell.key.replace(":", "-")
    command = [sys.executable, "-m", "robot_rlhf.cli", "train", "--task", cell.task, "--seed", str(cell.seed)]
    command += [
        "--out",
        str(out),
        "--json",
        "--resume",
        *VARIANTS[cell.variant],
        *(QUICK if cell.quick else []),
    ]
    if cell.variant != "fused":
        command += ["--schedule.no-compare-with-cloning", "--schedule.evaluate-every", "0"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise RuntimeError(f"{cell.key} failed with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    row: dict[str, Any] = {"key": cell.key, "task": cell.task, "variant": cell.variant, "seed": cell.seed}
    row |= json.loads((out / "summary.json").read_text())
    for line in (out / "metrics.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "evaluation" and event["final"] and event["policy"] != "policy":
            row[event["policy"]] = event["successes"] / event["episodes"]
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """One line a (task, variant), in Markdown."""
    lines = [
        "| task | evidence | seeds | pooled success (95% interval) | per seed | clone | chunked clone "
        "| active s | attended s | wall s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["task"], row["variant"]), []).append(row)
    for (task, variant), group in groups.items():
        group.sort(key=lambda row: row["seed"])
        trials = sum(row["episodes"] for row in group)
        successes = round(sum(row["success_rate"] * row["episodes"] for row in group))
        low, high = wilson(successes, trials)
        times = ("operator_seconds", "attended_seconds", "wall_seconds")
        cells = [
            task,
            variant,
            str(len(group)),
            f"{successes / trials:.3f} ({low:.3f} to {high:.3f})",
            " ".join(f"{row['success_rate']:.2f}" for row in group),
            _mean(group, "clone"),
            _mean(group, "chunked_clone"),
            *(f"{median(row[name] for row in group):.0f}" for name in times),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(group: list[dict[str, Any]], name: str) -> str:
    values = [row[name] for row in group if name in row]
    return f"{sum(values) / len(values):.3f}" if values else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="two small cells, not kept")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of the headline rows")
    parser.add_argument("--ablation-seeds", type=int, default=2, help="seeds of the other rows")
    parser.add_argument("--jobs", type=int, default=1, help="cells at the same time")
    parser.add_argument("--only", default="", help="run only cells whose key starts so, e.g. push:fused")
    parser.add_argument("--runs", type=Path, help="keep the run folders here (default: thrown away)")
    arguments = parser.parse_args()
    cells = all_cells(arguments.quick, arguments.seeds, arguments.ablation_seeds)
    cells = [cell for cell in cells if cell.key.startswith(arguments.only)]
    if not cells:
        parser.error(f"--only {arguments.only!r} names no cell")
    kept = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    rows = {row["key"]: row for row in kept}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.jobs) as pool:
        todo = [cell for cell in cells if cell.key not in rows]
        for row in pool.map(lambda cell: run_cell(cell, arguments.runs or Path(folder)), todo):
            rows[row["key"]] = row
            print(f"{row['key']}: {row['success_rate']:.2f} in {row['wall_seconds']:.0f} s", file=sys.stderr)
            if not arguments.quick:
                RESULTS.parent.mkdir(exist_ok=True)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    chosen = [rows[cell.key] for cell in cells]
    print(table(chosen))
    if arguments.json:
        machine = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
        }
        arguments.json.write_text(json.dumps({"machine": machine, "rows": chosen}, indent=2) + "\n")


if __name__ == "__main__":
    main()
