"""What every arm in `sim.arms` promises: a new one is tested by being listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hardware.robot import Command, Limit, Source
from hardware.scene import JOINTS
from robot_rlhf.feedback.hands import Hands, HandsConfig
from robot_rlhf.session.rollout import hand_action
from sim.arm import SimArm
from sim.arms.model import ARMS, ArmModel, make_arm
from sim.camera import render
from sim.env import SPEED_M_S, TaskEnv
from sim.task import TASKS, make_task
from sim.world import World
from tests.sim.test_arm import drive, tilt_rad

Array = NDArray[np.float64]
MakeEnv = Callable[..., TaskEnv]

SPEED_ERROR = 0.01  # of the commanded speed, once the arm has got going
LEAD_M = 0.004  # from where the commands lead, at any moment
TILT_RAD = 0.02


@pytest.fixture(params=sorted(ARMS))
def model(request: pytest.FixtureRequest) -> ArmModel:
    return make_arm(request.param)


@pytest.fixture
def world() -> Iterator[World]:
    with closing(World()) as made:
        yield made


@pytest.fixture
def arm(model: ArmModel, world: World) -> SimArm:
    made = SimArm(world, model)
    world.seal()
    world.rewind()
    return made


def test_it_is_what_it_is_called_and_a_scene_has_room_for_it(model: ArmModel) -> None:
    assert make_arm(model.spec.name) is model
    assert model.spec.looks == model.spec.name
    assert len(model.home_rad) == len(model.torque_nm) == len(model.spec.joint_names) <= JOINTS
    assert model.spec.simulated and model.spec.gripper


def test_its_home_posture_is_inside_its_joints_and_its_workspace(arm: SimArm) -> None:
    arm.reset(None)
    state, spec = arm.read(), arm.spec
    assert (spec.joint_low_rad < state.joint_pos_rad).all()
    assert (state.joint_pos_rad < spec.joint_high_rad).all()
    assert (spec.workspace_low_m < state.tool_pos_m).all()
    assert (state.tool_pos_m < spec.workspace_high_m).all()


@pytest.mark.parametrize("task", sorted(TASKS))
def test_it_reaches_whatever_a_task_lays_out_looking_down_and_within_its_joints(
    arm: SimArm, task: str
) -> None:
    chosen, low, high = make_task(task), arm.spec.workspace_low_m, arm.spec.workspace_high_m
    for seed in range(12):
        layout = chosen.layout(np.random.default_rng(seed))
        movable = [prop.name for prop in chosen.props if not prop.fixed]
        for place in (layout.tool_pos_m, *(layout.poses[name][:3] for name in movable)):
            assert ((low[:2] < place[:2]) & (place[:2] < high[:2])).all()
            arm.reset(np.maximum(place, low))
            state = arm.read()
            assert tilt_rad(state) < 1e-3
            assert (arm.spec.joint_low_rad < state.joint_pos_rad).all()
            assert (state.joint_pos_rad < arm.spec.joint_high_rad).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_tool_velocities_are_tracked_within_the_stated_error(
    world: World, arm: SimArm, axis: int, side: float
) -> None:
    velocity = np.zeros(3)
    velocity[axis] = side * SPEED_M_S
    for start_m in ((0.50, 0.0, 0.22), (0.53, 0.08, 0.18)):
        world.rewind()
        arm.reset(np.array(start_m))
        states, led = drive(world, arm, velocity, 0.8)
        steady = np.mean([state.tool_twist[:3] for state in states[len(states) // 2 :]], axis=0)
        assert np.linalg.norm(steady - velocity) <= SPEED_ERROR * SPEED_M_S
        assert np.linalg.norm(np.array([state.tool_pos_m for state in states]) - led, axis=1).max() <= LEAD_M
        assert max(tilt_rad(state) for state in states) <= TILT_RAD


def test_a_turn_about_the_vertical_is_tracked_and_kept_looking_down(world: World, arm: SimArm) -> None:
    arm.reset(np.array([0.5, 0.0, 0.2]))
    start = arm.read()
    for rate_rad_s, wanted in ((0.5, 0.5), (-0.8, -0.3), (0.0, -0.3)):
        for _ in range(10):
            arm.send(Command(0, np.array([0.0] * 5 + [rate_rad_s]), 1.0, 0.2, Source.SCRIPT))
            world.wait_until(world.now_ns() + 100_000_000)
        x, y, z, w = arm.read().tool_quat_xyzw
        assert 2 * np.arctan2(y, x) == pytest.approx(wanted, abs=0.06)
        assert np.hypot(z, w) < TILT_RAD / 2
    world.wait_until(world.now_ns() + 1_000_000_000)  # the command has run out
    assert 2 * np.arctan2(*arm.read().tool_quat_xyzw[1::-1]) == pytest.approx(-0.3, abs=0.06)
    np.testing.assert_allclose(arm.read().tool_pos_m, start.tool_pos_m, atol=LEAD_M)


def test_no_turn_is_faster_than_its_spec(world: World, arm: SimArm) -> None:
    for _ in range(10):
        applied = arm.send(Command(0, np.array([0.0] * 5 + [9.0]), 1.0, 0.2, Source.SCRIPT))
        world.wait_until(world.now_ns() + 100_000_000)
    assert applied.command.twist[5] == pytest.approx(arm.spec.max_turn_rad_s)
    assert Limit.TURN in applied.limits


def test_its_hand_closes_and_opens(world: World, arm: SimArm) -> None:
    for opening in (0.0, 1.0):
        arm.send(Command(0, np.zeros(6), opening, 1.0, Source.SCRIPT))
        world.wait_until(world.now_ns() + 600_000_000)
        assert arm.read().gripper == pytest.approx(opening, abs=0.02)


def attempt(env: TaskEnv, seed: int) -> bool:
    """Whether ideal hands on the expert's way succeed; `env` ends on success."""
    hands = Hands(env.task.expert, HandsConfig(ideal=True), SPEED_M_S, env.control_hz)
    hands.begin(np.random.default_rng(0), may_botch=False)
    env.reset(seed=seed)
    while True:
        _, _, terminated, truncated, _ = env.step(hand_action(hands.drive(env.scene), env.axes))
        if terminated or truncated:
            return terminated


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("name", sorted(set(ARMS) - {"panda"}))  # tests/sim/test_tasks.py has the Panda's
def test_every_tasks_expert_succeeds_with_it(name: str, task: str, make_env: MakeEnv) -> None:
    env = make_env(task, end_on_success=True, arm=name)
    assert all(attempt(env, seed) for seed in range(2))


def test_the_same_seed_and_actions_give_the_same_trajectory(model: ArmModel, make_env: MakeEnv) -> None:
    rng, seen = np.random.default_rng(0), list[NDArray[np.float32]]()
    actions = rng.uniform(-1, 1, (30, 4)).astype(np.float32)
    for env in (make_env("pick_cube", arm=model.spec.name), make_env("pick_cube", arm=model.spec.name)):
        env.reset(seed=2)
        if seen:  # the second one has lived before
            for action in actions[:10]:
                env.step(-action)
            env.reset(seed=2)
        seen.append(np.stack([env.step(action)[0] for action in actions]))
    np.testing.assert_array_equal(seen[0], seen[1])


def test_a_saved_moment_goes_on_to_the_bit(model: ArmModel, make_env: MakeEnv) -> None:
    env, other = (make_env("push", arm=model.spec.name) for _ in range(2))
    env.reset(seed=1)
    actions = np.random.default_rng(1).uniform(-1, 1, (20, 3)).astype(np.float32)
    env.step(actions[0])
    state = env.save()
    went = np.stack([env.step(action)[0] for action in actions])
    other.reset(seed=5)
    other.restore(state)
    np.testing.assert_array_equal(np.stack([other.step(action)[0] for action in actions]), went)


def test_arms_look_different_in_a_picture(make_env: MakeEnv) -> None:
    pictures = {}
    for name in ARMS:
        env = make_env("reach", arm=name)
        env.reset(seed=0)
        pictures[name] = render("reach", env.scene.pack()[None], 96, 72, arm=name)[0].astype(int)
    assert np.abs(pictures["panda"] - pictures["iiwa"]).max() > 100


def test_an_unknown_arm_is_refused_with_the_nearest_that_there_is() -> None:
    with pytest.raises(ValueError, match="no arm named 'pandas', did you mean 'panda'"):
        make_arm("pandas")
    with pytest.raises(ValueError, match=r"there are panda, iiwa"):
        TaskEnv("reach", arm="xyz")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [({"tool": "nose"}, "no 'nose'"), ({"fingers": ("iiwa_joint7", "iiwa_left_finger_joint")}, "must be")],
)
def test_a_urdf_that_does_not_fit_is_named(world: World, change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(make_arm("iiwa"), **change).load(world.client)  # type: ignore[arg-type]


def test_merged_it_is_where_it_is_link_by_link(model: ArmModel, arm: SimArm, world: World) -> None:
    with closing(World()) as other:
        whole, rng = model.load(other.client), np.random.default_rng(0)
        for _ in range(5):
            joints, speeds = arm._home + rng.uniform(-0.3, 0.3, 7), rng.uniform(-1.0, 1.0, 7)
            arm._set_joints(joints)
            for client, body, indices in (
                (world.client, arm.body, arm._joints),
                (other.client, whole.body, whole.joints),
            ):
                for index, angle, speed in zip(indices, joints.tolist(), speeds.tolist(), strict=True):
                    client.resetJointState(body, index, angle, speed)
            state = arm.read()
            tool = other.client.getLinkState(
                whole.body, whole.tool, computeLinkVelocity=True, computeForwardKinematics=True
            )
            assert np.abs(state.tool_pos_m - tool[4]).max() < 1e-6
            assert 1.0 - abs(float(state.tool_quat_xyzw @ tool[5])) < 1e-6
            assert np.abs(state.tool_twist - np.array(tool[6] + tool[7])).max() < 1e-6
            assert np.abs(arm._jacobian(joints.tolist()) @ speeds - state.tool_twist).max() < 1e-6
            places = []
            for client, body, finger in (
                (world.client, arm.body, arm._fingers[0]),
                (other.client, whole.body, whole.fingers[0]),
            ):
                client.resetJointState(body, finger, 0.02)
                places.append(client.getLinkState(body, finger, computeForwardKinematics=True)[4])
            assert np.abs(np.subtract(*places)).max() < 1e-6
