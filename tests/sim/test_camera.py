"""What the camera promises: pictures of what a scene row says, without touching any other world."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.camera import Camera, Picture, render
from sim.env import TaskEnv
from sim.task import TASKS
from sim.viewpoint import VIEWPOINTS

WIDTH, HEIGHT = 96, 64


def start(task: str, seed: int = 0) -> NDArray[np.float32]:
    """The scene row that an episode starts with."""
    env = TaskEnv(task)
    try:
        env.reset(seed=seed)
        return env.scene.pack()
    finally:
        env.close()


def moved(row: NDArray[np.float32], name: str, dx_m: float) -> NDArray[np.float32]:
    """The row of a pick_cube scene with a thing moved along x, or with another opening of the hand."""
    scene = Scene.unpack(row, ["cube"])
    if name == "cube":
        scene.objects["cube"][0] += dx_m
        return scene.pack()
    changed = row.copy()
    changed[7] = 0.0
    return changed


def colour_pixels(picture: Picture, rgb: tuple[float, float, float]) -> int:
    """How many pixels have that hue, whatever the light on them."""
    wanted = np.array(rgb) / np.linalg.norm(rgb)
    length = np.linalg.norm(picture.astype(np.float64), axis=-1)
    likeness = (picture @ wanted) / np.maximum(length, 1e-9)
    return int(((likeness > 0.99) & (length > 30)).sum())


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_pictures_and_its_props_are_seen_in_their_colour(task: str) -> None:
    rows = np.stack([start(task, seed) for seed in range(4)])
    pictures = render(task, rows, WIDTH, HEIGHT)
    assert pictures.shape == (4, HEIGHT, WIDTH, 3)
    assert pictures.dtype == np.uint8
    env = TaskEnv(task)
    for prop in env.task.props:
        seen = [colour_pixels(picture, prop.rgba[:3]) > 3 for picture in pictures]
        assert sum(seen) >= 2, prop.name  # the hand, or another thing, may hide it
    env.close()


def test_the_same_row_gives_the_same_picture_and_another_one_another() -> None:
    row = start("pick_cube")
    rows = np.stack([row, row, moved(row, "cube", 0.1), moved(row, "hand", 0.0)])
    one, again, elsewhere, closed = render("pick_cube", rows, 192, 128).astype(int)
    assert np.array_equal(one, again)
    assert np.abs(one - elsewhere).max() > 50
    assert np.abs(one - closed).max() > 10


def test_every_viewpoint_sees_something_else_and_the_tool_is_where_it_was_for_its_own_camera() -> None:
    env = TaskEnv("pick_cube")
    env.reset(seed=0)
    rows = [env.scene.pack()]
    for _ in range(10):
        env.step(np.array([0.0, 0.8, 0.0, 1.0], np.float32))
    rows.append(env.scene.pack())
    env.close()
    with Camera(env.task, WIDTH, HEIGHT) as camera:
        seen = {view.name: [camera.picture(row, view) for row in rows] for view in VIEWPOINTS.values()}
    firsts = [first.astype(int) for first, _ in seen.values()]
    for index, one in enumerate(firsts):
        assert all(np.abs(one - other).mean() > 5 for other in firsts[index + 1 :])
    change = {name: np.abs(a.astype(int) - b).mean(axis=(1, 2)) for name, (a, b) in seen.items()}
    assert min(rows.max() for rows in change.values()) > 5, "the arm moved in every picture"
    assert change["wrist"][-10:].max() < 2, "there the hand is seen alone, where it always is"


def test_a_picture_leaves_other_worlds_as_they_are() -> None:
    action = np.array([0.3, -0.2, -0.4, 1.0], np.float32)
    ends = []
    for look in (False, True):
        env = TaskEnv("pick_cube")
        env.reset(seed=1)
        for _ in range(5):
            env.step(action)
            if look:
                render("pick_cube", env.scene.pack()[None], 32, 24)
        ends.append(env.scene.pack())
        env.close()
    assert np.array_equal(ends[0], ends[1])


def test_no_rows_give_no_pictures() -> None:
    row = start("reach")
    assert render("reach", row[None][:0], WIDTH, HEIGHT).shape == (0, HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("task", "rows", "size", "complaint"),
    [
        ("fly", np.zeros((1, 26), np.float32), 64, "no task named 'fly'"),
        ("reach", np.zeros(26, np.float32), 64, "shape"),
        ("reach", np.zeros((1, 25), np.float32), 64, "25 numbers, expected 26"),
        ("reach", np.full((1, 26), np.nan, np.float32), 64, "not finite"),
        ("reach", np.zeros((1, 26), np.float32), 4, "too small"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(
    task: str, rows: NDArray[np.float32], size: int, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        render(task, rows, size, size)
