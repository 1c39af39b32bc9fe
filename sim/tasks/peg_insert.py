"""Put a peg into a hole that is hardly wider."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.geometry import columns, length
from sim.task import Array, Layout, Part, Prop, Waypoint, pose
from sim.tasks.grasp import hand, held, offsets, quarter_turn, row, tool, way_to_grasp

CLEARANCE_M = 0.002  # between the peg in the middle of the hole and each of its walls
HALF_PEG_M = (0.015, 0.015, 0.04)
_HALF_HOLE_M, _HALF_BLOCK_M, _HALF_HEIGHT_M = HALF_PEG_M[0] + CLEARANCE_M, 0.05, 0.02
_WALL_M = (_HALF_BLOCK_M - _HALF_HOLE_M) / 2  # half of a wall's thickness
_GRIP_M = 0.014  # above the peg's middle
_DEEP_M = 0.010  # the peg's lower end is no higher above the table
_STEP_M = 0.010  # downwards at a time: a corner that comes down fast on the rim tilts the peg
_OVER_M = 0.03  # how high the peg's lower end is carried over the block


def _walls() -> tuple[Part, ...]:
    """Four around a square hole: two as long as the block, two between them."""
    out = _HALF_HOLE_M + _WALL_M
    along, between = (_HALF_BLOCK_M, _WALL_M, _HALF_HEIGHT_M), (_WALL_M, _HALF_HOLE_M, _HALF_HEIGHT_M)
    return (
        *(Part(along, (0.0, side * out, 0.0)) for side in (-1.0, 1.0)),
        *(Part(between, (side * out, 0.0, 0.0)) for side in (-1.0, 1.0)),
    )


class PegInsert:
    """A square peg, 3 x 3 x 8 cm and 80 g, stands on the right half of the table, turned by up to 0.2 rad; on
    the left half a block of 4 cm height is fixed, its hole 4 mm wider than the peg, so 2 mm on each side.
    Success is the peg's lower end in the hole and at most 1 cm above the table for 0.5 s, in the hand or not
    (ManiSkill's peg lies, and goes into a hole from the side with 3 mm to spare)."""

    name = "peg_insert"
    goal = "Put the peg into the hole of the block."
    horizon_s = 20.0
    props = (
        Prop("peg", HALF_PEG_M, (0.84, 0.37, 0.0, 1.0), mass_kg=0.08),
        Prop(
            "block",
            (_HALF_BLOCK_M, _HALF_BLOCK_M, _HALF_HEIGHT_M),
            (0.0, 0.45, 0.70, 1.0),
            friction=0.3,
            fixed=True,
            parts=_walls(),
        ),
    )
    uses_gripper = True
    turns = False

    def layout(self, rng: np.random.Generator) -> Layout:
        x, y = rng.uniform([0.42, -0.15], [0.56, -0.06])
        turned = rng.uniform(-0.2, 0.2)
        peg = pose(x, y, HALF_PEG_M[2], turned)
        x, y = rng.uniform([0.42, 0.06], [0.56, 0.15])
        tool = np.array([0.45, 0.0, 0.22]) + rng.uniform(-0.03, 0.03, 3)
        return Layout(tool, {"peg": peg, "block": pose(x, y, _HALF_HEIGHT_M)})

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        peg, gap = scene.objects["peg"], self._gap(scene)
        sideways = length(gap[..., :2])
        height = (peg[..., 2] - HALF_PEG_M[2]) * 10
        _, _, _, x, y, z, w = columns(peg)
        leans = 2 * (x * z + w * y) * 3, 2 * (y * z - w * x) * 3  # where its axis leans
        finest = np.tanh(gap[..., :2] * 150)
        return row(
            [*offsets(self._grip(scene) - scene.tool_pos_m), *offsets(gap), finest, *tool(scene)],
            [*offsets(sideways), *hand(scene), height, quarter_turn(scene, "peg") * 3, *leans],
        )

    def _grip(self, scene: Scene) -> Array:
        """(..., 3) where the tool takes the peg."""
        return np.asarray(scene.objects["peg"][..., :3] + np.array([0.0, 0.0, _GRIP_M]))

    def _gap(self, scene: Scene) -> Array:
        """(..., 3) m from the peg to where it is in the hole."""
        gap = (scene.objects["block"] - scene.objects["peg"])[..., :3]
        return np.asarray(gap + np.array([0.0, 0.0, HALF_PEG_M[2] - _HALF_HEIGHT_M]))

    def _held(self, scene: Scene) -> NDArray[np.bool_]:
        return held(scene, self._grip(scene), 2 * HALF_PEG_M[1])

    def utility(self, scene: Scene) -> Array:
        gap, done = self._gap(scene), self.success(scene)
        near = 1 - np.tanh(6 * length(self._grip(scene) - scene.tool_pos_m))
        sideways, upwards = length(gap[..., :2]), np.abs(gap[..., 2])
        over = 1 - np.tanh(6 * sideways)
        into = (sideways < 2 * CLEARANCE_M) * (1 - np.clip(upwards / 0.05, 0.0, 1.0))
        kept = np.where(done, 1.0, 0.5 * near + 0.5 * self._held(scene))
        return 0.3 * kept + 0.3 * over + 0.2 * into + 0.2 * done

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        gap = self._gap(scene)
        inside = (np.abs(gap[..., :2]) < 2 * CLEARANCE_M).all(axis=-1)
        return inside & (np.abs(gap[..., 2]) <= _DEEP_M)

    def expert(self, scene: Scene) -> Waypoint:
        if not bool(self._held(scene)):
            return way_to_grasp(scene, self._grip(scene), 2 * HALF_PEG_M[1], hover_m=0.09)
        gap, tool = self._gap(scene), scene.tool_pos_m
        goal, sideways = tool + gap, float(np.linalg.norm(gap[:2]))
        low_m = float(scene.objects["peg"][2]) - HALF_PEG_M[2]  # its lower end, as it stands
        in_the_hole = low_m < 2 * _HALF_HEIGHT_M and sideways < 3 * CLEARANCE_M
        if sideways > 0.4 * CLEARANCE_M and not in_the_hole:
            goal[2] = tool[2] - low_m + 2 * _HALF_HEIGHT_M + _OVER_M * min(1.0, sideways / 0.02)
            if low_m < 2 * _HALF_HEIGHT_M and sideways > 0.03:  # up before going over
                goal[:2] = tool[:2]
            return Waypoint(goal, 0.0, sideways < 0.05, 3)
        goal[2] = max(goal[2], tool[2] - _STEP_M)
        return Waypoint(goal, 0.0, True, 4)
