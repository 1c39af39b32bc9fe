"""Whether LeRobot itself reads our export, and reads from it what was stored.

LeRobot 0.6 wants Python 3.12 and PyBullet has no wheels for it, so the two do not share an environment:

    python3.12 -m venv PEER && PEER/bin/pip install "lerobot[dataset]==0.6.1"
    robot-rlhf train --task reach --seed 0 --out RUN
    robot-rlhf export RUN --format lerobot --out DATASET
    python -m benchmarks.peer_lerobot RUN DATASET --peer PEER/bin/python

`LeRobotDataset` opens the dataset and a torch DataLoader goes through it, also in windows of several steps;
LeRobot's replay buffer takes it in, and its tools delete, split and merge its episodes. Every number that
comes out is compared with the run's to the bit, the statistics to 1e-5 of their size, and pictures, which the
codec changes, by their error. It exits 1 where anything differs.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

STATE, ACTION = "observation.state", "action"
COLUMNS = (STATE, ACTION, "next.reward", "next.done", "next.truncated", "next.success", "intervention",
           "complementary_info.is_intervention", "complementary_info.scene", "timestamp", "frame_index",
           "episode_index", "index", "task_index")  # fmt: skip


def read_by_lerobot(dataset: Path, out: Path) -> None:
    """All that LeRobot reads, as arrays in the file `out`; runs in its environment."""
    import torch
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    torch.set_num_threads(1)

    def load(**options: Any) -> Any:
        return LeRobotDataset("robot-rlhf/export", root=dataset, video_backend="pyav", **options)

    opened = load()
    loader = torch.utils.data.DataLoader(opened, batch_size=64)
    seen: dict[str, list[NDArray[Any]]] = {}
    tasks: set[str] = set()
    for batch in loader:
        tasks |= set(batch.pop("task"))
        for name, values in batch.items():
            seen.setdefault(name, []).append(values.numpy())
    found: Arrays = {name: np.concatenate(parts) for name, parts in seen.items()}
    hz = opened.fps
    windows = load(delta_timestamps={ACTION: [0.0, 1 / hz, 2 / hz]})
    rows = [windows[row] for row in range(len(windows))]
    found["windows"] = np.stack([row[ACTION].numpy() for row in rows])
    found["windows_pad"] = np.stack([row[f"{ACTION}_is_pad"].numpy() for row in rows])
    for name in (STATE, ACTION, "next.reward"):
        for what, values in opened.meta.stats[name].items():
            found[f"stats/{name}/{what}"] = np.asarray(values)
    last = load(episodes=[opened.num_episodes - 1])
    found["last_episode"] = np.stack([last[row][STATE].numpy() for row in range(len(last))])
    cameras = {name: list(opened.meta.features[name]["shape"]) for name in opened.meta.camera_keys}
    facts = {
        "tasks": sorted(tasks),
        "episodes": opened.num_episodes,
        "frames": opened.num_frames,
        "fps": hz,
        "robot_type": opened.meta.robot_type,
        "cameras": cameras,
        **worked_on_by_lerobot(opened, out.parent),
        "operators": list(opened.meta.episodes["operator"]),
        "roles": list(opened.meta.episodes["role"]),
    }
    found["facts"] = np.array(json.dumps(facts))
    np.savez(out, **found)  # type: ignore[arg-type]


def worked_on_by_lerobot(opened: Any, place: Path) -> dict[str, int]:
    """What LeRobot's own tools make of the dataset: steps in its replay buffer, episodes without the first,
    and after all were split and put together again."""
    from lerobot.datasets.dataset_tools import delete_episodes, merge_datasets, split_dataset
    from lerobot.rl.buffer import ReplayBuffer

    buffer = ReplayBuffer.from_lerobot_dataset(opened, device="cpu", state_keys=[STATE], use_drq=False)
    fewer = delete_episodes(opened, [0], output_dir=place / "fewer", repo_id="robot-rlhf/fewer")
    halves = split_dataset(opened, {"one": 0.5, "two": 0.5}, output_dir=place / "halves")
    whole = merge_datasets(
        list(halves.values()), output_repo_id="robot-rlhf/whole", output_dir=place / "whole"
    )
    return {"replayed": len(buffer), "fewer": fewer.num_episodes, "merged": whole.num_frames}


def expected_of(run: Path) -> tuple[Arrays, dict[str, Any]]:
    """The same from the run itself."""
    from benchmarks import peers

    export = peers.expected(run)
    hz = export.control_hz
    parts: dict[str, list[NDArray[Any]]] = {}
    operators, roles, frames = [], [], 0
    for record in export.records():
        episode = record.episode
        steps = np.arange(episode.length)
        columns = {
            STATE: episode.obs[:-1],
            ACTION: episode.action,
            "next.reward": record.reward,
            "next.done": record.done,
            "next.truncated": record.truncated,
            "next.success": record.succeeded,
            "intervention": episode.operator_steps,
            "complementary_info.is_intervention": episode.operator_steps,
            "complementary_info.scene": episode.scenes[:-1],
            "timestamp": (steps / hz).astype(np.float32),
            "frame_index": steps,
            "episode_index": np.full(len(steps), record.index),
            "index": frames + steps,
            "task_index": np.zeros(len(steps), np.int64),
        }
        ahead = np.minimum(steps[:, None] + np.arange(3), len(steps) - 1)
        columns |= {"windows": episode.action[ahead]}
        columns |= {"windows_pad": steps[:, None] + np.arange(3) >= len(steps)}
        for name, values in columns.items():
            parts.setdefault(name, []).append(values)
        frames += len(steps)
        operators.append(record.operator)
        roles.append(episode.role.value)
    found = peers.joined(parts)
    for name in (STATE, ACTION, "next.reward"):
        wide = found[name].reshape(frames, -1).astype(np.float64)
        quantiles = {
            f"q{round(100 * q):02d}": np.quantile(wide, q, axis=0) for q in (0.01, 0.1, 0.5, 0.9, 0.99)
        }
        simple = {"min": wide.min(0), "max": wide.max(0), "mean": wide.mean(0), "std": wide.std(0)}
        found |= {f"stats/{name}/{what}": value for what, value in (simple | quantiles).items()}
        found[f"stats/{name}/count"] = np.array([frames])
    found["last_episode"] = parts[STATE][-1]
    facts = {"tasks": [export.task.goal], "episodes": len(export.ids), "frames": frames}
    facts |= {"replayed": frames, "fewer": len(export.ids) - 1, "merged": frames}
    return found, facts | {"operators": operators, "roles": roles, "fps": hz}


def differences(got: Mapping[str, NDArray[Any]], wanted: Arrays) -> list[str]:
    """One line for each array that is not as it was stored."""
    found = []
    for name, expected in wanted.items():
        values = got.get(name)
        if values is None:
            found.append(f"{name} is missing")
        elif values.shape != expected.shape:
            found.append(f"{name} has shape {values.shape}, expected {expected.shape}")
        elif name.startswith("stats/"):
            if not np.allclose(values, expected, rtol=1e-5, atol=1e-6):
                found.append(f"{name} is off by {np.abs(values - expected).max()}")
        elif values.dtype.kind != expected.dtype.kind or not (values == expected).all():
            found.append(f"{name} ({values.dtype}) differs in {int((values != expected).sum())} numbers")
    return found


def picture_errors(
    run: Path, got: Mapping[str, NDArray[Any]], cameras: Mapping[str, list[int]]
) -> dict[str, float]:
    """Camera -> the mean error of its pictures, in 255ths of full brightness, over every tenth frame."""
    if not cameras:
        return {}
    from benchmarks import peers
    from robot_rlhf.commands.pictures import images_of

    export, errors = peers.expected(run), {}
    for key, shape in cameras.items():
        camera = key.removeprefix("observation.images.")
        found, row = [], 0
        with images_of(run, export.ids, (camera,), shape[0]) as images:
            assert images is not None
            for record in export.records():
                for step, picture in enumerate(images.frames(record.episode, camera)):
                    if step < record.episode.length and step % 10 == 0:
                        read = got[key][row + step].transpose(1, 2, 0) * 255.0
                        found.append(float(np.abs(read - picture).mean()))
                row += record.episode.length
        errors[camera] = round(float(np.mean(found)), 2)
    return errors


def main() -> int:
    from benchmarks import peers

    parser = peers.parser(__doc__, "LeRobot")
    parser.add_argument("--json", type=Path, help="write what was found there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "read.npz"
        reader = "peer_lerobot.read_by_lerobot"
        got, facts = peers.read_there(
            asked.peer, reader, asked.dataset, out, HF_HUB_OFFLINE="1", HF_HOME=folder
        )
    wanted, expected_facts = expected_of(asked.run)
    wrong = differences(got, wanted)
    wrong += [
        f"{name} is {facts[name]}, expected {value}"
        for name, value in expected_facts.items()
        if facts[name] != value
    ]
    errors = picture_errors(asked.run, got, facts["cameras"])
    numbers = int(sum(values.size for values in wanted.values()))
    result = {"numbers": numbers, "wrong": wrong, "facts": facts, "picture_error": errors}
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(
        f"LeRobot read {facts['episodes']} episodes, {facts['frames']} frames: {len(wanted)} arrays compared"
    )
    for camera, error in errors.items():
        print(f"pictures of {camera}: mean error {error} of 255")
    print("\n".join(wrong) or "all is as it was stored, to the bit")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
