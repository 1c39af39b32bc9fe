"""Ways of doing a task that its operator cares about: the same task, with a utility that is less where the
style is broken, and done by its operator without breaking it.

A style shows in what the operator does and says and nowhere else: layout, observation and success are the
task's own. Ask for one by name, as `pick_cube/low`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.geometry import length
from sim.task import Array, Layout, Prop, Task, Waypoint

_LYING_M = 0.03  # a 4 cm cube whose middle is below this lies on the table
_VASE_M = np.array([0.50, 0.0])  # where a vase stands that nobody but the operator sees
_AWAY_M = 0.14  # how far from its axis they carry the cube
_IN_SIGHT_RAD = 0.7  # seen from it; they go straight to what is nearer than that, and so far at a time


def _vase(scene: Scene) -> Array:
    """(..., 2) where it stands, in a task that has one, and where it is thought of in the others."""
    return scene.objects["vase"][..., :2] if "vase" in scene.objects else _VASE_M


def over_the_vase(scene: Scene) -> Array:
    """1 with the cube in the air within 8 cm of the vase's axis, 0 from 12 cm on or while it lies."""
    cube = scene.objects["cube"]
    away = length(cube[..., :2] - _vase(scene))
    return np.asarray((cube[..., 2] >= _LYING_M) * np.clip((0.12 - away) / 0.04, 0.0, 1.0))


def away_from_the_vase(scene: Scene, waypoint: Waypoint) -> Waypoint:
    """With the cube in the air, straight away from the vase's axis; up as before."""
    aside = scene.objects["cube"][:2] - _VASE_M
    away = float(np.linalg.norm(aside))
    if scene.objects["cube"][2] < _LYING_M or waypoint.gripper > 0.5 or away >= _AWAY_M - 0.01:
        return waypoint
    heading = aside / away if away > 1e-6 else np.array([0.0, 1.0])
    return replace(waypoint, pos_m=np.append(_VASE_M + _AWAY_M * heading, waypoint.pos_m[2]))


def around_the_vase(scene: Scene, waypoint: Waypoint) -> Waypoint:
    """With the cube in the air, around the vase's axis to where it is wanted, on the side that is shorter; as
    high as before."""
    cube, vase = scene.objects["cube"], _vase(scene)
    here, there = cube[:2] - vase, waypoint.pos_m[:2] - vase
    ahead = float(np.arctan2(here[0] * there[1] - here[1] * there[0], here @ there))
    if cube[2] < 2 * _LYING_M or waypoint.gripper > 0.5 or abs(ahead) < _IN_SIGHT_RAD:
        return waypoint
    bearing = np.arctan2(here[1], here[0]) + np.sign(ahead) * min(abs(ahead), _IN_SIGHT_RAD)
    aim = vase + _AWAY_M * np.array([np.cos(bearing), np.sin(bearing)])
    return replace(waypoint, pos_m=np.append(aim, waypoint.pos_m[2]), precise=False)


def rough_at_the_cube(scene: Scene) -> Array:
    """1 with the tool faster than 12 cm/s at the cube while it lies, 0 below 4 cm/s or from 8 cm away on."""
    away = length(scene.objects["cube"][..., :3] - scene.tool_pos_m)
    near = np.clip((0.08 - away) / 0.04, 0.0, 1.0)
    speed = length(scene.tool_vel_m_s)
    lies = scene.objects["cube"][..., 2] < _LYING_M
    return np.asarray(lies * near * np.clip((speed - 0.04) / 0.08, 0.0, 1.0))


def slowly_at_the_cube(scene: Scene, waypoint: Waypoint) -> Waypoint:
    """Small steps within 9 cm of the cube while it lies: a hand is the slower the nearer it is to where it
    goes. Smaller ones, and half of the demonstrations come to nothing before they are over."""
    cube = scene.objects["cube"][:3]
    if np.linalg.norm(cube - scene.tool_pos_m) > 0.09 or cube[2] >= _LYING_M:
        return waypoint
    step = waypoint.pos_m - scene.tool_pos_m
    short = step * min(1.0, 0.02 / max(float(np.linalg.norm(step)), 1e-9))
    return replace(waypoint, pos_m=scene.tool_pos_m + short, precise=True)


def carried_high(scene: Scene) -> Array:
    """1 with the cube higher than 20 cm over where it lay, 0 below 14 cm; it has to be lifted by 10 cm."""
    height = scene.objects["cube"][..., 2] - 0.02
    return np.asarray(np.clip((height - 0.14) / 0.06, 0.0, 1.0))


def carried_low(_: Scene, waypoint: Waypoint) -> Waypoint:
    """No higher with the cube in the hand than 12.5 cm over where it lay."""
    if waypoint.gripper > 0.5:
        return waypoint
    return replace(waypoint, pos_m=np.minimum(waypoint.pos_m, [np.inf, np.inf, 0.145]))


@dataclass(frozen=True)
class Style:
    """How a task is wanted to be done."""

    wish: str
    """In words."""
    breach: Callable[[Scene], Array]
    """How far it is broken at a moment, (...), from 0 to 1."""
    way: Callable[[Scene, Waypoint], Waypoint]
    """From the task's own next waypoint to that of somebody who keeps it."""
    weight: float
    """What a moment loses where it is wholly broken; a task's own utility is from 0 to 1. Enough for the
    style to be worth the time that keeping it takes."""


STYLES: Mapping[str, Style] = {
    "pick_cube/clear": Style(
        "Hold it clear of the vase in the middle.", over_the_vase, away_from_the_vase, 0.5
    ),
    "pick_place_vase/clear": Style("Keep the cube clear of it.", over_the_vase, around_the_vase, 0.5),
    "pick_cube/gentle": Style("Be gentle with it.", rough_at_the_cube, slowly_at_the_cube, 8.0),
    "pick_cube/low": Style("Do not carry it high.", carried_high, carried_low, 0.5),
}
"""By task and style."""


@dataclass(frozen=True)
class Styled:
    """`task` as an operator wants it who cares how it is done."""

    task: Task
    name: str

    @property
    def goal(self) -> str:
        return f"{self.task.goal} {STYLES[self.name].wish}"

    @property
    def horizon_s(self) -> float:
        return self.task.horizon_s

    @property
    def props(self) -> tuple[Prop, ...]:
        return self.task.props

    @property
    def uses_gripper(self) -> bool:
        return self.task.uses_gripper

    @property
    def turns(self) -> bool:
        return self.task.turns

    def layout(self, rng: np.random.Generator) -> Layout:
        return self.task.layout(rng)

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        return self.task.observe(scene)

    def utility(self, scene: Scene) -> Array:
        style = STYLES[self.name]
        return self.task.utility(scene) - style.weight * style.breach(scene)

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        return self.task.success(scene)

    def expert(self, scene: Scene) -> Waypoint:
        return STYLES[self.name].way(scene, self.task.expert(scene))
