"""What a policy's cameras promise: the scene as it is now, small, the same from the same scene."""

from __future__ import annotations

import io
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray
from PIL import Image

from sim.description import describe
from sim.env import TaskEnv
from sim.eyes import Eyes
from sim.pictured import PicturedEnv, decoded, make_env
from sim.task import TASKS, make_task
from sim.viewpoint import VIEWPOINTS

Picture = NDArray[np.uint8]


@pytest.fixture
def env() -> Iterator[TaskEnv]:
    with_eyes = TaskEnv("pick_cube", cameras=("front", "wrist"))
    yield with_eyes
    with_eyes.close()


def read(jpeg: bytes) -> Picture:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def red(picture: Picture) -> NDArray[np.bool_]:
    """Where the cube is: nothing else is that red."""
    wide = picture.astype(int)
    found: NDArray[np.bool_] = (wide[..., 0] > wide[..., 1] + 50) & (wide[..., 2] < 60)
    return found


def middle(picture: Picture) -> NDArray[np.float64]:
    return np.argwhere(red(picture)).mean(axis=0)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_seen_from_everywhere_and_its_things_are_in_some_picture(task: str) -> None:
    env = TaskEnv(task, cameras=tuple(VIEWPOINTS))
    bare = Eyes(describe(make_task("bare")), tuple(VIEWPOINTS), 64)
    env.reset(seed=1)
    without = bare.look(env.scene)
    changed = 0
    for camera, jpeg in env.pictures.items():
        assert read(jpeg).shape == (64, 64, 3)
        changed += int((np.abs(read(jpeg).astype(int) - read(without[camera])).max(axis=-1) > 60).sum())
    assert changed > 20, "the task's things are in no picture"
    bare.close()
    env.close()


def test_pictures_follow_the_thing_and_the_hand(env: TaskEnv) -> None:
    env.reset(seed=3)
    before = {camera: read(jpeg) for camera, jpeg in env.pictures.items()}
    for _ in range(8):
        env.step(np.array([0.0, 1.0, 0.0, 1.0], np.float32))
    after = {camera: read(jpeg) for camera, jpeg in env.pictures.items()}
    stayed, passed = (np.abs(middle(before[camera]) - middle(after[camera])) for camera in after)
    assert stayed.max() < 2.0, "the cube has not moved, though the hand may hide some of it"
    assert passed.max() > 5.0, "the wrist camera has"


def test_the_same_start_is_seen_the_same_and_restoring_brings_its_pictures_back(env: TaskEnv) -> None:
    env.reset(seed=5)
    first, state = dict(env.pictures), env.save()
    env.step(np.full(4, 0.5, np.float32))
    assert env.pictures != first
    env.restore(state)
    assert env.pictures == first
    env.reset(seed=5)
    assert env.pictures == first


def test_with_cameras_the_observation_knows_the_arm_alone(env: TaskEnv) -> None:
    """Two starts with the hand in one place and the cube in another differ in the pictures only."""
    obs, _ = env.reset(seed=0)
    assert obs.shape == (8,)
    layout = env.start
    seen = dict(env.pictures)
    layout.poses["cube"][0] += 0.05
    env.cell.lay_out(layout, 1.0)
    env.scene = env.look()
    assert (env._see()[:3] == obs[:3]).all()
    assert env.pictures["front"] != seen["front"]


def test_gymnasium_gets_state_and_pictures_in_one_observation() -> None:
    env = gymnasium.make("robot_rlhf:RobotRlhf/PickCube-v0", cameras=("front", "wrist"), camera_px=48)
    assert isinstance(env.unwrapped, TaskEnv)
    check_env(env.unwrapped, skip_render_check=True)
    obs, _ = env.reset(seed=0)
    assert {name: part.shape for name, part in obs.items()} == {
        "state": (8,),
        "front": (48, 48, 3),
        "wrist": (48, 48, 3),
    }
    again, *_ = env.step(env.action_space.sample())
    assert env.observation_space.contains(obs) and env.observation_space.contains(again)
    assert (obs["front"] != again["front"]).any()
    env.close()


def test_without_cameras_nothing_is_drawn() -> None:
    env = make_env("reach")
    assert not isinstance(env, PicturedEnv)
    env.reset(seed=0)
    assert env.pictures == {} and decoded(env) == {}
    env.close()


@pytest.mark.parametrize(
    ("cameras", "size", "said"),
    [
        (("front", "nose"), 64, "nose"),
        (("front", "front"), 64, "each once"),
        ((), 64, "at least one"),
        (("front",), 16, "16 pixels: expected 32 to 256"),
        (("front",), 512, "512 pixels"),
    ],
)
def test_what_cannot_be_looked_with_is_refused(cameras: tuple[str, ...], size: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Eyes(describe(make_task("reach")), cameras, size)
