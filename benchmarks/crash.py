"""Kill the system at random moments, and see that nothing that was acknowledged is lost or there twice.

    python -m benchmarks.crash --kills 200 --seed 0 --json crash.json

SIGKILL goes to: a lockstep run; of a live session the session, its learner or both; of one on a served arm
the host, the session or all; of one that is learned from elsewhere `learner serve`, the process that learns,
the session or all; a writer that brings an old file forward; a backup while somebody writes. A recorder in
this process, which is never killed, keeps what was acknowledged: of a lockstep run what a reader saw
committed, of a live one also what its operator's link was told is saved (the operator lives here, and goes on
with the next session as a console does). After every kill `verify` must find the run sound and every
acknowledged event must be there, once; then it is gone on with, and every run goes to its end. What was
learned from elsewhere must be there too, once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from benchmarks.killed.files import Backup, Migration
from benchmarks.killed.live import Live
from benchmarks.killed.lockstep import Lockstep

SHARES = {
    "lockstep": 0.40,
    "live": 0.15,
    "served": 0.05,
    "migration": 0.20,
    "backup": 0.15,
    "elsewhere": 0.05,
}


class Outcomes(msgspec.Struct, kw_only=True):
    """What the kills of one scenario came to."""

    kills: int = 0
    events_acknowledged: int = 0
    seconds: float = 0.0
    problems: list[str] = msgspec.field(default_factory=list)


class Scenario(Protocol):
    """Something that is killed, and gone on with."""

    def kill(self, rng: np.random.Generator) -> list[str]:
        """Start it or go on with it, kill it at a random moment, and say what is wrong afterwards."""
        ...

    def finish(self) -> list[str]:
        """Let what was begun go to its end, and say what is wrong then."""
        ...

    @property
    def acknowledged(self) -> int:
        """Events that were, over all runs."""
        ...


def scenarios(folder: Path) -> dict[str, Scenario]:
    """All of them, each with a folder of its own."""
    made: dict[str, Scenario] = {
        "lockstep": Lockstep(folder / "lockstep"),
        "live": Live(folder / "live"),
        "served": Live(folder / "served", "host"),
        "migration": Migration(folder / "migration"),
        "backup": Backup(folder / "backup"),
        "elsewhere": Live(folder / "elsewhere", "learner"),
    }
    for name in made:
        (folder / name).mkdir(parents=True, exist_ok=True)
    return made


def _tell(line: str) -> None:
    print(line, flush=True)


def harness(
    folder: Path, kills: dict[str, int], seed: int, tell: Callable[[str], Any] = _tell
) -> dict[str, Outcomes]:
    """So many kills of each scenario, and what they came to."""
    results = {}
    made = scenarios(folder)
    for name, count in kills.items():
        scenario, result, began = made[name], Outcomes(), time.monotonic()
        rng = np.random.default_rng([seed, list(SHARES).index(name)])  # the same alone and among the others
        for number in range(count):
            found = scenario.kill(rng)
            result.kills += 1
            result.problems += [f"{name} {number}: {one}" for one in found]
            for one in found:
                tell(f"{name}, kill {number}: {one}")
        result.problems += [f"{name}, at its end: {one}" for one in scenario.finish()] if count else []
        result.events_acknowledged = scenario.acknowledged
        result.seconds = round(time.monotonic() - began, 1)
        results[name] = result
        tell(
            f"{name}: {result.kills} kills, {result.events_acknowledged:,} events acknowledged, "
            f"{len(result.problems)} problems, {result.seconds:.0f} s"
        )
    return results


def shared(kills: int) -> dict[str, int]:
    """How many of so many kills each scenario gets."""
    counts = {name: int(kills * share) for name, share in SHARES.items()}
    counts["lockstep"] += kills - sum(counts.values())
    return counts


def main() -> int:
    """Kill as often as asked; exit code 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=SHARES, help="only this scenario")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the runs there")
    asked = parser.parse_args()
    counts = shared(asked.kills) if asked.only is None else {asked.only: asked.kills}
    with tempfile.TemporaryDirectory() as temporary:
        results = harness(asked.keep or Path(temporary), counts, asked.seed)
    wrong = sum(len(result.problems) for result in results.values())
    print(f"{sum(counts.values())} kills, {wrong} problems")
    if asked.json is not None:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
