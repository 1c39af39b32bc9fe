"""Pull a drawer open by its knob."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.geometry import length
from sim.task import Array, Layout, Part, Prop, Slide, Waypoint, pose
from sim.tasks.grasp import hand, held, offsets, row, tool, way_to_grasp

OPEN_M = 0.10
_REACH_M = 0.14
_HALF_CABINET_M = (0.08, 0.10, 0.05)
_HALF_FRONT_M = (0.006, 0.085, 0.035)
_SHUT_M = (-_HALF_CABINET_M[0] - _HALF_FRONT_M[0], 0.0, 0.005)  # where the front is in the cabinet's frame
_KNOB_M = np.array([-0.045, 0.0, 0.010])  # where it is taken, in the drawer's frame
_HALF_KNOB_M = (0.012, 0.015, 0.020)


class DrawerOpen:
    """A cabinet, 20 cm wide and 10 cm high, is fixed before the arm, its drawer shut, the knob 3 cm wide.
    Success is the drawer out by 10 of 14 cm for 0.5 s (Meta-World's drawer-open asks for its handle within 3
    cm of a place, at a moment)."""

    name = "drawer_open"
    goal = "Pull the drawer open by its knob."
    horizon_s = 12.0
    props = (
        Prop(
            "cabinet",
            _HALF_CABINET_M,
            (0.0, 0.45, 0.70, 1.0),
            fixed=True,
            parts=(
                Part((0.080, 0.100, 0.005), (0.0, 0.0, 0.045)),
                Part((0.080, 0.005, 0.045), (0.0, -0.095, -0.005)),
                Part((0.080, 0.005, 0.045), (0.0, 0.095, -0.005)),
                Part((0.005, 0.090, 0.045), (0.075, 0.0, -0.005)),
            ),
        ),
        Prop(
            "drawer",
            _HALF_FRONT_M,
            (0.84, 0.37, 0.0, 1.0),
            mass_kg=0.5,
            slides=Slide("cabinet", _SHUT_M, (-1.0, 0.0, 0.0), _REACH_M, friction_n=2.0),
            parts=(
                Part(_HALF_FRONT_M, (0.0, 0.0, 0.0)),
                Part((0.015, 0.005, 0.005), (-0.020, 0.0, 0.010)),
                Part(_HALF_KNOB_M, (-0.045, 0.0, 0.010)),
                Part((0.066, 0.080, 0.003), (0.072, 0.0, -0.032)),
                Part((0.066, 0.003, 0.022), (0.072, -0.077, -0.007)),
                Part((0.066, 0.003, 0.022), (0.072, 0.077, -0.007)),
            ),
        ),
    )
    uses_gripper = True
    turns = False

    def layout(self, rng: np.random.Generator) -> Layout:
        x, y = rng.uniform([0.65, -0.15], [0.70, 0.15])
        cabinet = pose(x, y, _HALF_CABINET_M[2])
        drawer = cabinet + np.array([*_SHUT_M, 0.0, 0.0, 0.0, 0.0])
        tool = np.array([0.45, 0.0, 0.22]) + rng.uniform(-0.03, 0.03, 3)
        return Layout(tool, {"cabinet": cabinet, "drawer": drawer})

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        out = self._out_m(scene)
        return row(
            [*offsets(self._knob(scene) - scene.tool_pos_m), *tool(scene)],
            [*hand(scene), out * 10, np.tanh((OPEN_M - out) * 30)],
        )

    def _knob(self, scene: Scene) -> Array:
        """(..., 3) m where the knob is taken."""
        return np.asarray(scene.objects["drawer"][..., :3] + _KNOB_M)

    def _out_m(self, scene: Scene) -> Array:
        """(...) how far the drawer is out."""
        return np.asarray((scene.objects["cabinet"] - scene.objects["drawer"])[..., 0] + _SHUT_M[0])

    def _held(self, scene: Scene) -> NDArray[np.bool_]:
        return held(scene, self._knob(scene), 2 * _HALF_KNOB_M[1])

    def utility(self, scene: Scene) -> Array:
        near = 1 - np.tanh(6 * length(self._knob(scene) - scene.tool_pos_m))
        out = np.clip(self._out_m(scene) / OPEN_M, 0.0, 1.0)
        kept = np.where(self.success(scene), 1.0, 0.6 * near + 0.4 * self._held(scene))
        return 0.4 * kept + 0.6 * out

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        return self._out_m(scene) >= OPEN_M

    def expert(self, scene: Scene) -> Waypoint:
        knob, tool = self._knob(scene), scene.tool_pos_m
        if bool(self._held(scene)):
            left = OPEN_M + 0.02 - float(self._out_m(scene))
            pull = np.array([tool[0] - max(left, 0.0), tool[1], tool[2]])
            return Waypoint(pull, 0.0, left < 0.03, 3)
        return way_to_grasp(scene, knob, 2 * _HALF_KNOB_M[1], hover_m=0.08)
