"""A run's transitions as Stable-Baselines3 keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stable_baselines3.common.buffers import DictReplayBuffer

from robot_rlhf.bridge import replay_buffer
from robot_rlhf.commands.export import learned_reward
from robot_rlhf.data import stream
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.session.run_folder import DATABASE
from sim.jpeg import decode
from tests.conftest import FinishedRun


def test_every_transition_is_there_with_its_learned_reward(finished_run: FinishedRun) -> None:
    buffer = replay_buffer(finished_run.folder)
    reward = learned_reward(finished_run.folder)
    export = stream.plan(finished_run.folder, control_hz=10.0, robot="", software="", reward=reward)
    records = list(export.records())
    assert buffer.full
    for name, parts in {
        "observations": [record.episode.obs[:-1] for record in records],
        "next_observations": [record.episode.obs[1:] for record in records],
        "actions": [record.episode.action for record in records],
    }.items():
        assert (getattr(buffer, name)[:, 0] == np.concatenate(parts)).all(), name
    assert (buffer.rewards[:, 0] == np.concatenate([record.reward for record in records])).all()


def test_an_episode_that_ran_out_of_time_has_a_value_beyond_its_end(finished_run: FinishedRun) -> None:
    buffer = replay_buffer(finished_run.folder, size=1000)
    assert buffer.dones.sum() == buffer.timeouts.sum() == 4  # the four episodes of the run
    assert buffer.sample(256).dones.sum() == 0


def test_there_is_room_for_what_an_agent_adds(finished_run: FinishedRun) -> None:
    buffer = replay_buffer(finished_run.folder, size=1000, episodes="demonstrations")
    assert not buffer.full
    before = buffer.pos
    row = np.zeros((1, 14), np.float32)
    buffer.add(row, row, np.zeros((1, 3), np.float32), np.zeros(1), np.zeros(1), [{}])
    assert buffer.pos == before + 1


def test_a_buffer_that_is_too_small_is_refused(finished_run: FinishedRun) -> None:
    with pytest.raises(ValueError, match="a buffer of 3 transitions is too small"):
        replay_buffer(finished_run.folder, size=3)


def test_of_a_run_that_sees_it_holds_state_and_pictures(seeing_run: Path) -> None:
    buffer = replay_buffer(seeing_run)
    assert isinstance(buffer, DictReplayBuffer) and buffer.full
    with Store.open_readonly(seeing_run / DATABASE) as store:
        ids = [id for role in (Role.DEMONSTRATION, Role.ONLINE) for id in store.episode_steps(role)]
        first = store.episode(sorted(ids)[0])
        seen = np.stack([decode(one).transpose(2, 0, 1) for one in store.pictures(first.id, "wrist")])
    steps = slice(0, first.length)
    assert (buffer.observations["state"][steps, 0] == first.obs[:-1]).all()
    assert (buffer.observations["wrist"][steps, 0] == seen[:-1]).all()
    assert (buffer.next_observations["wrist"][steps, 0] == seen[1:]).all()
    assert buffer.rewards.std() > 0
