"""What a large run costs: opening, listing, sampling, reporting, exporting it, and importing the export.

    python benchmarks/big_run.py --json big_run.json

Made-up runs of 10^3 and 10^4 episodes of 50 steps, half of them demonstrations, ten events each, in a folder
as training leaves it, but for the learner's checkpoint: so the rewards of an export are 0. Every figure is of
a process of its own, once Python and the modules are loaded: seconds on the clock and of the processor, that
of its own processes in it, the most memory that one of them held, and the size of what was written. "times"
is how much more of the processor ten times the run costs: 10 is linear, whatever else the machine does.
Syncing to the disk is in it, pictures are not.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import numpy as np

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import (
    Choice,
    Demonstration,
    Driver,
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
"""Of an episode: a mark, a takeover or that it was shown, five presses, three answers."""
_CHUNK = 500  # episodes in a transaction
Format = Literal["lerobot", "robomimic", "minari"]


Work = Callable[[Path, Path], None]
"""(run, out): what is written, if anything is, goes to `out`, which is not there."""


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
                episode=id, role=_role(id), length=STEPS, success_mark=True, operator_fraction=0.2
            )
            moment = {"environment_steps": STEPS * (id + 1), "operator_seconds": float(id)}
            rest = {"attended_seconds": 5.0 * id, "wall_seconds": 6.0 * id}
            log.write(msgspec.json.encode(msgspec.to_builtins(ended) | moment | rest) + b"\n")


def _role(id: int) -> Role:
    return Role.DEMONSTRATION if id % 2 else Role.ONLINE


def _episode(id: int, rng: np.random.Generator) -> Episode:
    obs = np.cumsum(rng.normal(0, 0.1, (STEPS + 1, OBS)), axis=0).astype(np.float32)
    scenes = np.cumsum(rng.normal(0, 0.01, (STEPS + 1, SCENE)), axis=0).astype(np.float32)
    action = rng.uniform(-1, 1, (STEPS, ACTION)).astype(np.float32)
    shown = _role(id) is Role.DEMONSTRATION
    driver = np.where(shown | (rng.random(STEPS) < 0.2), Driver.OPERATOR, Driver.POLICY).astype(np.uint8)
    return Episode(id, _role(id), "reach", id, id, obs, action, action, driver, scenes, False, True)


def _events(id: int, store: Store) -> Iterator[Feedback]:
    def who(number: int) -> dict[str, Any]:
        return {"id": f"{id}-{number}", "operator": "ann", "session": "s", "time_ns": id * 10**9 + number}

    yield Outcome(episode=id, success=id % 2 == 0, **who(0))
    if _role(id) is Role.DEMONSTRATION:
        yield Demonstration(episode=id, alternatives=(), **who(1))
    else:
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


def _opened(run: Path, out: Path) -> None:
    Store.open(run / DATABASE).close()


def _read(run: Path, out: Path) -> None:
    Store.open_readonly(run / DATABASE).close()


def _described(run: Path, out: Path) -> None:
    from robot_rlhf.commands.info import describe

    describe(run)


def _listed(run: Path, out: Path) -> None:
    from robot_rlhf.commands.arguments import Said
    from robot_rlhf.commands.said import listed

    assert len(listed(Said("list", run)).events) == 30


def _searched(run: Path, out: Path) -> None:
    from robot_rlhf.commands.arguments import Said
    from robot_rlhf.commands.said import listed

    assert len(listed(Said("list", run, kind="preferences", episode=100)).events)


def _sampled(run: Path, out: Path) -> None:
    """From the store into the replay, and a batch out of it: what `--resume` does first."""
    from robot_rlhf.learning.replay import Replay

    replay = Replay(OBS, ACTION)
    with Store.open_readonly(run / DATABASE) as store:
        for episode in store.each_episode():
            replay.add(episode)
    replay.score(lambda obs, _: obs[:, 0], 1)
    replay.sample(256, 0.5, np.random.default_rng(0))


def _learned(run: Path, out: Path) -> None:
    """The events that can be learned from, as a fit takes them."""
    with Store.open_readonly(run / DATABASE) as store:
        assert store.feedback(learnable=True)


def _reported(run: Path, out: Path) -> None:
    from robot_rlhf.commands.report import write_run_report

    write_run_report(run)


def _verified(run: Path, out: Path) -> None:
    from robot_rlhf.verify import verify

    assert not list(verify(run))


def _backed_up(run: Path, out: Path) -> None:
    from robot_rlhf.commands.backup import back_up

    back_up(run, out)


def _exported(format: Format) -> Work:
    def work(run: Path, out: Path) -> None:
        from robot_rlhf.commands.arguments import Export
        from robot_rlhf.commands.export import export

        assert export(Export(run, format, out)).episodes > 0

    return work


def _imported(format: Format) -> Work:
    def work(run: Path, out: Path) -> None:
        from robot_rlhf.commands.arguments import Import
        from robot_rlhf.commands.importing import import_demonstrations

        dataset = written(f"export {format}", run)
        assert import_demonstrations(Import(dataset, format, out)).demonstrations > 0

    return work


WORK: dict[str, Work] = {
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
    **{f"export {format}": _exported(format) for format in get_args(Format)},
    **{f"import {format}": _imported(format) for format in get_args(Format)},
}
NEEDS = {f"import {format}": f"export {format}" for format in get_args(Format)}


class Cost(msgspec.Struct):
    """Of a piece of work, on a run of a size."""

    seconds: float
    processor_s: float
    peak_mb: float
    written_mb: float


def written(name: str, run: Path) -> Path:
    """Where a piece of work on a run writes to."""
    return run.with_name(f"{run.name} {name}")


def measured(name: str, run: Path, repeats: int) -> Cost:
    """The median of some processes that do nothing else."""
    need = NEEDS.get(name)
    if need is not None and not written(need, run).exists():
        measured(need, run, 1)
    words = [sys.executable, __file__, "--one", name, str(run)]
    answers = [subprocess.run(words, check=True, capture_output=True).stdout for _ in range(repeats)]
    costs = [msgspec.json.decode(answer.splitlines()[-1], type=Cost) for answer in answers]
    return sorted(costs, key=lambda cost: cost.processor_s)[repeats // 2]


def one(name: str, run: Path) -> None:
    """Do a piece of work on a small run, to load what it needs, then on this one, and print what it cost."""
    small, out = run.with_name("small"), written(name, run)
    for place in (written(name, small), out):
        shutil.rmtree(place, ignore_errors=True)
    WORK[name](small, written(name, small))
    began, worked = time.perf_counter(), _processor_s()
    WORK[name](run, out)
    seconds, processor_s = time.perf_counter() - began, _processor_s() - worked
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    cost = Cost(round(seconds, 4), round(processor_s, 4), round(peak / 1024, 1), round(size / 1e6, 1))
    print(msgspec.json.encode(cost).decode())


def _processor_s() -> float:
    """Of this process and of those that it started and that have ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def main() -> None:
    """Make the runs, do everything on each, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--sizes", type=int, nargs=2, default=SIZES, metavar="N")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=WORK, default=list(WORK), metavar="WORK")
    parser.add_argument("--one", nargs=2, metavar=("WORK", "RUN"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        return one(asked.one[0], Path(asked.one[1]))
    sizes: tuple[int, int] = tuple(asked.sizes)
    with tempfile.TemporaryDirectory() as folder:
        for name, size in (("small", 200), *((str(size), size) for size in sizes)):
            began = time.perf_counter()
            make_run(Path(folder) / name, size)
            megabytes = (Path(folder) / name / DATABASE).stat().st_size / 1e6
            print(f"{size:,} episodes: made in {time.perf_counter() - began:.1f} s, {megabytes:.0f} MB")
        print(f"| | {' | '.join(f'{size:,} episodes' for size in sizes)} | times |\n|---|---|---|---|")
        results = {}
        for name in asked.only:
            costs = [measured(name, Path(folder) / str(size), asked.repeats) for size in sizes]
            results[name] = dict(zip(map(str, sizes), costs, strict=True))
            times = costs[1].processor_s / costs[0].processor_s
            print(f"| {name} | {' | '.join(map(_told, costs))} | {times:.1f} |", flush=True)
    if asked.json is not None:
        machine = {
            "python": platform.python_version(),
            "cpus": os.cpu_count(),
            "machine": platform.processor(),
        }
        asked.json.write_bytes(
            msgspec.json.format(msgspec.json.encode({"machine": machine, "costs": results}))
        )


def _told(cost: Cost) -> str:
    told = f"{cost.processor_s:.2f} s ({cost.seconds:.2f}), {cost.peak_mb:.0f} MB"
    return told + (f", {cost.written_mb:.0f} MB written" if cost.written_mb else "")


if __name__ == "__main__":
    main()
