"""The replay's known bugs, each shown to be impossible, on episodes whose numbers name their place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.learning.replay import Batch, Replay

Plan = list[tuple[int, bool, list[bool]]]
"""Episodes as (steps, terminated, driven by the operator)."""

PLANS = st.lists(
    st.integers(1, 7).flatmap(
        lambda steps: st.tuples(
            st.just(steps), st.booleans(), st.lists(st.booleans(), min_size=steps, max_size=steps)
        )
    ),
    min_size=1,
    max_size=6,
)


def episode(number: int, steps: int, terminated: bool = False, operator: list[bool] | None = None) -> Episode:
    """obs row t is (number, t); the action of step t is t / 1000."""
    obs = np.stack([np.full(steps + 1, number), np.arange(steps + 1)], axis=1).astype(np.float32)
    action = (np.arange(steps)[:, None] / 1000).astype(np.float32)
    driver = np.array(operator or [False] * steps, np.uint8)
    scenes = np.zeros((steps + 1, 1), np.float32)
    role = Role.ONLINE
    return Episode(number, role, "t", 0, 0, obs, action, action, driver, scenes, terminated, not terminated)


def place(obs: Tensor, next_obs: Tensor) -> Tensor:
    """A reward that names its transition."""
    return obs[:, 0] * 100 + next_obs[:, 1]


def filled(plan: Plan) -> Replay:
    replay = Replay(2, 1)
    for number, (steps, terminated, operator) in enumerate(plan):
        replay.add(episode(number, steps, terminated, operator))
    replay.score(place, 1)
    return replay


def draw(replay: Replay, size: int = 256, share: float = 0.5, seed: int = 0) -> Batch:
    return replay.sample(size, share, np.random.default_rng(seed))


@given(PLANS)
def test_a_next_state_is_the_next_step_of_the_same_episode(plan: Plan) -> None:
    batch = draw(filled(plan))
    assert torch.equal(batch.next_obs[:, 0], batch.obs[:, 0])
    assert torch.equal(batch.next_obs[:, 1], batch.obs[:, 1] + 1)
    assert torch.allclose(batch.action[:, 0] * 1000, batch.obs[:, 1])
    assert torch.equal(batch.reward, place(batch.obs, batch.next_obs))


@given(PLANS)
def test_only_the_last_step_of_a_terminated_episode_terminates(plan: Plan) -> None:
    batch = draw(filled(plan))
    for obs, terminated in zip(batch.obs, batch.terminated, strict=True):
        steps, ended, _ = plan[int(obs[0])]
        assert bool(terminated) == (ended and int(obs[1]) == steps - 1)


@given(PLANS, st.floats(0.0, 1.0))
def test_operator_rows_come_first_in_the_wanted_share(plan: Plan, share: float) -> None:
    batch = draw(filled(plan), size=64, share=share)
    everyone = [driven for _, _, operator in plan for driven in operator]
    wanted = 64 if all(everyone) else round(64 * share) if any(everyone) else 0
    assert batch.operator.tolist() == [True] * wanted + [False] * (64 - wanted)
    for obs, driven in zip(batch.obs, batch.operator, strict=True):
        assert plan[int(obs[0])][2][int(obs[1])] == bool(driven)


@given(PLANS)
def test_a_new_version_scores_every_transition_anew(plan: Plan) -> None:
    replay = filled(plan)
    replay.score(lambda obs, next_obs: -place(obs, next_obs), 2)
    batch = draw(replay)
    assert torch.equal(batch.reward, -place(batch.obs, batch.next_obs))
    assert replay.version == 2


def test_every_transition_is_drawn() -> None:
    replay = filled([(7, False, [True] * 3 + [False] * 4), (5, True, [False] * 5)])
    drawn = {(int(a), int(b)) for a, b in draw(replay, 512).obs}
    assert drawn == {(0, t) for t in range(7)} | {(1, t) for t in range(5)}


def test_it_survives_growing_past_its_first_capacity() -> None:
    replay = filled([(700, False, [False] * 700) for _ in range(5)])
    batch = draw(replay, 2048)
    assert len(replay) == 3500
    assert torch.equal(batch.next_obs, batch.obs + torch.tensor([0.0, 1.0]))


def test_the_same_version_scores_only_what_has_no_reward_yet() -> None:
    replay = filled([(3, False, [False] * 3)])
    replay.add(episode(7, 2))
    seen: list[int] = []

    def count(obs: Tensor, next_obs: Tensor) -> Tensor:
        seen.append(len(obs))
        return place(obs, next_obs)

    replay.score(count, 1)
    assert seen == [2]


def test_nothing_is_sampled_while_a_transition_lacks_its_reward() -> None:
    replay = filled([(3, False, [False] * 3)])
    replay.add(episode(7, 2))
    with pytest.raises(RuntimeError, match="2 transitions have no reward"):
        draw(replay)


def test_a_rewarder_that_fails_leaves_the_old_rewards() -> None:
    replay = filled([(3, False, [False] * 3)])
    for broken in (lambda obs, _: obs[:, 0] * float("nan"), lambda obs, _: obs):
        with pytest.raises(ValueError, match=r"rewarder|non-finite"):
            replay.score(broken, 2)
    batch = draw(replay)
    assert replay.version == 1
    assert torch.equal(batch.reward, place(batch.obs, batch.next_obs))


def test_rewards_do_not_go_back_to_an_older_version() -> None:
    with pytest.raises(ValueError, match="version 0 is older than the version 1"):
        filled([(3, False, [False] * 3)]).score(place, 0)


def test_given_rewards_belong_to_their_episode() -> None:
    replay = Replay(2, 1)
    for number in (4, 9):
        replay.add(episode(number, 3))
    replay.set_rewards(9, np.array([90, 91, 92], np.float32))
    with pytest.raises(RuntimeError, match="3 transitions have no reward"):
        draw(replay)
    replay.set_rewards(4, np.array([40, 41, 42], np.float32))
    batch = draw(replay)
    assert torch.equal(batch.reward, batch.obs[:, 0] * 10 + batch.obs[:, 1])


def test_rewards_come_from_one_source() -> None:
    replay = Replay(2, 1)
    replay.add(episode(4, 3))
    replay.set_rewards(4, np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="given by set_rewards"):
        replay.score(place, 1)
    with pytest.raises(ValueError, match="scored by a reward model"):
        filled([(3, False, [False] * 3)]).set_rewards(0, np.zeros(3, np.float32))


@pytest.mark.parametrize("rewards", [np.zeros(2, np.float32), np.array([0, np.nan, 0], np.float32)])
def test_given_rewards_must_fit_and_be_finite(rewards: np.ndarray) -> None:
    replay = Replay(2, 1)
    replay.add(episode(4, 3))
    with pytest.raises(ValueError, match="rewards of episode 4"):
        replay.set_rewards(4, rewards)
    with pytest.raises(KeyError, match="episode 5"):
        replay.set_rewards(5, np.zeros(3, np.float32))


def test_an_episode_enters_once() -> None:
    replay = filled([(3, False, [False] * 3)])
    with pytest.raises(ValueError, match="episode 0 is already"):
        replay.add(episode(0, 3))
    assert len(replay) == 3


def test_a_counterfactual_episode_is_refused() -> None:
    plain = episode(0, 3)
    fields = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
    with pytest.raises(ValueError, match="counterfactual"):
        Replay(2, 1).add(Episode(**{**fields, "role": Role.COUNTERFACTUAL}))


@pytest.mark.parametrize(("sizes", "name"), [((3, 1), "obs"), ((2, 4), "action")])
def test_an_episode_of_other_sizes_is_refused_whole(sizes: tuple[int, int], name: str) -> None:
    replay = Replay(*sizes)
    with pytest.raises(ValueError, match=name):
        replay.add(episode(0, 3))
    assert len(replay) == 0
    assert 0 not in replay


def test_an_empty_replay_says_so() -> None:
    with pytest.raises(ValueError, match="empty"):
        draw(Replay(2, 1))


def test_the_same_rng_draws_the_same_batches() -> None:
    replay = filled([(7, False, [True] * 3 + [False] * 4)])
    first, second = draw(replay, seed=3), draw(replay, seed=3)
    assert all(
        torch.equal(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None
    )
    assert not torch.equal(first.obs, draw(replay, seed=4).obs)


def test_the_replay_keeps_its_own_copy() -> None:
    source = episode(0, 3)
    replay = Replay(2, 1)
    replay.add(source)
    replay.score(place, 1)
    source.obs[:] = -1.0
    assert (draw(replay).obs >= 0.0).all()


def test_what_the_base_would_do_goes_with_its_observation_whenever_it_comes() -> None:
    """A base that says what was seen first in the episode: the batch must not mix episodes up."""

    def base(obs: np.ndarray) -> np.ndarray:
        return np.repeat(obs[:1, :1], len(obs), axis=0) + np.arange(len(obs), dtype=np.float32)[:, None] / 100

    early, late = Replay(1, 1, base), Replay(1, 1)
    for replay in (early, late):
        for number, steps in ((1, 5), (2, 9), (3, 1)):
            replay.add(walk(number, steps))
    without = scored(late).sample(64, 0.5, np.random.default_rng(0))
    assert without.base is None and without.next_base is None
    late.rebase(base)
    for replay in (early, late):
        batch = scored(replay).sample(64, 0.5, np.random.default_rng(0))
        assert batch.base is not None and batch.next_base is not None
        # here the base says what was seen, so it belongs to the right row where both are equal
        np.testing.assert_allclose(batch.base, batch.obs, atol=1e-5)
        np.testing.assert_allclose(batch.next_base, batch.next_obs, atol=1e-5)


def walk(number: int, steps: int) -> Episode:
    """An episode whose observation is its number and, in hundredths, the step."""
    obs = (number + np.arange(steps + 1) / 100).astype(np.float32)[:, None]
    action, driver = np.zeros((steps, 1), np.float32), np.zeros(steps, np.uint8)
    scenes = np.zeros((steps + 1, 1), np.float32)
    return Episode(number, Role.ONLINE, "t", 0, 0, obs, action, action, driver, scenes, False, True)


def scored(replay: Replay) -> Replay:
    replay.score(lambda obs, next_obs: torch.zeros(len(obs)), 1)
    return replay
