"""robomimic's HDF5, as robomimic reads it. benchmarks/peer_robomimic.py has robomimic itself read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from robot_rlhf.data.robomimic.export import export_robomimic
from robot_rlhf.data.stream import Export, Record

Planned = Callable[..., Export]
Untold = Callable[[Record], None]


def test_a_demo_holds_what_was_executed_to_the_bit(planned: Planned, untold: Untold, tmp_path: Path) -> None:
    export_robomimic(planned(), tmp_path / "out", untold)
    with h5py.File(tmp_path / "out" / "dataset.hdf5") as file:
        assert list(file["data"]) == [f"demo_{index}" for index in range(5)]
        for record in planned().records():
            demo, episode = file[f"data/demo_{record.index}"], record.episode
            assert demo.attrs["num_samples"] == episode.length
            assert (demo["obs/state"][:] == episode.obs[:-1]).all()
            assert (demo["next_obs/state"][:] == episode.obs[1:]).all()
            assert (demo["actions"][:] == episode.action).all()
            assert (demo["states"][:] == episode.scenes[:-1]).all()
            assert (demo["rewards"][:] == record.reward).all()
            assert (demo["dones"][:] == record.done).all()
            assert (demo["interventions"][:] == episode.operator_steps).all()
            assert demo["actions"].dtype == np.float32
            assert demo["dones"].dtype == np.int64
            assert demo.attrs["operator"] == record.operator


def test_the_file_says_which_environment_and_which_reward(
    planned: Planned, untold: Untold, tmp_path: Path
) -> None:
    export_robomimic(planned(), tmp_path / "out", untold)
    with h5py.File(tmp_path / "out" / "dataset.hdf5") as file:
        attributes = file["data"].attrs
        assert attributes["total"] == 7 + 12 + 9 + 5 + 11
        environment = json.loads(attributes["env_args"])
        assert environment["env_name"] == "robot_rlhf:RobotRlhf/Reach-v0"
        assert environment["type"] == 2
        assert environment["env_kwargs"]["control_hz"] == 10.0
        assert json.loads(attributes["robot_rlhf"])["reward"].startswith("learned from feedback: fit 7")


def test_masks_choose_successes_what_people_showed_and_where_they_helped(
    planned: Planned, untold: Untold, tmp_path: Path
) -> None:
    export_robomimic(planned(), tmp_path / "out", untold)
    with h5py.File(tmp_path / "out" / "dataset.hdf5") as file:
        masks = {name: [one.decode() for one in file["mask"][name]] for name in file["mask"]}
    assert masks == {
        "success": ["demo_0", "demo_1", "demo_4"],
        "human": ["demo_0", "demo_1", "demo_2"],
        "intervened": ["demo_4"],
    }
