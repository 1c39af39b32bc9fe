"""Pick a cube from the table and hold it up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.task import Array, Layout, Prop, Waypoint, pose

HALF_M = 0.02
LIFT_M = 0.10
_HOVER_M = 0.07
_CARRY_M = 0.17
_GRIPPED = 0.62  # the opening with the 4 cm cube in an 8 cm hand is 0.50, up to 0.59 when it is askew


class PickCube:
    """A 4 cm, 80 g cube somewhere in 0.20 x 0.30 m, turned by up to 0.2 rad; success is the cube at
    least 10 cm above where it lay, for 0.5 s (panda-gym's and robosuite's lift ask for less)."""

    name = "pick_cube"
    goal = "Pick up the red cube and hold it 10 cm above the table."
    horizon_s = 10.0
    props = (Prop("cube", (HALF_M, HALF_M, HALF_M), (0.84, 0.37, 0.0, 1.0), mass_kg=0.08),)
    uses_gripper = True

    def layout(self, rng: np.random.Generator) -> Layout:
        x, y = rng.uniform([0.40, -0.15], [0.60, 0.15])
        tool = np.array([0.45, 0.0, 0.22]) + rng.uniform(-0.03, 0.03, 3)
        return Layout(tool, {"cube": pose(x, y, HALF_M, rng.uniform(-0.2, 0.2))})

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        cube = scene.objects["cube"]
        offset = cube[..., :3] - scene.tool_pos_m
        x, y, z, w = np.moveaxis(cube[..., 3:], -1, 0)
        yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        quarter = (yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4  # a cube looks the same after a quarter turn
        return np.concatenate(
            [
                offset * 5,
                np.tanh(offset * 30),
                (scene.tool_pos_m - np.array([0.5, 0.0, 0.15])) * 5,
                scene.tool_vel_m_s * 5,
                np.stack(
                    [
                        scene.gripper * 2 - 1,
                        scene.gripper_target * 2 - 1,
                        (cube[..., 2] - HALF_M) * 10,
                        quarter * 3,
                    ],
                    axis=-1,
                ),
            ],
            axis=-1,
        ).astype(np.float32)

    def _held(self, scene: Scene) -> NDArray[np.bool_]:
        offset = scene.objects["cube"][..., :3] - scene.tool_pos_m
        between = (np.abs(offset) < np.array([0.02, 0.015, 0.02])).all(axis=-1)
        return between & (scene.gripper < _GRIPPED) & (scene.gripper_target < 0.5)

    def utility(self, scene: Scene) -> Array:
        cube = scene.objects["cube"]
        offset = cube[..., :3] - scene.tool_pos_m
        near = 1 - np.tanh(6 * np.linalg.norm(offset, axis=-1))
        height = np.clip((cube[..., 2] - HALF_M) / LIFT_M, 0.0, 1.0)
        return 0.3 * near + 0.2 * self._held(scene) + 0.5 * height

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        return scene.objects["cube"][..., 2] >= HALF_M + LIFT_M

    def expert(self, scene: Scene) -> Waypoint:
        cube, tool = scene.objects["cube"][:3], scene.tool_pos_m
        offset = cube - tool
        sideways = float(np.linalg.norm(offset[:2]))
        closing = float(scene.gripper_target) < 0.5
        if bool(self._held(scene)):
            return Waypoint(np.array([tool[0], tool[1], HALF_M + _CARRY_M]), 0.0, False, 3)
        if closing and sideways < 0.02 and abs(offset[2]) < 0.015 and float(scene.gripper) > _GRIPPED:
            return Waypoint(tool, 0.0, True, 2)  # the fingers are still on their way
        if sideways < 0.012 or (sideways < 0.02 and tool[2] < 0.05):
            if abs(offset[2]) < 0.012 and sideways < 0.012:
                return Waypoint(tool, 0.0, True, 2)
            return Waypoint(cube, 1.0, True, 1)
        if tool[2] < cube[2] + 0.045:  # beside the cube: go up before going over
            return Waypoint(np.array([tool[0], tool[1], cube[2] + _HOVER_M]), 1.0, False, 0)
        return Waypoint(np.array([cube[0], cube[1], cube[2] + _HOVER_M]), 1.0, sideways < 0.04, 0)
