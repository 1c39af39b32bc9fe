"""What SAC promises, on a point on a line that should go to the middle."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import Driver
from robot_rlhf.learning.checkpoint import CheckpointError, load, save
from robot_rlhf.learning.networks import CriticEnsemble, Normaliser, ResidualActor
from robot_rlhf.learning.policy_config import SACConfig
from robot_rlhf.learning.replay import Replay
from robot_rlhf.learning.sac import SAC
from robot_rlhf.learning.scale import RewardScale

SMALL = SACConfig(
    hidden=32,
    batch_size=64,
    discount=0.8,
    target_rate=0.02,
    actor_learning_rate=5e-3,
    critic_learning_rate=5e-3,
    temperature_learning_rate=3e-3,
    initial_temperature=0.1,
    max_temperature=math.inf,
    log_std_low=-4.0,
    actor_every=1,
    critic_warmup_updates=0,
    bc_weight_start=0.0,
    bc_weight_end=0.0,
    q_filter=False,
    actor_average=0.9,
)


def to_middle(obs: Tensor, next_obs: Tensor) -> Tensor:
    return -next_obs[:, 0].square()


def walks(driver: Driver = Driver.POLICY, action: float | None = None, first: int = 0) -> list[Episode]:
    """Forty episodes of random moves on [-1, 1], or of one action."""
    rng = np.random.default_rng(first)
    steps, episodes = 10, []
    for number in range(first, first + 40):
        moves = rng.uniform(-1, 1, (steps, 1)) if action is None else np.full((steps, 1), action)
        obs = [rng.uniform(-1, 1, 1)]
        for move in moves:
            obs.append(np.clip(obs[-1] + 0.3 * move, -1, 1))
        episodes.append(
            Episode(
                id=number,
                role=Role.ONLINE,
                task="line",
                seed=0,
                policy_version=0,
                obs=np.array(obs, np.float32),
                action=moves.astype(np.float32),
                proposed=moves.astype(np.float32),
                driver=np.full(steps, driver, np.uint8),
                scenes=np.zeros((steps + 1, 1), np.float32),
                terminated=False,
                truncated=True,
            )
        )
    return episodes


def line(*episodes: Episode) -> Replay:
    """A replay of `episodes`, or of random moves, scored for being in the middle."""
    replay = Replay(1, 1)
    for episode in episodes or walks():
        replay.add(episode)
    replay.score(to_middle, 1)
    return replay


def act(sac: SAC, x: float, averaged: bool = True) -> float:
    return float(sac.act(np.array([x], np.float32), deterministic=True, averaged=averaged)[0])


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_it_learns_to_go_to_the_middle() -> None:
    sac = SAC(1, 1, SMALL, seed=1)
    sac.train(line(), 300, rng())
    assert act(sac, 0.8) < -0.5
    assert act(sac, -0.8) > 0.5
    assert abs(act(sac, 0.0)) < 0.3


def test_the_policy_does_not_depend_on_the_rewards_zero_or_unit() -> None:
    """The actor's loss is divided by the spread of Q, so cloning keeps its weight against any reward."""
    answers = []
    for unit in (1.0, 50.0):
        replay = line(*walks(Driver.OPERATOR, action=0.5))

        def shifted(obs: Tensor, next_obs: Tensor, unit: float = unit) -> Tensor:
            return unit * (to_middle(obs, next_obs) + 7.0)

        replay.score(shifted, 2)
        config = replace(SMALL, bc_weight_start=5.0, bc_weight_end=5.0, critic_warmup_updates=50)
        sac = SAC(1, 1, config, seed=1)
        sac.train(replay, 200, rng())
        answers.append(act(sac, 0.9))
    assert answers == pytest.approx([0.5, 0.5], abs=0.25)


@pytest.mark.parametrize("nll", [0.0, 0.1])
def test_cloning_holds_the_policy_at_the_operators_action(nll: float) -> None:
    config = replace(SMALL, bc_weight_start=50.0, bc_weight_end=50.0, bc_nll_weight=nll)
    sac = SAC(1, 1, config, seed=1)
    metrics = sac.train(line(*walks(Driver.OPERATOR, action=-0.5)), 200, rng())
    assert act(sac, -0.9) == pytest.approx(-0.5, abs=0.15)
    assert "bc_loss" in metrics


def test_the_q_filter_drops_operator_actions_that_the_critics_think_worse() -> None:
    config = replace(SMALL, bc_weight_start=5.0, bc_weight_end=5.0, operator_fraction=0.5)
    answers = []
    for q_filter in (False, True):
        sac = SAC(1, 1, replace(config, q_filter=q_filter), seed=1)
        sac.train(line(*walks(), *walks(Driver.OPERATOR, 1.0, first=100)), 250, rng())
        answers.append(act(sac, 0.8))
    assert answers[0] > 0.3 > -0.3 > answers[1]


def test_the_cloning_weight_is_annealed_from_the_end_of_the_warm_up() -> None:
    config = replace(
        SMALL, bc_weight_start=4.0, bc_weight_end=1.0, bc_anneal_updates=6, critic_warmup_updates=2
    )
    sac, replay = SAC(1, 1, config, seed=0), line()
    weights = []
    for _ in range(10):
        weights.append(sac.bc_weight)
        sac.train(replay, 1, rng())
    assert weights == pytest.approx([4.0, 4.0, 4.0, 3.5, 3.0, 2.5, 2.0, 1.5, 1.0, 1.0])


def test_during_the_warm_up_only_the_critics_learn() -> None:
    sac = SAC(1, 1, replace(SMALL, critic_warmup_updates=5), seed=0)
    before, temperature = sac.state(), sac.temperature
    metrics = sac.train(line(), 5, rng())
    after = sac.state()
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("actor"))
    assert not torch.equal(before["critic.weights.0"], after["critic.weights.0"])
    assert sac.temperature == temperature
    assert "actor_loss" not in metrics
    assert "actor_loss" in sac.train(line(), 1, rng())


def test_the_temperature_stays_under_its_bound() -> None:
    config = replace(SMALL, initial_temperature=0.02, max_temperature=0.021, target_entropy=5.0)
    sac = SAC(1, 1, config, seed=0)
    sac.train(line(), 60, rng())
    assert sac.temperature == pytest.approx(0.021)


def test_carrying_the_scale_changes_values_and_temperature_exactly() -> None:
    sac = SAC(1, 1, SMALL, seed=2)
    sac.train(line(), 50, rng())
    old, new = RewardScale(0.3, 0.8), RewardScale(-0.1, 0.2)
    obs, action = torch.linspace(-1, 1, 9)[:, None], torch.linspace(1, -1, 9)[:, None]
    before, temperature = sac.values(obs, action).double(), sac.temperature
    target = sac._target(sac._inputs(obs, None), action).double()
    sac.carry_scale(old, new)

    def carried(value: Tensor) -> Tensor:
        return (old.std * value + (old.mean - new.mean) / (1.0 - SMALL.discount)) / new.std

    assert torch.allclose(sac.values(obs, action).double(), carried(before), rtol=1e-5, atol=1e-5)
    assert torch.allclose(
        sac._target(sac._inputs(obs, None), action).double(), carried(target), rtol=1e-5, atol=1e-5
    )
    assert sac.temperature == pytest.approx(temperature * old.std / new.std)


def test_carrying_the_scale_keeps_the_bellman_errors_of_the_rescored_replay() -> None:
    """Rewards scored under the new scale leave the same errors, in the new unit, and the same spread."""
    old, new = RewardScale(0.0, 1.0), RewardScale(-0.4, 0.25)
    replay = line()
    sac = SAC(1, 1, SMALL, seed=2)
    sac.train(replay, 100, rng())
    state = sac.state()
    before = sac.train(replay, 1, rng())
    sac.load(state)
    sac.carry_scale(old, new)
    replay.score(lambda obs, next_obs: (to_middle(obs, next_obs) - new.mean) / new.std, 2)
    after = sac.train(replay, 1, rng())
    assert after["critic_loss"] == pytest.approx(before["critic_loss"] * (old.std / new.std) ** 2, rel=1e-3)
    assert after["q_spread"] == pytest.approx(before["q_spread"] * old.std / new.std, rel=1e-2)


def test_carrying_the_scale_there_and_back_changes_nothing() -> None:
    sac = SAC(1, 1, SMALL, seed=2)
    sac.train(line(), 20, rng())
    before = sac.state()
    one, other = RewardScale(0.0, 1.0), RewardScale(0.5, 0.5)
    sac.carry_scale(one, other)
    sac.carry_scale(other, one)
    for name, tensor in sac.state().items():
        assert torch.allclose(tensor.double(), before[name].double(), rtol=1e-5, atol=1e-6), name


def test_a_restored_learner_goes_on_bit_for_bit(tmp_path: Path) -> None:
    replay = line()
    sac = SAC(1, 1, SMALL, seed=3)
    sac.normaliser.fit(np.linspace(-1, 1, 20, dtype=np.float32)[:, None])
    sac.train(replay, 20, rng())
    save(tmp_path / "policy", sac.state(), {})
    sac.train(replay, 20, rng())
    sac.act(np.zeros(1, np.float32))
    other = SAC(1, 1, SMALL, seed=99)
    other.load(load(tmp_path / "policy").tensors)
    other.train(replay, 20, rng())
    other.act(np.zeros(1, np.float32))
    there, here = other.state(), sac.state()
    assert there.keys() == here.keys()
    assert all(torch.equal(there[name], here[name]) for name in here)


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    sac = SAC(1, 1, SMALL, seed=3)
    before = sac.state()
    for other in (SAC(2, 1, SMALL, seed=0), SAC(1, 1, replace(SMALL, layers=3), seed=0)):
        with pytest.raises(CheckpointError, match="policy: tensor"):
            sac.load(other.state())
    assert all(torch.equal(before[name], tensor) for name, tensor in sac.state().items())


def test_the_same_seed_gives_the_same_learner() -> None:
    replay = line()
    states = []
    for _ in range(2):
        sac = SAC(1, 1, replace(SMALL, critics=4, target_critics=2), seed=7)
        sac.train(replay, 10, rng())
        states.append(sac.state())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_training_in_bulk_is_training_step_by_step() -> None:
    replay = line()
    bulk, single = SAC(1, 1, SMALL, seed=0), SAC(1, 1, SMALL, seed=0)
    bulk.train(replay, 5, rng())
    for batch in replay.batches(5, SMALL.batch_size, SMALL.operator_fraction, rng()):
        assert single.update(batch) is None
    assert all(torch.equal(bulk.state()[name], tensor) for name, tensor in single.state().items())


def test_nan_is_refused_wherever_it_would_come_out() -> None:
    replay = line()
    sac = SAC(1, 1, SMALL, seed=0)
    with torch.no_grad():
        sac.actor.trunk.biases[0].fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="the policy answered"):
        sac.act(np.zeros(1, np.float32))
    with pytest.raises(FloatingPointError, match="diverged at update 1"):
        sac.train(replay, 1, rng())


@pytest.mark.parametrize("shape", [(2,), (3, 2), (1, 1, 1)])
def test_observations_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="obs has shape"):
        SAC(1, 1, SMALL, seed=0).act(np.zeros(shape, np.float32))


def test_actions_have_the_shape_of_their_observations_and_are_bounded() -> None:
    sac = SAC(3, 2, SMALL, seed=0)
    assert sac.act(np.zeros(3, np.float32)).shape == (2,)
    many = sac.act(np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32) * 1e6)
    assert many.shape == (50, 2)
    assert np.abs(many).max() <= 1.0


def test_it_starts_as_its_base_and_can_turn_it_round() -> None:
    sac = SAC(3, 2, SMALL, seed=0)
    obs = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    base = np.random.default_rng(1).uniform(-1, 1, (50, 2)).astype(np.float32)
    assert np.abs(sac.act(obs, base, deterministic=True) - base).max() < 0.05
    with torch.no_grad():
        sac.actor.trunk.biases[-1][:2] = -5.0
        inputs = sac._inputs(torch.from_numpy(obs), torch.ones(50, 2))
        assert torch.tanh(sac.actor(inputs)[0]).max() < -0.9


@pytest.mark.parametrize("signs", [(1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)], ids=["all", "none", "one"])
def test_a_correction_is_made_where_all_critics_find_it_better(
    signs: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    sac = bold(SMALL)
    monkeypatch.setattr(
        type(sac._target), "forward", lambda *given: torch.tensor(signs)[:, None] * given[-1].mT
    )
    obs, base = np.zeros((3, 1), np.float32), np.array([[-0.5], [0.5], [0.9]], np.float32)
    corrected = np.array([[-0.3], [0.7], [0.999]])
    wanted = corrected if min(signs) > 0 else base
    assert sac.act(obs, base, deterministic=True) == pytest.approx(wanted, abs=1e-3)
    assert sac.act(obs, None, deterministic=True) == pytest.approx(np.tanh(np.full((3, 1), 5.0)))


def bold(config: SACConfig) -> SAC:
    """One that would go to 1 from everywhere."""
    sac = SAC(1, 1, config, seed=0)
    with torch.no_grad():
        sac.actor.trunk.weights[-1].zero_()
        sac.actor.trunk.biases[-1][0] = 5.0
    return sac


@pytest.mark.parametrize("margin", [0.1, 0.3])
def test_a_correction_is_not_made_for_less_than_the_margin(
    margin: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is better by 0.2 where values spread by 1."""
    sac = bold(replace(SMALL, correction_margin=margin))
    sac._spread = torch.tensor(1.0)
    monkeypatch.setattr(type(sac._target), "forward", lambda *given: given[-1].mT.expand(SMALL.critics, -1))
    obs, base = np.zeros((2, 1), np.float32), np.array([[-0.5], [0.5]], np.float32)
    wanted = base + 0.2 if margin < 0.2 else base
    assert sac.act(obs, base, deterministic=True) == pytest.approx(wanted, abs=1e-4)
    assert float(sac.snapshot()["margin"]) == pytest.approx(margin)
    sac.carry_scale(RewardScale(0.0, 1.0), RewardScale(0.0, 0.5))
    assert float(sac.snapshot()["margin"]) == pytest.approx(2.0 * margin)


def test_a_correction_goes_no_further_than_its_reach() -> None:
    sac = SAC(3, 2, SMALL, seed=0)
    with torch.no_grad():
        sac.actor.trunk.weights[-1].mul_(500.0)
    generator = torch.Generator().manual_seed(1)
    base = 2.0 * torch.rand(200, 2, generator=generator) - 1.0
    inputs = sac._inputs(torch.randn(200, 3, generator=generator), base)
    for reach, wanted in ((0.2, 0.2), (1.0, 1.0), (2.0, 1.9), (None, 1.9)):
        with torch.no_grad():
            away = (torch.tanh(sac.actor(inputs, reach)[0]) - base).abs()
        assert 0.95 * wanted < away.max() < (reach or 2.0) + 0.03  # the base is taken for 0.97 at most


@pytest.mark.parametrize("doubts", [False, True])
def test_what_follows_is_worth_what_the_policy_would_do(doubts: bool) -> None:
    """The base's next action is a fortune by all critics, or its correction is by one of them alone: the base
    acts both times, and the critics' target says so; without a base it does not."""
    replay = line()
    batch = replay.sample(8, 0.5, rng())
    sac = SAC(1, 1, SMALL, seed=0)
    wanted = []
    for base in (None, torch.zeros(8, 1)):
        sac.load(SAC(1, 1, SMALL, seed=0).state())
        before = sac._target.forward

        def value(obs: Tensor, action: Tensor) -> Tensor:
            is_base = action[:, 0] == 0.0
            values = torch.where(is_base, 100.0, 0.0).repeat(SMALL.critics, 1)
            values[0] += 1000.0 * doubts * ~is_base
            return values

        sac._target.forward = value  # type: ignore[method-assign]
        metrics = sac.update(batch._replace(base=base, next_base=base), with_metrics=True)
        sac._target.forward = before  # type: ignore[method-assign]
        assert metrics is not None
        wanted.append(metrics["critic_loss"])
    assert wanted[1] > 1000.0 > wanted[0]


def test_critics_see_what_the_base_would_do() -> None:
    sac = SAC(1, 1, SMALL, seed=0)
    obs, action = torch.zeros(2, 1), torch.zeros(2, 1)
    one, other = sac.values(obs, action, torch.tensor([[-1.0], [1.0]]))[0].tolist()
    assert one != other
    assert sac.values(obs, action)[0, 0] == sac.values(obs, action, torch.zeros(2, 1))[0, 0]


def test_the_log_density_is_that_of_the_squashed_gaussian() -> None:
    """Against torch's own transformed distribution, in value and in gradient, far into saturation."""
    mean = torch.tensor([[0.0, 2.0], [-3.0, 0.5]], dtype=torch.float64, requires_grad=True)
    log_std = torch.tensor([[0.1, -1.0], [0.5, -3.0]], dtype=torch.float64, requires_grad=True)
    noise = torch.tensor([[0.3, -1.0], [1.5, 2.0]], dtype=torch.float64)
    action, log_prob = ResidualActor.squash(mean, log_std, noise)
    base = torch.distributions.Normal(mean, log_std.exp())
    squashed = torch.distributions.TransformedDistribution(base, torch.distributions.TanhTransform())
    assert torch.allclose(log_prob, squashed.log_prob(action).sum(-1))
    given = action.clamp(-0.99, 0.99)
    likelihood, away = ResidualActor.log_prob(mean, log_std, given)
    assert torch.allclose(likelihood, squashed.log_prob(given).sum(-1))
    assert torch.allclose(mean + away * log_std.exp(), torch.atanh(given))
    assert torch.autograd.gradcheck(lambda m, s: ResidualActor.squash(m, s, noise), (mean, log_std))
    far = ResidualActor.squash(torch.tensor([[60.0]]), torch.tensor([[0.0]]), torch.tensor([[0.0]]))[1]
    assert far.item() == pytest.approx(2 * 60.0 - 2 * math.log(2.0) - 0.5 * math.log(2 * math.pi), rel=1e-5)


def test_critics_of_an_ensemble_do_not_see_each_other() -> None:
    critic = CriticEnsemble(3, 2, 16, 2, 3, torch.Generator().manual_seed(0))
    obs, action = torch.randn(5, 3), torch.randn(5, 2)
    before = critic(obs, action)
    with torch.no_grad():
        critic.weights[0][1].mul_(-1.0)
    after = critic(obs, action)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert not torch.allclose(before[1], after[1])


def test_the_normaliser_is_set_once_and_exactly() -> None:
    normaliser = Normaliser(2)
    obs = np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)
    normaliser.fit(obs)
    assert torch.equal(normaliser(torch.tensor([[3.0, 5.0]])), torch.tensor([[1.0, 0.0]]))
    assert normaliser(torch.tensor([[1e9, 5.0]]))[0, 0] == Normaliser.CLIP
    with pytest.raises(RuntimeError, match="already fitted"):
        normaliser.fit(obs)
    for bad in (np.zeros((0, 2)), np.zeros((3, 1)), np.full((2, 2), np.nan)):
        with pytest.raises(ValueError, match="observations"):
            Normaliser(2).fit(bad.astype(np.float32))


@pytest.mark.parametrize(
    ("field", "value"),
    [("discount", 1.0), ("critics", 0), ("target_critics", 3), ("operator_fraction", 1.5),
     ("bc_weight_start", float("nan")), ("max_temperature", 0.01), ("log_std_high", 0.0),
     ("correction_reach", 0.0), ("correction_reach", 2.1), ("correction_margin", -0.1)],
)  # fmt: skip
def test_a_setting_out_of_range_is_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"SACConfig.{field} is {value}"):
        SACConfig(**{field: value})  # type: ignore[arg-type]
