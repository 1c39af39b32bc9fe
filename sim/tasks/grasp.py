"""Things in the hand: what the tasks share that pick one up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Number, Scene
from sim.geometry import columns
from sim.task import Array, Prop, Waypoint

HALF_M = 0.02
_HAND_M = 0.08  # between the fingers of an open hand
_CENTRE_M = np.array([0.5, 0.0, 0.15])  # that places of the tool are counted from
_ASKEW = 0.12  # how much wider than the thing itself, as a share of the hand, the fingers may stand


def cube(name: str, rgb: tuple[float, float, float]) -> Prop:
    """A 4 cm, 80 g cube."""
    return Prop(name, (HALF_M, HALF_M, HALF_M), (*rgb, 1.0), mass_kg=0.08)


def _gripped(width_m: float) -> float:
    """The opening below which the fingers are on a thing: they stand at 0.50 on a 4 cm cube, at up to 0.59 on
    one that is askew."""
    return width_m / _HAND_M + _ASKEW


def held(scene: Scene, place: Array, width_m: float = 2 * HALF_M) -> NDArray[np.bool_]:
    """(...) whether the thing, `width_m` wide and to be taken at `place` (..., 3), is between the fingers,
    and they are closed on it."""
    x, y, z = columns(np.abs(place - scene.tool_pos_m))
    between = (x < 0.02) & (y < 0.015) & (z < 0.02)
    return between & (scene.gripper < _gripped(width_m)) & (scene.gripper_target < 0.5)


def row(vectors: Sequence[Array], numbers: Sequence[Number]) -> NDArray[np.float32]:
    """An observation (..., n): `vectors` (..., k) of any lengths and then `numbers` (...), side by side."""
    last = np.array(numbers)
    last = last if last.ndim == 1 else np.moveaxis(last, 0, -1)
    return np.concatenate([*vectors, last], axis=-1).astype(np.float32)


def offsets(way_m: Array) -> tuple[Array, Array]:
    """What is seen of a way (..., 3) that is to be gone: as it is, and finely where it is short."""
    return way_m * 5, np.tanh(way_m * 30)


def tool(scene: Scene) -> tuple[Array, Array]:
    """Where the tool is and how fast it moves, of about unit size."""
    return (scene.tool_pos_m - _CENTRE_M) * 5, scene.tool_vel_m_s * 5


def hand(scene: Scene) -> tuple[Number, Number]:
    """How far the hand is open and is told to be, from -1 to 1."""
    return scene.gripper * 2 - 1, scene.gripper_target * 2 - 1


def yaw(scene: Scene, name: str) -> Array:
    """(...) rad that a thing is turned about the vertical."""
    _, _, _, x, y, z, w = columns(scene.objects[name])
    return np.asarray(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


def quarter_turn(scene: Scene, name: str) -> Array:
    """(...) rad about the vertical, from -pi/4 to pi/4: a cube looks the same after a quarter turn."""
    return np.asarray((yaw(scene, name) + np.pi / 4) % (np.pi / 2) - np.pi / 4)


def half_turn(turn_rad: Array) -> Array:
    """The same turn of something that looks the same after half a one, from -pi/2 to pi/2."""
    return np.asarray((turn_rad + np.pi / 2) % np.pi - np.pi / 2)


def way_to_grasp(scene: Scene, place: Array, width_m: float = 2 * HALF_M, hover_m: float = 0.07) -> Waypoint:
    """From a moment in which the thing is not held: `hover_m` above where it is taken, down, close. Stages 0
    to 2; the rest as `held`."""
    tool = scene.tool_pos_m
    offset = place - tool
    sideways = float(np.linalg.norm(offset[:2]))
    closing = float(scene.gripper_target) < 0.5
    if closing and sideways < 0.02 and abs(offset[2]) < 0.015 and float(scene.gripper) > _gripped(width_m):
        return Waypoint(tool, 0.0, True, 2)  # the fingers are still on their way
    if sideways < 0.012 or (sideways < 0.02 and tool[2] < place[2] + 0.03):
        if abs(offset[2]) < 0.012 and sideways < 0.012:
            return Waypoint(tool, 0.0, True, 2)
        return Waypoint(place, 1.0, True, 1)
    if tool[2] < place[2] + hover_m - 0.025:  # beside it: go up before going over
        return Waypoint(np.array([tool[0], tool[1], place[2] + hover_m]), 1.0, False, 0)
    return Waypoint(np.array([place[0], place[1], place[2] + hover_m]), 1.0, sideways < 0.04, 0)
