"""A live session under load for half an hour: memory, lag and what was said against what is stored.

    python -m benchmarks.soak --minutes 30 --json soak.json [--task pick_cube]

The operator is the simulated one at the far end of the real wire, the learner trains whenever there is
something to learn, and a second console only watches: it notes how old each moment is when it comes (both
clocks are the machine's monotonic clock) and how many never come. Every 10 s the resident memory of every
process is read.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hardware.transport import wait
from robot_rlhf.feedback.link import OperatorLink
from robot_rlhf.feedback.store import Store
from robot_rlhf.session.run_folder import DATABASE

SAMPLE_S = 10.0
_PROCESSES = {"live_learner": "learner", "live_operator": "operator", "robot_rlhf.cli": "session"}


def memory_mb(group: int) -> dict[str, float]:
    """Resident memory of the processes of a group, by what they are."""
    found: dict[str, float] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if os.getpgid(int(folder.name)) != group:
                continue
            words = (folder / "cmdline").read_bytes().decode(errors="replace")
            pages = int((folder / "statm").read_text().split()[1])
        except (OSError, ValueError):
            continue
        name = next((name for mark, name in _PROCESSES.items() if mark in words), None)
        if name is not None:
            found[name] = pages * os.sysconf("SC_PAGESIZE") / 2**20
    return found


def begun(task: str, folder: Path) -> tuple[subprocess.Popen[str], str]:
    """The session in a process group of its own, and where consoles connect."""
    port = 20_000 + os.getpid() % 20_000
    words = f"train --task {task} --operator simulated --live --out {folder} --bind tcp://127.0.0.1:{port}"
    schedule = "--schedule.episodes 100000 --schedule.takeover-seconds 100000 --schedule.evaluate-every 0"
    process = subprocess.Popen(
        [sys.executable, "-m", "robot_rlhf.cli", *words.split(), *schedule.split()],
        start_new_session=True,
        text=True,
        stderr=subprocess.DEVNULL,
    )
    return process, f"tcp://127.0.0.1:{port}"


def watch(address: str, group: int, minutes: float) -> tuple[list[dict[str, float]], OperatorLink]:
    """Look on until the time is over: a sample every 10 s."""
    link = OperatorLink(address, "watcher", watches=True)
    samples: list[dict[str, float]] = []
    began = time.monotonic()
    ages: list[float] = []
    seen = -1
    while time.monotonic() - began < minutes * 60:
        wait(link.endpoints, time.monotonic_ns() + 5_000_000)
        link.service()
        moment, status = link.moment, link.status
        if moment is not None and moment.seq != seen:
            seen = moment.seq
            ages.append((time.monotonic_ns() - moment.time_ns) / 1e6)
        if time.monotonic() - began >= SAMPLE_S * (len(samples) + 1) and status is not None and ages:
            samples.append(
                {
                    "at_s": round(time.monotonic() - began, 1),
                    "age_p50_ms": round(float(np.percentile(ages, 50)), 2),
                    "age_p99_ms": round(float(np.percentile(ages, 99)), 2),
                    "moments": len(ages),
                    "drops": link.drops,
                    "overruns": status.overruns,
                    "episodes": status.episodes,
                    "updates": status.updates,
                    **{f"{name}_mb": round(size, 1) for name, size in memory_mb(group).items()},
                }
            )
            ages.clear()
    return samples, link


def main() -> None:
    """Run it, print the first and last sample and the sums, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--task", default="pick_cube")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        process, address = begun(asked.task, run)
        samples, link = watch(address, process.pid, asked.minutes)
        status = link.status
        link.close()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with Store.open_readonly(run / DATABASE) as store:
            stored = {kind.value: count for kind, count in store.counts().items()}
            events = store.all_events()
    doubled = len(events) - len({event.id for event in events})
    acknowledged = {} if status is None else status.counts
    lost = {name: max(0, count - stored[name]) for name, count in acknowledged.items()}
    result = {
        "minutes": asked.minutes,
        "acknowledged": acknowledged,
        "stored_after_sigkill": stored,
        "lost": sum(lost.values()),
        "doubled": doubled,
        "samples": samples,
    }
    for sample in (samples[0], samples[len(samples) // 2], samples[-1]) if samples else ():
        print(re.sub(r"[{}']", "", str(sample)))
    print({key: value for key, value in result.items() if key != "samples"})
    if asked.json is not None:
        asked.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
