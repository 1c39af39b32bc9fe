"""What a large run costs: time and peak memory of opening, listing, sampling, reporting and exporting it.

    python benchmarks/big_run.py --json big_run.json

Made-up runs of 10^3 and 10^4 episodes of 50 steps, ten events each, in a folder as training leaves it, but
for the learner's checkpoint: so the rewards of an export are 0. Every figure is of a process of its own:
seconds within it, once Python and the modules are loaded, and the most memory that it held. "times" is how
much more ten times the run costs: 10 is linear.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import (
    Choice,
    Evaluation,
    Feedback,
    Outcome,
    Preference,
    Query,
    Segment,
    Takeover,
)
from robot_rlhf.report.metrics import NAME, EpisodeEnded
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import DATABASE, RunFolder

SIZES = (1_000, 10_000)
STEPS, OBS, ACTION, SCENE = 50, 14, 3, 26  # of reach
EVENTS = 10
"""Of an episode: a mark, a takeover, five presses, three answers."""
_CHUNK = 500  # episodes in a transaction


def make_run(folder: Path, episodes: int) -> None:
    """A run of so many episodes, and ten times as many events."""
    rng = np.random.default_rng(0)
    run = RunFolder.create(folder, RunConfig(task="reach"))
    for start in range(0, episodes, _CHUNK):
        with run.store.transaction():
            for id in range(start, min(start + _CHUNK, episodes)):
                run.store.add_episode(_episode(id, rng), (np.zeros(STEPS, np.float32), id % 2 == 0))
                for event in _events(id, run.store):
                    run.store.add_feedback(event)
                run.store.book("watching", 0.0, 5.0, episode=id)
    run.close()
    with (folder / NAME).open("wb") as log:
        for id in range(episodes):
            ended = EpisodeEnded(
                episode=id, role=Role.ONLINE, length=STEPS, success_mark=True, operator_fraction=0.2
            )
            moment = {"environment_steps": STEPS * (id + 1), "operator_seconds": float(id)}
            rest = {"attended_seconds": 5.0 * id, "wall_seconds": 6.0 * id}
            log.write(msgspec.json.encode(msgspec.to_builtins(ended) | moment | rest) + b"\n")


def _episode(id: int, rng: np.random.Generator) -> Episode:
    obs = np.cumsum(rng.normal(0, 0.1, (STEPS + 1, OBS)), axis=0).astype(np.float32)
    scenes = np.cumsum(rng.normal(0, 0.01, (STEPS + 1, SCENE)), axis=0).astype(np.float32)
    action = rng.uniform(-1, 1, (STEPS, ACTION)).astype(np.float32)
    driver = (rng.random(STEPS) < 0.2).astype(np.uint8)
    return Episode(id, Role.ONLINE, "reach", id, id, obs, action, action, driver, scenes, False, True)


def _events(id: int, store: Store) -> Iterator[Feedback]:
    def who(number: int) -> dict[str, Any]:
        return {"id": f"{id}-{number}", "operator": "ann", "session": "s", "time_ns": id * 10**9 + number}

    yield Outcome(episode=id, success=id % 2 == 0, **who(0))
    yield Takeover(executed=Segment(id, 10, 10), counterfactual=None, **who(1))
    for number in range(2, 7):
        yield Evaluation(episode=id, step=5 * number, good=number % 2 == 0, **who(number))
    for number in range(7, EVENTS):
        query = Query(f"q{id}-{number}", Segment(id, 0, 20), Segment(max(0, id - 1), number, 20), "random")
        store.add_query(query)
        yield Preference(
            query=query.id,
            left=query.left,
            right=query.right,
            choice=Choice.LEFT,
            response_s=1.0,
            **who(number),
        )


def _opened(run: Path) -> None:
    Store.open(run / DATABASE).close()


def _read(run: Path) -> None:
    Store.open_readonly(run / DATABASE).close()


def _described(run: Path) -> None:
    from robot_rlhf.commands.info import describe

    describe(run)


def _listed(run: Path) -> None:
    from robot_rlhf.commands.arguments import Said
    from robot_rlhf.commands.said import listed

    assert len(listed(Said("list", run)).events) == 30


def _searched(run: Path) -> None:
    from robot_rlhf.commands.arguments import Said
    from robot_rlhf.commands.said import listed

    assert len(listed(Said("list", run, kind="preferences", episode=100)).events)


def _sampled(run: Path) -> None:
    """From the store into the replay, and a batch out of it: what `--resume` does first."""
    from robot_rlhf.learning.replay import Replay

    replay = Replay(OBS, ACTION)
    with Store.open_readonly(run / DATABASE) as store:
        for episode in store.each_episode():
            replay.add(episode)
    replay.score(lambda obs, _: obs[:, 0], 1)
    replay.sample(256, 0.5, np.random.default_rng(0))


def _learned(run: Path) -> None:
    """The events that can be learned from, as a fit takes them."""
    with Store.open_readonly(run / DATABASE) as store:
        assert store.feedback(learnable=True)


def _reported(run: Path) -> None:
    from robot_rlhf.commands.report import write_run_report

    write_run_report(run)


def _verified(run: Path) -> None:
    from robot_rlhf.verify import verify

    assert not list(verify(run))


def _backed_up(run: Path) -> None:
    from robot_rlhf.commands.backup import back_up

    with tempfile.TemporaryDirectory(dir=run.parent) as folder:
        back_up(run, Path(folder) / "copy")


def _exported(format: Literal["lerobot", "robomimic", "minari"]) -> Callable[[Path], None]:
    def work(run: Path) -> None:
        from robot_rlhf.commands.arguments import Export
        from robot_rlhf.commands.export import export

        with tempfile.TemporaryDirectory(dir=run.parent) as folder:
            assert export(Export(run, format, Path(folder) / "dataset")).episodes > 0

    return work


WORK: dict[str, Callable[[Path], None]] = {
    "open for writing": _opened,
    "open for reading": _read,
    "info": _described,
    "feedback list, newest 30": _listed,
    "feedback list, of one episode": _searched,
    "all learnable events": _learned,
    "fill the replay, sample a batch": _sampled,
    "report": _reported,
    "verify": _verified,
    "backup": _backed_up,
    "export lerobot": _exported("lerobot"),
    "export robomimic": _exported("robomimic"),
    "export minari": _exported("minari"),
}


class Cost(msgspec.Struct):
    """Of a piece of work, on a run of a size."""

    seconds: float
    peak_mb: float


def measured(name: str, run: Path, repeats: int = 3) -> Cost:
    """The median of some processes that do nothing else."""
    costs = []
    for _ in range(repeats):
        words = [sys.executable, __file__, "--one", name, str(run)]
        told = subprocess.run(words, check=True, capture_output=True).stdout.splitlines()[-1]
        costs.append(msgspec.json.decode(told, type=Cost))
    return sorted(costs, key=lambda cost: cost.seconds)[repeats // 2]


def one(name: str, run: Path) -> None:
    """Do a piece of work on a small run, to load what it needs, then on this one, and print what it cost."""
    small = run.parent / "small"
    WORK[name](small)
    began = time.perf_counter()
    WORK[name](run)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(msgspec.json.encode(Cost(round(seconds, 4), round(peak, 1))).decode())


def main() -> None:
    """Make the runs, do everything on each, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--sizes", type=int, nargs=2, default=SIZES, metavar="N")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=2, metavar=("WORK", "RUN"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        return one(asked.one[0], Path(asked.one[1]))
    small, large = asked.sizes
    with tempfile.TemporaryDirectory() as folder:
        for name, size in (("small", 200), (str(small), small), (str(large), large)):
            began = time.perf_counter()
            make_run(Path(folder) / name, size)
            megabytes = (Path(folder) / name / DATABASE).stat().st_size / 1e6
            print(f"{size:,} episodes: made in {time.perf_counter() - began:.1f} s, {megabytes:.0f} MB")
        print(f"{'':<32}{f'{small:,} episodes':>22}{f'{large:,} episodes':>22}{'times':>8}")
        results = {}
        for name in WORK:
            costs = [measured(name, Path(folder) / str(size), asked.repeats) for size in (small, large)]
            results[name] = dict(zip((str(small), str(large)), costs, strict=True))
            cells = "".join(f"{cost.seconds:>12.3f} s{cost.peak_mb:>5.0f} MB" for cost in costs)
            print(f"{name:<32}{cells}{costs[1].seconds / costs[0].seconds:>8.1f}", flush=True)
    if asked.json is not None:
        machine = {
            "python": platform.python_version(),
            "cpus": os.cpu_count(),
            "machine": platform.processor(),
        }
        asked.json.write_bytes(
            msgspec.json.format(msgspec.json.encode({"machine": machine, "costs": results}))
        )


if __name__ == "__main__":
    main()
