"""A session with cameras: what they saw is kept, and stands in for where things are on the whole road."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from robot_rlhf.commands import live
from robot_rlhf.commands.arguments import Record
from robot_rlhf.commands.evaluate import evaluate_trained
from robot_rlhf.commands.trained import read_learner
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.messages import Stage, Wish
from robot_rlhf.feedback.store import Store
from robot_rlhf.learning.encoder_config import EncoderConfig
from robot_rlhf.learning.sight import EYE
from robot_rlhf.learning.snapshot import Snapshot
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.environment import environment
from robot_rlhf.session.learner_link import LearnerLink
from robot_rlhf.session.lockstep import LockstepSession
from robot_rlhf.session.presets import preset, with_cameras
from robot_rlhf.session.run_folder import DATABASE, RunError, RunFolder, read_config
from robot_rlhf.session.study import Study, Watcher

if TYPE_CHECKING:
    from tests.session.conftest import OpenRoom

Tiny = Callable[..., RunConfig]

ENCODER = EncoderConfig(keypoints=2, channels=4, hidden=16, steps=5, batch_size=16, anew_at=2)


def quick(tiny: Tiny, cameras: str = "front,wrist", **changes: Any) -> RunConfig:
    """A run that is shown little, and fits its encoder anew after two of three episodes."""
    schedule = replace(tiny().schedule, demonstrations=2, episodes=3, warmup_episodes=1)
    return tiny(cameras=cameras, camera_px=32, encoder=ENCODER, schedule=schedule, **changes)


@pytest.fixture(scope="module")
def ended(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LockstepSession]:
    folder = tmp_path_factory.mktemp("seeing") / "run"
    run = RunFolder.create(folder, quick(tiny))
    with contextlib.closing(run), contextlib.closing(LockstepSession(run)) as session:
        session.complete()
        yield session


def test_every_episode_is_kept_with_what_was_seen_of_each_of_its_moments(ended: LockstepSession) -> None:
    with Store.open_readonly(ended.run.path / DATABASE) as store:
        roles = set()
        for episode in store.episodes():
            roles.add(episode.role)
            assert episode.obs.shape == (episode.length + 1, 6), "of the arm alone, nothing of the target"
            for camera in ("front", "wrist"):
                frames = store.pictures(episode.id, camera)
                assert len(frames) == episode.length + 1
                assert Image.open(io.BytesIO(frames[0])).size == (32, 32)
        assert roles == set(Role), "counterfactuals too"


def test_what_is_learned_from_is_what_the_encoder_makes_of_state_and_pictures(
    ended: LockstepSession,
) -> None:
    """Also once it was fitted anew, and a run that goes on takes its episodes in as the one that began it."""
    store = ended.store
    for learner in (ended.learner, Study(ended.run, 6, 3).learner):
        encoder = learner.encoder
        assert encoder is not None and encoder.is_fitted and learner.seen_at == 2
        for id, episode in learner.episodes.items():
            assert episode.obs.shape == (episode.length + 1, encoder.size)
            seen = {camera: store.pictures(id, camera)[2] for camera in encoder.cameras}
            assert np.allclose(episode.obs[2], encoder.observe(store.episode(id).obs[2], seen), atol=1e-4)


def test_nothing_that_learned_behind_the_encoder_before_is_left(ended: LockstepSession) -> None:
    """The policy has made all its updates again, and what it is normalised by is of what is seen now."""
    learner, study = ended.learner, ended.study
    an_episode = ended.env.horizon * ended.config.sac.updates_per_step
    assert learner.sac.updates == 3 * an_episode and study.owed(3) == 0
    assert learner.updates == 4 * an_episode, "one was learned from before"
    until_then = [episode for episode in study.driven() if episode.role is Role.DEMONSTRATION]
    until_then += [episode for episode in study.driven() if episode.role is Role.ONLINE][:2]
    rows = np.concatenate([episode.obs[:-1] for episode in until_then])
    assert np.allclose(learner.sac.normaliser.mean, rows.mean(axis=0), atol=1e-4)
    assert learner.reward.version == 3, (
        "fitted to demonstrations, after two episodes, and anew to what is seen"
    )


def test_the_trained_policy_acts_on_pictures(ended: LockstepSession) -> None:
    config, learner = read_learner(ended.run.path)
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
    assert evaluate_trained(ended.run.path, 1, 0).episodes == 1


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
    config = quick(tiny)
    unbroken = until("policy drives", tmp_path / "unbroken", config)
    blind = until("learning to see", tmp_path / "killed", config)
    again = until("policy drives", tmp_path / "killed", config)
    assert all(torch.equal(unbroken[name], again[name]) for name in unbroken)
    assert any(not torch.equal(unbroken[name], blind[name]) for name in unbroken)


def test_cloning_alone_sees_too(tiny: Tiny, tmp_path: Path) -> None:
    config = quick(tiny, "side", policy="clone", feedback="demonstrations,takeovers")
    run = RunFolder.create(tmp_path / "run", config)
    with contextlib.closing(run), contextlib.closing(LockstepSession(run)) as session:
        session.complete()
        clone = session.learner.clone
        assert session.learner.seen_at == 2
    assert clone is not None and clone.obs_size > 6


class Taught(LearnerLink):
    """A learner that has the policies it is given, and learns nothing."""

    def __init__(self) -> None:
        super().__init__(["true"])
        self._said: list[lm.FromLearner] = []

    def has(self, number: int, snapshot: Snapshot) -> None:
        self._said.append(lm.Policy(number=number, data=snapshot.to_bytes()))

    def receive(self) -> lm.FromLearner | None:
        return self._said.pop() if self._said else None


def test_a_live_policy_acts_on_the_pictures_that_are_stored_and_a_newer_one_by_eyes_of_its_own(
    open_room: OpenRoom, tiny: Tiny, ended: LockstepSession, tmp_path: Path
) -> None:
    schedule = replace(tiny().schedule, demonstrations=0, deployed_every=1)
    config = replace(quick(tiny, operator="console"), schedule=schedule)
    first, learner = ended.learner.snapshot(), Taught()
    otherwise = {
        name: value * 1.5 if name.startswith(EYE) else value for name, value in first.tensors.items()
    }
    newer = Snapshot.of(otherwise)
    learner.has(1, first)
    with open_room(tmp_path / "run", config, line=lambda _: learner) as room:
        ann = room.enter()
        room.until(lambda: ann.stage is Stage.EPISODE and ann.now.step >= 4)
        learner.has(2, newer)
        room.until(lambda: ann.now.step >= 9)
        episode = room.live.course.episode
        assert episode is not None and episode.reward is not None
        assert room.wish(ann, Wish.CONFIRM) == ""
        room.settled()
        room.until(lambda: ann.link.episode(episode.id) is not None)
        shown = ann.link.episode(episode.id)
        assert shown is not None and len(shown.reward) == episode.steps, "judged by what is seen too"
    with Store.open_readonly(tmp_path / "run" / DATABASE) as store:
        driven = store.episode(episode.id)
        pictures = {camera: store.pictures(driven.id, camera) for camera in config.camera_names}
    assert {len(frames) for frames in pictures.values()} == {driven.length + 1}
    before, after = (policy.as_seen(driven.obs, pictures)[:-1] for policy in (first, newer))

    def proposed(swapped: int) -> NDArray[np.float32]:
        """What is done where the newer one drives from that step on."""
        acting = first.begin(None)
        done = [acting.act(row) for row in before[:swapped]]
        acting.swap(newer)
        return np.stack(done + [acting.act(row) for row in after[swapped:]])

    assert any((proposed(step) == driven.proposed).all() for step in range(4, driven.length))


def test_what_is_recorded_is_kept_with_what_was_seen(open_room: OpenRoom, tmp_path: Path) -> None:
    path = tmp_path / "run"
    asked = Record("reach", demonstrations=1, out=path, cameras="front,wrist", camera_px=32)
    with open_room(path, live.recording(asked)) as room:
        ann = room.enter()
        room.until(lambda: ann.stage is Stage.READY)
        ann.take()
        room.until(lambda: ann.now.step >= 3)
        assert room.wish(ann, Wish.CONFIRM) == ""
        room.until(lambda: room.live.over)
        room.settled()
    assert live.recording(asked) == read_config(path), "it is gone on with by the same words"
    with Store.open_readonly(path / DATABASE) as store:
        (shown,) = store.episodes()
        for camera in ("front", "wrist"):
            frames = store.pictures(shown.id, camera)
            assert len(frames) == shown.length + 1
            assert Image.open(io.BytesIO(frames[0])).size == (32, 32)
    with pytest.raises(RunError, match=r"begun with .* --cameras 'front,wrist'"):
        live.recording(replace(asked, cameras="front"))


@pytest.mark.slow
def test_a_live_learner_learns_from_pictures_and_rolls_out_with_them(
    open_room: OpenRoom, tiny: Tiny, tmp_path: Path
) -> None:
    config = quick(tiny, operator="console")
    schedule = replace(config.schedule, demonstrations=1)
    with open_room(tmp_path / "run", replace(config, schedule=schedule), learns=True) as room:
        ann = room.enter()
        room.until(lambda: ann.stage is Stage.READY)
        ann.take()
        room.until(lambda: ann.now.step >= 8)
        assert room.wish(ann, Wish.CONFIRM) == ""
        ann.release()
        room.until(lambda: ann.stage is Stage.EPISODE and ann.now.step >= 3)
        assert room.wish(ann, Wish.CONFIRM) == ""
        room.settled()
        room.live.course.over = True
    with Store.open_readonly(tmp_path / "run" / DATABASE) as store:
        assert {one.role for one in store.episodes()} == set(Role)
        for one in store.episodes():
            for camera in config.camera_names:
                assert len(store.pictures(one.id, camera)) == one.length + 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cameras": "front,nose"}, "nose"),
        ({"cameras": "front,front"}, "name each once"),
        ({"cameras": "front", "camera_px": 8}, "camera_px is 8"),
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
