"""Minari itself reads what was written for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import minari
import numpy as np
import pytest

from robot_rlhf.data.minari.export import dataset_id, export_minari
from robot_rlhf.data.stream import Export, Record
from sim.env import TaskEnv

Planned = Callable[..., Export]
Untold = Callable[[Record], None]


@pytest.fixture
def dataset(
    planned: Planned, untold: Untold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> minari.MinariDataset:
    export_minari(planned(), tmp_path / "out", untold)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "out"))
    return minari.load_dataset("robot-rlhf/reach-v0")


def test_minari_reads_every_array_to_the_bit(dataset: minari.MinariDataset, planned: Planned) -> None:
    assert dataset.total_episodes == 5
    assert dataset.total_steps == 7 + 12 + 9 + 5 + 11
    for record, read in zip(planned().records(), dataset.iterate_episodes(), strict=True):
        episode = record.episode
        assert (read.observations == episode.obs).all()
        assert (read.actions == episode.action).all()
        assert (read.rewards == record.reward).all()
        assert (read.terminations == record.terminated).all()
        assert (read.truncations == record.truncated).all()
        assert (read.infos["is_intervention"][1:] == episode.operator_steps).all()
        assert (read.infos["is_success"][1:] == record.succeeded).all()
        assert (read.infos["scene"] == episode.scenes).all()
        assert read.observations.dtype == read.actions.dtype == np.float32


def test_minari_lists_it_and_makes_its_environment_anew(dataset: minari.MinariDataset) -> None:
    assert list(minari.list_local_datasets()) == ["robot-rlhf/reach-v0"]
    env = dataset.recover_environment()
    assert isinstance(env.unwrapped, TaskEnv)
    assert env.observation_space == dataset.observation_space
    assert env.action_space == dataset.action_space
    env.close()


def test_episodes_say_who_drove_and_the_dataset_which_reward(dataset: minari.MinariDataset) -> None:
    facts = list(dataset.storage.get_episode_metadata(range(5)))
    assert [one["operator"] for one in facts] == ["ann", "ann", "bob", "", "bob"]
    assert [one["role"] for one in facts][2:4] == ["demonstration", "online"]
    assert [one["seed"] for one in facts] == [1000, 1001, 1002, 1003, 1004]
    origin = json.loads(dataset.storage.metadata["robot_rlhf"])
    assert origin["reward_version"] == 7
    assert origin["task"] == "reach"


def test_what_it_says_of_itself_is_what_minari_would(dataset: minari.MinariDataset) -> None:
    assert dataset.storage.metadata["dataset_size"] == dataset.storage.get_size()


def test_minari_adds_episodes_of_its_own(dataset: minari.MinariDataset) -> None:
    first, *_ = dataset.iterate_episodes()
    fields = ("observations", "actions", "rewards", "terminations", "truncations", "infos")
    buffer = minari.data_collector.EpisodeBuffer(**{name: getattr(first, name) for name in fields})
    dataset.update_dataset_from_buffer([buffer])
    *_, last = dataset.iterate_episodes()
    assert (last.id, dataset.total_episodes) == (5, 6)
    assert (last.observations == first.observations).all()


def test_a_style_has_a_dataset_of_its_own() -> None:
    assert dataset_id("pick_cube/low") == "robot-rlhf/pick_cube-low-v0"
    assert minari.dataset.minari_dataset.parse_dataset_id(dataset_id("pick_cube/low"))[2] == 0
