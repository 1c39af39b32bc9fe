"""What exports and imports cost: time, peak memory and size on disk for 10^3 and 10^4 episodes.

    python benchmarks/export_scale.py --json export_scale.json

Made-up episodes of pick_cube, 60 steps each, half of them demonstrations, a mark each, the others with a
takeover. Every figure is of a process of its own, once Python and the modules are loaded: seconds on the
clock and of the processor, and the most memory that it held. "times" is how much more processor time the
larger run costs: 10 is linear. Syncing to the disk is in it, pictures are not.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SIZES, STEPS, SEED = (1_000, 10_000), 60, 0
FORMATS = ("lerobot", "robomimic", "minari")
_CHUNK = 500  # episodes in a transaction


def make_run(folder: Path, episodes: int) -> None:
    """A run of so many episodes."""
    from robot_rlhf.data.tasks import task_facts
    from robot_rlhf.feedback.episode import Episode, Role
    from robot_rlhf.feedback.types import Demonstration, Driver, EventFields, Outcome, Segment, Takeover
    from robot_rlhf.session.config import RunConfig
    from robot_rlhf.session.run_folder import RunFolder

    rng, task = np.random.default_rng(SEED), task_facts("pick_cube")

    def said(*what: object) -> EventFields:
        return {"id": "-".join(map(str, what)), "operator": "ann", "session": "s", "time_ns": 1}

    run = RunFolder.create(folder, RunConfig(task=task.name))
    for start in range(0, episodes, _CHUNK):
        with run.store.transaction():
            for id in range(start, min(start + _CHUNK, episodes)):
                shown = id < episodes // 2
                driver = np.full(STEPS, Driver.OPERATOR if shown else Driver.POLICY, np.uint8)
                action = rng.uniform(-1, 1, (STEPS, task.action_size)).astype(np.float32)
                walk = rng.normal(0, 0.1, (STEPS + 1, task.obs_size + task.scene_size)).cumsum(axis=0)
                run.store.add_episode(
                    Episode(
                        id=id,
                        role=Role.DEMONSTRATION if shown else Role.ONLINE,
                        task=task.name,
                        seed=id,
                        policy_version=0,
                        obs=walk[:, : task.obs_size].astype(np.float32),
                        action=action,
                        proposed=action,
                        driver=driver,
                        scenes=walk[:, task.obs_size :].astype(np.float32),
                        terminated=False,
                        truncated=True,
                    )
                )
                run.store.add_feedback(Outcome(**said("o", id), episode=id, success=id % 3 > 0))
                if shown:
                    run.store.add_feedback(Demonstration(**said("d", id), episode=id, alternatives=()))
                else:
                    taken = Segment(id, 20, 10)
                    run.store.add_feedback(Takeover(**said("t", id), executed=taken, counterfactual=None))
    run.close()


def measured(work: str, format: str, source: Path, out: Path) -> dict[str, float]:
    """Do it here; runs in a process of its own."""
    from robot_rlhf.commands.arguments import Export, Import
    from robot_rlhf.commands.export import export, writer
    from robot_rlhf.commands.importing import import_demonstrations

    writer(format)  # its modules are loaded
    began, worked = time.perf_counter(), _processor_s()
    if work == "export":
        export(Export(source, format, out))  # type: ignore[arg-type]
    else:
        import_demonstrations(Import(source, format, out))  # type: ignore[arg-type]
    seconds, processor_s = time.perf_counter() - began, _processor_s() - worked
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    return {
        "seconds": round(seconds, 2),
        "processor_s": round(processor_s, 2),
        "memory_mb": round(peak / 1024),
        "disk_mb": round(size / 2**20, 1),
    }


def _processor_s() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        work, format, source, out = asked.measure
        print(json.dumps(measured(work, format, Path(source), Path(out))))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        for episodes in asked.sizes:
            run = Path(place) / f"run-{episodes}"
            make_run(run, episodes)
            for format in FORMATS:
                dataset = Path(place) / f"{format}-{episodes}"
                for work, source, out in (
                    ("export", run, dataset),
                    ("import", dataset, Path(place) / f"back-{format}-{episodes}"),
                ):
                    words = [sys.executable, __file__, "--measure", work, format, str(source), str(out)]
                    answer = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
                    rows.append({"work": work, "format": format, "episodes": episodes, **json.loads(answer)})
                    _tell(rows)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _tell(rows: list[dict[str, Any]]) -> None:
    row = rows[-1]
    smaller = [one for one in rows if (one["work"], one["format"]) == (row["work"], row["format"])][:-1]
    times = f" ({row['processor_s'] / smaller[-1]['processor_s']:.1f} times)" if smaller else ""
    print(
        f"{row['work']} {row['format']}, {row['episodes']:,} episodes: {row['seconds']:.1f} s, "
        f"{row['processor_s']:.1f} s of the processor{times}, "
        f"{row['memory_mb']} MB at most, {row['disk_mb']} MB on disk",
        flush=True,
    )


if __name__ == "__main__":
    main()
