"""Learning on a GPU: all of it is done there, and what comes of it lies on the CPU and is what the CPU alone
makes of the same. On a pretended one (see `pretended.py`), which refuses what has tensors of both devices, to
the bit; on a real one, where there is one, up to the order of its sums."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils._pytree import tree_flatten

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import (
    Choice,
    Demonstration,
    Driver,
    Evaluation,
    Feedback,
    Outcome,
    Preference,
    Segment,
    Takeover,
)
from robot_rlhf.learning import checkpoint
from robot_rlhf.learning.cloning import ChunkedClone
from robot_rlhf.learning.device import DeviceError, device
from robot_rlhf.learning.encoder import Encoder
from robot_rlhf.learning.encoder_config import EncoderConfig
from robot_rlhf.learning.policy_config import CloneConfig, SACConfig
from robot_rlhf.learning.replay import Replay
from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.learning.reward_model import RewardModel
from robot_rlhf.learning.sac import SAC
from robot_rlhf.learning.scale import RewardScale
from robot_rlhf.learning.snapshot import Snapshot
from tests.conftest import IN_CI
from tests.learning.pretended import GPU, MixedError, Watch, pretended_gpu

OBS, AXES, STEPS, SEED = 5, 4, 14, 3
CLONE = CloneConfig(hidden=8, members=2, steps=8, min_steps=4, check_every=4, batch_size=16, chunk=4)
POLICY = SACConfig(
    hidden=8, critics=3, target_critics=2, batch_size=16, critic_warmup_updates=2, bc_nll_weight=0.1
)
REWARD = RewardConfig(
    members=2, hidden=8, fit_steps=8, min_steps=4, check_every=4, batch_events=4, min_held_out=1, held_out=0.3
)


def episode(id: int, role: Role) -> Episode:
    rng = np.random.default_rng(id)
    driver = Driver.OPERATOR if role is Role.DEMONSTRATION else Driver.POLICY
    return Episode(
        id=id,
        role=role,
        task="reach",
        seed=id,
        policy_version=0,
        obs=rng.normal(size=(STEPS + 1, OBS)).astype(np.float32),
        action=rng.uniform(-1, 1, (STEPS, AXES)).astype(np.float32),
        proposed=rng.uniform(-1, 1, (STEPS, AXES)).astype(np.float32),
        driver=np.full(STEPS, driver, np.uint8),
        scenes=np.zeros((STEPS + 1, 1), np.float32),
        terminated=False,
        truncated=True,
    )


EPISODES = {id: episode(id, Role.DEMONSTRATION if id < 6 else Role.ONLINE) for id in range(12)}
SHOWN = [one for one in EPISODES.values() if one.role is Role.DEMONSTRATION]


def said() -> Iterator[Feedback]:
    """Of each kind so many that minibatches are drawn, and some are held out."""
    for id in range(12):
        who: Any = {"operator": "ann", "session": "s", "time_ns": id}
        left, right = Segment(id, 0, 4), Segment((id + 5) % 12, 3, 5)
        choice = (Choice.LEFT, Choice.RIGHT, Choice.EQUAL)[id % 3]
        yield Preference(**who, id=f"p{id}", query="q", left=left, right=right, choice=choice, response_s=1.0)
        yield Evaluation(**who, id=f"e{id}", episode=id, step=12, good=id % 2 == 0)
        yield Takeover(**who, id=f"t{id}", executed=Segment(id, 4, 3), counterfactual=None)
        yield Outcome(**who, id=f"o{id}", episode=id, success=id % 2 == 0)
        yield Demonstration(**who, id=f"d{id}", episode=id, alternatives=((id + 1) % 12, (id + 3) % 12))


@dataclass(frozen=True)
class Gpu:
    """One to learn on: its name, what it is watched with, and how far off the CPU its numbers may be, of what
    they are and at all, after the few steps that are made here."""

    name: Any
    watched: Callable[[], AbstractContextManager[Watch]]
    off: float

    def alike(self, one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
        """Whether both are the same, and torch's own tensors on the CPU."""
        values = (*one.values(), *other.values())
        at_hand = all(type(value) is Tensor and value.device.type == "cpu" for value in values)
        return (
            at_hand and one.keys() == other.keys() and all(self.near(one[name], other[name]) for name in one)
        )

    def near(self, one: Tensor, other: Tensor) -> bool:
        """Whether both have the same numbers; whole ones to the bit."""
        if not one.is_floating_point():
            return torch.equal(one, other)
        return one.shape == other.shape and torch.allclose(one, other, rtol=self.off, atol=self.off)

    def agree(self, one: Any, other: Any) -> bool:
        """Whether two reports tell the same."""
        (mine, form), (others, same) = (tree_flatten(asdict(report)) for report in (one, other))
        return form == same and mine == pytest.approx(others, rel=self.off, abs=self.off, nan_ok=True)


PRETENDED, REAL = Gpu(GPU, pretended_gpu, 0.0), Gpu("cuda", Watch, 2e-3)
IS_HERE = torch.cuda.is_available()  # a real one


@pytest.fixture(
    params=[
        pytest.param(PRETENDED, id="pretended"),
        # CI, which has none, does not skip
        *([] if IN_CI and not IS_HERE else [pytest.param(REAL, id="real")]),
    ]
)
def gpu(request: pytest.FixtureRequest) -> Gpu:
    if request.param is REAL and not IS_HERE:
        pytest.skip("there is no GPU here")
    chosen: Gpu = request.param
    return chosen


def taught(on: Any) -> tuple[SAC, Replay]:
    clone = ChunkedClone(OBS, AXES, CLONE, SEED)
    replay = Replay(OBS, AXES, clone.along)
    for one in EPISODES.values():
        replay.add(one)
        replay.set_rewards(one.id, one.obs[1:, 0])
    sac = SAC(OBS, AXES, POLICY, SEED, on)
    sac.normaliser.fit(np.concatenate([one.obs for one in SHOWN]))
    return sac, replay


def test_the_pretence_refuses_what_a_gpu_would() -> None:
    with pretended_gpu():
        there = torch.ones(3).to(GPU)
        assert (there + 1.0).sum().item() == 6.0
        with pytest.raises(MixedError, match="both devices"):
            there + torch.ones(3)
        with pytest.raises(MixedError, match="generator"):
            torch.randn(3, device=GPU, generator=torch.Generator())
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")  # it is copied all the same
def test_the_policy_learns_there_acts_here_and_goes_on_on_either(tmp_path: Path, gpu: Gpu) -> None:
    here, replay = taught("cpu")
    with gpu.watched() as watch:
        there, _ = taught(gpu.name)
        for sac in (here, there):
            metrics = [sac.train(replay, 5, np.random.default_rng(1)) for _ in range(2)]
            sac.carry_scale(RewardScale(0.1, 1.0), RewardScale(-0.2, 2.0))
            assert {"critic_loss", "bc_loss", "entropy"} <= metrics[-1].keys()
        assert "_fused_adamw_" in watch.done
        assert gpu.alike(here.state(), there.state())
        obs, base = EPISODES[0].obs[0], EPISODES[0].action[0]
        assert there.at_hand().device == "cpu"
        actions = [torch.from_numpy(sac.at_hand().act(obs, base)) for sac in (here, there)]
        assert gpu.near(*actions)
        arrays = [Snapshot.of(sac.snapshot()).tensors for sac in (here, there)]
        assert gpu.alike(*({name: torch.from_numpy(of[name]) for name in of} for of in arrays))
        checkpoint.save(tmp_path / "there", there.state(), {})
        here.load(checkpoint.load(tmp_path / "there").tensors)
        checkpoint.save(tmp_path / "here", here.state(), {})
        there.load(checkpoint.load(tmp_path / "here").tensors)
        for sac in (here, there):
            sac.train(replay, 3, np.random.default_rng(2))
        assert gpu.alike(here.state(), there.state())


def test_the_clone_is_fitted_there_and_acts_here(gpu: Gpu) -> None:
    here, there = (ChunkedClone(OBS, AXES, CLONE, SEED) for _ in range(2))
    report = here.fit(SHOWN, np.random.default_rng(0))
    assert report.heldout_error is not None
    with gpu.watched() as watch:
        assert gpu.agree(there.fit(SHOWN, np.random.default_rng(0), gpu.name), report)
    assert "_fused_adamw_" in watch.done
    assert gpu.alike(here.state(), there.state())
    assert gpu.near(*(torch.from_numpy(clone.along(EPISODES[7].obs)) for clone in (here, there)))


def test_the_reward_is_fitted_there_to_every_kind_and_judges_here(gpu: Gpu) -> None:
    here, there = RewardModel(OBS, REWARD, SEED), RewardModel(OBS, REWARD, SEED, gpu.name)
    for _ in range(2):
        one = here.fit(list(said()), EPISODES)
        with gpu.watched() as watch:
            other = there.fit(list(said()), EPISODES)
    assert "_fused_adamw_" in watch.done
    assert len(one.kinds) == 5
    assert one.heldout.held_out > 0
    assert gpu.agree(*(replace(report, seconds=0.0) for report in (one, other)))
    assert gpu.alike(here.state(), there.state())
    obs, after = (torch.from_numpy(EPISODES[1].obs[rows]) for rows in (slice(0, -1), slice(1, None)))
    assert gpu.near(here.score(obs, after), there.score(obs, after))


def test_eyes_are_fitted_there_and_see_here(gpu: Gpu) -> None:
    def pictures(id: int, camera: str) -> list[bytes]:
        written = io.BytesIO()
        Image.fromarray(np.full((16, 16, 3), 40 * id, np.uint8)).save(written, "JPEG")
        return [written.getvalue()] * (STEPS + 1)

    config = EncoderConfig(keypoints=2, channels=2, hidden=4, steps=4, batch_size=8)
    here, there = (Encoder(OBS, ("front",), config, SEED) for _ in range(2))
    report = here.fit(SHOWN, pictures, np.random.default_rng(0))
    with gpu.watched() as watch:
        assert gpu.agree(there.fit(SHOWN, pictures, np.random.default_rng(0), device=gpu.name), report)
    assert "convolution" in watch.done
    states = [encoder.state() for encoder in (here, there)]
    if gpu is REAL:
        # maps are taken less their mean, so nothing hangs on this, and Adam makes steps of what is rounded
        for state in states:
            del state["_eyes.0.layers.4.bias"]
    assert gpu.alike(*states)
    assert gpu.near(*(torch.from_numpy(of.as_seen(SHOWN[0], pictures).obs) for of in (here, there)))


def test_the_device_is_what_is_there_and_what_is_not_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (device("cpu"), device("auto")) == ("cpu", "cpu")
    with pytest.raises(DeviceError, match="there is only the CPU here"):
        device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (device("cpu"), device("auto"), device("cuda")) == ("cpu", "cuda", "cuda")
