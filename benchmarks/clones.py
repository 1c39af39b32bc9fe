"""What a clone is best made of: demonstrations alone, or with what the operator or the policy did later.

Fits clones to the evidence that a finished run has left, and lets each act alone from fresh starts:

    robot-rlhf train --task push --out RUN
    python benchmarks/clones.py RUN [--starts 100] [--fits 2] [--set obs_noise=0.2 obs_noise=0.5,stride=0.6]

`takeovers` adds what the operator drove in the policy's episodes, `successes` those of them that were marked
so, whole, whoever drove, and `alone` the successes without a takeover. --set changes the clone's settings.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Kind, Outcome
from robot_rlhf.learning.cloning import ChunkedClone
from robot_rlhf.learning.policy_config import CloneConfig
from robot_rlhf.learning.processor import compute_with
from robot_rlhf.learning.strides import shows_how
from robot_rlhf.session.environment import environment
from robot_rlhf.session.evaluation import evaluate
from robot_rlhf.session.learner import Driving
from robot_rlhf.session.run_folder import DATABASE, read_config

STREAM = 77
"""Added to the run's seed: starts that no policy of the run was evaluated from."""


def evidence(run: Path, config: CloneConfig) -> dict[str, tuple[list[Episode], list[Episode]]]:
    """What a clone may be made of, by name: episodes of which the operator's steps are imitated, and those of
    which all are."""
    with Store.open_readonly(run / DATABASE) as store:
        episodes = store.episodes()
        events = store.feedback({Kind.OUTCOMES})
    marks = {event.episode: event.success for event in events if isinstance(event, Outcome)}
    shown = [
        one
        for one in episodes
        if one.role is Role.DEMONSTRATION and marks.get(one.id, True) and shows_how(one, config)
    ]
    online = [one for one in episodes if one.role is Role.ONLINE]
    won = [one for one in online if marks.get(one.id, False)]
    alone = [one for one in won if not one.operator_steps.any()]
    return {
        "demonstrations": (shown, []),
        "takeovers": ([*shown, *online], []),
        "successes": (shown, won),
        "alone": (shown, alone),
    }


def settings(text: str) -> dict[str, Any]:
    """`a=1,b=0.5` -> the two."""
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {name: float(value) if "." in value else int(value) for name, _, value in pairs}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs")
    parser.add_argument("--starts", type=int, default=100, help="fresh starts of each clone")
    parser.add_argument("--fits", type=int, default=1, help="clones of each, by other seeds")
    parser.add_argument("--of", nargs="+", default=None, help="what it is made of (default: each)")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the clone, beside the run's own")
    asked = parser.parse_args()
    compute_with(1)
    print("| run | made of | settings | episodes | success | steps | held-out error |")
    print("|---|---|---|---|---|---|---|")
    for run in asked.runs:
        config = read_config(run)
        made_of = evidence(run, config.clone)
        env = environment(config, end_on_success=True)
        for changes in ["", *asked.set]:
            clone_config = replace(config.clone, **settings(changes))
            for name in asked.of or made_of:
                episodes, whole = made_of[name]
                count = len(episodes) + len(whole)
                sizes = episodes[0].obs.shape[1], episodes[0].action.shape[1]
                succeeded, steps, errors = [], [], []
                for seed in range(asked.fits):
                    clone = ChunkedClone(*sizes, clone_config, seed)
                    clone.fit(episodes, np.random.default_rng(seed), successes=whole)
                    result = evaluate(env, Driving(clone, None), asked.starts, config.seed + STREAM)
                    succeeded.append(result.succeeded / asked.starts)
                    steps.append(result.mean_length)
                    errors.append(clone.heldout_error or np.nan)
                print(
                    f"| {run.name} | {name} | {changes} | {count} | {np.mean(succeeded):.3f} "
                    f"| {np.mean(steps):.1f} | {np.mean(errors):.3f} |",
                    flush=True,
                )
        env.close()


if __name__ == "__main__":
    main()
