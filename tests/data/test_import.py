"""What goes out comes back to the bit, and what others made comes in as far as it says enough."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import minari
import numpy as np
import pyarrow.parquet as pq
import pytest
from gymnasium.spaces import Box
from minari.data_collector import EpisodeBuffer

from robot_rlhf import cli
from robot_rlhf.commands.export import writer
from robot_rlhf.data import foreign
from robot_rlhf.data.errors import DataError
from robot_rlhf.data.shown import Header, Shown
from robot_rlhf.data.stream import Export
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Demonstration, Driver, Outcome
from robot_rlhf.session.run_folder import DATABASE, read_config
from tests.conftest import FinishedRun

FORMATS = ("lerobot", "robomimic", "minari")
Exported = Callable[[str], Path]


@pytest.fixture(scope="module")
def exported(planned: Callable[..., Export], tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """exported(format): our own dataset of the made-up run; not to be changed."""
    root = tmp_path_factory.mktemp("exported")

    def make(format: str) -> Path:
        if not (root / format).exists():
            writer(format)(planned(), root / format, lambda record: None)
        return root / format

    return make


def read(format: str, path: Path) -> tuple[Header, list[Shown]]:
    with foreign.opened(format, path) as (header, shown):
        return header, list(shown)


@pytest.mark.parametrize("format", FORMATS)
def test_our_own_demonstrations_come_back_to_the_bit(format: str, exported: Exported, made_run: Path) -> None:
    header, shown = read(format, exported(format))
    assert (header.task, header.control_hz, header.episodes) == ("reach", 10.0, 3)
    assert (header.obs_size, header.action_size) == (14, 3)
    with Store.open_readonly(made_run / DATABASE) as store:
        episodes = store.episodes([0, 1, 2])
    for one, episode in zip(shown, episodes, strict=True):
        obs, action, scenes = one.arrays()
        assert (obs == episode.obs).all()
        assert (action == episode.action).all()
        assert scenes is not None
        assert (scenes == episode.scenes).all()
        assert (one.seed, one.terminated) == (episode.seed, episode.terminated)
    assert [one.operator for one in shown] == ["ann", "ann", "bob"]
    assert [one.success for one in shown] == [True, True, False]


@pytest.mark.parametrize("format", FORMATS)
def test_they_make_a_run(format: str, exported: Exported, made_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    assert cli.main(["import", str(exported(format)), "--format", format, "--out", str(out)]) == 0
    config = read_config(out)
    assert (config.task, config.control_hz, config.schedule.demonstrations) == ("reach", 10.0, 3)
    with Store.open_readonly(out / DATABASE) as new, Store.open_readonly(made_run / DATABASE) as old:
        for episode, before in zip(new.episodes(), old.episodes([0, 1, 2]), strict=True):
            for name in ("obs", "action", "proposed", "driver", "scenes"):
                assert np.array_equal(getattr(episode, name), getattr(before, name), equal_nan=True), name
        events = new.all_events()
        assert new.operator_seconds().active_s == pytest.approx((7 + 12 + 9) / 10)
    shown = [event for event in events if isinstance(event, Demonstration)]
    assert [(event.episode, event.operator) for event in shown] == [(0, "ann"), (1, "ann"), (2, "bob")]
    marks = {event.episode: event.success for event in events if isinstance(event, Outcome)}
    assert marks == {0: True, 1: True, 2: False}


def test_the_arm_is_that_of_the_dataset(planned: Callable[..., Export], tmp_path: Path) -> None:
    export = planned(robot="iiwa")
    assert export.environment == ("sim.env:TaskEnv", {"task": "reach", "control_hz": 10.0, "arm": "iiwa"})
    writer("robomimic")(export, tmp_path / "out", lambda record: None)
    words = ["--format", "robomimic", "--out", str(tmp_path / "new")]
    assert cli.main(["import", str(tmp_path / "out"), *words]) == 0
    assert read_config(tmp_path / "new").arm == "iiwa"


TINY = """
threads = 1
[schedule]
alternatives = 1
episodes = 2
warmup_episodes = 1
episodes_per_fit = 1
pairs_first = 2
evaluate_every = 0
final_episodes = 2
[sac]
hidden = 16
updates_per_step = 1
batch_size = 16
[reward_model]
hidden = 16
fit_steps = 10
min_steps = 5
[clone]
hidden = 16
steps = 20
chunk = 2
replan_every = 2
"""


def test_a_run_is_trained_from_them_that_compares_them_with_worse(
    finished_run: FinishedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, out = tmp_path / "dataset", tmp_path / "new"
    (tmp_path / "tiny.toml").write_text(TINY)
    assert cli.main(["export", str(finished_run.folder), "--format", "robomimic", "--out", str(dataset)]) == 0
    words = ["--format", "robomimic", "--out", str(out), "--config", str(tmp_path / "tiny.toml"), "--json"]
    capsys.readouterr()
    assert cli.main(["import", str(dataset), *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["demonstrations"], told["visible"], told["compared"]) == (2, 2, 2)
    assert cli.main(["train", "--resume", "--out", str(out), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["task"] == "reach"
    assert summary["feedback"]["demonstrations"] == 2


# -- what others made --------------------------------------------------------------------------------------


def others(length: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """obs (length + 1, 14), action (length, 3) as somebody else may have them."""
    rng = np.random.default_rng(seed)
    obs = rng.standard_normal((length + 1, 14)).astype(np.float32)
    return obs, rng.uniform(-1, 1, (length, 3)).astype(np.float32)


def test_of_somebody_elses_lerobot_dataset_the_last_action_is_left_out(
    exported: Exported, tmp_path: Path
) -> None:
    dataset = foreign_lerobot(exported("lerobot"), tmp_path / "theirs")
    header, shown = read("lerobot", dataset)
    _, ours = read("lerobot", exported("lerobot"))
    assert (header.task, header.episodes) == (None, 5)
    assert [one.steps for one in shown] == [6, 11, 8, 4, 10]
    assert shown[0].scenes is None
    assert (shown[0].arrays()[1] == ours[0].arrays()[1][:-1]).all()
    assert (shown[0].arrays()[0] == ours[0].arrays()[0][:-1]).all()


def foreign_lerobot(source: Path, target: Path) -> Path:
    """The same without what only we write."""
    import shutil

    shutil.copytree(source, target)
    (target / "meta/robot_rlhf.json").unlink()
    file = target / "meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(file)
    known = [name for name in table.column_names if "/" in name and not name.startswith("last/")]
    pq.write_table(table.select(["episode_index", "tasks", "length", *known]), file)
    return target


def test_somebody_elses_robomimic_file_is_read_key_by_key(tmp_path: Path) -> None:
    obs, action = others(6)
    with h5py.File(tmp_path / "low_dim.hdf5", "w") as file:
        for demo in ("demo_10", "demo_9"):
            group = file.create_group(f"data/{demo}")
            group["actions"] = action.astype(np.float64)
            group["states"] = np.zeros((6, 32))
            group["obs/object"], group["obs/eef"] = obs[:-1, :10], obs[:-1, 10:]
            group["obs/image"] = np.zeros((6, 4, 4, 3), np.uint8)
    header, shown = read("robomimic", tmp_path / "low_dim.hdf5")
    assert [(part.name, part.size) for part in header.obs] == [("eef", 4), ("object", 10)]
    assert [one.name for one in shown] == ["demo_9", "demo_10"]
    assert shown[0].steps == 5  # nothing is known of what followed the sixth
    assert (shown[0].arrays()[0] == np.concatenate([obs[:-1, 10:], obs[:-1, :10]], axis=1)).all()
    assert shown[0].scenes is None


def test_somebody_elses_minari_dataset_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    obs, action = others(6)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    flags = np.zeros(6, bool)
    buffer = EpisodeBuffer(
        observations=obs, actions=action, rewards=flags.astype(float), terminations=~flags, truncations=flags,
        infos={"scene": np.zeros((7, 3))},
    )  # fmt: skip
    with pytest.warns(UserWarning, match="is set to None"):
        minari.create_dataset_from_buffers(
            "their/reach-v3",
            [buffer, buffer],
            observation_space=Box(-np.inf, np.inf, (14,), np.float32),
            action_space=Box(-1, 1, (3,), np.float32),
        )
    header, shown = read("minari", tmp_path)
    assert (header.task, header.control_hz, header.episodes) == (None, None, 2)
    assert (shown[1].arrays()[0] == obs).all()
    assert shown[1].scenes is None
    assert not shown[1].terminated  # a person stopped recording, for all we know


def test_a_run_of_what_cannot_be_looked_at_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    obs, action = others(30)
    with h5py.File(tmp_path / "theirs.hdf5", "w") as file:
        file["data/demo_0/actions"], file["data/demo_0/obs/state"] = action, obs[:-1]
    words = ["--format", "robomimic", "--out", str(tmp_path / "new"), "--task", "reach", "--json"]
    assert cli.main(["import", str(tmp_path / "theirs.hdf5"), *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["demonstrations"], told["visible"], told["compared"]) == (1, 0, 0)
    with Store.open_readonly(tmp_path / "new" / DATABASE) as store:
        (episode,) = store.episodes()
    assert not episode.has_scenes
    assert (episode.driver == Driver.OPERATOR).all()


def test_sizes_that_do_not_fit_are_named_both(
    exported: Exported, tmp_path: Path, refused: Callable[..., str]
) -> None:
    words = ["--format", "robomimic", "--out", str(tmp_path / "new"), "--task", "pick_cube"]
    line = refused("import", str(exported("robomimic")), *words)
    assert "has 14 numbers an observation (state 14) and 3 an action, and pick_cube has 16 and 4" in line
    assert not (tmp_path / "new").exists()


def test_a_dataset_that_does_not_say_its_task_wants_to_be_told(
    exported: Exported, tmp_path: Path, refused: Callable[..., str]
) -> None:
    theirs = foreign_lerobot(exported("lerobot"), tmp_path / "theirs")
    line = refused("import", str(theirs), "--format", "lerobot", "--out", str(tmp_path / "new"))
    assert line.endswith("does not say which task it is of: say --task")


def test_a_run_that_is_there_is_left_alone(
    exported: Exported, made_run: Path, refused: Callable[..., str]
) -> None:
    before = (made_run / "config.toml").read_bytes()
    words = ["--format", "robomimic", "--out", str(made_run)]
    assert "choose another --out" in refused("import", str(exported("robomimic")), *words)
    assert (made_run / "config.toml").read_bytes() == before


def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"), foreign.opened("minari", tmp_path / "no"):
        pass
