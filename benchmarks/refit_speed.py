"""Seconds that a fit of the reward model takes, as feedback comes in.

Runs of 10, 100 and 1,000 events of all kinds, two events an episode of 100 steps, one thread unless told:

    python benchmarks/refit_speed.py --json FILE [--device cuda]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import (
    Choice,
    Demonstration,
    Evaluation,
    EventFields,
    Feedback,
    Outcome,
    Preference,
    Segment,
    Takeover,
)
from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.learning.reward_model import RewardModel

SIZES = (10, 100, 1_000)
OBS, ACTION, STEPS = 16, 4, 100
SIDE = 1_000_000
"""Counterfactual episodes are numbered from here."""


def walk(number: int, role: Role, rng: np.random.Generator) -> Episode:
    """A random walk."""
    obs = np.cumsum(rng.normal(0.0, 0.1, (STEPS + 1, OBS)), axis=0).astype(np.float32)
    action, driver = np.zeros((STEPS, ACTION), np.float32), np.zeros(STEPS, np.uint8)
    scenes = np.zeros((STEPS + 1, 1), np.float32)
    return Episode(number, role, "t", 0, 0, obs, action, action, driver, scenes, False, True)


def evidence(events: int, rng: np.random.Generator) -> tuple[list[Feedback], dict[int, Episode]]:
    """As many events, the kinds in turn, and the episodes they speak of."""
    said: list[Feedback] = []
    episodes: dict[int, Episode] = {}
    for index in range(events):
        number, side = index // 2, SIDE + index
        role = Role.DEMONSTRATION if index < 16 else Role.ONLINE
        episodes.setdefault(number, walk(number, role, rng))
        fields: EventFields = {"id": str(index), "operator": "ada", "session": "s", "time_ns": index}
        better = bool(rng.random() < 0.5)
        match index % 5:
            case 0:
                said.append(Outcome(**fields, episode=number, success=better))
            case 1:
                said.append(Evaluation(**fields, episode=number, step=60, good=better))
            case 2:
                episodes[side] = walk(side, Role.COUNTERFACTUAL, rng)
                driven, instead = Segment(number, 20, 15), Segment(side, 0, 15)
                said.append(Takeover(**fields, executed=driven, counterfactual=instead))
            case 3:
                left, right = Segment(number, 0, 20), Segment(max(0, number - 1), 40, 20)
                choice = Choice.LEFT if better else Choice.RIGHT
                said.append(
                    Preference(
                        **fields, query=str(index), left=left, right=right, choice=choice, response_s=4.0
                    )
                )
            case _:
                episodes[side] = walk(side, Role.COUNTERFACTUAL, rng)
                said.append(Demonstration(**fields, episode=number, alternatives=(side,)))
    return said, episodes


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--events", type=int, nargs="+", default=SIZES, help="how many a fit has")
    parser.add_argument("--repeats", type=int, default=7, help="fits a size, of which the median counts")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what to fit on")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    rows = []
    print("| events | seconds a fit | of a processor | steps |\n|---|---|---|---|")
    for size in asked.events:
        events, episodes = evidence(size, np.random.default_rng(0))
        model = RewardModel(OBS, RewardConfig(), 0, asked.device)
        fits, processor_s = [], []
        for _ in range(asked.repeats):
            since = time.process_time()
            fits.append(model.fit(events, episodes))
            processor_s.append(time.process_time() - since)
        seconds, steps = statistics.median(fit.seconds for fit in fits), fits[-1].steps
        busy = statistics.median(processor_s)
        print(f"| {size:,} | {seconds:.2f} | {busy:.2f} | {steps} |", flush=True)
        rows.append({"events": size, "seconds": seconds, "processor_seconds": busy, "steps": steps})
    if asked.json is not None:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
