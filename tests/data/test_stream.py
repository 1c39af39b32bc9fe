"""Which episodes of a run go out, and what is known of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.data import stream
from robot_rlhf.data.errors import DataError
from robot_rlhf.data.stream import NO_REWARD, Export, Reward, RewardFacts
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import RunFolder

Planned = Callable[..., Export]


@pytest.mark.parametrize(
    ("which", "ids"), [("all", (0, 1, 2, 3, 4)), ("demonstrations", (0, 1, 2)), ("successes", (0, 1, 4))]
)
def test_what_was_rolled_out_beside_it_or_removed_never_goes_out(
    planned: Planned, which: str, ids: tuple[int, ...]
) -> None:
    assert planned(which=which).ids == ids


def test_each_episode_tells_who_drove_and_how_it_went(planned: Planned) -> None:
    records = list(planned().records())
    assert [record.operator for record in records] == ["ann", "ann", "bob", "", "bob"]
    assert [record.success for record in records] == [True, True, False, None, True]
    assert [record.is_demonstration for record in records] == [True, True, True, False, False]
    assert [record.is_intervened for record in records] == [False] * 4 + [True]


def test_success_and_the_end_stand_at_the_last_step(planned: Planned) -> None:
    for record in planned().records():
        assert not record.done[:-1].any()
        assert not record.succeeded[:-1].any()
        assert record.done[-1]
        assert record.succeeded[-1] == (record.success is True)
        assert record.terminated[-1] == record.episode.terminated
        assert record.truncated[-1] != record.terminated[-1]


def test_the_reward_is_that_of_the_steps_taken(planned: Planned) -> None:
    for record in planned().records():
        obs = record.episode.obs
        assert record.reward.dtype == np.float32
        assert (record.reward == obs[1:, 0] - obs[:-1, 0]).all()


def test_without_a_fitted_reward_every_reward_is_zero_and_called_so(planned: Planned) -> None:
    export = planned(reward=None)
    assert all((record.reward == 0).all() for record in export.records())
    assert export.reward.facts == NO_REWARD
    assert NO_REWARD.name.startswith("none")


def test_a_reward_that_is_not_finite_is_refused(planned: Planned) -> None:
    broken = Reward(RewardFacts(1, "c", "s"), lambda one: np.full(one.length, np.nan, np.float32))
    with pytest.raises(DataError, match="episode 0 is not 7 finite numbers"):
        next(planned(reward=broken).records())


def test_an_export_of_nothing_is_refused(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", RunConfig(task="reach")).close()
    with pytest.raises(DataError, match="no episodes to export with --episodes successes: it holds 0"):
        stream.plan(tmp_path / "run", control_hz=10.0, robot="", software="", which="successes")
