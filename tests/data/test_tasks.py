"""What is said of each task's observation is what the task computes."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.scene import Scene
from robot_rlhf.data.errors import DataError
from robot_rlhf.data.observations import OBSERVATIONS
from robot_rlhf.data.tasks import scene_of, task_facts
from sim.env import TaskEnv
from sim.task import TASKS, make_task


@pytest.mark.parametrize("name", TASKS)
def test_every_number_of_an_observation_has_a_name_of_its_own(name: str) -> None:
    facts = task_facts(name)
    assert sum(len(block.axes) for block in OBSERVATIONS[name]) == facts.obs_size
    assert len(set(facts.obs_names)) == facts.obs_size


@pytest.mark.parametrize("name", [*TASKS, "pick_cube/low"])
def test_sizes_are_those_of_the_environment(name: str) -> None:
    facts, env = task_facts(name), TaskEnv(name)
    obs, _ = env.reset(seed=0)
    assert facts.obs_size == len(obs)
    assert facts.action_size == env.axes == len(facts.action_names)
    assert facts.scene_size == len(env.scene.pack())
    env.close()


@pytest.mark.parametrize("name", TASKS)
def test_the_numbers_move_with_what_they_are_named_after(name: str) -> None:
    task, facts = make_task(name), task_facts(name)
    rng = np.random.default_rng(0)
    row = rng.uniform(0.1, 0.2, facts.scene_size).astype(np.float32)
    moved = {"tool_velocity": slice(16, 19), "gripper": slice(7, 8), "gripper_target": slice(8, 9)}
    before = task.observe(scene_of(task, row))
    for block in OBSERVATIONS[name]:
        if block.name in moved:
            other = row.copy()
            other[moved[block.name]] += 0.05
            changed = np.flatnonzero(task.observe(scene_of(task, other)) != before)
            assert [facts.obs_names[place] for place in changed] == block.names


@pytest.mark.parametrize("name", ["reach", "pick_cube", "place_bar"])
def test_with_cameras_an_observation_is_what_the_arm_knows_of_itself(name: str) -> None:
    facts = task_facts(name, sees=True)
    env = TaskEnv(name, cameras=["front"], camera_px=32)
    assert facts.obs_size == env.obs_size == len(set(facts.obs_names))
    assert facts.obs_names[:3] == ["tool_x", "tool_y", "tool_z"]
    env.close()


def test_a_task_that_does_not_exist_is_named() -> None:
    with pytest.raises(DataError, match="no task named 'pick_cub', did you mean 'pick_cube'"):
        task_facts("pick_cub")


def test_a_scene_row_is_unpacked_by_its_task() -> None:
    row = np.arange(26, dtype=np.float32)
    scene = scene_of(make_task("reach"), row)
    assert isinstance(scene, Scene)
    assert list(scene.objects) == ["target"]
