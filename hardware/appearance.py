"""What a scene looks like: the arm's links and meshes, the things on the table, where to look from.

It is told once, as one message of some tens of kilobytes; from then on a packed `hardware.scene.Scene`
row a moment is all that a picture needs, wherever it is drawn. Units are m and rad, poses stand in the
robot's base frame, quaternions are (x, y, z, w), and colours are red, green, blue from 0 to 1. Every
type checks itself when it is made, so one that was decoded from the wire can be drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from hardware.scene import JOINTS

Array = NDArray[np.float64]
Triple = tuple[float, float, float]
Quad = tuple[float, float, float, float]

MAX_LINKS = 64
MAX_PROPS = 64
MAX_PARTS = 16  # of one prop
MAX_VIEWS = 16
MAX_VERTICES = 30_000  # of all meshes together
MAX_TRIANGLES = 20_000
MAX_REACH_M = 100.0  # no coordinate is further out
MAX_TEXT = 500


def _numbers(
    name: str, values: Sequence[float], low: float = -MAX_REACH_M, high: float = MAX_REACH_M
) -> None:
    if not all(low <= value <= high for value in values):  # a NaN is not in range either
        raise ValueError(f"{name} is {list(values)}: every number must be from {low:g} to {high:g}")


def _unit(name: str, values: Sequence[float]) -> None:
    _numbers(name, values, -1.001, 1.001)
    if abs(math.hypot(*values) - 1.0) > 1e-3:
        raise ValueError(f"{name} is {list(values)}: its length must be 1")


def _text(name: str, value: str, empty: bool = False) -> None:
    if len(value) > MAX_TEXT or not (value or empty):
        raise ValueError(f"{name} has {len(value)} characters, expected 1 to {MAX_TEXT}")


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rigid part of the arm. `parent` is the index of a link before this one, or -1 for the base frame, or
    for the tool's where it is `at_tool`.

    The link's frame lies at `origin` in its parent's, then turns about `axis` by the entry
    `turned_by_joint` of joint_pos_rad and slides along it by `slide_m` times the gripper's opening.
    """

    name: str
    parent: int
    origin_pos_m: Triple
    origin_quat_xyzw: Quad
    axis: Triple = (0.0, 0.0, 1.0)
    turned_by_joint: int | None = None
    slide_m: float = 0.0
    at_tool: bool = False

    def __post_init__(self) -> None:
        _text("a link's name", self.name)
        _numbers(f"origin_pos_m of {self.name}", self.origin_pos_m)
        _unit(f"origin_quat_xyzw of {self.name}", self.origin_quat_xyzw)
        _unit(f"axis of {self.name}", self.axis)
        _numbers(f"slide_m of {self.name}", [self.slide_m])
        if self.turned_by_joint is not None and not 0 <= self.turned_by_joint < JOINTS:
            raise ValueError(
                f"{self.name} is turned by joint {self.turned_by_joint}, expected 0 to {JOINTS - 1}"
            )


class Mesh(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A closed surface fixed to a link, in that link's frame, of one colour.

    vertices: n x 3 little-endian float32 in m; triangles: m x 3 little-endian uint16, indices of
    vertices, counterclockwise as seen from outside.
    """

    link: int
    vertices: bytes
    triangles: bytes
    rgb: Triple

    def __post_init__(self) -> None:
        for name, data, size in (("vertices", self.vertices, 12), ("triangles", self.triangles, 6)):
            if not data or len(data) % size:
                raise ValueError(
                    f"the {name} of a mesh take {len(data)} bytes, expected a multiple of {size} above 0"
                )
        _numbers("rgb of a mesh", self.rgb, 0.0, 1.0)
        if not (np.abs(self.vertices_m()) <= MAX_REACH_M).all():
            raise ValueError(f"a mesh has vertices that are not finite or beyond {MAX_REACH_M:g} m")
        count, highest = len(self.vertices) // 12, int(self.corners().max())
        if highest >= count:
            raise ValueError(f"a mesh's triangles name vertex {highest}, but there are {count} vertices")

    def vertices_m(self) -> NDArray[np.float32]:
        """(n, 3) in m."""
        return np.frombuffer(self.vertices, dtype="<f4").reshape(-1, 3)

    def corners(self) -> NDArray[np.uint16]:
        """(m, 3) indices of vertices."""
        return np.frombuffer(self.triangles, dtype="<u2").reshape(-1, 3)


class PartLook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A box that a prop is made of, its middle in the prop's frame."""

    half_extents_m: Triple
    at_m: Triple

    def __post_init__(self) -> None:
        _numbers("half_extents_m of a part", self.half_extents_m, 1e-6)
        _numbers("at_m of a part", self.at_m)


class PropLook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A box among the scene's objects, or several in one where it has `parts`, `half_extents_m` then being of
    the whole; a marker is only seen, nothing can touch it."""

    name: str
    half_extents_m: Triple
    rgba: Quad
    is_marker: bool = False
    parts: tuple[PartLook, ...] = ()

    def __post_init__(self) -> None:
        _text("a prop's name", self.name)
        _numbers(f"half_extents_m of {self.name}", self.half_extents_m, 1e-6)
        _numbers(f"rgba of {self.name}", self.rgba, 0.0, 1.0)
        if len(self.parts) > MAX_PARTS:
            raise ValueError(f"{self.name} has {len(self.parts)} parts, at most {MAX_PARTS} are drawn")

    @property
    def boxes(self) -> tuple[PartLook, ...]:
        """What it is made of, itself where it is one box."""
        return self.parts or (PartLook(half_extents_m=self.half_extents_m, at_m=(0.0, 0.0, 0.0)),)


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What everything stands on: a rectangle at a height, its low and high corners in m."""

    low_m: tuple[float, float]
    high_m: tuple[float, float]
    height_m: float = 0.0
    rgb: Triple = (0.86, 0.83, 0.78)

    def __post_init__(self) -> None:
        _numbers("the table's corners", [*self.low_m, *self.high_m, self.height_m])
        _numbers("the table's rgb", self.rgb, 0.0, 1.0)
        _below("the table's low_m", self.low_m, self.high_m)


class View(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A place to look from: `distance_m` away from the target, in the direction `azimuth_deg` (0 is the
    base frame's x, 90 its y) and `elevation_deg` above the horizon, with a vertical field of view of
    `field_deg`. Where it follows the tool, `target_m` is counted from the tool's position.
    """

    name: str
    target_m: Triple
    distance_m: float
    azimuth_deg: float
    elevation_deg: float
    field_deg: float = 40.0
    follows_tool: bool = False

    def __post_init__(self) -> None:
        _text("a view's name", self.name)
        _numbers(f"target_m of view {self.name}", self.target_m)
        _numbers(f"distance_m of view {self.name}", [self.distance_m], 0.05, 20.0)
        _numbers(f"azimuth_deg of view {self.name}", [self.azimuth_deg], -360.0, 360.0)
        _numbers(f"elevation_deg of view {self.name}", [self.elevation_deg], -89.9, 89.9)
        _numbers(f"field_deg of view {self.name}", [self.field_deg], 5.0, 120.0)


class SceneDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that stays as it is while scene rows come: see the module's docstring.

    `props` are in the order of the objects in a scene row; `max_speed_m_s` and `max_turn_rad_s` are the
    arm's own limits.
    """

    robot: str
    task: str
    goal: str
    links: tuple[Link, ...]
    meshes: tuple[Mesh, ...]
    props: tuple[PropLook, ...]
    table: Table
    workspace_low_m: Triple
    workspace_high_m: Triple
    max_speed_m_s: float
    max_turn_rad_s: float
    views: tuple[View, ...]

    def __post_init__(self) -> None:
        for name in ("robot", "task"):
            _text(name, getattr(self, name))
        _text("goal", self.goal, empty=True)
        for name, least, most in (("links", 1, MAX_LINKS), ("props", 0, MAX_PROPS), ("views", 1, MAX_VIEWS)):
            if not least <= len(getattr(self, name)) <= most:
                raise ValueError(f"there are {len(getattr(self, name))} {name}, expected {least} to {most}")
        for index, link in enumerate(self.links):
            if not -1 <= link.parent < index:
                raise ValueError(
                    f"link {index} ({link.name}) has the parent {link.parent}: expected one before it, or -1"
                )
            if link.at_tool and link.parent != -1:
                raise ValueError(
                    f"link {index} ({link.name}) is at the tool and has the parent {link.parent}"
                )
        for mesh in self.meshes:
            if not 0 <= mesh.link < len(self.links):
                raise ValueError(
                    f"a mesh is fixed to link {mesh.link}, but there are {len(self.links)} links"
                )
        for name, size, most in (("vertices", 12, MAX_VERTICES), ("triangles", 6, MAX_TRIANGLES)):
            count = sum(len(getattr(mesh, name)) for mesh in self.meshes) // size
            if count > most:
                raise ValueError(f"the meshes have {count} {name}, at most {most} are drawn")
        for kind in ("props", "views"):
            names = [thing.name for thing in getattr(self, kind)]
            if len(set(names)) < len(names):
                raise ValueError(f"two {kind} have the same name: {names}")
        _numbers("the workspace's corners", [*self.workspace_low_m, *self.workspace_high_m])
        _below("workspace_low_m", self.workspace_low_m, self.workspace_high_m)
        _numbers("max_speed_m_s and max_turn_rad_s", [self.max_speed_m_s, self.max_turn_rad_s], 0.0)

    def view(self, name: str) -> View:
        """The view of that name; ValueError names those there are."""
        for view in self.views:
            if view.name == name:
                return view
        raise ValueError(f"no view named {name!r} (there are {', '.join(view.name for view in self.views)})")


def _below(name: str, low: Sequence[float], high: Sequence[float]) -> None:
    if not all(a < b for a, b in zip(low, high, strict=True)):
        raise ValueError(f"{name} is {list(low)}: every number must be below those of {list(high)}")


class Kinematics:
    """Where the links are, computed from the joints alone (forward kinematics)."""

    def __init__(self, links: Sequence[Link]) -> None:
        self._parents = [link.parent for link in links]
        self._at_tool = [index for index, link in enumerate(links) if link.at_tool]
        self._origins = np.stack([_matrix(link.origin_pos_m, link.origin_quat_xyzw) for link in links])
        axes = np.array([link.axis for link in links])
        self._slides = axes * np.array([[link.slide_m] for link in links])
        self._turning = [index for index, link in enumerate(links) if link.turned_by_joint is not None]
        self._joints = [link.turned_by_joint for link in links if link.turned_by_joint is not None]
        x, y, z = axes[self._turning].T
        zero = np.zeros_like(x)
        self._across = np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]).transpose(2, 0, 1)
        self._across_twice = self._across @ self._across

    def poses(self, joint_pos_rad: Array, gripper: float, tool_pose: Array) -> Array:
        """(links, 4, 4): each link's frame in the base frame, for joints (7,), an opening 0 to 1 and the
        tool's pose (7,)."""
        motions = np.tile(np.eye(4), (len(self._parents), 1, 1))
        angles = np.asarray(joint_pos_rad, dtype=np.float64)[self._joints, None, None]
        # Rodrigues' formula
        motions[self._turning, :3, :3] += np.sin(angles) * self._across
        motions[self._turning, :3, :3] += (1.0 - np.cos(angles)) * self._across_twice
        motions[:, :3, 3] = self._slides * gripper
        poses = self._origins @ motions
        if self._at_tool:
            poses[self._at_tool] = _matrix(tool_pose[:3], tool_pose[3:]) @ poses[self._at_tool]
        for index, parent in enumerate(self._parents):
            if parent >= 0:
                poses[index] = poses[parent] @ poses[index]
        return poses


def rotation(quat_xyzw: Sequence[float] | Array) -> Array:
    """The (3, 3) rotation matrix of a quaternion of any length but 0, which is a ValueError."""
    length = math.hypot(*quat_xyzw)
    if not 1e-9 < length < math.inf:
        raise ValueError(f"the quaternion {list(quat_xyzw)} is no rotation")
    x, y, z, w = np.asarray(quat_xyzw, dtype=np.float64) / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion(matrix: Array) -> Array:
    """(x, y, z, w) of a rotation matrix (3, 3), of either sign: the eigenvector of the largest eigenvalue
    (Bar-Itzhack 2000)."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    votes = np.array(
        [
            [a - e - i, b + d, c + g, h - f],
            [b + d, e - a - i, f + h, c - g],
            [c + g, f + h, i - a - e, d - b],
            [h - f, c - g, d - b, a + e + i],
        ]
    )
    found: Array = np.linalg.eigh(votes)[1][:, -1]
    return found


def _matrix(position_m: Triple | Array, quat_xyzw: Quad | Array) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(quat_xyzw)
    matrix[:3, 3] = position_m
    return matrix
