"""What the simulation tells a console: an arm that stands as PyBullet's does, in a small message."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from hardware.appearance import Kinematics, SceneDescription
from sim.arms.model import ARMS, make_arm
from sim.arms.panda import PANDA, PANDA_SPEC
from sim.description import describe, hull
from sim.task import TASKS, make_task, pose
from sim.world import World

BASE = pose(0.0, 0.0, 0.0)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("arm", ARMS)
def test_every_task_has_a_description_of_bounded_size(task: str, arm: str) -> None:
    start, spec = time.process_time(), make_arm(arm).spec
    made = describe(make_task(task), spec)
    assert time.process_time() - start < 2.0  # measured: 0.1 s
    encoded = msgspec.msgpack.encode(made)
    assert len(encoded) < 100_000
    assert msgspec.msgpack.decode(encoded, type=SceneDescription, strict=True) == made
    assert made.goal == make_task(task).goal
    assert [(prop.name, prop.is_marker) for prop in made.props] == [
        (prop.name, prop.is_marker) for prop in make_task(task).props
    ]
    assert {view.name for view in made.views} >= {"front", "side", "top", "hand"}
    assert made.robot == arm
    assert made.workspace_high_m == tuple(spec.workspace_high_m)


@pytest.mark.parametrize("name", ARMS)
def test_links_stand_where_pybullet_has_them(name: str) -> None:
    model, world = make_arm(name), World()
    chain = Kinematics(describe(make_task("reach"), model.spec).links)
    arm = model.load(world.client)
    rng = np.random.default_rng(0)
    for _ in range(20):
        joints = rng.uniform(model.spec.joint_low_rad, model.spec.joint_high_rad)
        opening = float(rng.uniform())
        for index, angle in enumerate(joints):
            world.client.resetJointState(arm.body, index, angle)
        for finger in arm.fingers:
            world.client.resetJointState(arm.body, finger, opening * model.finger_open_m)
        poses = chain.poses(joints, opening, BASE)
        assert len(poses) == world.client.getNumJoints(arm.body) + 1
        for index in range(len(poses) - 1):
            state = world.client.getLinkState(arm.body, index, computeForwardKinematics=True)
            turn = np.reshape(world.client.getMatrixFromQuaternion(state[5]), (3, 3))
            assert np.abs(poses[index + 1, :3, 3] - state[4]).max() < 1e-5, index
            assert np.abs(poses[index + 1, :3, :3] - turn).max() < 1e-4, index
    world.close()


def test_of_an_arm_that_looks_otherwise_the_hand_is_drawn_at_its_tool() -> None:
    other = replace(
        PANDA_SPEC,
        looks="",
        workspace_low_m=np.array([-0.4, -0.9, 0.05]),
        workspace_high_m=np.array([0.4, -0.2, 0.6]),
    )
    whole, made = describe(make_task("reach")), describe(make_task("reach"), other)
    names = [link.name for link in whole.links]
    chains, rng = (Kinematics(whole.links), Kinematics(made.links)), np.random.default_rng(0)
    for _ in range(5):
        joints = rng.uniform(PANDA_SPEC.joint_low_rad, PANDA_SPEC.joint_high_rad)
        arm = chains[0].poses(joints, 0.7, BASE)
        with closing(World()) as world:
            there = PANDA.load(world.client)
            for index, angle in enumerate(joints):
                world.client.resetJointState(there.body, index, angle)
            tool = world.client.getLinkState(there.body, there.tool, computeForwardKinematics=True)
        hand = chains[1].poses(np.zeros(7), 0.7, np.concatenate([tool[4], tool[5]]))
        for link, seen in zip(made.links, hand, strict=True):
            assert np.abs(seen - arm[names.index(link.name)]).max() < 1e-4
    assert {link.name for link in made.links} == {"panda_hand", "panda_leftfinger", "panda_rightfinger"}
    assert made.meshes and made.view("hand") == whole.view("hand")
    assert made.table.low_m[1] < -0.9 and made.table.high_m[1] > 0.0
    x, y, _ = made.view("front").target_m
    assert -0.4 < x < 0.4 and -0.9 < y < -0.2


def test_meshes_are_closed_and_face_outwards() -> None:
    made = describe(make_task("pick_cube"))
    assert 1_000 < sum(len(mesh.corners()) for mesh in made.meshes) < 3_000
    for mesh in made.meshes:
        points, corners = mesh.vertices_m().astype(float), mesh.corners().astype(int)
        edges = [(a, b) for face in corners.tolist() for a, b in zip(face, face[1:] + face[:1], strict=True)]
        assert len(set(edges)) == len(edges)
        assert {(b, a) for a, b in edges} == set(edges), "an edge without its other side"
        a, b, c = points[corners].transpose(1, 0, 2)
        assert (a * np.cross(b, c)).sum() > 0, "inside out"


def test_meshes_lie_where_pybullet_has_its_shapes() -> None:
    made = describe(make_task("reach"))
    world = World()
    arm = PANDA.load(world.client)
    for joint, angle in zip(arm.joints, PANDA.home_rad, strict=True):
        world.client.resetJointState(arm.body, joint, angle)
    for finger in arm.fingers:
        world.client.resetJointState(arm.body, finger, PANDA.finger_open_m)
    poses = Kinematics(made.links).poses(np.array(PANDA.home_rad), 1.0, BASE)
    world.client.performCollisionDetection()
    for mesh in made.meshes:
        points = mesh.vertices_m()
        ends = np.stack([points.min(axis=0), points.max(axis=0)])
        box = np.array([[x, y, z] for x in ends[:, 0] for y in ends[:, 1] for z in ends[:, 2]])
        placed = box @ poses[mesh.link, :3, :3].T + poses[mesh.link, :3, 3]
        low, high = world.client.getAABB(arm.body, mesh.link - 1)  # around the turned box, with a margin
        assert np.abs(placed.min(axis=0) - low).max() < 0.01, mesh.link
        assert np.abs(placed.max(axis=0) - high).max() < 0.01, mesh.link
    world.close()


def test_a_hull_holds_all_points_and_is_as_small_as_their_box() -> None:
    rng = np.random.default_rng(0)
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 2) for z in (0, 3)], float)
    points, faces = hull(np.concatenate([corners, rng.uniform(0.1, 0.9, (50, 3))]), 400)
    assert len(points) == 8
    assert len(faces) == 12
    a, b, c = points[faces].transpose(1, 0, 2)
    assert (a * np.cross(b, c)).sum() / 6 == pytest.approx(6.0)


def test_a_hull_of_a_plane_is_refused() -> None:
    with pytest.raises(ValueError, match="lie in a plane"):
        hull(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]), 50)
