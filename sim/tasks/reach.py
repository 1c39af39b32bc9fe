"""Bring the tool to a marker in the air."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.geometry import length
from sim.task import Array, Layout, Prop, Waypoint, pose

TOLERANCE_M = 0.02


class Reach:
    """The target lies in a box of 0.3 x 0.4 x 0.3 m; success is the tool within 2 cm of it for 0.5 s
    (panda-gym's reach asks for 5 cm in one step)."""

    name = "reach"
    goal = "Bring the gripper to the green marker."
    horizon_s = 5.0
    props = (Prop("target", (0.02, 0.02, 0.02), (0.0, 0.62, 0.45, 1.0)),)
    uses_gripper = False
    turns = False

    def layout(self, rng: np.random.Generator) -> Layout:
        target = rng.uniform([0.35, -0.20, 0.08], [0.65, 0.20, 0.38])
        tool = np.array([0.45, 0.0, 0.25]) + rng.uniform(-0.03, 0.03, 3)
        return Layout(tool, {"target": pose(*target)})

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        offset = scene.objects["target"][..., :3] - scene.tool_pos_m
        centre = scene.tool_pos_m - np.array([0.5, 0.0, 0.2])
        distance = self.distance_m(scene)[..., None]
        return np.concatenate(
            [
                offset * 5,
                np.tanh(offset * 40),
                distance * 5,
                np.tanh(distance * 40),
                centre * 5,
                scene.tool_vel_m_s * 5,
            ],
            axis=-1,
        ).astype(np.float32)

    def distance_m(self, scene: Scene) -> Array:
        """(...), m from the tool to the target."""
        return length(scene.objects["target"][..., :3] - scene.tool_pos_m)

    def utility(self, scene: Scene) -> Array:
        distance = self.distance_m(scene)
        return 0.7 * (1 - np.tanh(6 * distance)) + 0.3 * (distance < TOLERANCE_M)

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        return self.distance_m(scene) < TOLERANCE_M

    def expert(self, scene: Scene) -> Waypoint:
        distance = float(self.distance_m(scene))
        return Waypoint(scene.objects["target"][:3], 1.0, distance < 0.05, int(distance < TOLERANCE_M))
