"""A style is the operator's wish alone: it changes what they find good, and nothing that a learner sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hardware.scene import Scene
from robot_rlhf.feedback.hands import Hands, HandsConfig
from robot_rlhf.session.rollout import hand_action
from sim.env import SPEED_M_S, TaskEnv
from sim.styles import STYLES, Styled
from sim.task import make_task

STYLED = tuple(STYLES)


@pytest.fixture(scope="module", params=STYLED)
def walked(request: pytest.FixtureRequest) -> tuple[str, list[Scene]]:
    """A style, and moments of its task as random motion makes them."""
    rng, scenes = np.random.default_rng(0), []
    env = TaskEnv(request.param)
    for seed in range(3):
        env.reset(seed=seed)
        for _ in range(40):
            env.step(rng.uniform(-1, 1, env.axes).astype(np.float32))
            scenes.append(env.scene)
    env.close()
    return request.param, scenes


def test_nothing_but_the_utility_and_the_wish_differ(walked: tuple[str, list[Scene]]) -> None:
    name, scenes = walked
    styled, plain = make_task(name), make_task(name.partition("/")[0])
    assert isinstance(styled, Styled) and styled.name == name
    assert styled.goal.startswith(plain.goal) and styled.goal != plain.goal
    same = ("horizon_s", "props", "uses_gripper")
    assert all(getattr(styled, name) == getattr(plain, name) for name in same)
    for scene in scenes:
        assert (styled.observe(scene) == plain.observe(scene)).all()
        assert styled.success(scene) == plain.success(scene)
        assert plain.utility(scene) - STYLES[name].weight <= styled.utility(scene) <= plain.utility(scene)


def test_a_style_is_broken_and_kept(walked: tuple[str, list[Scene]]) -> None:
    name, scenes = walked
    breach = STYLES[name].breach
    base = scenes[0]
    match name:
        case "pick_cube/clear" | "pick_place_vase/clear":
            places = ((0.0, 0.1, 1.0), (0.10, 0.1, 0.5), (0.13, 0.1, 0.0), (0.0, 0.02, 0.0))
            cases = [(_from_the_vase(base, away, height), wanted) for away, height, wanted in places]
        case "pick_cube/gentle":
            cases = [(_at_the_cube(base, 0.0, speed), wanted) for speed, wanted in ((0.12, 1.0), (0.03, 0.0))]
            cases += [(_at_the_cube(base, 0.0, 0.08), 0.5), (_at_the_cube(base, 0.1, 0.12), 0.0)]
        case _:
            heights = ((0.0, 0.0), (0.13, 0.0), (0.17, 0.5), (0.25, 1.0))
            cases = [(_lifted(base, height), wanted) for height, wanted in heights]
    for scene, wanted in cases:
        assert breach(scene) == pytest.approx(wanted)


def _from_the_vase(scene: Scene, away_m: float, height_m: float) -> Scene:
    return replace(scene, objects={"cube": np.array([0.5 + away_m, 0.0, height_m, 0.0, 0.0, 0.0, 1.0])})


def _at_the_cube(scene: Scene, above_m: float, speed: float) -> Scene:
    tool = scene.objects["cube"][:3] + np.array([0.0, 0.0, above_m])
    return replace(scene, tool_pos_m=tool, tool_vel_m_s=np.array([speed, 0.0, 0.0]))


def _lifted(scene: Scene, height_m: float) -> Scene:
    cube = scene.objects["cube"].copy()
    cube[2] = 0.02 + height_m
    return replace(scene, objects={"cube": cube})


@pytest.mark.parametrize("name", STYLED)
def test_whoever_wants_a_style_keeps_it_and_succeeds(name: str) -> None:
    """The operator's own way against the plain task's, by how far the style is broken. Small steps make
    hands slow that a person has; ideal ones go by four times the distance in a second, however small."""
    hands = HandsConfig(ideal=name != "pick_cube/gentle")
    broken: dict[str, list[float]] = {name: [], name.partition("/")[0]: []}
    for way, moments in broken.items():
        env, expert = TaskEnv(name), Hands(make_task(way).expert, hands, SPEED_M_S, 10.0)
        for seed in range(6):
            env.reset(seed=seed)
            expert.begin(np.random.default_rng(seed), may_botch=False)
            for _ in range(env.horizon):
                info = env.step(hand_action(expert.drive(env.scene), env.axes))[-1]
                moments.append(float(STYLES[name].breach(env.scene)))
            assert info["is_success"], f"{way}, start {seed}"
        env.close()
    kept, plain = (np.mean(moments) for moments in broken.values())
    assert kept < 0.5 * plain


@pytest.mark.parametrize("name", ["pick_cube/rude", "reach/low", "fly/low", "/low"])
def test_a_style_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"no task named '{name}'.*pick_cube/low"):
        make_task(name)
