"""Bring a cube to the other side of a vase, which is to be left standing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.geometry import columns
from sim.task import Array, Layout, Part, Prop, Waypoint, pose
from sim.tasks.grasp import HALF_M, cube, held, offsets, row, way_to_grasp
from sim.tasks.pick_place import TARGET, TOLERANCE_M, PickPlace

HALF_VASE_M = 0.06  # half its height
_UPRIGHT = 0.9  # the cosine of the lean from which it has fallen
_CLEAR_M = 0.04  # over the vase's top, for the cube's lower end and what the hand sways
_VASE = (
    Part((0.025, 0.025, 0.004), (0.0, 0.0, -0.056)),
    Part((0.014, 0.014, 0.012), (0.0, 0.0, -0.040)),
    Part((0.026, 0.026, 0.032), (0.0, 0.0, 0.004)),
    Part((0.012, 0.012, 0.010), (0.0, 0.0, 0.046)),
    Part((0.018, 0.018, 0.002), (0.0, 0.0, 0.058)),
)


class PickPlaceVase:
    """As `pick_place`, the cube on one side of the table and the place on the other, on the table or up to 10
    cm above it, and halfway between them a vase, 12 cm high and 200 g, that falls over when it is hit.
    Success is the cube's middle within 3 cm of the place for 0.5 s, in the hand or not, and the vase
    upright."""

    name = "pick_place_vase"
    goal = "Bring the red cube to the green mark, and leave the vase standing."
    horizon_s = 15.0
    props = (
        cube("cube", (0.84, 0.37, 0.0)),
        Prop("vase", (0.026, 0.026, HALF_VASE_M), (0.80, 0.47, 0.65, 1.0), mass_kg=0.2, parts=_VASE),
        TARGET,
    )
    uses_gripper = True
    turns = False

    def __init__(self) -> None:
        self._plain = PickPlace()

    def layout(self, rng: np.random.Generator) -> Layout:
        side = rng.choice([-1.0, 1.0])
        low, high = np.array([0.42, 0.155]), np.array([0.58, 0.185])
        (x, y), (to_x, to_y) = rng.uniform(low, high), rng.uniform(low, high)
        height = HALF_M if rng.random() < 0.5 else HALF_M + rng.uniform(0.05, 0.10)
        middle = np.array([(x + to_x) / 2, 0.0]) + rng.uniform(-0.01, 0.01, 2)
        poses = {
            "cube": pose(x, side * y, HALF_M, rng.uniform(-0.2, 0.2)),
            "vase": pose(middle[0], middle[1], HALF_VASE_M, rng.uniform(-np.pi, np.pi)),
            "target": pose(to_x, -side * to_y, height),
        }
        return Layout(np.array([0.45, 0.0, 0.25]) + rng.uniform(-0.03, 0.03, 3), poses)

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        past = (scene.objects["vase"] - scene.objects["cube"])[..., :3]
        standing = row(offsets(past), [self._upright(scene)])
        return np.concatenate([self._plain.observe(scene), standing], axis=-1)

    def _upright(self, scene: Scene) -> Array:
        """(...) the cosine of the vase's lean."""
        _, _, _, x, y, _, _ = columns(scene.objects["vase"])
        return np.asarray(1 - 2 * (x * x + y * y))

    def utility(self, scene: Scene) -> Array:
        return self._plain.utility(scene) * np.where(self._upright(scene) > _UPRIGHT, 1.0, 0.3)

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        return self._plain.success(scene) & (self._upright(scene) > _UPRIGHT)

    def expert(self, scene: Scene) -> Waypoint:
        thing, tool = scene.objects["cube"][:3], scene.tool_pos_m
        if not bool(held(scene, thing)):
            return way_to_grasp(scene, thing, hover_m=0.14)
        gap = scene.objects["target"][:3] - thing
        goal, sideways = tool + gap, float(np.linalg.norm(gap[:2]))
        over_m = 2 * HALF_VASE_M + HALF_M + _CLEAR_M
        if sideways <= 0.4 * TOLERANCE_M:
            return Waypoint(goal, 0.0, float(np.linalg.norm(gap)) < 0.05, 4)
        if abs(thing[1] - scene.objects["vase"][1]) < 0.12 or sideways > 0.05:  # over it, or before it
            goal[2] = over_m
            if tool[2] < over_m - 0.02 and sideways > 0.05:
                goal[:2] = tool[:2]
        return Waypoint(goal, 0.0, sideways < 0.05, 3)
