"""What one store takes and gives: commits a second, bytes an episode, and how fast it is read back.

Episodes of a hundred steps of pick_cube, each committed as a session does it, with its truth, its booked time
and its mark, in one transaction that is on the disk when it returns. Answers of labellers are committed one
by one, then a hundred at a time. Beside it, what the disk itself takes: 4 KiB overwritten and synced.

    python benchmarks/store_speed.py --json FILE
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Choice, Outcome, Preference, Segment
from robot_rlhf.session.seeds import Purpose, generator, seed_of
from sim.env import TaskEnv

TASK, STEPS = "pick_cube", 100


def rolled(index: int, env: TaskEnv) -> Episode:
    """An episode of an arm that wanders: real numbers compress as real ones do."""
    rng = generator(0, Purpose.EXPLORE, index)
    obs, _ = env.reset(seed=seed_of(0, Purpose.START, index))
    rows, scenes, actions, action = [obs], [env.scene.pack()], [], np.zeros(env.axes)
    for _ in range(STEPS):
        action = np.clip(0.9 * action + 0.3 * rng.normal(size=env.axes), -1, 1)
        obs, _, _, _, info = env.step(action.astype(np.float32))
        rows.append(obs)
        scenes.append(env.scene.pack())
        actions.append(info["executed"])
    executed = np.stack(actions)
    driver = np.zeros(STEPS, np.uint8)
    arrays = (np.stack(rows), executed, executed, driver, np.stack(scenes))
    return Episode(index, Role.ONLINE, TASK, index, 0, *arrays, False, True)


def renamed(episode: Episode, id: int) -> Episode:
    """The same under another id."""
    return Episode(**{**vars(episode), "id": id})


def commit(store: Store, episode: Episode) -> None:
    """All of an episode in one transaction, as `session/lockstep.py` commits it."""
    with store.transaction():
        store.add_episode(episode, (np.zeros(episode.length, np.float32), True))
        store.book("watching", 0.0, 10.0, episode.id)
        mark = Outcome(
            id=f"m{episode.id}", operator="a", session="s", time_ns=1, episode=episode.id, success=True
        )
        store.add_feedback(mark)


def answer(store: Store, index: int, episodes: int) -> None:
    """One answer of a labeller."""
    left, right = (Segment((index + at) % episodes, 0, 20) for at in (0, 1))
    store.add_feedback(
        Preference(
            id=f"p{index}",
            operator=f"o{index % 50}",
            session="s",
            time_ns=index,
            query=f"q{index}",
            left=left,
            right=right,
            choice=Choice.LEFT,
            response_s=3.0,
        )
    )


def rate(count: int, work: Callable[[int], object]) -> float:
    """Calls of `work` a second."""
    began = time.perf_counter()
    for index in range(count):
        work(index)
    return count / (time.perf_counter() - began)


def synced(folder: Path, count: int) -> float:
    """Blocks of 4 KiB a second that are overwritten in a file, each synced: what the disk allows."""
    with (folder / "raw").open("wb", buffering=0) as file:
        file.write(bytes(4 << 20))
        os.fsync(file.fileno())

        def overwrite(index: int) -> None:
            os.pwrite(file.fileno(), bytes(4096), (index % 1024) * 4096)
            os.fdatasync(file.fileno())

        return rate(count, overwrite)


def measure(episodes: int, answers: int, folder: Path) -> dict[str, float]:
    """Every figure by its name."""
    env = TaskEnv(TASK)
    kinds = [rolled(index, env) for index in range(20)]
    env.close()
    path = folder / "run.db"
    found: dict[str, float] = {}
    with Store.create(path) as store:
        found["episodes_per_second"] = rate(
            episodes, lambda index: commit(store, renamed(kinds[index % len(kinds)], index))
        )
    found["bytes_per_episode"] = path.stat().st_size / episodes
    arrays = ("obs", "action", "proposed", "driver", "scenes")
    found["bytes_in_memory"] = float(np.mean([sum(getattr(e, n).nbytes for n in arrays) for e in kinds]))
    before = path.stat().st_size
    with Store.open(path) as store:
        found["answers_per_second"] = rate(answers, lambda index: answer(store, index, episodes))
        batch = 100

        def together(index: int) -> None:
            with store.transaction():
                for one in range(batch):
                    answer(store, answers + index * batch + one, episodes)

        found["answers_per_second_in_batches"] = batch * rate(max(1, answers // batch), together)
        began = time.perf_counter()
        count = len(store.feedback())
        found["answers_read_per_second"] = count / (time.perf_counter() - began)
    found["bytes_per_answer"] = (path.stat().st_size - before) / (2 * answers)
    with Store.open_readonly(path) as store:
        began = time.perf_counter()
        count = len(store.episodes())
        found["episodes_read_per_second"] = count / (time.perf_counter() - began)
    found["synced_blocks_per_second"] = synced(folder, 1000)
    return found


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--episodes", type=int, default=5_000)
    parser.add_argument("--answers", type=int, default=5_000)
    parser.add_argument("--folder", type=Path, help="on the disk of this folder (default: the temporary one)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        found = measure(asked.episodes, asked.answers, Path(folder))
    for name, value in found.items():
        print(f"{name.replace('_', ' '):32}{value:12,.0f}")
    if asked.json is not None:
        machine = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
        }
        asked.json.write_text(json.dumps({"machine": machine, **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
