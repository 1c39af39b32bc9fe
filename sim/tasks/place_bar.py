"""Lay a bar along a mark: the hand has to turn, to take it across its narrow side and to set it down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.geometry import length
from sim.task import Array, Layout, Prop, Waypoint, pose, tool_yaw
from sim.tasks.grasp import half_turn, hand, held, offsets, row, tool, way_to_grasp, yaw

HALF_BAR_M = (0.045, 0.015, 0.02)
_APART_M = 0.14  # between the bar and the mark at the start
_OVER_M = 0.08  # how high the bar is carried over the mark
_HOVER_M = 0.08  # how high over the bar the hand turns
_SIDEWAYS_M, _UPWARDS_M, _TURNED_RAD = 0.02, 0.008, 0.15  # how far from its place it may lie
_ALIGNED_RAD = 0.05  # from which on the hand goes down
_LET_GO = 0.8  # the opening from which the hand holds nothing


def _turns(turn_rad: Array) -> tuple[Array, Array]:
    """What is seen of a turn that is to be made: as it is, and finely where it is small."""
    return turn_rad, np.tanh(turn_rad * 8)


class PlaceBar:
    """A bar of 9 x 3 x 4 cm, 100 g, longer than the hand is wide, turned by up to 45 degrees, and a mark in
    its shape, turned by up to 34. Success is the bar on the mark, its middle within 2 cm, along it within
    0.15 rad, and the hand open, for 0.5 s. The action's fifth number turns the tool about the vertical."""

    name = "place_bar"
    goal = "Lay the red bar along the green mark and let go."
    horizon_s = 15.0
    props = (
        Prop("bar", HALF_BAR_M, (0.84, 0.37, 0.0, 1.0), mass_kg=0.1),
        Prop("mark", (0.05, 0.02, 0.001), (0.0, 0.62, 0.45, 1.0)),
    )
    uses_gripper = True
    turns = True

    def layout(self, rng: np.random.Generator) -> Layout:
        low, high = np.array([0.42, -0.15]), np.array([0.58, 0.15])
        lies, place = rng.uniform(low, high), rng.uniform(low, high)
        while np.linalg.norm(place - lies) < _APART_M:
            lies = rng.uniform(low, high)
        bar = pose(lies[0], lies[1], HALF_BAR_M[2], rng.uniform(-np.pi / 4, np.pi / 4))
        mark = pose(place[0], place[1], 0.001, rng.uniform(-0.6, 0.6))
        return Layout(np.array([0.45, 0.0, 0.22]) + rng.uniform(-0.03, 0.03, 3), {"bar": bar, "mark": mark})

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        bar, gap = scene.objects["bar"], self._gap(scene)
        to_bar, to_mark = self._to_bar(scene), self._to_mark(scene)
        height = (bar[..., 2] - HALF_BAR_M[2]) * 10
        return row(
            [*offsets(bar[..., :3] - scene.tool_pos_m), *offsets(gap), *tool(scene)],
            [*hand(scene), height, *_turns(to_bar), *_turns(to_mark), tool_yaw(scene)],
        )

    def _gap(self, scene: Scene) -> Array:
        """(..., 3) m from the bar to its place."""
        gap = (scene.objects["mark"] - scene.objects["bar"])[..., :3]
        return np.asarray(gap + np.array([0.0, 0.0, HALF_BAR_M[2] - 0.001]))

    def _to_bar(self, scene: Scene) -> Array:
        """(...) rad that the hand has to turn to be along the bar."""
        return half_turn(yaw(scene, "bar") - tool_yaw(scene))

    def _to_mark(self, scene: Scene) -> Array:
        """(...) rad that the bar has to turn to be along the mark."""
        return half_turn(yaw(scene, "mark") - yaw(scene, "bar"))

    def _laid(self, scene: Scene, share: float = 1.0) -> NDArray[np.bool_]:
        """(...) whether it lies on the mark, within that share of what counts."""
        gap = self._gap(scene)
        there = length(gap[..., :2]) < share * _SIDEWAYS_M
        along = np.abs(self._to_mark(scene)) < share * _TURNED_RAD
        return np.asarray(there & along & (np.abs(gap[..., 2]) < _UPWARDS_M))

    def _held(self, scene: Scene) -> NDArray[np.bool_]:
        return held(scene, scene.objects["bar"][..., :3], 2 * HALF_BAR_M[1])

    def utility(self, scene: Scene) -> Array:
        done = self.success(scene)
        offset = scene.objects["bar"][..., :3] - scene.tool_pos_m
        near = np.where(done, 1.0, 1 - np.tanh(6 * length(offset)))
        along = np.where(done, 1.0, 1 - np.abs(self._to_bar(scene)) / (np.pi / 2))
        aligned = 1 - np.abs(self._to_mark(scene)) / (np.pi / 2)
        over = 1 - np.tanh(6 * length(self._gap(scene)))
        kept = 0.1 * near + 0.1 * along + 0.15 * (self._held(scene) | done)
        return kept + 0.2 * over + 0.15 * aligned + 0.1 * self._laid(scene) + 0.2 * done

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        return self._laid(scene) & (scene.gripper > _LET_GO)

    def expert(self, scene: Scene) -> Waypoint:
        at, bar, gap = scene.tool_pos_m, scene.objects["bar"][:3], self._gap(scene)
        if bool(self._laid(scene)) and (float(scene.gripper_target) > 0.5 or bool(self._laid(scene, 0.5))):
            away = float(scene.gripper) > _LET_GO
            return Waypoint(at + np.array([0.0, 0.0, 0.04 * away]), 1.0, not away, 5)
        here = float(tool_yaw(scene))
        if not bool(self._held(scene)):
            way, turn = way_to_grasp(scene, bar, 2 * HALF_BAR_M[1], _HOVER_M), float(self._to_bar(scene))
            if way.stage == 1 and abs(turn) > _ALIGNED_RAD:
                over = np.array([bar[0], bar[1], max(at[2], bar[2] + 0.6 * _HOVER_M)])
                return Waypoint(over, 1.0, True, 0, here + turn)
            return way if way.stage == 2 else replace(way, yaw_rad=here + turn)
        goal, turn = at + gap, float(self._to_mark(scene))
        sideways = float(np.linalg.norm(gap[:2]))
        over_it = sideways < 0.006 and abs(turn) < _ALIGNED_RAD
        if not over_it and not (sideways < 0.01 and gap[2] > -0.01):
            goal[2] += _OVER_M
            if gap[2] > -0.03 and sideways > 0.02:  # up before going over
                goal[:2] = at[:2]
        return Waypoint(goal, 0.0, sideways < 0.05, 4 if over_it else 3, here + turn)
