"""When a simulated person takes over and hands back, how late they press, and how they judge.

What a moment is worth to them, whether the goal holds and how far the expert is are written straight
into the scenes here, so that the rules can be read off tick by tick.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from hardware.scene import Scene
from robot_rlhf.feedback.operator import OperatorConfig, SimulatedOperator
from robot_rlhf.feedback.types import Choice, OperatorInput, Press
from sim.env import SPEED_M_S, TaskEnv
from sim.task import Layout, Prop, Waypoint

HZ = 10
Array = NDArray[np.float64]
SURE = OperatorConfig(mistakes=0.0)
STALL_TICKS = round(SURE.stall_s * HZ)


class Legible:
    """A task whose worth is the tool's x, whose goal holds while the hand is open, and whose expert's
    stage is the tool's z."""

    name, goal, horizon_s, uses_gripper, turns = "legible", "Read me.", 5.0, False, False
    props: tuple[Prop, ...] = (Prop("target", (0.02, 0.02, 0.02), (0.0, 1.0, 0.0, 1.0)),)

    def layout(self, rng: np.random.Generator) -> Layout:
        return Layout(np.zeros(3), {})

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        return scene.tool_pos_m.astype(np.float32)

    def utility(self, scene: Scene) -> Array:
        return scene.tool_pos_m[..., 0]

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        return np.asarray(scene.gripper > 0.5)

    def expert(self, scene: Scene) -> Waypoint:
        return Waypoint(np.array([1.0, 0.0, 0.0]), 0.0, False, int(scene.tool_pos_m[2]))


def scenes(worth: Sequence[float] | Array, reached: bool = False, stage: int = 0) -> Scene:
    """Moments (T,) worth that much each."""
    steps = len(worth)
    tool = np.stack([np.asarray(worth, float), np.zeros(steps), np.full(steps, float(stage))], axis=-1)
    return Scene(
        joint_pos_rad=np.zeros((steps, 7)),
        gripper=np.full(steps, float(reached)),
        gripper_target=np.zeros(steps),
        tool_pos_m=tool,
        tool_quat_xyzw=np.tile([1.0, 0.0, 0.0, 0.0], (steps, 1)),
        tool_vel_m_s=np.zeros((steps, 3)),
        objects={"target": np.zeros((steps, 7))},
    )


def one(worth: float, reached: bool = False, stage: int = 0) -> Scene:
    whole = scenes([worth], reached, stage)
    return Scene(
        joint_pos_rad=whole.joint_pos_rad[0],
        gripper=float(reached),
        gripper_target=0.0,
        tool_pos_m=whole.tool_pos_m[0],
        tool_quat_xyzw=whole.tool_quat_xyzw[0],
        tool_vel_m_s=whole.tool_vel_m_s[0],
        objects={"target": whole.objects["target"][0]},
    )


def operator(
    config: OperatorConfig = SURE,
    seed: int = 0,
    demonstrate: bool = False,
    may_take_over: bool = True,
    may_press: bool = False,
    opinion: Callable[[Scene], Array] | None = None,
) -> SimulatedOperator:
    """Somebody at the console, at the start of an episode."""
    person = SimulatedOperator(Legible(), config, SPEED_M_S, HZ, opinion)
    person.begin(np.random.default_rng(seed), demonstrate, may_take_over, may_press)
    return person


def watch(person: SimulatedOperator, moments: Sequence[Scene]) -> list[OperatorInput]:
    return [person.watch(moment) for moment in moments]


def takes_over_at(given: Sequence[OperatorInput]) -> int | None:
    """The first tick of a takeover."""
    return next((tick for tick, one in enumerate(given) if one.takeover), None)


class TestTakingOver:
    def test_they_take_over_when_the_opinion_has_not_risen_for_as_long_as_their_patience(self) -> None:
        assert takes_over_at(watch(operator(), [one(0.3)] * 40)) == STALL_TICKS

    def test_a_rise_that_counts_keeps_them_watching(self) -> None:
        a_bit_more = 1.1 * SURE.stall_gain / STALL_TICKS
        a_bit_less = 0.9 * SURE.stall_gain / STALL_TICKS
        assert takes_over_at(watch(operator(), [one(a_bit_more * t) for t in range(100)])) is None
        assert takes_over_at(watch(operator(), [one(a_bit_less * t) for t in range(100)])) == STALL_TICKS

    def test_a_policy_that_undoes_its_work_is_stopped(self) -> None:
        worth = [min(t, 30) * 0.01 - max(0, t - 30) * 0.02 for t in range(60)]
        at = takes_over_at(watch(operator(), [one(value) for value in worth]))
        assert at is not None
        assert 30 < at <= 30 + STALL_TICKS

    def test_a_goal_that_is_reached_is_left_alone(self) -> None:
        assert takes_over_at(watch(operator(), [one(0.3, reached=True)] * 100)) is None

    def test_who_may_not_take_over_does_not(self) -> None:
        assert takes_over_at(watch(operator(may_take_over=False), [one(0.3)] * 100)) is None

    def test_a_noisy_person_is_half_a_second_more_patient(self) -> None:
        noisy = operator(OperatorConfig(kind="noisy"))
        assert takes_over_at(watch(noisy, [one(0.3)] * 60)) == STALL_TICKS + 0.5 * HZ

    def test_stick_and_grip_rest_while_the_policy_drives(self) -> None:
        for given in watch(operator(), [one(0.3)] * STALL_TICKS):
            assert given == OperatorInput()

    def test_the_next_episode_begins_without_the_last_ones_impatience(self) -> None:
        person = operator()
        watch(person, [one(0.3)] * 40)
        person.begin(np.random.default_rng(1), False, True, False)
        assert takes_over_at(watch(person, [one(0.3)] * 40)) == STALL_TICKS


class TestHandingBack:
    @pytest.fixture
    def driving(self) -> SimulatedOperator:
        """Somebody who has just taken over at stage 1."""
        person = operator()
        assert takes_over_at(watch(person, [one(0.3, stage=1)] * (STALL_TICKS + 1))) == STALL_TICKS
        return person

    def ticks_driven(self, person: SimulatedOperator, moments: Sequence[Scene]) -> int:
        given = [one.takeover for one in watch(person, moments)]
        return given.index(False) if False in given else len(given)

    def test_not_while_the_expert_is_where_it_was(self, driving: SimulatedOperator) -> None:
        assert self.ticks_driven(driving, [one(0.3, stage=1)] * 100) == 100

    def test_when_the_expert_has_got_past_that_stage_and_a_second_is_over(
        self, driving: SimulatedOperator
    ) -> None:
        moments = [one(0.3, stage=1)] * 15 + [one(0.3, stage=2)] * 20
        assert self.ticks_driven(driving, moments) == 15

    def test_never_before_a_second_is_over(self, driving: SimulatedOperator) -> None:
        assert self.ticks_driven(driving, [one(0.3, stage=2)] * 40) + 1 == HZ

    def test_not_when_the_expert_falls_back(self, driving: SimulatedOperator) -> None:
        assert self.ticks_driven(driving, [one(0.3, stage=0)] * 100) == 100

    def test_when_the_goal_has_held_for_half_a_second(self, driving: SimulatedOperator) -> None:
        moments = [one(0.3, stage=1)] * 12 + [one(0.3, True, stage=1)] * 20
        assert self.ticks_driven(driving, moments) + 1 == 12 + HZ // 2

    def test_a_goal_that_was_only_passed_through_is_not_reached(self, driving: SimulatedOperator) -> None:
        moments = [one(0.3, stage=1)] * 12 + [one(0.3, True, stage=1)] * 3 + [one(0.3, stage=1)] * 20
        assert self.ticks_driven(driving, moments) == len(moments)

    def test_then_their_patience_begins_anew(self, driving: SimulatedOperator) -> None:
        watch(driving, [one(0.3, stage=2)] * HZ)
        given = watch(driving, [one(0.3, stage=2)] * 60)
        again = takes_over_at(given)
        assert again is not None
        assert abs(again - STALL_TICKS) <= 1


class TestDemonstrating:
    def test_they_drive_all_of_it_and_stop_recording_a_second_after_the_goal(self) -> None:
        person = operator(demonstrate=True)
        assert all(given.takeover for given in watch(person, [one(0.3)] * 100))
        assert not person.finished
        watch(person, [one(0.3, reached=True)] * (HZ - 1))
        assert not person.finished
        watch(person, [one(0.3, reached=True)])
        assert person.finished

    def test_who_watches_a_policy_is_never_finished(self) -> None:
        person = operator()
        watch(person, [one(0.3, reached=True)] * 50)
        assert not person.finished


def pressed_at(given: Sequence[OperatorInput]) -> list[tuple[int, Press]]:
    return [(tick, one.press) for tick, one in enumerate(given) if one.press is not None]


class TestPressing:
    """The opinion jumps at tick 30; before and after that nothing happens."""

    JUMP = 30

    def presses(
        self, config: OperatorConfig, change: float, ticks: int = 60, seed: int = 0
    ) -> list[tuple[int, Press]]:
        # a slow rise keeps the idle press away, which answers a second in which nothing changes
        worth = [0.3 + 0.001 * t + change * (t >= self.JUMP) for t in range(ticks)]
        person = operator(config, seed, may_take_over=False, may_press=True)
        return pressed_at(watch(person, [one(value) for value in worth]))

    @pytest.mark.parametrize(("change", "press"), [(0.2, Press.GOOD), (-0.2, Press.BAD)])
    def test_a_jump_is_pressed_for_late(self, change: float, press: Press) -> None:
        late = round(SURE.press_delay_s * HZ)
        first = self.presses(SURE, change)[0]
        assert first == (self.JUMP + late, press)

    def test_a_noisy_person_presses_half_a_second_later_still(self) -> None:
        config = replace(OperatorConfig(kind="noisy"), mistakes=0.0)
        late = round((SURE.press_delay_s + 0.5) * HZ)
        assert self.presses(config, 0.2)[0][0] == self.JUMP + late

    def test_they_press_no_more_often_than_the_config_says(self) -> None:
        worth = [0.05 * t for t in range(400)]
        person = operator(may_take_over=False, may_press=True)
        assert len(pressed_at(watch(person, [one(value) for value in worth]))) == SURE.presses_per_episode

    def test_two_presses_are_seconds_apart(self) -> None:
        worth = [0.05 * t for t in range(400)]
        person = operator(may_take_over=False, may_press=True)
        first, second = pressed_at(watch(person, [one(value) for value in worth]))
        assert second[0] - first[0] > 2 * HZ

    def test_who_may_not_press_does_not(self) -> None:
        person = operator(may_take_over=False, may_press=False)
        assert pressed_at(watch(person, [one(0.05 * t) for t in range(400)])) == []

    def test_nothing_new_is_pressed_while_they_drive_themselves(self) -> None:
        person = operator(demonstrate=True, may_press=True)
        assert pressed_at(watch(person, [one(0.05 * t) for t in range(400)])) == []

    def test_a_policy_that_gets_nowhere_is_pressed_bad_now_and_then(self) -> None:
        presses = []
        for seed in range(40):
            person = operator(seed=seed, may_take_over=False, may_press=True)
            presses += pressed_at(watch(person, [one(0.3)] * 100))
        assert {press for _, press in presses} == {Press.BAD}
        assert 20 <= len(presses) <= 80

    def test_some_presses_are_the_wrong_way_round(self) -> None:
        config = replace(SURE, mistakes=0.3)
        wrong = [self.presses(config, 0.2, 45, seed)[0][1] is Press.BAD for seed in range(400)]
        assert 0.24 < np.mean(wrong) < 0.36


class TestComparing:
    def answers(self, config: OperatorConfig, left: float, right: float, count: int = 2000) -> list[Choice]:
        person, rng = operator(config), np.random.default_rng(3)
        clips = scenes([left] * 20), scenes([right] * 20)
        return [person.compare(*clips, rng) for _ in range(count)]

    @pytest.mark.parametrize("gap", [0.02, 0.05, 0.1])
    @pytest.mark.parametrize("mistakes", [0.0, 0.05, 0.2])
    def test_answers_follow_rationality_and_mistakes(self, gap: float, mistakes: float) -> None:
        config = OperatorConfig(mistakes=mistakes)
        knows = 1.0 / (1.0 + np.exp(-config.rationality * gap))
        expected = knows * (1 - mistakes) + (1 - knows) * mistakes
        for left, right, better in ((0.5 + gap, 0.5, Choice.LEFT), (0.5, 0.5 + gap, Choice.RIGHT)):
            share = np.mean([choice is better for choice in self.answers(config, left, right)])
            assert share == pytest.approx(expected, abs=0.035)

    def test_clips_too_close_to_tell_apart_are_equal(self) -> None:
        within = 0.9 * SURE.equal_within
        assert set(self.answers(SURE, 0.5, 0.5 + within, 50)) == {Choice.EQUAL}
        assert Choice.EQUAL not in self.answers(SURE, 0.5, 0.5 + 1.1 * SURE.equal_within, 50)

    def test_what_counts_is_a_clips_mean_not_its_end(self) -> None:
        person, rng = operator(OperatorConfig(kind="ideal")), np.random.default_rng(0)
        rises, stays = scenes(np.linspace(0.0, 0.8, 20)), scenes([0.6] * 20)
        assert person.compare(rises, stays, rng) is Choice.RIGHT

    def test_a_noisy_person_errs_far_more_often(self) -> None:
        noisy = np.mean([c is Choice.LEFT for c in self.answers(OperatorConfig(kind="noisy"), 0.9, 0.5)])
        assert noisy == pytest.approx(0.7, abs=0.05)


class TestTeachers:
    """B-Pref's (Lee et al. 2021): each departs from the oracle in one way."""

    def share(self, teacher: str, left: float, right: float, choice: Choice) -> float:
        config = OperatorConfig(kind="noisy", teacher=teacher)  # type: ignore[arg-type]
        answers = TestComparing().answers(config, left, right, 400)
        return float(np.mean([answer is choice for answer in answers]))

    def test_the_oracle_never_errs_nor_ties(self) -> None:
        assert self.share("oracle", 0.5001, 0.5, Choice.LEFT) == 1.0
        assert self.share("oracle", 0.01, 0.0, Choice.LEFT) == 1.0

    def test_the_stochastic_one_knows_a_large_gap_better_than_a_small_one(self) -> None:
        small, large = (self.share("stochastic", 0.5 + gap, 0.5, Choice.LEFT) for gap in (0.02, 0.15))
        assert 0.5 < small < 0.75
        assert large > 0.93

    def test_one_answer_in_ten_is_a_mistake(self) -> None:
        assert self.share("mistake", 0.9, 0.1, Choice.RIGHT) == pytest.approx(0.1, abs=0.04)

    def test_what_shows_nothing_is_skipped_unless_one_of_the_two_does(self) -> None:
        assert self.share("skip", 0.14, 0.05, Choice.CANNOT_TELL) == 1.0
        assert self.share("skip", 0.16, 0.05, Choice.LEFT) == 1.0

    def test_close_ones_are_equal(self) -> None:
        assert self.share("equal", 0.54, 0.5, Choice.EQUAL) == 1.0
        assert self.share("equal", 0.56, 0.5, Choice.LEFT) == 1.0

    def test_the_myopic_one_has_forgotten_how_a_clip_began(self) -> None:
        rng = np.random.default_rng(0)
        rises, stays = scenes(np.linspace(0.0, 0.8, 20)), scenes([0.45] * 20)  # means 0.4 and 0.45
        assert operator(OperatorConfig(teacher="oracle")).compare(rises, stays, rng) is Choice.RIGHT
        assert operator(OperatorConfig(teacher="myopic")).compare(rises, stays, rng) is Choice.LEFT


@pytest.mark.parametrize(("absent", "watched"), [(0.0, 1.0), (0.4, 0.6), (1.0, 0.0)])
def test_they_are_absent_as_often_as_the_config_says(absent: float, watched: float) -> None:
    person, rng = operator(OperatorConfig(absent=absent)), np.random.default_rng(0)
    assert np.mean([person.watches(rng) for _ in range(2000)]) == pytest.approx(watched, abs=0.04)


@pytest.mark.parametrize("field", ["mistakes", "absent", "memory"])
def test_a_share_out_of_range_is_named(field: str) -> None:
    with pytest.raises(ValueError, match=rf"simulated\.{field} is 1\.5"):
        OperatorConfig(**{field: 1.5})  # type: ignore[arg-type]


class TestMarking:
    def marks(self, config: OperatorConfig, reached: bool) -> float:
        person, rng = operator(config), np.random.default_rng(3)
        episode = scenes([0.3] * 40, reached)
        return float(np.mean([person.mark(episode, rng) for _ in range(1000)]))

    def test_marks_are_wrong_as_often_as_the_config_says(self) -> None:
        assert self.marks(OperatorConfig(mistakes=0.1), True) == pytest.approx(0.9, abs=0.03)
        assert self.marks(OperatorConfig(mistakes=0.1), False) == pytest.approx(0.1, abs=0.03)
        assert (self.marks(SURE, True), self.marks(SURE, False)) == (1.0, 0.0)

    def test_success_is_the_goal_held_over_the_last_half_second(self) -> None:
        person, rng = operator(), np.random.default_rng(0)
        held = HZ // 2
        for reached_from, success in ((held, True), (held - 1, False)):
            episode = scenes([0.3] * 40)
            np.asarray(episode.gripper)[-reached_from:] = 1.0
            assert person.mark(episode, rng) is success


class TestTheIdealOperator:
    IDEAL = OperatorConfig(kind="ideal", mistakes=0.5, rationality=1.0)  # kind wins over the numbers

    def test_never_errs_in_an_answer_a_mark_or_a_press(self) -> None:
        rng = np.random.default_rng(0)
        person = operator(self.IDEAL)
        for _ in range(200):
            worse, better = np.sort(rng.uniform(0, 1, 2))
            if better - worse > 1.05 * self.IDEAL.equal_within:
                assert person.compare(scenes([better] * 5), scenes([worse] * 5), rng) is Choice.LEFT
                assert person.compare(scenes([worse] * 5), scenes([better] * 5), rng) is Choice.RIGHT
            assert person.mark(scenes([0.1] * 9, True), rng)
            assert not person.mark(scenes([0.1] * 9), rng)
        for seed in range(50):
            assert TestPressing().presses(self.IDEAL, 0.2, 45, seed)[0][1] is Press.GOOD

    def test_never_botches_a_demonstration(self) -> None:
        from robot_rlhf.session.rollout import demonstrate

        env = TaskEnv("reach")
        person = SimulatedOperator(env.task, self.IDEAL, SPEED_M_S, env.control_hz)
        for seed in range(12):
            person.begin(np.random.default_rng(seed), True, False, False)
            assert demonstrate(env, person, seed).success
        env.close()


def test_the_opinion_itself_never_reaches_a_message() -> None:
    """An input has room for hands and buttons alone, and shifting every opinion changes none of them."""
    assert set(OperatorInput.__struct_fields__) == {"stick", "yaw", "grip", "takeover", "press"}
    worth = np.cumsum(np.random.default_rng(5).normal(0.0, 0.03, 200))
    said = []
    for shift in (0.0, 8.0):

        def opinion(scene: Scene, shift: float = shift) -> Array:
            return scene.tool_pos_m[..., 0] + shift

        person = operator(OperatorConfig(), seed=2, may_press=True, opinion=opinion)
        given = watch(person, [one(value) for value in worth])
        said.append([msgspec.json.encode(one) for one in given])
        assert any(one.takeover for one in given)
        assert pressed_at(given)
    assert said[0] == said[1]


def test_an_operator_with_an_opinion_of_their_own_judges_by_it() -> None:
    contrary = operator(OperatorConfig(kind="ideal"), opinion=lambda scene: -scene.tool_pos_m[..., 0])
    rng = np.random.default_rng(0)
    assert contrary.compare(scenes([0.9] * 5), scenes([0.1] * 5), rng) is Choice.RIGHT
