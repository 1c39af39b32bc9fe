"""Pick a cube from the table and bring it to a place that is shown, on the table or in the air."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.geometry import length
from sim.task import Array, Layout, Part, Prop, Waypoint, pose
from sim.tasks.grasp import HALF_M, cube, hand, held, offsets, quarter_turn, row, tool, way_to_grasp

TOLERANCE_M = 0.03
_ON_TABLE = 0.3  # share of the places that lie on the table
_APART_M = 0.10  # a place is at least so far from where the cube lies
_OVER_M = 0.08  # how high the tool is carried over the table
_MARK = (  # a plate, and a bar through it: seen around a cube that is there
    Part((TOLERANCE_M, TOLERANCE_M, 0.003), (0.0, 0.0, 0.0)),
    Part((0.004, 0.004, TOLERANCE_M), (0.0, 0.0, 0.0)),
)
TARGET = Prop("target", (TOLERANCE_M, TOLERANCE_M, TOLERANCE_M), (0.0, 0.62, 0.45, 1.0), parts=_MARK)


class PickPlace:
    """A 4 cm, 80 g cube and a place for its middle, both somewhere in 0.20 x 0.30 m, the place on the table
    in three of ten episodes and else up to 20 cm above it. Success is the cube's middle within 3 cm of the
    place for 0.5 s, in the hand or not (panda-gym's and Gymnasium-Robotics' ask for 5 cm at a moment)."""

    name = "pick_place"
    goal = "Bring the red cube to the green mark."
    horizon_s = 12.0
    props = (cube("cube", (0.84, 0.37, 0.0)), TARGET)
    uses_gripper = True
    turns = False

    def layout(self, rng: np.random.Generator) -> Layout:
        low, high = np.array([0.40, -0.15, HALF_M]), np.array([0.60, 0.15, HALF_M])
        lies, place = rng.uniform(low, high), rng.uniform(low, high)
        if rng.random() >= _ON_TABLE:
            place[2] += rng.uniform(0.05, 0.20)
        while np.linalg.norm(place - lies) < _APART_M:
            lies = rng.uniform(low, high)
        (x, y, z), turned = lies, rng.uniform(-0.2, 0.2)
        poses = {"cube": pose(x, y, z, turned), "target": pose(*place)}
        tool = np.array([0.45, 0.0, 0.22]) + rng.uniform(-0.03, 0.03, 3)
        return Layout(tool, poses)

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        cube, gap = scene.objects["cube"], self._gap(scene)
        distance = length(gap)
        height = (cube[..., 2] - HALF_M) * 10
        return row(
            [*offsets(cube[..., :3] - scene.tool_pos_m), *offsets(gap), *tool(scene)],
            [*offsets(distance), *hand(scene), height, quarter_turn(scene, "cube") * 3],
        )

    def _gap(self, scene: Scene) -> Array:
        """(..., 3) m from the cube to its place."""
        return np.asarray((scene.objects["target"] - scene.objects["cube"])[..., :3])

    def utility(self, scene: Scene) -> Array:
        offset = scene.objects["cube"][..., :3] - scene.tool_pos_m
        distance = length(self._gap(scene))
        near = 1 - np.tanh(6 * length(offset))
        done = distance < TOLERANCE_M
        return (
            0.2 * near
            + 0.2 * held(scene, scene.objects["cube"][..., :3])
            + 0.4 * (1 - np.tanh(6 * distance))
            + 0.2 * done
        )

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        return length(self._gap(scene)) < TOLERANCE_M

    def expert(self, scene: Scene) -> Waypoint:
        if not bool(held(scene, scene.objects["cube"][..., :3])):
            return way_to_grasp(scene, scene.objects["cube"][:3])
        gap, tool = self._gap(scene), scene.tool_pos_m
        goal = tool + gap
        sideways = float(np.linalg.norm(gap[:2]))
        if sideways > 0.025:  # not along the table
            goal[2] = max(goal[2], _OVER_M)
            if tool[2] < HALF_M + 0.03:
                goal[:2] = tool[:2]
        near = float(np.linalg.norm(goal - tool)) < 0.05
        return Waypoint(goal, 0.0, near, 3 if sideways > 0.025 else 4)
