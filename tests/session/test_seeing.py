"""A session with cameras: what they saw is kept, and stands in for where things are on the whole road."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from robot_rlhf.commands.evaluate import evaluate_trained
from robot_rlhf.commands.train import train
from robot_rlhf.commands.trained import read_learner
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.learning.encoder_config import EncoderConfig
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.environment import environment
from robot_rlhf.session.lockstep import LockstepSession
from robot_rlhf.session.presets import preset, with_cameras
from robot_rlhf.session.run_folder import DATABASE, RunFolder
from robot_rlhf.session.study import Study, Watcher

Tiny = Callable[..., RunConfig]

ENCODER = EncoderConfig(keypoints=2, channels=4, hidden=16, steps=5, batch_size=16)


@pytest.fixture(scope="module")
def ended(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeing") / "run"
    config = tiny(cameras="front,wrist", camera_px=32, encoder=ENCODER)
    with contextlib.closing(RunFolder.create(folder, config)) as run:
        assert train(run) is not None
    return folder


def test_every_episode_is_kept_with_what_was_seen_of_each_of_its_moments(ended: Path) -> None:
    with Store.open_readonly(ended / DATABASE) as store:
        roles = set()
        for episode in store.episodes():
            roles.add(episode.role)
            assert episode.obs.shape == (episode.length + 1, 6), "of the arm alone, nothing of the target"
            for camera in ("front", "wrist"):
                frames = store.pictures(episode.id, camera)
                assert len(frames) == episode.length + 1
                assert Image.open(io.BytesIO(frames[0])).size == (32, 32)
        assert roles == set(Role), "counterfactuals too"


def test_what_is_learned_from_is_what_the_encoder_makes_of_state_and_pictures(ended: Path) -> None:
    """A run that goes on takes its episodes in as the one that began it did."""
    with contextlib.closing(RunFolder.open(ended)) as run:
        study = Study(run, 6, 3)
        encoder = study.learner.encoder
        assert encoder is not None and encoder.is_fitted
        for id, episode in study.learner.episodes.items():
            assert episode.obs.shape == (episode.length + 1, encoder.size)
            seen = {camera: run.store.pictures(id, camera)[2] for camera in encoder.cameras}
            assert np.allclose(episode.obs[2], encoder.observe(run.store.episode(id).obs[2], seen), atol=1e-4)


def test_the_trained_policy_acts_on_pictures(ended: Path) -> None:
    config, learner = read_learner(ended)
    assert learner is not None
    env = environment(config)
    state, _ = env.reset(seed=0)
    policy = learner.policy(explore=False)
    first = policy.act(state, env.pictures)
    other = {camera: frame for camera, frame in env.pictures.items()}
    env.reset(seed=1)
    other["front"] = env.pictures["front"]
    policy.reset()
    assert (policy.act(state, other) != first).any(), "the same state, another picture"
    policy.reset()
    with pytest.raises(ValueError, match="no picture of front, wrist"):
        policy.act(state)
    env.close()
    assert evaluate_trained(ended, 1, 0).episodes == 1


class StopsAt(Watcher):
    """Has enough once a part of the work begins."""

    def __init__(self, phase: str) -> None:
        self._phase = phase

    def phase(self, name: str) -> None:
        if name == self._phase:
            raise KeyboardInterrupt


def until(phase: str, folder: Path, config: RunConfig) -> dict[str, torch.Tensor]:
    """Begin a run or go on with it until a part of the work begins; what its encoder has learned by then."""
    run = RunFolder.open(folder) if RunFolder.is_begun(folder) else RunFolder.create(folder, config)
    with contextlib.closing(run), contextlib.closing(LockstepSession(run)) as session:
        with pytest.raises(KeyboardInterrupt):
            session.complete(StopsAt(phase))
        assert session.learner.encoder is not None
        return session.learner.encoder.state()


def test_a_run_that_is_killed_before_it_can_see_learns_to_see_the_same(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(cameras="front,wrist", camera_px=32, encoder=ENCODER)
    unbroken = until("policy drives", tmp_path / "unbroken", config)
    blind = until("learning to see", tmp_path / "killed", config)
    again = until("policy drives", tmp_path / "killed", config)
    assert all(torch.equal(unbroken[name], again[name]) for name in unbroken)
    assert any(not torch.equal(unbroken[name], blind[name]) for name in unbroken)


def test_cloning_alone_sees_too(tiny: Tiny, tmp_path: Path) -> None:
    kinds = "demonstrations,takeovers"
    config = tiny(cameras="side", camera_px=32, encoder=ENCODER, policy="clone", feedback=kinds)
    run = RunFolder.create(tmp_path / "run", config)
    with contextlib.closing(run), contextlib.closing(LockstepSession(run)) as session:
        session.complete()
        clone = session.learner.clone
    assert clone is not None and clone.obs_size > 6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cameras": "front,nose"}, "nose"),
        ({"cameras": "front,front"}, "name each once"),
        ({"cameras": "front", "camera_px": 8}, "camera_px is 8"),
        ({"cameras": "front", "live": True}, "lockstep"),
        ({"cameras": "front", "feedback": "preferences"}, "demonstrations"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object], said: str, tiny: Tiny) -> None:
    with pytest.raises(ValueError, match=said):
        tiny(**changes)


def test_whoever_sees_is_shown_more() -> None:
    plain = preset("reach")
    seeing = with_cameras(plain)
    assert seeing.schedule.demonstrations > plain.schedule.demonstrations
    assert seeing.schedule.episodes == plain.schedule.episodes
