"""Whether robomimic's own tools read our export, and read from it what was stored.

robomimic 0.3 brings a torch of its own, so it has an environment of its own:

    python3 -m venv PEER && PEER/bin/pip install robomimic==0.3.0 six
    robot-rlhf train --task reach --seed 0 --out RUN
    robot-rlhf export RUN --format robomimic --out DATASET
    python -m benchmarks.peer_robomimic RUN DATASET --peer PEER/bin/python

Its get_dataset_info and split_train_val run on a copy, and SequenceDataset goes through all of it and through
each mask; what it reads is compared with the run's arrays to the bit. It exits 1 where anything differs.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
MASKS = ("success", "human", "intervened")
KEYS = ("actions", "rewards", "dones", "states", "interventions")


def read_by_robomimic(file: Path, out: Path) -> None:
    """All that robomimic reads, as arrays in the file `out`; runs in its environment."""
    import h5py
    from robomimic.utils import obs_utils
    from robomimic.utils.dataset import SequenceDataset

    obs_utils.initialize_obs_utils_with_obs_specs({"obs": {"low_dim": ["state"]}})

    def load(mask: str | None) -> SequenceDataset:
        return SequenceDataset(
            str(file),
            obs_keys=["state"],
            dataset_keys=list(KEYS),
            hdf5_cache_mode="low_dim",
            filter_by_attribute=mask,
        )

    opened = load(None)
    rows = [opened[row] for row in range(len(opened))]
    found: Arrays = {key: np.concatenate([row[key] for row in rows]) for key in KEYS}
    for part in ("obs", "next_obs"):
        found[part] = np.concatenate([row[part]["state"] for row in rows])
    with h5py.File(file, "r") as raw:
        sizes = {mask: len(raw[f"mask/{mask}"]) for mask in raw["mask"]}
    steps = {mask: len(load(mask)) for mask in MASKS if sizes[mask]}
    found["facts"] = np.array(json.dumps({"masks": sizes, "steps": steps}))
    np.savez(out, **found)  # type: ignore[arg-type]


def expected_of(run: Path) -> tuple[Arrays, dict[str, int]]:
    """The same from the run itself; and the steps that each mask chooses. robomimic sorts by number."""
    from benchmarks import peers

    parts: dict[str, list[NDArray[Any]]] = {}
    steps = dict.fromkeys(MASKS, 0)
    for record in peers.expected(run).records():
        episode = record.episode
        columns: Arrays = {
            "actions": episode.action,
            "rewards": record.reward,
            "dones": record.done.astype(np.int64),
            "states": episode.scenes[:-1],
            "interventions": episode.operator_steps.astype(np.int64),
            "obs": episode.obs[:-1],
            "next_obs": episode.obs[1:],
        }
        for name, values in columns.items():
            parts.setdefault(name, []).append(values)
        chosen = (record.success is True, record.is_demonstration, record.is_intervened)
        for mask, is_in in zip(MASKS, chosen, strict=True):
            steps[mask] += episode.length * is_in
    return peers.joined(parts), steps


def main() -> int:
    from benchmarks import peers

    asked = peers.parser(__doc__, "robomimic").parse_args()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "dataset.hdf5", Path(folder) / "read.npz"
        shutil.copy(asked.dataset / "dataset.hdf5", file)
        tools, data = "robomimic.scripts", ("--dataset", str(file))
        told = peers.there(asked.peer, "-m", f"{tools}.get_dataset_info", *data)
        peers.there(asked.peer, "-m", f"{tools}.split_train_val", *data, "--ratio", "0.5")
        got, facts = peers.read_there(asked.peer, "peer_robomimic.read_by_robomimic", file, out)
    wanted, steps = expected_of(asked.run)
    for name, expected in wanted.items():
        if not np.array_equal(got[name], expected.astype(np.float32)):  # robomimic makes all of it float32
            wrong.append(f"{name} differs: {got[name].dtype} {got[name].shape}")
    for mask, count in steps.items():
        if facts["steps"].get(mask, 0) != count:
            wrong.append(f"mask {mask} has {facts['steps'].get(mask, 0)} steps, expected {count}")
    if f"total transitions: {len(wanted['rewards'])}" not in told:
        wrong.append("get_dataset_info tells another number of transitions")
    if not {"train", "valid"} <= facts["masks"].keys():
        wrong.append("split_train_val left no masks")
    print(f"robomimic read {len(wanted['rewards'])} steps, masks {facts['masks']}")
    print("\n".join(wrong) or "all is as it was stored, to the bit")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
