"""Put one cube on another, and let go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.geometry import length
from sim.task import Array, Layout, Waypoint, pose
from sim.tasks.grasp import HALF_M, cube, hand, held, offsets, quarter_turn, row, tool, way_to_grasp

_APART_M = 0.10  # between the cubes at the start
_OVER_M = 0.06  # how high over its place the upper cube is carried
_SIDEWAYS_M, _UPWARDS_M = 0.02, 0.008  # how far from its place the upper cube may lie
_LET_GO = 0.8  # the opening from which the hand holds nothing


class Stack:
    """Two 4 cm, 80 g cubes somewhere in 0.20 x 0.30 m, turned by up to 0.2 rad. Success is the red one on the
    blue one, its middle within 2 cm of the blue one's sideways and 8 mm of 4 cm above it, and the hand open,
    for 0.5 s (panda-gym's asks for both cubes within 4 cm of a place that is shown, in the hand or not;
    robosuite's for the cubes to touch and the hand not to)."""

    name = "stack"
    goal = "Put the red cube on the blue one and let go."
    horizon_s = 15.0
    props = (cube("cube", (0.84, 0.37, 0.0)), cube("base", (0.0, 0.45, 0.70)))
    uses_gripper = True
    turns = False

    def layout(self, rng: np.random.Generator) -> Layout:
        low, high = np.array([0.40, -0.15, HALF_M]), np.array([0.60, 0.15, HALF_M])
        above, below = rng.uniform(low, high), rng.uniform(low, high)
        while np.linalg.norm(above - below) < _APART_M:
            above = rng.uniform(low, high)
        turned = rng.uniform(-0.2, 0.2, 2)
        tool = np.array([0.45, 0.0, 0.22]) + rng.uniform(-0.03, 0.03, 3)
        places = zip((above, below), turned, strict=True)
        cube, base = (pose(x, y, z, turn) for (x, y, z), turn in places)
        return Layout(tool, {"cube": cube, "base": base})

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        cube, gap = scene.objects["cube"], self._gap(scene)
        sideways = length(gap[..., :2])
        height = (cube[..., 2] - HALF_M) * 10
        turns = [quarter_turn(scene, name) * 3 for name in ("cube", "base")]
        return row(
            [*offsets(cube[..., :3] - scene.tool_pos_m), *offsets(gap), *tool(scene)],
            [*offsets(sideways), *hand(scene), height, *turns],
        )

    def _gap(self, scene: Scene) -> Array:
        """(..., 3) m from the upper cube to its place on the lower one."""
        gap = (scene.objects["base"] - scene.objects["cube"])[..., :3]
        return np.asarray(gap + np.array([0.0, 0.0, 2 * HALF_M]))

    def _stacked(self, scene: Scene) -> NDArray[np.bool_]:
        gap = self._gap(scene)
        sideways = length(gap[..., :2])
        return (sideways < _SIDEWAYS_M) & (np.abs(gap[..., 2]) < _UPWARDS_M)

    def utility(self, scene: Scene) -> Array:
        offset = scene.objects["cube"][..., :3] - scene.tool_pos_m
        stacked, done = self._stacked(scene), self.success(scene)
        near = np.where(done, 1.0, 1 - np.tanh(6 * length(offset)))
        distance = length(self._gap(scene))
        return (
            0.15 * near
            + 0.15 * (held(scene, scene.objects["cube"][..., :3]) | done)
            + 0.3 * (1 - np.tanh(6 * distance))
            + 0.1 * stacked
            + 0.3 * done
        )

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        return self._stacked(scene) & (scene.gripper > _LET_GO)

    def expert(self, scene: Scene) -> Waypoint:
        tool, gap = scene.tool_pos_m, self._gap(scene)
        sideways, stacked = float(np.linalg.norm(gap[:2])), bool(self._stacked(scene))
        if stacked and (float(scene.gripper_target) > 0.5 or sideways < 0.01):
            away = float(scene.gripper) > _LET_GO
            return Waypoint(tool + np.array([0.0, 0.0, 0.04 * away]), 1.0, not away, 5)
        if not bool(held(scene, scene.objects["cube"][..., :3])):
            return way_to_grasp(scene, scene.objects["cube"][:3])
        goal = tool + gap
        if sideways > 0.006:
            goal[2] = scene.objects["base"][2] + 2 * HALF_M + _OVER_M
            if tool[2] < goal[2] - 0.03 and sideways > 0.02:  # up before going over
                goal[:2] = tool[:2]
        return Waypoint(goal, 0.0, sideways < 0.05, 3 if sideways > 0.006 else 4)
