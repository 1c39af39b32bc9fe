"""Pick a cube from the table and hold it up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.geometry import length
from sim.task import Array, Layout, Waypoint, pose
from sim.tasks.grasp import HALF_M, cube, hand, held, offsets, quarter_turn, row, tool, way_to_grasp

LIFT_M = 0.10
_CARRY_M = 0.17


class PickCube:
    """A 4 cm, 80 g cube somewhere in 0.20 x 0.30 m, turned by up to 0.2 rad; success is the cube at
    least 10 cm above where it lay, for 0.5 s (panda-gym's and robosuite's lift ask for less)."""

    name = "pick_cube"
    goal = "Pick up the red cube and hold it 10 cm above the table."
    horizon_s = 10.0
    props = (cube("cube", (0.84, 0.37, 0.0)),)
    uses_gripper = True
    turns = False

    def layout(self, rng: np.random.Generator) -> Layout:
        x, y = rng.uniform([0.40, -0.15], [0.60, 0.15])
        tool = np.array([0.45, 0.0, 0.22]) + rng.uniform(-0.03, 0.03, 3)
        return Layout(tool, {"cube": pose(x, y, HALF_M, rng.uniform(-0.2, 0.2))})

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        cube = scene.objects["cube"]
        height = (cube[..., 2] - HALF_M) * 10
        return row(
            [*offsets(cube[..., :3] - scene.tool_pos_m), *tool(scene)],
            [*hand(scene), height, quarter_turn(scene, "cube") * 3],
        )

    def utility(self, scene: Scene) -> Array:
        cube = scene.objects["cube"]
        offset = cube[..., :3] - scene.tool_pos_m
        near = 1 - np.tanh(6 * length(offset))
        height = np.clip((cube[..., 2] - HALF_M) / LIFT_M, 0.0, 1.0)
        return 0.3 * near + 0.2 * held(scene, scene.objects["cube"][..., :3]) + 0.5 * height

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        return scene.objects["cube"][..., 2] >= HALF_M + LIFT_M

    def expert(self, scene: Scene) -> Waypoint:
        if bool(held(scene, scene.objects["cube"][..., :3])):
            x, y, _ = scene.tool_pos_m
            return Waypoint(np.array([x, y, HALF_M + _CARRY_M]), 0.0, False, 3)
        return way_to_grasp(scene, scene.objects["cube"][:3])
