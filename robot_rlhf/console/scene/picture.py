"""The live view: a scene row as a picture, drawn in software from the description alone.

Flat polygons from the back to the front, with smooth lines along the edges: some 10 ms a picture
without any GPU, and no call into C that takes more than about a millisecond, so that another thread of
the same process can read the operator's hands meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pygame
from numpy.typing import NDArray

from hardware.appearance import SceneDescription
from robot_rlhf.console.scene.box import CORNERS, Box
from robot_rlhf.console.scene.camera import Projection, Viewpoint
from robot_rlhf.console.scene.ground import Colour, Ground, fill, mapped, outline, ring, shade
from robot_rlhf.console.scene.mesh import ArmMesh, Faces
from robot_rlhf.console.scene.order import Order, from_the_back, ranks_of_parts

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_TOOL_RGB: Colour = (255, 214, 102)
_WORKSPACE_RGB: Colour = (120, 190, 255)
_TOOL_RING_M = 0.014
_DASH_M = 0.012
_MOST_DASHES = 200
_GHOST_S = 0.8  # a commanded velocity's arrow is as long as its way in this time
_GHOST_RGB: Colour = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Dash:
    """A short line (2, 3) in m, hidden by what is before it."""

    ends_m: Array
    rgb: Colour


class Picture:
    """Draws the scenes of one description. To be used from one thread."""

    def __init__(self, description: SceneDescription) -> None:
        self._description = description
        self._arm = ArmMesh(description)
        self._ground = Ground(description.table)
        self._canvas = pygame.Surface((1, 1), 0, 32)
        self._numbers = 19 + 7 * len(description.props)

    def draw(
        self,
        surface: pygame.Surface,
        area: pygame.Rect,
        row: NDArray[np.float32],
        view: Viewpoint,
        *,
        workspace: bool = False,
        ghost_twist: NDArray[np.float64] | None = None,
    ) -> None:
        """Draw the scene row (k,) into `area` of a surface and nowhere else.

        `workspace` adds the box that the tool may not leave; `ghost_twist` (6,) an arrow along a commanded
        velocity, m/s in the base frame. Raises ValueError for a row that is not of this description or
        not finite.
        """
        if row.shape != (self._numbers,):
            raise ValueError(f"a scene row has shape {row.shape}, expected ({self._numbers},)")
        if not np.isfinite(row).all():
            raise ValueError("a scene row holds numbers that are not finite: there is nothing to draw")
        if not area.width or not area.height:
            return
        canvas = self._canvas_of(area.size)
        wide = row.astype(np.float64)
        tool = wide[9:12]
        view = view.placed(tool)
        projection = Projection(view, area.width, area.height)
        boxes = [
            Box(look, part, wide[19 + 7 * index : 26 + 7 * index], projection)
            for index, look in enumerate(self._description.props)
            for part in look.boxes
        ]
        solid = [box for box in boxes if not box.look.is_marker]
        glass = from_the_back([box for box in boxes if box.look.is_marker])
        vertices, poses = self._arm.posed(wide[:7], float(np.clip(wide[7], 0.0, 1.0)), wide[9:16])
        parts = [*self._arm.parts(vertices), *(box.corners_m for box in solid)]
        self._ground.draw(canvas, view, projection)
        self._ground.shadows(canvas, projection, parts)
        dashes = self._guides(canvas, projection, tool, glass)
        if workspace:
            dashes += self._workspace()
        axes = [poses[:, :3, :3].transpose(0, 2, 1).reshape(-1, 3), *(box.axes for box in solid)]
        faces = self._arm.faces(vertices, poses, projection)
        ranks = ranks_of_parts(parts, np.concatenate(axes), projection)
        ends = np.array([dash.ends_m for dash in dashes]).reshape(-1, 2, 3)
        order = Order(projection, faces, ends.mean(axis=1), solid, glass, ranks)
        _paint(canvas, projection, faces, dashes, solid, glass, order)
        if ghost_twist is not None:
            _arrow(canvas, projection, tool, tool + _GHOST_S * np.asarray(ghost_twist)[:3])
        surface.blit(canvas, area)

    def _canvas_of(self, size: tuple[int, int]) -> pygame.Surface:
        """A surface of our own: pygame's smooth lines blend with the wrong pixels on a part of a larger one,
        and read out of bounds on one of 24 bits."""
        if self._canvas.get_size() != size:
            self._canvas = pygame.Surface(size, 0, 32)
        return self._canvas

    def _guides(
        self, canvas: pygame.Surface, projection: Projection, tool: Array, markers: Sequence[Box]
    ) -> list[Dash]:
        """Plumb lines from the tool and from markers in the air, their feet drawn on the table."""
        top = self._description.table.height_m
        hung = [(tool, _TOOL_RING_M, _TOOL_RGB)]
        for look in {box.look.name: box.look for box in markers}.values():
            corners = np.concatenate([box.corners_m for box in markers if box.look is look])
            low, high = corners.min(axis=0), corners.max(axis=0)
            if low[2] > top + 0.01:
                hung.append(((low + high) / 2, look.half_extents_m[0], shade(200 * np.array(look.rgba))))
        dashes = []
        for (x, y, z), radius, colour in hung:
            outline(canvas, colour, projection.polygon(ring(np.array([x, y, top]), radius)))
            for number in range(min(int(max(z - top, 0.0) / _DASH_M), _MOST_DASHES)):
                start = z - _DASH_M * number
                dashes.append(Dash(np.array([[x, y, start], [x, y, start - 0.55 * _DASH_M]]), colour))
        return dashes

    def _workspace(self) -> list[Dash]:
        low, high = map(np.array, (self._description.workspace_low_m, self._description.workspace_high_m))
        corners = (low + high) / 2 + CORNERS * (high - low) / 2
        dashes = []
        for one in range(8):
            for axis in (1, 2, 4):
                if not one & axis:
                    ends = np.linspace(corners[one], corners[one | axis], 9)
                    dashes += [Dash(ends[i : i + 2], _WORKSPACE_RGB) for i in range(8)]
        return dashes


def _paint(
    canvas: pygame.Surface,
    projection: Projection,
    faces: Faces,
    dashes: Sequence[Dash],
    solid: Sequence[Box],
    glass: Sequence[Box],
    order: Order,
) -> None:
    """Everything that stands on the table, from the back to the front."""
    lines_at, solid_at = len(faces.camera), len(faces.camera) + len(dashes)
    inside: NDArray[np.bool_] = np.asarray(projection.inside(faces.camera).all(axis=1))
    points = _corners(projection, faces, inside)
    lines = projection.segments(np.array([dash.ends_m for dash in dashes]).reshape(-1, 2, 3))
    edges = _Edges(canvas, projection, faces, inside, order.place)
    colours = mapped(canvas, faces.rgb)
    glass_left = list(zip(order.glass_place, glass, strict=True))
    polygon, aaline = pygame.draw.polygon, pygame.draw.aaline
    for place, index in enumerate(order.things):
        while glass_left and glass_left[0][0] <= place:
            glass_left.pop(0)[1].paint(canvas)
        if index < lines_at:
            if points[index]:
                polygon(canvas, colours[index], points[index])
            while edges.next_place == place:
                edges.draw_next()
        elif index < solid_at:
            line = lines[index - lines_at]
            if line is not None:
                aaline(canvas, dashes[index - lines_at].rgb, *line)
        else:
            solid[index - solid_at].paint(canvas)
    for _, box in glass_left:
        box.paint(canvas)


def _corners(
    projection: Projection, faces: Faces, inside: NDArray[np.bool_]
) -> list[Sequence[Sequence[float]]]:
    """The triangles on the screen; those not wholly inside are cut, to nothing where none of it is seen."""
    safe = np.where(inside[:, None, None], faces.camera, 1.0)
    points: list[Sequence[Sequence[float]]] = np.rint(projection.to_screen(safe)).astype(np.int64).tolist()
    for index in np.flatnonzero(~inside).tolist():
        points[index] = projection.cut(faces.camera[index])
    return points


class _Edges:
    """The smooth edges, each to be drawn right after the later one of its triangles."""

    def __init__(
        self,
        canvas: pygame.Surface,
        projection: Projection,
        faces: Faces,
        inside: NDArray[np.bool_],
        place: Ints,
    ) -> None:
        sound = np.flatnonzero(inside[faces.edge_faces].all(axis=1))
        after = place[faces.edge_faces[sound]].max(axis=1)
        order = np.argsort(after)
        chosen = sound[order]
        self._canvas = canvas
        self._places = [*after[order].tolist(), -1]
        self._points = projection.to_screen(faces.edge_camera[chosen]).tolist()
        self._colours = mapped(canvas, faces.rgb[faces.edge_faces[chosen]].mean(axis=1))
        self._next = 0
        self.next_place: int = self._places[0]

    def draw_next(self) -> None:
        pygame.draw.aaline(self._canvas, self._colours[self._next], *self._points[self._next])
        self._next += 1
        self.next_place = self._places[self._next]


def _arrow(canvas: pygame.Surface, projection: Projection, start_m: Array, end_m: Array) -> None:
    line = projection.segment(start_m, end_m)
    if line is None:
        return
    start, end = np.array(line[0]), np.array(line[1])
    length = float(np.linalg.norm(end - start))
    if length < 4.0:
        return
    along = (end - start) / length
    aside = np.array([-along[1], along[0]])
    head = min(14.0, 0.6 * length)
    neck = end - head * along
    for points in (
        [start + 1.5 * aside, neck + 1.5 * aside, neck - 1.5 * aside, start - 1.5 * aside],
        [end, neck + 0.5 * head * aside, neck - 0.5 * head * aside],
    ):
        pairs = [(float(x), float(y)) for x, y in points]
        fill(canvas, _GHOST_RGB, pairs)
        outline(canvas, _GHOST_RGB, pairs)
