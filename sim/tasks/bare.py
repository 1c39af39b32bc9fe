"""Nothing on the table: an arm to drive freely, whatever is known of what stands before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.task import Array, Layout, Waypoint


class Bare:
    """No goal and no end; nothing succeeds."""

    name = "bare"
    goal = "Drive as you like."
    horizon_s = 60.0
    props = ()
    uses_gripper = True
    turns = False

    def layout(self, rng: np.random.Generator) -> Layout:
        return Layout(np.array([0.45, 0.0, 0.22]), {})

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        return scene.tool_pos_m.astype(np.float32)

    def utility(self, scene: Scene) -> Array:
        return np.zeros(np.shape(scene.gripper))

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        return np.zeros(np.shape(scene.gripper), dtype=np.bool_)

    def expert(self, scene: Scene) -> Waypoint:
        return Waypoint(scene.tool_pos_m, float(scene.gripper_target), True, 0)
