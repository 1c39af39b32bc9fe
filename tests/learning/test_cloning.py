"""What cloning fits, what it leaves out, and how the clone carries its chunks out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import Driver
from robot_rlhf.learning.checkpoint import CheckpointError
from robot_rlhf.learning.cloning import ChunkedClone, CloneReport
from robot_rlhf.learning.policy_config import CloneConfig

SMALL = CloneConfig(
    stride=0.0,
    obs_noise=0.0,
    hidden=32,
    steps=400,
    batch_size=64,
    learning_rate=3e-3,
    chunk=4,
    replan_every=4,
)
STEPS = 20


def demo(number: int, role: Role = Role.DEMONSTRATION, driver: list[int] | None = None) -> Episode:
    """The operator moves along x by how far right the arm is, and closes the gripper half-way through."""
    rng = np.random.default_rng(number)
    obs = rng.uniform(-1, 1, (STEPS + 1, 2)).astype(np.float32)
    action = np.zeros((STEPS, 4), np.float32)
    action[:, 0] = 0.8 * obs[:-1, 0]
    action[:, 1] = 0.2
    action[:, 3] = np.where(np.arange(STEPS) < STEPS // 2, 1.0, -1.0)
    who = np.array(driver if driver is not None else [Driver.OPERATOR] * STEPS, np.uint8)
    scenes = np.zeros((STEPS + 1, 1), np.float32)
    return Episode(number, role, "t", 0, 0, obs, action, action, who, scenes, False, True)


def demos(count: int = 10) -> list[Episode]:
    return [demo(number) for number in range(count)]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def fitted(episodes: list[Episode], config: CloneConfig = SMALL) -> tuple[ChunkedClone, CloneReport]:
    clone = ChunkedClone(2, 4, config, 0)
    return clone, clone.fit(episodes, rng())


def test_the_clone_does_what_the_operator_did() -> None:
    clone, _ = fitted(demos())
    for x in (-0.7, 0.0, 0.7):
        clone.reset()
        assert clone.act(np.array([x, 0.0], np.float32))[:3] == pytest.approx([0.8 * x, 0.2, 0.0], abs=0.15)


def test_successes_are_imitated_whoever_drove() -> None:
    by_policy = [demo(number, Role.ONLINE, [Driver.POLICY] * STEPS) for number in range(10, 16)]
    short = replace(SMALL, steps=20)
    _, without = fitted([*demos(2), *by_policy], short)
    report = ChunkedClone(2, 4, short, 0).fit(demos(2), rng(), successes=by_policy)
    assert (without.examples, report.examples) == (2 * STEPS, 8 * STEPS)


def test_noise_on_the_observations_smooths_what_is_learned() -> None:
    """A step from -1 to 1 in what the operator does, which noise blurs."""
    episodes = []
    for number in range(10):
        plain = demo(number)
        plain.action[:] = np.sign(plain.obs[:-1, :1])
        episodes.append(plain)
    near = np.array([0.1, 0.0], np.float32)
    sharp, blurred = (fitted(episodes, replace(SMALL, obs_noise=std))[0].act(near)[0] for std in (0.0, 1.0))
    assert blurred < sharp - 0.2


def test_cloning_repeats_under_the_same_seeds() -> None:
    one, other = fitted(demos())[0].state(), fitted(demos())[0].state()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_members_differ_and_their_mean_acts() -> None:
    clone, _ = fitted(demos(), replace(SMALL, steps=20))
    obs = np.array([0.3, -0.2], np.float32)
    alone = []
    for member in range(SMALL.members):
        single = ChunkedClone(2, 4, replace(SMALL, members=1), 0)
        state = {n: t for n, t in clone.state().items() if n.startswith("normaliser")}
        prefix = f"members.{member}."
        state |= {
            n.replace(prefix, "members.0."): t for n, t in clone.state().items() if n.startswith(prefix)
        }
        single.load(state)
        alone.append(single.act(obs))
    assert clone.act(obs) == pytest.approx(np.mean(alone, axis=0), abs=1e-6)
    assert np.std(alone, axis=0).max() > 1e-3


def test_episodes_are_held_out_whole_and_only_when_there_are_enough() -> None:
    short = replace(SMALL, steps=20)
    _, many = fitted(demos(10), replace(short, heldout_fraction=0.2))
    assert (many.examples, many.heldout_examples) == (10 * STEPS, 2 * STEPS)
    assert many.heldout_error is not None
    for count, fraction in ((4, 0.5), (10, 0.0)):
        _, few = fitted(demos(count), replace(short, heldout_fraction=fraction))
        assert (few.heldout_error, few.heldout_examples) == (None, 0)


def test_fitting_stops_early_when_the_held_out_error_rises() -> None:
    """Actions that nothing explains can only be learned by heart."""
    noise = np.random.default_rng(1)
    episodes = []
    for number in range(10):
        plain = demo(number)
        plain.action[:] = noise.uniform(-1, 1, plain.action.shape)
        episodes.append(plain)
    _, report = fitted(episodes, replace(SMALL, hidden=64, patience=3, steps=2000))
    assert report.steps < 1000
    assert report.heldout_error is not None and report.heldout_error < 0.5


def test_only_the_operators_steps_are_cloned() -> None:
    takeover = demo(3, Role.ONLINE, [0] * 5 + [1] * 4 + [0] * 5 + [1] * 6)
    assert fitted([takeover], replace(SMALL, steps=1))[1].examples == 10


@pytest.mark.parametrize(
    "episodes", [[], [demo(0, Role.COUNTERFACTUAL)], [demo(0, Role.ONLINE, [0] * STEPS)]]
)
def test_nothing_to_clone_is_said(episodes: list[Episode]) -> None:
    with pytest.raises(ValueError, match="nothing to clone"):
        ChunkedClone(2, 4, SMALL, 0).fit(episodes, rng())


class Scripted(ChunkedClone):
    """Predicts (call number * 10 + place in the chunk) / 1000 and counts how often it is asked."""

    calls = 0

    def _chunks(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        first = 10 * np.arange(self.calls, self.calls + len(obs))
        self.calls += len(obs)
        places = first[:, None] + np.arange(self.config.replan_every)
        return (places[..., None] / 1000).astype(np.float32)


def run(policy: ChunkedClone, steps: int) -> list[float]:
    return [round(1000 * float(policy.act(np.zeros(1, np.float32))[0]), 3) for _ in range(steps)]


def test_chunks_are_carried_out_as_far_as_wanted_then_planned_anew() -> None:
    policy = Scripted(1, 1, replace(SMALL, replan_every=3), 0)
    assert run(policy, 7) == [0, 1, 2, 10, 11, 12, 20]
    policy.reset()
    assert run(policy, 2) == [30, 31]


@pytest.mark.parametrize("replan_every", [1, 3, 4])
def test_along_an_episode_it_says_what_it_would_have_done(replan_every: int) -> None:
    clone, _ = fitted(demos(), replace(SMALL, steps=20, replan_every=replan_every))
    obs = demo(5).obs
    for steps in (0, 1, 5, len(obs)):
        clone.reset()
        acted = np.array([clone.act(row) for row in obs[:steps]]).reshape(-1, 4)
        assert clone.along(obs[:steps]) == pytest.approx(acted, abs=1e-6)


def test_the_clone_foresees_the_next_actions() -> None:
    """On a straight path the next actions follow from the place."""
    episodes = []
    for number in range(8):
        plain = demo(number)
        plain.obs[:] = np.linspace(-1, 1, STEPS + 1)[:, None]
        plain.action[:] = 0.0
        plain.action[:, 0] = 0.9 * np.sin(3 * plain.obs[:-1, 0])
        episodes.append(plain)
    policy = ChunkedClone(2, 4, replace(SMALL), 0)
    policy.fit(episodes, rng())
    source = episodes[0]
    ahead = [float(policy.act(source.obs[8])[0]) for _ in range(4)]  # the same observation, four steps on
    assert ahead == pytest.approx(source.action[8:12, 0].tolist(), abs=0.1)


def test_the_clone_is_restored_exactly() -> None:
    policy = ChunkedClone(2, 4, replace(SMALL, steps=20), 0)
    policy.fit(demos(), rng())
    other = ChunkedClone(2, 4, SMALL, 1)
    other.load(policy.state())
    obs = np.array([0.3, -0.2], np.float32)
    assert (policy.act(obs) == other.act(obs)).all()
    with pytest.raises(CheckpointError, match="clone: tensor"):
        ChunkedClone(3, 4, SMALL, 1).load(policy.state())


def test_the_clone_refuses_other_shapes_and_nan() -> None:
    policy = ChunkedClone(2, 4, SMALL, 0)
    with pytest.raises(ValueError, match="obs has shape"):
        policy.act(np.zeros((1, 2), np.float32))
    with pytest.raises(FloatingPointError, match="not finite"):
        policy.act(np.full(2, np.nan, np.float32))


@pytest.mark.parametrize(("field", "value"), [("chunk", 0), ("replan_every", 13), ("heldout_fraction", 1.0)])
def test_a_setting_out_of_range_is_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"CloneConfig.{field} is {value}"):
        CloneConfig(**{field: value})  # type: ignore[arg-type]


def test_a_fit_whose_least_steps_are_its_most_takes_them_all() -> None:
    """Whatever the held-out episodes say, which are noise here."""
    rng = np.random.default_rng(3)
    noisy = [replace(one, action=rng.uniform(-1, 1, one.action.shape).astype(np.float32)) for one in demos()]
    short = replace(SMALL, hidden=64, min_steps=50, patience=1, check_every=10, heldout_fraction=0.3)
    _, stopped = fitted(noisy, replace(short, steps=400))
    _, whole = fitted(noisy, replace(short, steps=400, min_steps=400))
    assert stopped.steps < whole.steps == 400
    assert whole.heldout_error is not None and stopped.heldout_error is not None
    assert whole.train_error < stopped.train_error


def test_what_is_held_out_is_demonstrations_and_the_same_whatever_was_taken_over() -> None:
    config = replace(SMALL, steps=1)
    takeovers = [demo(number, Role.ONLINE) for number in range(20, 26)]
    shown, report = fitted(demos(), config)
    both, longer = fitted([*demos(), *takeovers], config)
    assert (report.heldout_examples, longer.heldout_examples) == (STEPS, STEPS)
    assert longer.examples == report.examples + 6 * STEPS
    assert shown.heldout_error == report.heldout_error and both.heldout_error == longer.heldout_error
    assert fitted(takeovers, config)[1].heldout_error is None
