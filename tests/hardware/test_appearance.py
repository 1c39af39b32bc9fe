"""What a scene's description promises: what is decoded can be drawn, what cannot is refused by name."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from hardware.appearance import (
    Kinematics,
    Link,
    Mesh,
    PartLook,
    PropLook,
    SceneDescription,
    Table,
    View,
    rotation,
)

PART = PartLook(half_extents_m=(0.1, 0.1, 0.1), at_m=(0.0, 0.0, 0.0))
PROP = PropLook(name="cube", half_extents_m=(0.02, 0.02, 0.02), rgba=(0.8, 0.3, 0.0, 1.0))
VIEW = View(name="front", target_m=(0.4, 0.0, 0.2), distance_m=1.4, azimuth_deg=40.0, elevation_deg=20.0)
STILL = (0.0, 0.0, 0.0, 1.0)
TOOL = np.array([0.1, 0.2, 0.3, 0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)])  # a quarter turn about z


def link(name: str = "base", parent: int = -1, **changed: Any) -> Link:
    fields: dict[str, Any] = {"origin_pos_m": (0.0, 0.0, 0.0), "origin_quat_xyzw": STILL, **changed}
    return Link(name=name, parent=parent, **fields)


def mesh(link: int = 0, corners: tuple[int, ...] = (0, 1, 2), height: float = 1.0, **changed: Any) -> Mesh:
    vertices = np.array([[0, 0, height], [1, 0, 0], [0, 1, 0]], "<f4").tobytes()
    fields: dict[str, Any] = {"vertices": vertices, "rgb": (0.9, 0.9, 0.9), **changed}
    return Mesh(**{"link": link, "triangles": np.array(corners, "<u2").tobytes(), **fields})


def description(**changed: Any) -> SceneDescription:
    fields: dict[str, Any] = {
        "robot": "arm",
        "task": "lift",
        "goal": "Lift the cube.",
        "links": (link(), link("upper", 0, origin_pos_m=(0.0, 0.0, 0.3), turned_by_joint=0)),
        "meshes": (mesh(1),),
        "props": (PROP,),
        "table": Table(low_m=(-0.5, -0.5), high_m=(0.5, 0.5)),
        "workspace_low_m": (0.2, -0.3, 0.0),
        "workspace_high_m": (0.7, 0.3, 0.5),
        "max_speed_m_s": 0.25,
        "max_turn_rad_s": 1.0,
        "views": (VIEW,),
    }
    return SceneDescription(**{**fields, **changed})


def test_a_description_travels_and_comes_back_the_same() -> None:
    sent = description()
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=SceneDescription, strict=True)
    assert again == sent
    assert np.array_equal(again.meshes[0].corners(), [[0, 1, 2]])
    assert np.array_equal(again.meshes[0].vertices_m()[1], [1, 0, 0])


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: link(origin_pos_m=(math.nan, 0.0, 0.0)), "origin_pos_m of base"),
        (lambda: link(origin_pos_m=(1e9, 0.0, 0.0)), "from -100 to 100"),
        (lambda: link(origin_quat_xyzw=(0.0, 0.0, 0.0, 0.0)), "length must be 1"),
        (lambda: link(axis=(0.0, 0.0, 0.5)), "axis of base"),
        (lambda: link(turned_by_joint=7), "joint 7, expected 0 to 6"),
        (lambda: link(name=""), "expected 1 to 500"),
        (lambda: mesh(corners=(0, 1, 3)), "name vertex 3, but there are 3"),
        (lambda: mesh(corners=(0, 1)), "4 bytes, expected a multiple of 6"),
        (lambda: mesh(vertices=b""), "0 bytes, expected a multiple of 12"),
        (lambda: mesh(height=math.inf), "not finite"),
        (lambda: mesh(rgb=(0.0, 0.0, 1.5)), "rgb of a mesh"),
        (
            lambda: PropLook(name="a", half_extents_m=(0.1, 0.0, 0.1), rgba=(0, 0, 0, 1)),
            "half_extents_m of a",
        ),
        (lambda: msgspec.structs.replace(PROP, parts=(PART,) * 17), "17 parts, at most 16"),
        (lambda: msgspec.structs.replace(PART, half_extents_m=(0.1, -0.1, 0.1)), "half_extents_m of a part"),
        (lambda: msgspec.structs.replace(PART, at_m=(math.inf, 0.0, 0.0)), "at_m of a part"),
        (lambda: Table(low_m=(0.5, 0.0), high_m=(0.5, 1.0)), "below"),
        (lambda: msgspec.structs.replace(VIEW, distance_m=0.0), "distance_m of view front"),
        (lambda: msgspec.structs.replace(VIEW, elevation_deg=90.0), "elevation_deg"),
        (lambda: description(links=(link(parent=0),)), "has the parent 0"),
        (lambda: description(links=()), "0 links, expected 1 to 64"),
        (lambda: description(links=(link(),) * 65), "65 links"),
        (lambda: description(meshes=(mesh(2),)), "fixed to link 2, but there are 2"),
        (lambda: description(meshes=(mesh(corners=(0, 1, 2) * 20_001),)), "20001 triangles, at most 20000"),
        (lambda: description(props=(PROP, PROP)), "two props have the same name"),
        (lambda: description(views=()), "0 views"),
        (lambda: description(workspace_low_m=(0.9, -0.3, 0.0)), "workspace_low_m"),
        (lambda: description(max_speed_m_s=math.inf), "max_speed_m_s"),
        (lambda: description(goal="x" * 501), "goal has 501 characters"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(make: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        make()


def test_the_same_holds_for_what_comes_from_the_wire() -> None:
    plain = msgspec.to_builtins(description(), builtin_types=(bytes,))
    plain["meshes"][0]["link"] = 5
    with pytest.raises(msgspec.ValidationError, match="fixed to link 5"):
        msgspec.msgpack.decode(msgspec.msgpack.encode(plain), type=SceneDescription, strict=True)
    plain["meshes"][0]["link"] = 1
    plain["more"] = 1
    with pytest.raises(msgspec.ValidationError, match="more"):
        msgspec.msgpack.decode(msgspec.msgpack.encode(plain), type=SceneDescription, strict=True)


def test_views_are_found_by_name() -> None:
    assert description().view("front") is VIEW
    with pytest.raises(ValueError, match=r"no view named 'back' \(there are front\)"):
        description().view("back")


def test_a_joint_turns_what_hangs_on_it_and_the_gripper_slides() -> None:
    links = [
        link(),
        link("upper", 0, origin_pos_m=(0.0, 0.0, 1.0), axis=(0.0, 1.0, 0.0), turned_by_joint=2),
        link("finger", 1, origin_pos_m=(0.5, 0.0, 0.0), axis=(0.0, 1.0, 0.0), slide_m=0.04),
    ]
    poses = Kinematics(links).poses(np.array([9.0, 9.0, np.pi / 2, 9.0, 9.0, 9.0, 9.0]), 0.5, TOOL)
    assert np.allclose(poses[0], np.eye(4))
    assert np.allclose(poses[1, :3, 3], [0, 0, 1])
    assert np.allclose(poses[1, :3, :3] @ [1, 0, 0], [0, 0, -1])  # a quarter turn about y
    assert np.allclose(poses[2, :3, 3], [0, 0.02, 0.5])


def test_what_is_at_the_tool_goes_with_it() -> None:
    links = [link("hand", at_tool=True, origin_pos_m=(0.0, 0.0, -0.1)), link("finger", 0, slide_m=0.04)]
    poses = Kinematics(links).poses(np.zeros(7), 1.0, TOOL)
    assert np.allclose(poses[:, :3, 3], [[0.1, 0.2, 0.2], [0.1, 0.2, 0.24]])
    assert np.allclose(poses[1, :3, :3] @ [1, 0, 0], [0, 1, 0])
    with pytest.raises(ValueError, match=r"link 1 \(finger\) is at the tool and has the parent 0"):
        description(links=(link(), link("finger", 0, at_tool=True)))


def test_a_quaternion_of_any_length_turns_and_none_is_refused() -> None:
    half = math.sqrt(0.5)
    assert np.allclose(rotation((0.0, 0.0, 3 * half, 3 * half)) @ [1, 0, 0], [0, 1, 0])
    with pytest.raises(ValueError, match="no rotation"):
        rotation((0.0, 0.0, 0.0, 0.0))
