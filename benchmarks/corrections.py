"""How far a correction of the clone may go, and by how much the critics have to prefer it.

Lets the policy that a finished run has left act from fresh starts, with other bounds than it learned with,
and its clone by itself:

    robot-rlhf train --task pick_place --out RUN
    python benchmarks/corrections.py RUN [--starts 80] [--reach 0.1 0.2 2] [--margin 0.05]
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import replace
from pathlib import Path

from robot_rlhf.commands.trained import read_learner
from robot_rlhf.learning.processor import compute_with
from robot_rlhf.session.environment import environment
from robot_rlhf.session.evaluation import evaluate
from robot_rlhf.session.learner import Driving

_OTHER_STARTS = 77  # added to the run's seed, as in clones.py: starts that no policy of it was evaluated from


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs")
    parser.add_argument("--starts", type=int, default=80, help="fresh starts of each")
    parser.add_argument("--reach", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.4, 0.8, 2.0])
    parser.add_argument("--margin", type=float, nargs="+", default=[0.05])
    asked = parser.parse_args()
    compute_with(1)
    print("| run | reach | margin | success | steps |")
    print("|---|---|---|---|---|")
    for run in asked.runs:
        config, learner = read_learner(run)
        if learner is None or learner.clone is None:
            raise SystemExit(f"{run} has no policy that corrects a clone")
        env, seed = environment(config, end_on_success=True), config.seed + _OTHER_STARTS
        alone = evaluate(env, Driving(copy.copy(learner.clone), None), asked.starts, seed)
        print(
            f"| {run.name} | the clone | | {alone.succeeded / asked.starts:.3f} | {alone.mean_length:.1f} |"
        )
        learned_with = learner.sac.config
        for reach in asked.reach:
            for margin in asked.margin:
                learner.sac.config = replace(learned_with, correction_reach=reach, correction_margin=margin)
                result = evaluate(env, learner.policy(explore=False), asked.starts, seed)
                print(
                    f"| {run.name} | {reach} | {margin} | {result.succeeded / asked.starts:.3f} "
                    f"| {result.mean_length:.1f} |",
                    flush=True,
                )
        env.close()


if __name__ == "__main__":
    main()
