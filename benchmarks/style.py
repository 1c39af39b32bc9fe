"""How much of an operator's hidden utility is won: their style, which no success tells.

Three styles (sim/styles.py). For each, and each seed, three runs: on the plain task, so that feedback asks
for success alone; on the styled task, from feedback; and on the styled task with its utility as the reward,
which is an upper bound. All are judged by the styled utility, a step's mean over 100 fresh starts of full
length:

    won = (feedback - success only) / (direct - success only)

Finished cells are kept in an append-only file and not run again:

    python benchmarks/style.py --json FILE --seeds 3 --jobs 2
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robot_rlhf.commands import arguments
from robot_rlhf.commands.parsing import parse
from robot_rlhf.commands.train import bring_to_end
from robot_rlhf.commands.trained import read_learner
from robot_rlhf.runners.processes import ProcessRunner
from robot_rlhf.session.seeds import Purpose, seed_of
from sim.env import TaskEnv
from sim.styles import STYLES

RESULTS = Path(__file__).parent / "results" / "style.jsonl"
STARTS = 100
PAIRS = ("--schedule.pairs-first", "10", "--schedule.pairs-last", "5", "--schedule.pairs-decay", "0.8")
"""A style shows in comparisons more than in marks, so more of them are asked; in both runs from feedback."""
WAYS: dict[str, tuple[str, ...]] = {
    "success_only": PAIRS,
    "feedback": PAIRS,
    "direct": ("--reward", "task"),
}


@dataclass(frozen=True)
class Cell:
    """One run, judged by one style."""

    style: str
    way: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.style}:{self.way}:{self.seed}"

    @property
    def task(self) -> str:
        return self.style.partition("/")[0] if self.way == "success_only" else self.style


@dataclass(frozen=True)
class Train:
    """What a worker does: train and judge."""

    runs: Path

    def __call__(self, cell: Cell) -> dict[str, Any]:
        out = self.runs / f"{cell.task.replace('/', '-')}-{cell.way}-{cell.seed}"
        words = ["--task", cell.task, "--seed", str(cell.seed), "--out", str(out)]
        few = ["--schedule.no-compare-with-cloning", "--schedule.evaluate-every", "0"]
        command = parse(["train", *words, *few, *WAYS[cell.way]])
        assert isinstance(command, arguments.Train)
        with open(os.devnull, "w") as nowhere:
            summary = bring_to_end(out, command.settings, nowhere)
        named = {"key": cell.name, "style": cell.style, "way": cell.way, "seed": cell.seed}
        return named | {"operator_seconds": round(summary.operator_seconds, 1)} | judge(out, cell.style)


def judge(run: Path, style: str) -> dict[str, float]:
    """Mean styled utility a step, how far the style was broken, and the rate of success at the end."""
    torch.set_num_threads(1)
    config, learner = read_learner(run)
    if learner is None:
        raise SystemExit(f"{run} has no checkpoint")
    env, actor = TaskEnv(style, config.control_hz), learner.policy(explore=False)
    utility, broken, successes = [], [], []
    for index in range(STARTS):
        obs, _ = env.reset(seed=seed_of(config.seed, Purpose.EVALUATION, 0, index))
        actor.reset()
        for _ in range(env.horizon):
            obs, reward, _, _, info = env.step(actor.act(obs))
            utility.append(reward)
            broken.append(float(STYLES[style].breach(env.scene)))
        successes.append(bool(info["is_success"]))
    env.close()
    means = {"utility": np.mean(utility), "broken": np.mean(broken), "success_rate": np.mean(successes)}
    return {name: round(float(value), 5) for name, value in means.items()}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A line a style, means over the seeds that have all three runs."""
    lines = [
        "| style | seeds | success only | feedback | direct | won | broken: success only, feedback, direct "
        "| success: success only, feedback, direct | operator s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for style in STYLES:
        mine = {(row["way"], row["seed"]): row for row in rows if row["style"] == style}
        seeds = [s for s in sorted({s for _, s in mine}) if all((way, s) in mine for way in WAYS)]
        if not seeds:
            continue

        def mean(name: str, way: str, mine: Any = mine, seeds: Any = seeds) -> float:
            return float(np.mean([mine[way, seed][name] for seed in seeds]))

        low, ours, top = (mean("utility", way) for way in WAYS)
        won = (ours - low) / (top - low)
        broken = ", ".join(f"{mean('broken', way):.3f}" for way in WAYS)
        success = ", ".join(f"{mean('success_rate', way):.2f}" for way in WAYS)
        lines.append(
            f"| {style} | {len(seeds)} | {low:.3f} | {ours:.3f} | {top:.3f} | {won:.2f} | {broken} "
            f"| {success} | {mean('operator_seconds', 'feedback'):.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is lacking, print the table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each")
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    parser.add_argument(
        "--only", default="", help="cells whose key starts with one of these, comma-separated"
    )
    parser.add_argument("--cached", action="store_true", help="run nothing: show what is there")
    asked = parser.parse_args()
    cells = [Cell(style, way, seed) for seed in range(asked.seeds) for style in STYLES for way in WAYS]
    cells = [cell for cell in cells if cell.name.startswith(tuple(asked.only.split(",")))]
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    kept = {row["key"] for row in rows}
    todo = [] if asked.cached else [cell for cell in cells if cell.name not in kept]
    with tempfile.TemporaryDirectory() as folder:
        for row in ProcessRunner(asked.jobs).map(Train(Path(folder)), todo):
            print(f"{row['key']}: utility {row['utility']:.3f}", file=sys.stderr, flush=True)
            rows.append(row)
            RESULTS.parent.mkdir(exist_ok=True)
            with RESULTS.open("a") as file:
                file.write(json.dumps(row) + "\n")
    print(table(rows))
    if asked.json is not None:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
