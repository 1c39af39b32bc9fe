"""What one learner takes in over the wire, and how old the weights are that arms act from.

    python benchmarks/learner_throughput.py --json FILE

1, 4 and 16 arms feed one `robot-rlhf learner serve` as a group, over the real wire, from stores of their own,
with the real learner behind it. The arms are not simulated: they are given episodes of pick_cube's size made
of random numbers, which pack worse than real ones. First every arm has a backlog, as after a link that was
cut, and sends it as fast as it goes; then every arm adds an episode of 100 steps each 10 s, as a real one
does, while the learner trains without a pause.

`staleness` is the age of the newest weights at an arm, seen every 20 ms: from the moment at which the learner
made them, by the one clock of this machine. A learner publishes once a second at most.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.presets import preset
from robot_rlhf.session.remote.link import RemoteLearnerLink
from robot_rlhf.session.remote.uplink import Whose
from robot_rlhf.session.run_folder import DATABASE, RunFolder
from sim.env import TaskEnv

ARMS, STEPS, EVERY_S = (1, 4, 16), 100, 10.0
TASK, GROUP = "pick_cube", "bench"
_PATIENCE_S = 300.0


@dataclasses.dataclass(frozen=True)
class Figures:
    """One row: `memory_mb` is the most that serving and learning took together."""

    arms: int
    transitions_per_second: float
    bytes_per_second: float
    staleness_p50_ms: float
    staleness_p99_ms: float
    memory_mb: float


@dataclasses.dataclass(frozen=True)
class More:
    """What the table says besides."""

    transitions: int
    policies: float
    way_ms: tuple[float, float]
    """From the learner's making them to an arm's having them, p50 and p99."""
    serving_mb: float
    learning_mb: float


class Feeder:
    """An arm: its store, and its line to the learner."""

    def __init__(self, folder: Path, config: RunConfig, sizes: tuple[int, int]) -> None:
        self.folder, self._sizes = folder, sizes
        self._store = RunFolder.create(folder, config).store
        self._rng = np.random.default_rng(config.seed)
        self._next = 0
        self._line: RemoteLearnerLink | None = None
        self.made_ns = self.policies = 0
        self.ways_ms: list[float] = []
        self.due_s = 0.0

    def add(self, episodes: int) -> None:
        """Store episodes."""
        with self._store.transaction():
            for _ in range(episodes):
                truth = (np.zeros(STEPS, np.float32), False)
                self._store.add_episode(made_up(self._next, self._sizes, self._rng), truth)
                self._next += 1

    def connect(self, address: str) -> None:
        whose = Whose(self.folder, uuid.uuid4().hex, GROUP)
        self._line = RemoteLearnerLink(address, None, whose, lambda line: print(line, file=sys.stderr))
        self._line.stand(lm.Begin())

    def service(self) -> None:
        assert self._line is not None
        while (message := self._line.receive()) is not None:
            if isinstance(message, lm.Policy):
                self.made_ns, self.policies = message.made_ns, self.policies + 1
                self.ways_ms.append((time.time_ns() - message.made_ns) / 1e6)

    def close(self) -> None:
        if self._line is not None:
            self._line._orders.over.set()
            for _ in self._line.close():
                pass
        self._store.close()


def made_up(id: int, sizes: tuple[int, int], rng: np.random.Generator) -> Episode:
    """An episode of that many observations and actions a step."""
    obs, axes = sizes
    return Episode(
        id=id,
        role=Role.ONLINE,
        task=TASK,
        seed=id,
        policy_version=0,
        obs=rng.normal(size=(STEPS + 1, obs)).astype(np.float32),
        action=rng.uniform(-1, 1, (STEPS, axes)).astype(np.float32),
        proposed=rng.uniform(-1, 1, (STEPS, axes)).astype(np.float32),
        driver=np.zeros(STEPS, np.uint8),
        scenes=rng.normal(size=(STEPS + 1, 26)).astype(np.float32),
        terminated=False,
        truncated=True,
    )


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """`learner serve` in a process of its own: its address and pid."""
    words = ["-m", "robot_rlhf.cli", "learner", "serve", "--bind", "tcp://127.0.0.1:0", "--runs", str(folder)]
    process = subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    found = re.search(r"tcp://\S+", process.stderr.readline())
    assert found is not None
    try:
        yield found[0], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.kill()
        process.wait()


def resident_mb(pid: int) -> float:
    """Of a process, now; 0 where it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def children(pid: int) -> list[int]:
    """The processes that one has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def config_of(arm: int) -> RunConfig:
    """The task's own reward and no feedback, so that the learner trains from the first episode on."""
    config = preset(TASK)
    schedule = dataclasses.replace(config.schedule, warmup_episodes=1, episodes=10**6, evaluate_every=0)
    return dataclasses.replace(config, reward="task", feedback="", live=True, seed=arm, schedule=schedule)


def measure(arms: int, backlog: int, seconds: float, folder: Path) -> tuple[Figures, More]:
    config = config_of(0)
    env = TaskEnv(config.task, config.control_hz)
    sizes = (env.obs_size, env.axes)
    env.close()
    feeders = [Feeder(folder / f"arm-{arm}", config_of(arm), sizes) for arm in range(arms)]
    for feeder in feeders:
        feeder.add(backlog // arms)
    with serving(folder / "learner") as (address, pid):
        most = {"serving": 0.0, "learning": 0.0, "both": 0.0}

        def look() -> None:
            serve, learn = resident_mb(pid), sum(map(resident_mb, children(pid)))
            for name, now in (("serving", serve), ("learning", learn), ("both", serve + learn)):
                most[name] = max(most[name], now)

        try:
            for feeder in feeders:
                feeder.connect(address)
            transitions, size, took_s = flood(
                folder / "learner" / f"group-{GROUP}", arms * (backlog // arms), look
            )
            ages_ms = live(feeders, seconds, look)
        finally:
            for feeder in feeders:
                feeder.close()
    p50, p99 = np.percentile(ages_ms, [50, 99])
    figures = Figures(
        arms=arms,
        transitions_per_second=transitions / took_s,
        bytes_per_second=size / took_s,
        staleness_p50_ms=float(p50),
        staleness_p99_ms=float(p99),
        memory_mb=most["both"],
    )
    policies = sum(feeder.policies for feeder in feeders) / len(feeders)
    ways = np.percentile([way for feeder in feeders for way in feeder.ways_ms], [50, 99])
    way_ms = (float(ways[0]), float(ways[1]))
    return figures, More(transitions, policies, way_ms, most["serving"], most["learning"])


def flood(mirror: Path, episodes: int, look: Callable[[], None]) -> tuple[int, int, float]:
    """Wait until the backlog of all arms is on the learner's disk: its transitions and bytes, and the seconds
    since the arms began to connect."""
    began = time.monotonic()
    deadline = time.monotonic() + _PATIENCE_S
    while not (mirror / DATABASE).exists():
        assert time.monotonic() < deadline, "no arm is let in"
        time.sleep(0.005)
    ask = "SELECT COUNT(*), TOTAL(steps), TOTAL(LENGTH(arrays)) FROM episodes"
    with Store.open_readonly(mirror / DATABASE) as store:
        while True:
            assert time.monotonic() < deadline, "the backlog never came"
            ((count, steps, size),) = store.execute(ask)
            look()
            if count >= episodes:
                return int(steps), int(size), time.monotonic() - began
            time.sleep(0.01)


def live(feeders: list[Feeder], seconds: float, look: Callable[[], None]) -> list[float]:
    """Every arm goes on at its own pace: the ages of its weights, in ms, once it has any."""
    deadline = time.monotonic() + _PATIENCE_S
    while not all(feeder.made_ns for feeder in feeders):
        assert time.monotonic() < deadline, "no policy ever came"
        for feeder in feeders:
            feeder.service()
        look()
        time.sleep(0.02)
    began = time.monotonic()
    for index, feeder in enumerate(feeders):
        feeder.due_s, feeder.policies = began + EVERY_S * index / len(feeders), 0
    ages = []
    while (now := time.monotonic()) - began < seconds:
        for feeder in feeders:
            if now >= feeder.due_s:
                feeder.add(1)
                feeder.due_s += EVERY_S
            feeder.service()
            ages.append((time.time_ns() - feeder.made_ns) / 1e6)
        look()
        time.sleep(0.02)
    return ages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--backlog", type=int, default=400, help="episodes of 100 steps that wait, of all arms"
    )
    parser.add_argument("--seconds", type=float, default=40.0, help="how long weights are looked at")
    parser.add_argument("--arms", type=int, nargs="+", default=ARMS)
    asked = parser.parse_args()
    rows = []
    head = ["arms", "transitions", "a second", "MB/s", "staleness ms", "of it on the way", "weights/s"]
    table = Table(*head, "serving, learning MB", caption="p50, p99 of staleness")
    for arms in asked.arms:
        with tempfile.TemporaryDirectory() as folder:
            figures, more = measure(arms, asked.backlog, asked.seconds, Path(folder))
        rows.append(dataclasses.asdict(figures))
        table.add_row(
            str(arms),
            f"{more.transitions:,}",
            f"{figures.transitions_per_second:,.0f}",
            f"{figures.bytes_per_second / 1e6:.1f}",
            f"{figures.staleness_p50_ms:.0f}, {figures.staleness_p99_ms:.0f}",
            f"{more.way_ms[0]:.0f}, {more.way_ms[1]:.0f}",
            f"{more.policies / asked.seconds:.2f}",
            f"{more.serving_mb:.0f}, {more.learning_mb:.0f}",
        )
        if asked.json is not None:
            asked.json.write_text(json.dumps(rows, indent=2) + "\n")
    Console().print(table)


if __name__ == "__main__":
    main()
