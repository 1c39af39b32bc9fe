"""What differs between episodes follows from their seed, everywhere, and nothing does unless asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from sim.cell import SimCell
from sim.env import EnvState, TaskEnv
from sim.jpeg import decode
from sim.randomise import NOMINAL, RandomiseConfig
from sim.task import make_task
from sim.vector import vector_env

MakeEnv = Callable[..., TaskEnv]
Rows = NDArray[np.float32]

MUCH = RandomiseConfig(
    mass=0.5,
    friction=0.3,
    size=0.1,
    delay_steps=2,
    tool_noise_m=0.002,
    thing_noise_m=0.003,
    thing_noise_rad=0.05,
)


def actions(env: TaskEnv, steps: int = 25) -> Rows:
    return np.random.default_rng(3).uniform(-1, 1, (steps, env.axes)).astype(np.float32)


def driven(env: TaskEnv, told: Rows) -> Rows:
    """Everything that is seen, a row a step."""
    rows = []
    for action in told:
        obs, reward, _, _, info = env.step(action)
        rows.append(np.concatenate([obs, env.scene.pack(), info["executed"], [reward]], dtype=np.float32))
    return np.stack(rows)


def body_of(env: TaskEnv, name: str) -> tuple[float, float, float]:
    """Mass, friction and height of a thing in the physics."""
    assert isinstance(env.cell, SimCell)
    world = env.cell.world
    mass, friction = world.client.getDynamicsInfo(world.bodies[name], -1)[:2]
    (shape,) = world.client.getCollisionShapeData(world.bodies[name], -1)
    return mass, friction, shape[3][2]


def test_nothing_is_drawn_and_nothing_differs_unless_asked_for(make_env: MakeEnv) -> None:
    task, rng = make_task("push"), np.random.default_rng(0)
    assert RandomiseConfig().is_off
    assert RandomiseConfig().draw(rng, task.props) is NOMINAL
    assert rng.random() == np.random.default_rng(0).random()
    env = make_env("push")
    env.reset(seed=1)
    assert body_of(env, "cube") == pytest.approx((0.15, 0.6, 0.05))
    np.testing.assert_array_equal(env.observe(), task.observe(env.scene))


def test_mass_friction_and_size_are_those_of_the_draw_within_what_was_asked(make_env: MakeEnv) -> None:
    env, bodies = make_env("push", randomise=replace(MUCH, delay_steps=0)), []
    for seed in range(6):
        env.reset(seed=seed)
        mass, friction, height_m = body_of(env, "cube")
        assert 0.075 <= mass <= 0.225 and 0.42 <= friction <= 0.78 and 0.045 <= height_m <= 0.055
        bodies.append((mass, friction, height_m))
        assert env.scene.objects["cube"][2] == pytest.approx(height_m / 2, abs=1e-3)  # it stands on the table
    assert len(set(bodies)) == 6


@pytest.mark.parametrize("task", ["reach", "stack", "drawer_open"])  # no thing, several, one that slides
def test_the_same_seed_is_the_same_episode_whatever_was_before(task: str, make_env: MakeEnv) -> None:
    much = replace(MUCH, size=0.05)
    fresh, used = make_env(task, randomise=much), make_env(task, randomise=much)
    used.reset(seed=1)
    driven(used, actions(used, 10))
    starts = [env.reset(seed=4)[0] for env in (fresh, used)]
    np.testing.assert_array_equal(starts[0], starts[1])
    np.testing.assert_array_equal(driven(fresh, actions(fresh)), driven(used, actions(used)))


def test_a_saved_moment_carries_it_into_another_environment(make_env: MakeEnv) -> None:
    env, other = make_env("push", randomise=MUCH), make_env("push", randomise=MUCH)
    env.reset(seed=2)
    told = actions(env)
    driven(env, told[:7])
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(env.save()), type=EnvState)
    here, went = env.observe(), driven(env, told)
    other.reset(seed=9)
    np.testing.assert_array_equal(other.restore(state), here)
    np.testing.assert_array_equal(driven(other, told), went)


SEEN = RandomiseConfig(camera_m=0.03, camera_deg=8.0, camera_field=0.1, light=0.4, colour=0.4)


def test_cameras_light_and_colours_are_those_of_the_seed_and_change_nothing_else(make_env: MakeEnv) -> None:
    env, plain = (
        make_env("push", cameras=("front", "wrist"), randomise=one) for one in (SEEN, RandomiseConfig())
    )
    pictures = []
    for seed in (1, 2, 1):
        told, _ = env.reset(seed=seed)
        np.testing.assert_array_equal(told, plain.reset(seed=seed)[0])
        assert env.scene.pack().tolist() == plain.scene.pack().tolist()
        assert all(env.pictures[camera] != plain.pictures[camera] for camera in env.pictures)
        pictures.append(dict(env.pictures))
    assert pictures[0] == pictures[2] != pictures[1]
    alone = make_env("push", cameras=("wrist",), randomise=SEEN)
    alone.reset(seed=2)
    assert alone.pictures["wrist"] == pictures[1]["wrist"], "whichever other cameras there are"


def test_a_saved_moment_is_seen_as_it_was(make_env: MakeEnv) -> None:
    env, other = (make_env("push", cameras=("front",), randomise=one) for one in (SEEN, RandomiseConfig()))
    env.reset(seed=3)
    before = dict(env.pictures)
    other.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(env.save()), type=EnvState))
    assert other.pictures == before
    other.reset(seed=3)
    env.restore(other.save())
    assert env.pictures == other.pictures != before, "nothing is left of it"


def test_pictures_show_the_size_that_things_have() -> None:
    env, seen = (
        TaskEnv("pick_cube", cameras=("front",), camera_px=256, randomise=RandomiseConfig(size=0.3)),
        [],
    )
    for seed in range(4):
        env.reset(seed=seed)
        picture = decode(env.pictures["front"]).astype(int)
        cube = (picture[..., 0] > picture[..., 1] + 50) & (picture[..., 2] < 60)
        seen.append((body_of(env, "cube")[2], int(cube.sum())))
    env.close()
    (small_m, few), (large_m, many) = min(seen), max(seen)
    assert many / few == pytest.approx((large_m / small_m) ** 2, rel=0.4)


def test_a_varied_moment_leaves_nothing_behind_where_nothing_varies(
    make_env: MakeEnv,
) -> None:
    varied, plain, fresh = make_env("push", randomise=MUCH), make_env("push"), make_env("push")
    varied.reset(seed=2)
    plain.restore(varied.save())
    assert body_of(plain, "cube") == body_of(varied, "cube")
    for env in (plain, fresh):
        env.reset(seed=3)
    np.testing.assert_array_equal(driven(plain, actions(plain)), driven(fresh, actions(fresh)))


def test_one_process_and_several_go_the_same_way_to_the_bit() -> None:
    said = []
    for processes in (False, True):
        envs = vector_env("push", 2, processes=processes, randomise=MUCH)
        rng, seen = np.random.default_rng(0), [envs.reset(seed=5)[0]]
        for _ in range(10):
            obs, reward, *_ = envs.step(rng.uniform(-1, 1, envs.action_space.shape).astype(np.float32))
            seen += [obs.copy(), reward.copy()]
        envs.close()
        said.append(seen)
    for one, another in zip(*said, strict=True):
        np.testing.assert_array_equal(one, another)


def test_actions_come_late_by_the_steps_of_the_draw(make_env: MakeEnv) -> None:
    env, late_by = make_env("reach", randomise=RandomiseConfig(delay_steps=3)), set()
    for seed in range(16):
        env.reset(seed=seed)
        told = np.array([0.3, 0.0, 0.0], np.float32)
        moved = [bool(env.step(told)[4]["executed"].any()) for _ in range(5)]
        late_by.add(moved.index(True))
        assert all(moved[moved.index(True) :])
    assert late_by == {0, 1, 2, 3}


def test_the_policy_sees_noise_where_success_and_the_stored_scene_do_not(make_env: MakeEnv) -> None:
    plain, noisy = make_env("push"), make_env("push", randomise=RandomiseConfig(thing_noise_m=0.01))
    for env in (plain, noisy):
        env.reset(seed=1)
    rest, gaps = np.zeros(3, np.float32), []
    for _ in range(20):
        seen, clear = noisy.step(rest)[0], plain.step(rest)[0]
        np.testing.assert_allclose(noisy.scene.objects["cube"], plain.scene.objects["cube"], atol=1e-5)
        gaps.append((seen - clear)[:3] / 5)  # the first columns of push: 5 times the way to the cube
    assert np.std(gaps) == pytest.approx(0.01, rel=0.3)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"mass": 1.0}, "randomise.mass is 1.0"),
        ({"delay_steps": -1}, "randomise.delay_steps is -1"),
        ({"camera_deg": 90.0}, "randomise.camera_deg is 90.0"),
        ({"light": -0.1}, "randomise.light is -0.1"),
    ],
)
def test_what_is_out_of_range_is_named(change: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(RandomiseConfig(), **change)  # type: ignore[arg-type]
