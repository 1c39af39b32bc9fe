"""A run for the Rerun viewer: where the links of the arm hang."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rlhf.report.viewer import link_pose, product, turned
from sim.arms.model import ARMS, make_arm
from sim.description import describe
from sim.env import TaskEnv
from sim.task import make_task


@pytest.mark.parametrize("arm", ARMS)
def test_the_links_lead_to_where_the_tool_is(arm: str) -> None:
    """Each goes along with the one that it hangs at, so that the last must be where physics has it."""
    env = TaskEnv("pick_cube", arm=arm)
    env.reset(seed=1)
    for _ in range(7):
        env.step(np.array([0.5, -0.8, -0.4, -1.0], np.float32))
    scene = env.scene
    env.close()
    description = describe(make_task("pick_cube"), make_arm(arm).spec)
    places: list[tuple[np.ndarray, np.ndarray]] = []
    for link in description.links:
        position, turn = link_pose(link, scene.joint_pos_rad, float(scene.gripper))
        if link.parent >= 0:
            above, turned_above = places[link.parent]
            position, turn = above + turned(turned_above, position), product(turned_above, turn)
        places.append((position, turn))
    fingers = [
        place for link, (place, _) in zip(description.links, places, strict=True) if "finger" in link.name
    ]
    assert len(fingers) == 2
    middle = np.mean(fingers, axis=0)
    down = turned(np.asarray(scene.tool_quat_xyzw, np.float64), np.array([0.0, 0.0, 1.0]))
    away = scene.tool_pos_m - middle
    assert np.linalg.norm(away - down * (away @ down)) < 0.003, "the tool lies straight ahead of the fingers"
    assert 0.02 < away @ down < 0.08
