"""The arm as polygons: its meshes in one array each, posed, lit and sorted out by what faces the eye.

Everything is done for all triangles at once. Two things are prepared so that few triangles look well:
a triangle is lit by the mean direction of its smooth neighbourhood, and edges are known, so that
outlines can be drawn smoothly over the ragged rims of polygons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hardware.appearance import Kinematics, SceneDescription
from robot_rlhf.console.scene.camera import Projection

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SMOOTH = np.cos(np.radians(40.0))  # neighbours that turn less than this belong to one smooth surface
_PASSES = 2
_CREASE = np.cos(np.radians(35.0))  # edges that turn more are drawn

_AMBIENT, _SKY, _DIFFUSE, _GLOSS, _HARDNESS = 0.44, 0.14, 0.48, 0.08, 14.0


def lit(rgb: Array, normals: Array, projection: Projection) -> Array:
    """(n, 3) colours 0 to 255 of surfaces (n, 3) with these outward unit normals: the sky from above, a
    lamp above the eye's left shoulder, and its gloss (Blinn 1977)."""
    lamp = _unit(np.array([0.0, 0.0, 0.8]) - 0.42 * projection.axes[0] - 0.55 * projection.axes[2])
    half = _unit(lamp - projection.axes[2])
    gloss = _GLOSS * np.maximum(normals @ half, 0.0) ** _HARDNESS
    light = _AMBIENT + _SKY * (0.5 + 0.5 * normals[:, 2]) + _DIFFUSE * np.maximum(normals @ lamp, 0.0)
    return np.asarray(np.clip(255.0 * (rgb * light[:, None] + gloss[:, None]), 0.0, 255.0))


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.linalg.norm(vector))


@dataclass(frozen=True, eq=False)
class Faces:
    """The triangles (n) that face the eye, and the edges (m) to draw.

    camera (n, 3, 3) and centres_m (n, 3): corners before the eye, middles in the base frame; mesh (n): which
    one of the description's it belongs to;
    rgb (n, 3), 0 to 255; edge_camera (m, 2, 3); edge_faces (m, 2): the one or two visible triangles at
    an edge, the same twice where there is one.
    """

    camera: Array
    centres_m: Array
    mesh: Ints
    rgb: Array
    edge_camera: Array
    edge_faces: Ints


class ArmMesh:
    """All meshes of a description, with what does not change from picture to picture."""

    def __init__(self, description: SceneDescription) -> None:
        self._kinematics = Kinematics(description.links)
        meshes = description.meshes
        counts = [len(mesh.vertices_m()) for mesh in meshes]
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        points = [mesh.vertices_m().astype(np.float64) for mesh in meshes]
        corners = [mesh.corners() + start for mesh, start in zip(meshes, self._starts, strict=False)]
        self._points: Array = np.concatenate([*points, np.empty((0, 3))])
        self._corners: Ints = np.concatenate([*corners, np.empty((0, 3), np.int64)]).astype(np.int64)
        self._link_of_mesh = [mesh.link for mesh in meshes]
        sizes = [len(mesh.corners()) for mesh in meshes]
        self._link_of_face = np.repeat(np.array(self._link_of_mesh, np.int64), sizes)
        self._mesh_of_face = np.repeat(np.arange(len(meshes)), sizes)
        self._rgb = np.repeat(np.array([mesh.rgb for mesh in meshes]).reshape(-1, 3), sizes, axis=0)
        self._normals = _normals(self._points, self._corners)
        self._smooth = _smoothed(self._normals, self._corners, self._points)
        self._edges, self._edge_faces = _edges(self._corners)
        turn = (self._normals[self._edge_faces[:, 0]] * self._normals[self._edge_faces[:, 1]]).sum(axis=1)
        self._creased = turn < _CREASE

    def posed(self, joint_pos_rad: Array, gripper: float, tool_pose: Array) -> tuple[Array, Array]:
        """All vertices (v, 3) in the base frame, and the links' poses (links, 4, 4)."""
        poses = self._kinematics.poses(joint_pos_rad, gripper, tool_pose)
        placed = np.empty_like(self._points)
        for index, link in enumerate(self._link_of_mesh):
            part = slice(self._starts[index], self._starts[index + 1])
            placed[part] = self._points[part] @ poses[link, :3, :3].T + poses[link, :3, 3]
        return placed, poses

    def parts(self, placed: Array) -> list[Array]:
        """The vertices of each mesh."""
        return [placed[a:b] for a, b in zip(self._starts[:-1], self._starts[1:], strict=True)]

    def faces(self, placed: Array, poses: Array, projection: Projection) -> Faces:
        """What of the arm can be seen."""
        camera = projection.to_camera(placed)
        corners = camera[self._corners]
        a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
        # the eye is the origin: outward normal . corner < 0 faces it
        facing = (_cross(b - a, c - a) * a).sum(axis=1) < 0.0
        away = np.any(np.all(projection.beyond(camera)[self._corners], axis=1), axis=1)
        chosen = np.flatnonzero(facing & ~away)
        turns = poses[self._link_of_face[chosen], :3, :3]
        normals = np.einsum("fij,fj->fi", turns, self._smooth[chosen])
        centres = placed[self._corners[chosen]].mean(axis=1)
        number = np.full(len(facing), -1, np.int64)
        number[chosen] = np.arange(len(chosen))
        first, second = facing[self._edge_faces].T
        drawn = (first != second) | (first & second & self._creased)
        drawn &= (number[self._edge_faces] >= 0).any(axis=1)
        sides = number[self._edge_faces[drawn]]
        return Faces(
            camera=corners[chosen],
            centres_m=centres,
            mesh=self._mesh_of_face[chosen],
            rgb=lit(self._rgb[chosen], normals, projection),
            edge_camera=camera[self._edges[drawn]],
            edge_faces=np.where(sides < 0, sides[:, ::-1], sides),
        )


def _cross(a: Array, b: Array) -> Array:
    """np.cross, several times faster."""
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )


def _normals(points: Array, corners: Ints) -> Array:
    """(m, 3) outward unit normals; zero where a triangle has no area."""
    a, b, c = points[corners].transpose(1, 0, 2)
    normals = _cross(b - a, c - a)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-15))


def _smoothed(normals: Array, corners: Ints, points: Array) -> Array:
    """Each triangle's normal averaged, by area, over those around its corners that turn little."""
    a, b, c = points[corners].transpose(1, 0, 2)
    weighted = normals * np.linalg.norm(_cross(b - a, c - a), axis=1, keepdims=True)
    around: list[list[int]] = [[] for _ in range(len(points))]
    for face, names in enumerate(corners.tolist()):
        for name in names:
            around[name].append(face)
    neighbours = []
    for face, names in enumerate(corners.tolist()):
        near = np.array([other for name in names for other in around[name]])
        neighbours.append(near[normals[near] @ normals[face] >= _SMOOTH])
    for _ in range(_PASSES):
        weighted = np.array([weighted[near].mean(axis=0) for near in neighbours]).reshape(-1, 3)
    return np.asarray(weighted / np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-15))


def _edges(corners: Ints) -> tuple[Ints, Ints]:
    """The edges between two triangles: their two vertices (e, 2) and the two triangles (e, 2)."""
    faces_at: dict[tuple[int, int], list[int]] = {}
    for face, (a, b, c) in enumerate(corners.tolist()):
        for one, other in ((a, b), (b, c), (c, a)):
            faces_at.setdefault((min(one, other), max(one, other)), []).append(face)
    pairs = [(edge, faces) for edge, faces in faces_at.items() if len(faces) == 2]
    edges = np.array([edge for edge, _ in pairs], np.int64).reshape(-1, 2)
    return edges, np.array([faces for _, faces in pairs], np.int64).reshape(-1, 2)
