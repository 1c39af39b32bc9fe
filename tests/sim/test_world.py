"""A world's state goes out and in to the bit, an episode owes nothing to others, and nothing is drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from robot_rlhf.feedback.hands import Hands, HandsConfig
from robot_rlhf.session.rollout import hand_action
from sim.arm import SimArm
from sim.cell import SimCell
from sim.env import SPEED_M_S, TaskEnv
from sim.task import TASKS, Prop, pose
from sim.world import TIMESTEP_NS, World

ROOT = Path(__file__).parents[2]
MakeEnv = Callable[..., TaskEnv]
Rows = NDArray[np.float32]


def follow(env: TaskEnv, actions: Rows) -> Rows:
    """Everything that is seen while `actions` are carried out, a row a step."""
    rows = []
    for action in actions:
        obs, reward, _, truncated, info = env.step(action)
        seen = [obs, info["executed"], env.scene.pack(), [reward, truncated, info["is_success"]]]
        rows.append(np.concatenate(seen, dtype=np.float32))
    return np.stack(rows)


def wild(env: TaskEnv, steps: int, seed: int = 0) -> Rows:
    """Random actions, each held for three steps so that the arm gets somewhere."""
    drawn = np.random.default_rng(seed).uniform(-1, 1, (-(-steps // 3), env.axes))
    return np.repeat(drawn, 3, axis=0)[:steps].astype(np.float32)


def grasp(env: TaskEnv) -> None:
    """Have the expert's ideal hands lift the cube until it hangs well above the table."""
    hands = Hands(env.task.expert, HandsConfig(ideal=True), SPEED_M_S, env.control_hz)
    hands.begin(np.random.default_rng(0), may_botch=False)
    while env.scene.objects["cube"][2] < 0.06:
        _, _, _, truncated, _ = env.step(hand_action(hands.drive(env.scene), env.axes))
        assert not truncated


def test_out_of_contact_a_saved_moment_goes_on_to_the_bit_here_and_elsewhere(make_env: MakeEnv) -> None:
    env, other = make_env("pick_cube"), make_env("pick_cube")
    env.reset(seed=3)
    follow(env, wild(env, 7))
    state, actions = env.save(), wild(env, 30, seed=1)
    unbroken = follow(env, actions)
    env.restore(state)
    np.testing.assert_array_equal(follow(env, actions), unbroken)
    other.reset(seed=99)
    follow(other, wild(other, 11, seed=2))
    other.restore(state)
    np.testing.assert_array_equal(follow(other, actions), unbroken)


def test_with_the_cube_held_a_saved_moment_goes_on_to_the_bit_here_and_elsewhere(make_env: MakeEnv) -> None:
    env, other = make_env("pick_cube"), make_env("pick_cube")
    env.reset(seed=5)
    grasp(env)
    actions = wild(env, 20, seed=1)
    actions[:12, 2], actions[:12, 3], actions[12:, 3] = 0.1, -1.0, 1.0  # carried about, then dropped
    state = env.save()
    unbroken = follow(env, actions)
    cube_height = unbroken[:, env.obs_size + env.axes + 19 + 2]
    assert cube_height[:12].min() > 0.05
    assert cube_height[-1] < 0.05
    env.restore(state)
    np.testing.assert_array_equal(follow(env, actions), unbroken)
    other.reset(seed=5)
    other.restore(state)
    np.testing.assert_array_equal(follow(other, actions), unbroken)


def test_while_the_cube_is_pushed_a_saved_moment_goes_on_to_the_bit(make_env: MakeEnv) -> None:
    env, other = make_env("push"), make_env("push")
    env.reset(seed=2)
    hands = Hands(env.task.expert, HandsConfig(ideal=True), SPEED_M_S, env.control_hz)
    hands.begin(np.random.default_rng(0), may_botch=False)
    start = env.scene.objects["cube"][:2].copy()
    while np.linalg.norm(env.scene.objects["cube"][:2] - start) < 0.03:
        env.step(hand_action(hands.drive(env.scene), env.axes))
    state, actions = env.save(), wild(env, 20)
    unbroken = follow(env, actions)
    other.restore(state)
    np.testing.assert_array_equal(follow(other, actions), unbroken)


def test_saving_changes_nothing_of_what_follows(make_env: MakeEnv) -> None:
    watched, left_alone = make_env("pick_cube"), make_env("pick_cube")
    rows = []
    for env in (watched, left_alone):
        env.reset(seed=1)
        parts = []
        for action in wild(env, 20):
            if env is watched:
                env.save()
            parts.append(follow(env, action[None]))
        rows.append(np.concatenate(parts))
    np.testing.assert_array_equal(rows[0], rows[1])


def test_a_restored_moment_carries_time_markers_and_the_horizon(make_env: MakeEnv) -> None:
    env = make_env("reach")
    env.reset(seed=1)
    follow(env, wild(env, 9))
    state, then = env.save(), env.cell.now_ns()
    target = env.scene.objects["target"].copy()
    env.reset(seed=2)
    assert not np.array_equal(env.scene.objects["target"], target)
    env.restore(state)
    assert env.cell.now_ns() == then
    np.testing.assert_array_equal(env.scene.objects["target"], target)
    truncated = follow(env, wild(env, env.horizon - 9))[:, -2]
    assert truncated.tolist() == [0.0] * (env.horizon - 10) + [1.0]


@pytest.mark.parametrize("task", sorted(TASKS))
def test_an_episode_owes_nothing_to_the_ones_before_it(task: str, make_env: MakeEnv) -> None:
    fresh, used = make_env(task), make_env(task)
    for seed in range(3):
        used.reset(seed=seed)
        follow(used, wild(used, 25, seed))
    observed = [env.reset(seed=7)[0] for env in (fresh, used)]
    np.testing.assert_array_equal(observed[0], observed[1])
    actions = wild(fresh, fresh.horizon, seed=9)
    np.testing.assert_array_equal(follow(used, actions), follow(fresh, actions))


def test_a_cube_that_was_held_leaves_no_trace_in_the_next_episode(make_env: MakeEnv) -> None:
    fresh, used = make_env("pick_cube"), make_env("pick_cube")
    used.reset(seed=5)
    grasp(used)
    for env in (fresh, used):
        env.reset(seed=6)
    actions = wild(fresh, 40)
    np.testing.assert_array_equal(follow(used, actions), follow(fresh, actions))


def test_time_moves_only_when_somebody_waits_and_by_whole_steps() -> None:
    world = World()
    assert world.now_ns() == 0
    assert world.wait_until(5 * TIMESTEP_NS // 2) == 0
    assert world.now_ns() == 2 * TIMESTEP_NS
    assert world.wait_until(0) == 0
    assert world.now_ns() == 2 * TIMESTEP_NS
    world.close()


def test_control_comes_first_of_all_and_again_after_as_many_steps_as_it_says() -> None:
    world = World()
    asked_at: list[int] = []

    def control() -> int:
        asked_at.append(world.now_ns() // TIMESTEP_NS)
        return 3

    world.attach(control, bytes, lambda _: None)
    world.wait_until(7 * TIMESTEP_NS)
    world.wait_until(7 * TIMESTEP_NS)
    world.wait_until(9 * TIMESTEP_NS)
    assert asked_at == [0, 3, 6, 7]
    world.close()


def test_a_prop_stays_where_it_is_put_down() -> None:
    props = (
        Prop("cube", (0.02, 0.02, 0.02), (1, 0, 0, 1), mass_kg=0.1),
        Prop("mark", (0.02,) * 3, (0, 1, 0, 1)),
    )
    world = World(props)
    SimArm(world)
    world.seal()
    where = {"cube": pose(0.5, 0.2, 0.02, 0.1), "mark": pose(0.4, -0.2, 0.3)}
    for name, at in where.items():
        world.place(name, at)
    world.wait_until(world.now_ns() + 1_000_000_000)
    assert list(world.poses()) == ["cube", "mark"]
    np.testing.assert_allclose(world.poses()["cube"], where["cube"], atol=2e-3)
    np.testing.assert_array_equal(world.poses()["mark"], where["mark"])
    with pytest.raises(ValueError, match=r"no prop named 'cub'; there are \['cube', 'mark'\]"):
        world.place("cub", where["cube"])
    world.close()
    world.close()


def test_rewinding_before_sealing_is_refused() -> None:
    world = World()
    with pytest.raises(ValueError, match="seal"):
        world.rewind()
    world.close()


LOOK = """
import sys
from sim.cell import SimCell
from sim.env import TaskEnv
env = TaskEnv("pick_cube")
env.reset(seed=0)
env.step(env.action_space.sample())
modules = {"OpenGL", "pyglet", "glfw", "pygame", "tkinter", "matplotlib", "cv2", "PIL", "sim.camera"}
libraries = ("libgl.", "libegl", "libglx", "libosmesa", "libx11", "eglrenderer")
mapped = open("/proc/self/maps").read().lower()
print(sorted(modules & set(sys.modules)) + [name for name in libraries if name in mapped], file=sys.stderr)
env.close()
"""


def test_stepping_physics_loads_nothing_that_draws_and_prints_nothing() -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", LOOK], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert "[]" in result.stderr.splitlines()


def test_what_is_fixed_stands_and_is_where_it_was_in_a_restored_moment(make_env: MakeEnv) -> None:
    env, other = make_env("peg_insert"), make_env("peg_insert")
    env.reset(seed=1)
    block = env.scene.objects["block"].copy()
    state = env.save()
    follow(env, wild(env, env.horizon))
    np.testing.assert_array_equal(env.scene.objects["block"], block)
    other.reset(seed=2)
    assert not np.array_equal(other.scene.objects["block"], block)
    other.restore(state)
    np.testing.assert_array_equal(other.scene.objects["block"], block)


def test_a_peg_goes_into_the_hole_and_not_into_the_wall(make_env: MakeEnv) -> None:
    env = make_env("peg_insert")
    assert isinstance(env.cell, SimCell)
    world = env.cell.world
    for aside_m, lies_m in ((0.0, 0.04), (0.001, 0.04), (0.03, 0.08)):
        env.reset(seed=1)
        block = env.scene.objects["block"]
        world.place("peg", block + np.array([aside_m, 0.0, 0.07, 0.0, 0.0, 0.0, 0.0]))
        world.wait_until(world.now_ns() + 1_000_000_000)
        assert world.poses()["peg"][2] == pytest.approx(lies_m, abs=2e-3), aside_m


def test_a_drawer_slides_as_far_as_it_goes_and_comes_back_with_a_restored_moment(make_env: MakeEnv) -> None:
    env, other = make_env("drawer_open"), make_env("drawer_open")
    assert isinstance(env.cell, SimCell)
    world = env.cell.world
    env.reset(seed=1)
    shut = env.scene.objects["drawer"].copy()

    def out_m(wanted: float) -> float:
        """How far it is out once it was put there and left alone for a second."""
        world.place("drawer", shut - np.array([wanted, 0.02, 0.0, 0.0, 0.0, 0.0, 0.0]))
        world.wait_until(world.now_ns() + 1_000_000_000)
        moved = shut - world.poses()["drawer"]
        np.testing.assert_allclose(moved[1:], 0.0, atol=1e-6)
        return float(moved[0])

    for wanted, found in ((0.05, 0.05), (0.3, 0.14), (-0.1, 0.0)):
        assert out_m(wanted) == pytest.approx(found, abs=1e-3)
    out_m(0.08)
    state, there = env.save(), env.look().objects["drawer"]
    other.reset(seed=2)
    other.restore(state)
    np.testing.assert_array_equal(other.scene.objects["drawer"], there)
