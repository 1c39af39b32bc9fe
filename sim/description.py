"""What a console is told about a simulated scene: the arm's chain and low-polygon meshes, the props.

The chain and the shapes are read from the loaded arm in PyBullet, the triangles from the mesh files it
collides with; a mesh of many triangles is replaced by its convex hull, which is what PyBullet collides
with as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hardware.appearance import Link, Mesh, PartLook, PropLook, SceneDescription, Table, Triple, View
from hardware.robot import RobotSpec
from sim.arms.model import ARMS, ArmModel, LoadedArm, make_arm
from sim.arms.panda import PANDA, PANDA_SPEC
from sim.bullet import BulletClient, pybullet, quiet
from sim.task import Task

Array = NDArray[np.float64]
Corners = NDArray[np.int64]

_MOST_TRIANGLES = 400  # in one mesh; a hull is drawn instead of more
_HULL_DIRECTIONS = 160
_WELD_DIGITS = 5  # vertices closer than 10 um are one

_SHELL = (0.90, 0.91, 0.92)
_HAND_LINKS = ("panda_hand", "panda_leftfinger", "panda_rightfinger")
_RIM_M = 0.15

TABLE = Table(low_m=(-0.25, -0.60), high_m=(1.05, 0.60), rgb=(0.70, 0.73, 0.77))
VIEWS = (
    View(name="front", target_m=(0.42, -0.01, 0.26), distance_m=1.36, azimuth_deg=30.0, elevation_deg=23.0),
    View(name="side", target_m=(0.42, 0.0, 0.22), distance_m=1.45, azimuth_deg=-90.0, elevation_deg=12.0),
    View(name="shoulder", target_m=(0.50, 0.0, 0.10), distance_m=1.25, azimuth_deg=140.0, elevation_deg=32.0),
    View(name="top", target_m=(0.50, 0.0, 0.05), distance_m=1.30, azimuth_deg=0.0, elevation_deg=68.0),
    View(
        name="hand",
        target_m=(0.0, 0.0, 0.01),
        distance_m=0.42,
        azimuth_deg=55.0,
        elevation_deg=22.0,
        field_deg=45.0,
        follows_tool=True,
    ),
)


def describe(task: Task, spec: RobotSpec | None = None) -> SceneDescription:
    """The description of a task's scenes with the arm of `spec`, None for the simulated Panda: one of
    `sim.arms`, or where it looks otherwise a Panda's hand at its tool.

    Takes some tens of milliseconds; it loads an arm of its own and leaves other worlds alone.
    """
    spec = PANDA_SPEC if spec is None else spec
    known = spec.looks in ARMS
    model = make_arm(spec.looks) if known else PANDA
    with quiet(1):
        client: Any = BulletClient(connection_mode=pybullet.DIRECT)
    try:
        arm = model.load(client, pybullet.URDF_IGNORE_VISUAL_SHAPES)
        links, meshes = _links(client, arm, model), _meshes(client, arm.body, model)
        if not known:
            links, meshes = _hand(client, arm, links, meshes)
    finally:
        client.disconnect()
    return SceneDescription(
        robot=spec.name,
        task=task.name,
        goal=task.goal,
        links=links,
        meshes=meshes,
        props=tuple(
            PropLook(
                name=prop.name,
                half_extents_m=prop.half_extents_m,
                rgba=prop.rgba,
                is_marker=prop.is_marker,
                parts=tuple(
                    PartLook(half_extents_m=part.half_extents_m, at_m=part.at_m) for part in prop.parts
                ),
            )
            for prop in task.props
        ),
        table=TABLE if known else _table_below(spec),
        workspace_low_m=_triple(spec.workspace_low_m),
        workspace_high_m=_triple(spec.workspace_high_m),
        max_speed_m_s=spec.max_speed_m_s,
        max_turn_rad_s=spec.max_turn_rad_s,
        views=VIEWS if known else _views_of(spec),
    )


def _table_below(spec: RobotSpec) -> Table:
    """Under the workspace, and under the arm's base."""
    low = np.minimum(spec.workspace_low_m[:2] - _RIM_M, -_RIM_M)
    high = np.maximum(spec.workspace_high_m[:2] + _RIM_M, _RIM_M)
    return msgspec.structs.replace(TABLE, low_m=tuple(low.tolist()), high_m=tuple(high.tolist()))


def _views_of(spec: RobotSpec) -> tuple[View, ...]:
    """Those of the Panda, moved and scaled to another workspace."""
    ours, theirs = ((one.workspace_low_m + one.workspace_high_m) / 2 for one in (PANDA_SPEC, spec))
    widths = [np.linalg.norm(one.workspace_high_m - one.workspace_low_m) for one in (PANDA_SPEC, spec)]
    scale = float(np.clip(widths[1] / widths[0], 0.3, 3.0))
    return tuple(
        view
        if view.follows_tool
        else msgspec.structs.replace(
            view,
            target_m=_triple(theirs + scale * (np.array(view.target_m) - ours)),
            distance_m=scale * view.distance_m,
        )
        for view in VIEWS
    )


def _triple(values: Array) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z


# -- the chain --------------------------------------------------------------------------------------


def _links(client: Any, arm: LoadedArm, model: ArmModel) -> tuple[Link, ...]:
    """PyBullet's base (-1) and its links in order, with all joints at zero, as they are after loading."""
    name = client.getBodyInfo(arm.body)[0].decode()
    links = [Link(name=name, parent=-1, origin_pos_m=model.base_m, origin_quat_xyzw=(0.0, 0.0, 0.0, 1.0))]
    turned = 0
    for index in range(client.getNumJoints(arm.body)):
        info = client.getJointInfo(arm.body, index)
        kind, parent = info[2], info[16]
        # PyBullet counts a joint's place from its parent's centre of mass
        centre, twist = client.getDynamicsInfo(arm.body, parent)[3:5]
        position, inverse = client.multiplyTransforms(centre, twist, info[14], info[15])
        _, quaternion = client.invertTransform((0.0, 0.0, 0.0), inverse)
        turns = kind == pybullet.JOINT_REVOLUTE
        links.append(
            Link(
                name=info[12].decode(),
                parent=parent + 1,
                origin_pos_m=position,
                origin_quat_xyzw=quaternion,
                axis=info[13] if kind != pybullet.JOINT_FIXED else (0.0, 0.0, 1.0),
                turned_by_joint=turned if turns else None,
                slide_m=model.finger_open_m if index in arm.fingers else 0.0,
            )
        )
        turned += turns
    return tuple(links)


def _hand(
    client: Any, arm: LoadedArm, links: tuple[Link, ...], meshes: tuple[Mesh, ...]
) -> tuple[tuple[Link, ...], tuple[Mesh, ...]]:
    """Of all links the hand and its fingers, which hang at the tool."""
    from_tool = client.invertTransform(
        *client.getLinkState(arm.body, arm.tool, computeForwardKinematics=True)[4:6]
    )
    kept = [index for index, link in enumerate(links) if link.name in _HAND_LINKS]
    hand = []
    for index in kept:
        place = client.getLinkState(arm.body, index - 1, computeForwardKinematics=True)[4:6]
        position, quaternion = client.multiplyTransforms(*from_tool, *place)
        hand.append(
            msgspec.structs.replace(
                links[index], parent=-1, origin_pos_m=position, origin_quat_xyzw=quaternion, at_tool=True
            )
        )
    shapes = [msgspec.structs.replace(one, link=kept.index(one.link)) for one in meshes if one.link in kept]
    return tuple(hand), tuple(shapes)


# -- the meshes -------------------------------------------------------------------------------------


def _meshes(client: Any, arm: int, model: ArmModel) -> tuple[Mesh, ...]:
    found = []
    for index in range(-1, client.getNumJoints(arm)):
        name = (client.getJointInfo(arm, index)[12] if index >= 0 else client.getBodyInfo(arm)[0]).decode()
        centre, twist = client.getDynamicsInfo(arm, index)[3:5]
        for _, _, shape, scale, path, position, quaternion in client.getCollisionShapeData(arm, index):
            if shape != pybullet.GEOM_MESH:
                raise ValueError(f"{name} has a shape of PyBullet's kind {shape}, only meshes are drawn")
            vertices, corners = _welded(*read_obj(Path(path.decode())))
            if len(corners) > _MOST_TRIANGLES:
                vertices, corners = hull(vertices, _HULL_DIRECTIONS)
            place, turn = client.multiplyTransforms(centre, twist, position, quaternion)
            matrix = np.reshape(client.getMatrixFromQuaternion(turn), (3, 3))
            placed = (vertices * np.asarray(scale)) @ matrix.T + np.asarray(place)
            found.append(
                Mesh(
                    link=index + 1,
                    vertices=placed.astype("<f4").tobytes(),
                    triangles=corners.astype("<u2").tobytes(),
                    rgb=model.colours.get(name, _SHELL),
                )
            )
    return tuple(found)


def read_obj(path: Path) -> tuple[Array, Corners]:
    """Vertices (n, 3) and triangles (m, 3) of a Wavefront file; faces of more corners become fans."""
    vertices: list[list[float]] = []
    corners: list[list[int]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, *words = line.split() or [""]
        if kind == "v":
            vertices.append([float(word) for word in words[:3]])
        elif kind == "f":
            numbers = [int(word.partition("/")[0]) for word in words]
            face = [number - 1 if number > 0 else len(vertices) + number for number in numbers]
            corners += [[face[0], *face[i : i + 2]] for i in range(1, len(face) - 1)]
    if not corners:
        raise ValueError(f"{path.name} holds no faces")
    return np.array(vertices), np.array(corners)


def _welded(vertices: Array, corners: Corners) -> tuple[Array, Corners]:
    """The same surface with each place named once, without triangles that have no area."""
    unique, names = np.unique(vertices.round(_WELD_DIGITS), axis=0, return_inverse=True)
    corners = names.reshape(-1)[corners]
    return unique, corners[(corners != np.roll(corners, 1, axis=1)).all(axis=1)]


def hull(vertices: Array, directions: int) -> tuple[Array, Corners]:
    """A convex hull, of the points that lie furthest out in so many evenly spread directions.

    Incremental: each point outside takes the place of the triangles that it sees. Triangles are
    counterclockwise from outside.
    """
    points = vertices[np.unique((_spread(directions) @ vertices.T).argmax(axis=1))]
    faces = _tetrahedron(points)
    for index, point in enumerate(points):
        a, b, c = points[faces].transpose(1, 0, 2)
        normals = np.cross(b - a, c - a)
        seen = ((point - a) * normals).sum(axis=1) > 1e-12
        if seen.any():
            edges = {
                tuple(edge) for face in faces[seen] for edge in zip(face, np.roll(face, -1), strict=True)
            }
            rim = [(i, j, index) for i, j in edges if (j, i) not in edges]
            faces = np.concatenate([faces[~seen], np.array(rim)])
    used, names = np.unique(faces, return_inverse=True)
    return points[used], names.reshape(faces.shape)


def _spread(count: int) -> Array:
    """(count, 3) unit vectors spread evenly over the sphere along a Fibonacci spiral."""
    step = np.arange(count) + 0.5
    z, turn = 1 - 2 * step / count, np.pi * (1 + 5**0.5) * step
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=1)


def _tetrahedron(points: Array) -> Corners:
    """Four points that span a volume, as outward triangles."""
    first = int(points[:, 0].argmin())
    second = int(np.linalg.norm(points - points[first], axis=1).argmax())
    along = points[second] - points[first]
    third = int(np.linalg.norm(np.cross(points - points[first], along), axis=1).argmax())
    normal = np.cross(along, points[third] - points[first])
    heights = (points - points[first]) @ normal
    fourth = int(np.abs(heights).argmax())
    if abs(heights[fourth]) < 1e-15:
        raise ValueError("the points lie in a plane: there is no hull around them")
    if heights[fourth] > 0:
        second, third = third, second
    return np.array(
        [(first, second, third), (first, third, fourth), (third, second, fourth), (second, first, fourth)]
    )
