"""A 4 cm cube in the hand: what the tasks share that pick one up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.task import Array, Prop, Waypoint

HALF_M = 0.02
_HOVER_M = 0.07
_GRIPPED = 0.62  # the opening with the cube in an 8 cm hand is 0.50, up to 0.59 when it is askew


def cube(name: str, rgb: tuple[float, float, float]) -> Prop:
    """A 4 cm, 80 g cube."""
    return Prop(name, (HALF_M, HALF_M, HALF_M), (*rgb, 1.0), mass_kg=0.08)


def held(scene: Scene, name: str) -> NDArray[np.bool_]:
    """(...) whether the cube is between the fingers and they are closed on it."""
    offset = scene.objects[name][..., :3] - scene.tool_pos_m
    between = (np.abs(offset) < np.array([0.02, 0.015, 0.02])).all(axis=-1)
    return between & (scene.gripper < _GRIPPED) & (scene.gripper_target < 0.5)


def quarter_turn(scene: Scene, name: str) -> Array:
    """(...) rad about the vertical, from -pi/4 to pi/4: a cube looks the same after a quarter turn."""
    x, y, z, w = np.moveaxis(scene.objects[name][..., 3:], -1, 0)
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return np.asarray((yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4)


def way_to_grasp(scene: Scene, name: str) -> Waypoint:
    """From a moment in which the cube is not held: above it, down, close. Stages 0 to 2."""
    place, tool = scene.objects[name][:3], scene.tool_pos_m
    offset = place - tool
    sideways = float(np.linalg.norm(offset[:2]))
    closing = float(scene.gripper_target) < 0.5
    if closing and sideways < 0.02 and abs(offset[2]) < 0.015 and float(scene.gripper) > _GRIPPED:
        return Waypoint(tool, 0.0, True, 2)  # the fingers are still on their way
    if sideways < 0.012 or (sideways < 0.02 and tool[2] < place[2] + 0.03):
        if abs(offset[2]) < 0.012 and sideways < 0.012:
            return Waypoint(tool, 0.0, True, 2)
        return Waypoint(place, 1.0, True, 1)
    if tool[2] < place[2] + 0.045:  # beside the cube: go up before going over
        return Waypoint(np.array([tool[0], tool[1], place[2] + _HOVER_M]), 1.0, False, 0)
    return Waypoint(np.array([place[0], place[1], place[2] + _HOVER_M]), 1.0, sideways < 0.04, 0)
