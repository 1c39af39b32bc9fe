"""How long it takes to choose the next pair to ask about, and to load its clips, as a run grows.

Runs of 10^3, 10^4 and 10^5 stored episodes, a tenth as many answered pairs, a fitted reward model:

    python benchmarks/query_speed.py --json FILE
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.queries import QueryConfig, select_queries
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Outcome, Query, Segment
from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.learning.reward_model import RewardModel

SIZES = (1_000, 10_000, 100_000)
OBS, ACTION, SCENE, STEPS = 16, 4, 26, 30
PAIRS = 3
"""Pairs of a round."""


def make_episode(number: int, rng: np.random.Generator) -> Episode:
    """A random walk."""
    obs = np.cumsum(rng.normal(0.0, 0.1, (STEPS + 1, OBS)), axis=0).astype(np.float32)
    action, driver = np.zeros((STEPS, ACTION), np.float32), np.zeros(STEPS, np.uint8)
    scenes = np.zeros((STEPS + 1, SCENE), np.float32)
    return Episode(number, Role.ONLINE, "t", 0, 0, obs, action, action, driver, scenes, False, True)


def measure(size: int, rounds: int, folder: Path) -> NDArray[np.float64]:
    """Seconds (rounds,) from the wish for a round of pairs to their clips in memory."""
    rng = np.random.default_rng(0)
    episodes: dict[int, Episode] = {}
    with Store.create(folder / f"{size}.db") as store:
        for start in range(0, size, 1000):
            with store.transaction():
                for number in range(start, min(size, start + 1000)):
                    episodes[number] = make_episode(number, rng)
                    store.add_episode(episodes[number], (np.zeros(STEPS, np.float32), False))
        with store.transaction():
            for number in range(0, size, 10):
                left, right = Segment(number, 0, 20), Segment(number + 1, 5, 20)
                store.add_query(Query(f"q{number}", left, right, "random"))
        newest = {number: episodes[number] for number in range(size - 20, size)}
        marks = [
            Outcome(id=str(n), operator="a", session="s", time_ns=n, episode=n, success=n % 2 == 0)
            for n in newest
        ]
        reward = RewardModel(OBS, RewardConfig(), 0)
        reward.fit(marks, newest)

        def worth(left: Sequence[Segment], right: Sequence[Segment]) -> NDArray[np.float32]:
            return reward.pair_information(left, right, episodes)

        asked: list[Query] = []
        seconds = []
        gc.collect()
        gc.freeze()  # as a live session's learner does
        for index in range(rounds):
            began = time.perf_counter()
            asked += store.queries(skip=len(asked))
            chosen = select_queries(
                episodes,
                asked,
                worth,
                PAIRS,
                QueryConfig(),
                np.random.default_rng(index),
                lambda left, right: f"{left}{right}",
            )
            for query in chosen:
                for segment in (query.left, query.right):
                    store.episode(segment.episode)
            seconds.append(time.perf_counter() - began)
    return np.array(seconds[1:])  # the first reads all that was asked, as a session does once


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--rounds", type=int, default=200, help="rounds of pairs a size")
    asked = parser.parse_args()
    rows = []
    print("| episodes | p50 | p99 | max |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            p50, p99, most = 1e3 * np.percentile(measure(size, asked.rounds, Path(folder)), [50, 99, 100])
            print(f"| {size:,} | {p50:.1f} ms | {p99:.1f} ms | {most:.1f} ms |", flush=True)
            rows.append({"episodes": size, "p50_ms": p50, "p99_ms": p99, "max_ms": most})
    if asked.json is not None:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
