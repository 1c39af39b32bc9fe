"""Ways of doing a task that its operator cares about: the same task, with a utility that is less where the
style is broken.

A style shows in what the operator says and nowhere else: layout, observation and success are the task's own.
Ask for one by name, as `pick_cube/low`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.task import Array, Layout, Prop, Task, Waypoint

WEIGHT = 0.5
"""What a moment loses where the style is wholly broken; a task's own utility is from 0 to 1."""

_VASE_M = np.array([0.52, 0.0])  # where a vase stands that nobody but the operator sees


def near_the_vase(scene: Scene) -> Array:
    """1 with the tool within 3 cm of the vase's axis, 0 from 7 cm on."""
    away = np.linalg.norm(scene.tool_pos_m[..., :2] - _VASE_M, axis=-1)
    return np.asarray(np.clip((0.07 - away) / 0.04, 0.0, 1.0))


def rough_at_the_cube(scene: Scene) -> Array:
    """1 with the tool faster than 12 cm/s at the cube, 0 below 4 cm/s or from 8 cm away on."""
    away = np.linalg.norm(scene.objects["cube"][..., :3] - scene.tool_pos_m, axis=-1)
    near = np.clip((0.08 - away) / 0.04, 0.0, 1.0)
    speed = np.linalg.norm(scene.tool_vel_m_s, axis=-1)
    return np.asarray(near * np.clip((speed - 0.04) / 0.08, 0.0, 1.0))


def carried_high(scene: Scene) -> Array:
    """1 with the cube higher than 20 cm over where it lay, 0 below 14 cm; it has to be lifted by 10 cm."""
    height = scene.objects["cube"][..., 2] - 0.02
    return np.asarray(np.clip((height - 0.14) / 0.06, 0.0, 1.0))


Breach = Callable[[Scene], Array]
"""How far a style is broken at a moment, (...), from 0 to 1."""

STYLES: Mapping[str, tuple[Breach, str]] = {
    "reach/clear": (near_the_vase, "Keep clear of the vase in the middle."),
    "pick_cube/gentle": (rough_at_the_cube, "Be gentle with it."),
    "pick_cube/low": (carried_high, "Do not carry it high."),
}
"""Task and style -> how far it is broken, and the wish in words."""


@dataclass(frozen=True)
class Styled:
    """`task` as an operator wants it who cares how it is done."""

    task: Task
    name: str

    @property
    def goal(self) -> str:
        return f"{self.task.goal} {STYLES[self.name][1]}"

    @property
    def horizon_s(self) -> float:
        return self.task.horizon_s

    @property
    def props(self) -> tuple[Prop, ...]:
        return self.task.props

    @property
    def uses_gripper(self) -> bool:
        return self.task.uses_gripper

    def layout(self, rng: np.random.Generator) -> Layout:
        return self.task.layout(rng)

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        return self.task.observe(scene)

    def utility(self, scene: Scene) -> Array:
        return self.task.utility(scene) - WEIGHT * STYLES[self.name][0](scene)

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        return self.task.success(scene)

    def expert(self, scene: Scene) -> Waypoint:
        return self.task.expert(scene)
