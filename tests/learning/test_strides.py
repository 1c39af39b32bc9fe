"""What is made of a hand's small moves before it is imitated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.learning.policy_config import CloneConfig
from robot_rlhf.learning.strides import gripper_changes, moving_steps, operator_runs, strides

CONFIG = CloneConfig(stride=0.4, idle_keep_steps=3)


def test_the_operators_steps_come_in_stretches() -> None:
    obs, driver = np.zeros((21, 1), np.float32), np.array([0] * 5 + [1] * 4 + [0] * 5 + [1] * 6, np.uint8)
    action, scenes = np.zeros((20, 3), np.float32), np.zeros((21, 1), np.float32)
    episode = Episode(0, Role.ONLINE, "t", 0, 0, obs, action, action, driver, scenes, False, True)
    assert operator_runs(episode) == [slice(5, 9), slice(14, 20)]


def test_small_moves_become_one_and_fast_ones_stay() -> None:
    x = np.array([0.8, 0.1, 0.1, 0.2, 0.9, 0.3, 0.3], np.float32)
    first, joined = strides(np.outer(x, [1, 0, 0]).astype(np.float32), CONFIG)
    assert first.tolist() == [0, 1, 4, 5]
    assert joined[:, 0] == pytest.approx([0.8, 0.4, 0.9, 0.6])


def test_trembling_and_pauses_lead_nowhere() -> None:
    x = np.array([0.1, -0.1] * 10 + [0.0] * 10, np.float32)
    assert len(strides(np.outer(x, [0, 1, 0]).astype(np.float32), CONFIG)[0]) == 0


def test_a_stride_begins_where_the_hand_began_to_hesitate() -> None:
    x = np.array([1.0, 0.0, 0.0, 0.5], np.float32)
    assert strides(np.outer(x, [1, 0, 0]).astype(np.float32), CONFIG)[0].tolist() == [0, 1]


def test_turning_the_hand_is_moving_it() -> None:
    action = np.zeros((3, 5), np.float32)
    action[:, 3], action[1, 4] = 1.0, -0.5
    first, joined = strides(action, CONFIG)
    assert first.tolist() == [0] and joined.tolist() == [[0, 0, 0, 1, -0.5]]
    assert moving_steps(action, CONFIG).tolist() == [False, True, False]


def test_the_gripper_is_told_when_it_was_and_waited_for() -> None:
    """What is left of a stride before it closes is one of its own, however short."""
    action = np.zeros((12, 4), np.float32)
    action[:, 3] = 1.0
    action[3:5, 0] = 0.1
    action[5:, 3] = -1.0
    first, joined = strides(action, CONFIG)
    assert first.tolist() == [0, 5, 6, 7, 8]
    assert joined[0] == pytest.approx([0.2, 0, 0, 1.0])
    assert (joined[1:] == action[5:9]).all()
    assert np.flatnonzero(moving_steps(action, CONFIG)).tolist() == [5, 6, 7, 8]


def test_without_strides_every_step_is_as_it_was() -> None:
    action = np.random.default_rng(0).uniform(-1, 1, (30, 4)).astype(np.float32)
    action[5:9] = 0.0
    first, joined = strides(action, replace(CONFIG, stride=0.0))
    assert first.tolist() == list(range(30)) and (joined == action).all()


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.sampled_from([3, 4, 5]))
def test_strides_go_as_far_as_the_hand_did(seed: int, steps: int, size: int) -> None:
    """But for what is shorter than a tenth of one before each time the gripper moves, and at the end."""
    rng = np.random.default_rng(seed)
    action = (rng.uniform(-1, 1, (steps, size)) * rng.choice([0.05, 0.3, 0.55], (steps, 1))).astype(
        np.float32
    )
    if size > 3:
        action[:, 3] = np.repeat(rng.choice([-1.0, 1.0], 5), 8)[:steps]
    first, joined = strides(action, CONFIG)
    assert (np.diff(first) > 0).all() and joined.shape == (len(first), size)
    moving = [column for column in range(size) if column != 3]
    left = np.abs(joined[:, moving].sum(axis=0) - action[:, moving].sum(axis=0))
    stretches = 1 + int(gripper_changes(action).sum())
    assert (left <= 0.1 * CONFIG.stride * stretches + 1e-4).all()
    if size > 3:
        assert (joined[:, 3] == action[first, 3]).all()
