"""What every task promises, held against each in `sim.task.TASKS`: a new one is tested by being listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hardware.scene import Scene
from robot_rlhf.feedback.hands import Hands, HandsConfig
from robot_rlhf.session.rollout import hand_action
from sim.arms.panda import PANDA_SPEC
from sim.cell import SimCell
from sim.env import SPEED_M_S, TaskEnv
from sim.task import (
    FULL_TURN_RAD_S,
    SUCCESS_HOLD_S,
    TASKS,
    Layout,
    Task,
    Waypoint,
    make_task,
    pose,
    tool_yaw,
)

MakeEnv = Callable[..., TaskEnv]
ROWS = dict(np.load(Path(__file__).parent / "data" / "observations.npz"))
"""What was seen of `some_scenes`, by task."""


@pytest.fixture(params=sorted(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    return make_task(request.param)


@dataclass(frozen=True)
class Attempt:
    """What ideal hands on the expert's way left behind in one episode."""

    scenes: NDArray[np.float32]
    success: bool
    steps: int


def attempt(env: TaskEnv, seed: int) -> Attempt:
    """Drive one episode by the expert; `env` must end on success."""
    hands = Hands(env.task.expert, HandsConfig(ideal=True), SPEED_M_S, env.control_hz)
    hands.begin(np.random.default_rng(0), may_botch=False)
    env.reset(seed=seed)
    scenes, over, success = [env.scene.pack()], False, False
    while not over:
        _, _, terminated, truncated, info = env.step(hand_action(hands.drive(env.scene), env.axes))
        scenes.append(env.scene.pack())
        over, success = terminated or truncated, bool(info["is_success"])
    return Attempt(np.stack(scenes), success, len(scenes) - 1)


def objects(task: Task) -> list[str]:
    return [prop.name for prop in task.props]


def layouts(task: Task, seeds: Iterable[int]) -> list[Layout]:
    return [task.layout(np.random.default_rng(seed)) for seed in seeds]


def flat(layout: Layout) -> NDArray[np.float64]:
    return np.concatenate([layout.tool_pos_m, *layout.poses.values()])


def some_scenes(task: Task, count: int = 24) -> Scene:
    """Scenes (count,) that no physics made: a task's functions must bear them too."""
    rng = np.random.default_rng(4)
    names = objects(task)
    rows = rng.uniform(-0.5, 0.5, (count, 19 + 7 * len(names))).astype(np.float32)
    rows[:, 7:9] = rng.uniform(0.0, 1.0, (count, 2))
    return Scene.unpack(rows, names)


def moment(scenes: Scene, index: int) -> Scene:
    arrays = {name: value[index] for name, value in vars(scenes).items() if not isinstance(value, Mapping)}
    return Scene(**arrays, objects={name: value[index] for name, value in scenes.objects.items()})


def test_it_says_what_it_is(task: Task) -> None:
    assert TASKS[task.name].startswith("sim.tasks.")
    assert task.goal.endswith(".")
    assert 1.0 <= task.horizon_s <= 30.0
    assert len(set(objects(task))) == len(task.props) > 0


def test_every_layout_lies_in_the_workspace_with_every_prop_in_it(task: Task) -> None:
    low, high = PANDA_SPEC.workspace_low_m, PANDA_SPEC.workspace_high_m
    for layout in layouts(task, range(200)):
        assert ((low < layout.tool_pos_m) & (layout.tool_pos_m < high)).all()
        assert list(layout.poses) == objects(task)
        for prop, place in zip(task.props, layout.poses.values(), strict=True):
            assert place.shape == (7,)
            assert ((low[:2] < place[:2]) & (place[:2] < high[:2])).all()
            assert 0.0 <= place[2] < high[2]
            on_the_table = place[2] == pytest.approx(prop.half_extents_m[2])
            assert prop.is_marker or prop.slides is not None or on_the_table
            assert np.linalg.norm(place[3:]) == pytest.approx(1.0)


def test_a_layout_follows_from_its_generator_alone(task: Task) -> None:
    first, again = layouts(task, range(8)), layouts(make_task(task.name), range(8))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(flat(one), flat(other))
    assert len({flat(layout).tobytes() for layout in first}) == 8


def test_no_start_has_the_goal_reached_already(task: Task, make_env: MakeEnv) -> None:
    env = make_env(task.name)
    for seed in range(10):
        env.reset(seed=seed)
        assert not env.task.success(env.scene)


def test_moments_and_whole_episodes_are_judged_alike(task: Task) -> None:
    scenes = some_scenes(task)
    observed, utility, success = task.observe(scenes), task.utility(scenes), task.success(scenes)
    assert observed.dtype == np.float32
    assert utility.shape == success.shape == (24,)
    for index in range(24):
        one = moment(scenes, index)
        np.testing.assert_allclose(task.observe(one), observed[index], rtol=0, atol=1e-6)
        np.testing.assert_allclose(task.utility(one), utility[index], rtol=0, atol=1e-9)
        assert bool(task.success(one)) == bool(success[index])
        assert np.shape(task.utility(one)) == np.shape(task.success(one)) == ()


def test_two_leading_dimensions_are_fine(task: Task) -> None:
    flat_scenes, names = some_scenes(task), objects(task)
    scenes = Scene.unpack(flat_scenes.pack().reshape(4, 6, -1), names)
    np.testing.assert_array_equal(task.utility(scenes).reshape(24), task.utility(flat_scenes))
    np.testing.assert_array_equal(task.success(scenes).reshape(24), task.success(flat_scenes))
    np.testing.assert_array_equal(task.observe(scenes).reshape(24, -1), task.observe(flat_scenes))


def test_judging_a_scene_does_not_change_it(task: Task) -> None:
    scenes = some_scenes(task)
    before = scenes.pack()
    task.observe(scenes), task.utility(scenes), task.success(scenes), task.expert(moment(scenes, 0))
    np.testing.assert_array_equal(scenes.pack(), before)


@pytest.mark.parametrize("name", ROWS)
def test_observations_are_the_rows_that_policies_were_trained_on(name: str) -> None:
    """To the last bit where they were made; another machine's tanh may differ in it."""
    task = make_task(name)
    np.testing.assert_array_max_ulp(task.observe(some_scenes(task)), ROWS[name])


def test_utility_is_from_0_to_1_wherever_things_are(task: Task) -> None:
    utility = task.utility(some_scenes(task, 400))
    assert utility.min() >= 0.0
    assert utility.max() <= 1.0


def test_the_experts_ideal_hands_succeed_and_what_they_do_is_worth_more_and_more(
    task: Task, make_env: MakeEnv
) -> None:
    env = make_env(task.name, end_on_success=True)
    attempts = [attempt(env, seed) for seed in range(1000, 1020)]
    assert sum(one.success for one in attempts) >= 19
    for one in attempts:
        utility = task.utility(Scene.unpack(one.scenes, objects(task)))
        assert ((utility >= 0.0) & (utility <= 1.0)).all()
        assert not one.success or utility[-1] > utility[0] + 0.3


def test_observations_are_roughly_of_unit_size(task: Task, make_env: MakeEnv) -> None:
    env = make_env(task.name, end_on_success=True)
    scenes = np.concatenate([attempt(env, seed).scenes for seed in range(3)])
    observed = task.observe(Scene.unpack(scenes, objects(task)))
    assert np.abs(observed).max() < 5.0
    assert (observed.std(axis=0) < 2.0).all()


class Flickering:
    """A task whose goal holds just at the moments that it is told."""

    def __init__(self, holds: Iterable[bool]) -> None:
        self._holds = iter(holds)
        self._task = make_task("reach")
        self.name, self.goal, self.horizon_s = "flickering", "Wait.", 2.0
        self.props, self.uses_gripper, self.turns = self._task.props, False, False

    def layout(self, rng: np.random.Generator) -> Layout:
        return self._task.layout(rng)

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        return self._task.observe(scene)

    def utility(self, scene: Scene) -> NDArray[np.float64]:
        return self._task.utility(scene)

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        return np.asarray(next(self._holds))

    def expert(self, scene: Scene) -> Waypoint:
        return self._task.expert(scene)


@pytest.mark.parametrize("control_hz", [10.0, 20.0])
def test_success_needs_the_goal_held_for_half_a_second_without_a_gap(
    control_hz: float, make_env: MakeEnv
) -> None:
    hold = round(SUCCESS_HOLD_S * control_hz)
    holds = [*[True] * (hold - 1), False, *[True] * (hold + 2), False]
    env = make_env(Flickering(holds), control_hz)
    env.reset(seed=0)
    told = [bool(env.step(np.zeros(3, np.float32))[4]["is_success"]) for _ in holds]
    assert told == [*[False] * (2 * hold - 1), True, True, True, False]


def test_the_pick_cubes_grasp_is_worth_something_before_the_lift() -> None:
    task = make_task("pick_cube")
    scene = moment(some_scenes(task), 0)
    cube = np.array([0.5, 0.0, 0.02, 0.0, 0.0, 0.0, 1.0])
    at_cube = replace(scene, tool_pos_m=cube[:3], gripper_target=np.array(0.0), objects={"cube": cube})
    open_hand, gripped = (replace(at_cube, gripper=np.array(width)) for width in (1.0, 0.5))
    assert task.utility(gripped) > task.utility(open_hand) + 0.1


def test_a_stack_stands_once_the_hand_has_let_go() -> None:
    task = make_task("stack")
    scene = moment(some_scenes(task), 0)
    base = np.array([0.5, 0.0, 0.02, 0.0, 0.0, 0.0, 1.0])
    above = base + np.array([0.0, 0.0, 0.04, 0.0, 0.0, 0.0, 0.0])

    def at(moved: tuple[float, float, float], opening: float) -> Scene:
        cube = above + np.array([*moved, 0.0, 0.0, 0.0, 0.0])
        things = {"cube": cube, "base": base}
        return replace(scene, objects=things, gripper=np.array(opening), gripper_target=np.array(opening))

    done = at((0.015, 0.0, 0.0), 1.0)
    assert task.success(done)
    for other in (at((0.0, 0.0, 0.0), 0.5), at((0.025, 0.0, 0.0), 1.0), at((0.0, 0.0, 0.02), 1.0)):
        assert not task.success(other)
        assert task.utility(other) < task.utility(done) - 0.2


def test_pick_places_mark_is_on_the_table_or_in_the_air_and_never_where_the_cube_lies() -> None:
    poses = [layout.poses for layout in layouts(make_task("pick_place"), range(300))]
    heights = np.array([one["target"][2] for one in poses])
    assert 0.2 < np.mean(heights == 0.02) < 0.4
    assert heights[heights > 0.02].min() > 0.06 and 0.2 < heights.max() < 0.23
    assert min(np.linalg.norm((one["target"] - one["cube"])[:3]) for one in poses) >= 0.1


def test_a_vase_has_to_stand_and_falls_when_it_is_hit_hard_enough(make_env: MakeEnv) -> None:
    env = make_env("pick_place_vase")
    assert isinstance(env.cell, SimCell)
    world, task = env.cell.world, env.task
    for speed_m_s, falls in ((0.0, False), (1.0, True)):
        env.reset(seed=1)
        world.client.resetBaseVelocity(
            world.bodies["vase"], [speed_m_s, 0.0, 0.0], [0.0, speed_m_s / 0.06, 0.0]
        )
        env.cell.wait(1_500_000_000)
        scene = env.look()
        there = dict(scene.objects) | {"cube": scene.objects["target"]}
        assert bool(task.success(replace(scene, objects=there))) is not falls
        standing = dict(there) | {"vase": np.array([0.5, 0.0, 0.06, 0.0, 0.0, 0.0, 1.0])}
        assert bool(task.success(replace(scene, objects=standing)))
        loss = task.utility(replace(scene, objects=standing)) - task.utility(replace(scene, objects=there))
        assert bool(loss > 0.1) is falls


def test_a_bar_counts_once_it_lies_along_its_mark_and_is_let_go() -> None:
    task = make_task("place_bar")
    scene = moment(some_scenes(task), 0)

    def laid(turned: float, opening: float, aside_m: float = 0.0) -> Scene:
        things = {"bar": pose(0.5 + aside_m, 0.0, 0.02, 0.3 + turned), "mark": pose(0.5, 0.0, 0.001, 0.3)}
        return replace(scene, objects=things, gripper=np.array(opening), gripper_target=np.array(opening))

    done = laid(0.1, 1.0)
    assert task.success(done) and task.success(laid(np.pi - 0.1, 1.0))  # it looks the same after half a turn
    for other in (laid(0.2, 1.0), laid(0.0, 0.4), laid(0.0, 1.0, 0.025)):
        assert not task.success(other)
        assert task.utility(other) < task.utility(done) - 0.1


def test_only_the_task_that_needs_it_has_an_axis_that_turns(make_env: MakeEnv) -> None:
    turning = [name for name in TASKS if make_task(name).turns]
    assert turning == ["place_bar"]
    env = make_env("place_bar")
    env.reset(seed=0)
    before = float(tool_yaw(env.scene))
    for _ in range(5):
        executed = env.step(np.array([0.0, 0.0, 0.0, 0.0, 1.0], np.float32))[4]["executed"]
    assert executed[4] == pytest.approx(1.0)
    assert float(tool_yaw(env.scene)) - before == pytest.approx(0.5 * FULL_TURN_RAD_S, abs=0.06)


def test_an_unknown_task_is_refused_with_the_nearest_that_there_is() -> None:
    with pytest.raises(ValueError, match="no task named 'pick_cub', did you mean 'pick_cube'"):
        make_task("pick_cub")
    with pytest.raises(ValueError, match="reach, push, pick_cube"):
        make_task("fly")
