"""What the encoder promises: it finds what the operator goes for, in pictures alone."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import Driver
from robot_rlhf.learning.checkpoint import CheckpointError
from robot_rlhf.learning.encoder import Encoder, instructive_runs, next_events
from robot_rlhf.learning.encoder_config import EncoderConfig
from robot_rlhf.learning.sight import Sight
from sim.jpeg import decode

SIZE, STEPS, SPEED = 32, 12, 0.1
CONFIG = EncoderConfig(keypoints=4, channels=8, hidden=32, steps=100, shift_px=1)
CAMERA = "front"


def jpeg(x: float, y: float) -> bytes:
    """A green dot on grey, at x, y in [-1, 1]."""
    picture = np.full((SIZE, SIZE, 3), 180, np.uint8)
    row, column = (round((value * 0.4 + 0.5) * SIZE) for value in (y, x))
    picture[row - 2 : row + 2, column - 2 : column + 2] = (0, 150, 110)
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=95, subsampling=0)
    return written.getvalue()


def target(number: int) -> NDArray[np.float32]:
    return np.random.default_rng(number).uniform(-1, 1, 2).astype(np.float32)


def pictures(number: int, camera: str = CAMERA) -> tuple[bytes, ...]:
    assert camera == CAMERA
    return (jpeg(*target(number)),) * (STEPS + 1)


def episode(number: int, driver: Driver = Driver.OPERATOR) -> Episode:
    """The hand goes from where it is to a dot that only pictures show."""
    place = np.random.default_rng(1000 + number).uniform(-1, 1, 2).astype(np.float32)
    obs, action = [place], []
    for _ in range(STEPS):
        action.append(np.clip((target(number) - obs[-1]) * 3, -1, 1))
        obs.append(obs[-1] + SPEED * action[-1])
    acts = np.stack(action).astype(np.float32)
    return Episode(
        id=number,
        role=Role.DEMONSTRATION,
        task="dot",
        seed=0,
        policy_version=0,
        obs=np.stack(obs).astype(np.float32),
        action=acts,
        proposed=acts,
        driver=np.full(STEPS, driver, np.uint8),
        scenes=np.zeros((STEPS + 1, 1), np.float32),
        terminated=False,
        truncated=True,
    )


def made(seed: int = 0, config: EncoderConfig = CONFIG) -> Encoder:
    return Encoder(2, (CAMERA,), config, seed)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def fitted() -> Encoder:
    encoder = made()
    encoder.fit([episode(number) for number in range(40)], pictures, rng())
    return encoder


def test_it_tells_of_new_scenes_where_the_operator_would_go(fitted: Encoder) -> None:
    """The end of the way is foretold with less than half the error of somebody who sees nothing."""
    unseen = [episode(number) for number in range(100, 140)]
    told = np.stack([fitted.observe(one.obs[0], {CAMERA: pictures(one.id)[0]})[2:4] / 2 for one in unseen])
    way = np.stack([one.obs[-1] - one.obs[0] for one in unseen])
    blind = np.column_stack([np.stack([one.obs[0] for one in unseen]), np.ones(len(unseen))])
    guessed = blind @ np.linalg.lstsq(blind, way, rcond=None)[0]
    error, baseline = np.abs(told - way).mean(), np.abs(guessed - way).mean()
    assert error < 0.5 * baseline, (error, baseline)


def test_where_the_next_event_is_seen_does_not_hang_on_how_the_arm_stands_and_moves() -> None:
    """In demonstrations that tells where they lead; nothing else does once the policy has left their way."""
    wide = [replace(one, obs=np.tile(one.obs, 4)[:, :7]) for one in map(episode, range(4))]
    encoder = Encoder(7, (CAMERA,), replace(CONFIG, steps=3), 0)
    encoder.fit(wide, pictures, rng())
    rest = np.linspace(0, 1, 7, dtype=np.float32)
    moved = rest + np.array([1, 2, 3, 4, 5, 6, 0], np.float32)
    turned = rest + np.array([0, 0, 0, 0, 0, 0, 1], np.float32)
    seen = [encoder.observe(state, {CAMERA: pictures(0)[0]})[7:15] for state in (rest, moved, turned)]
    (from_rest, hand_at_rest), (from_there, hand_there), (_, hand_turned) = (np.split(one, 2) for one in seen)
    assert np.allclose(from_rest - from_there, [2, 4, 6, 0], atol=1e-5), "but for where it sets out from"
    assert (hand_at_rest == hand_there).all()
    assert (hand_at_rest != hand_turned).any(), "what the hand holds and how it is turned may decide"


def test_an_episode_is_seen_as_its_moments_are(fitted: Encoder) -> None:
    one = episode(7)
    seen = fitted.as_seen(one, pictures)
    assert seen.obs.shape == (STEPS + 1, fitted.size)
    assert (seen.obs[:, :2] == one.obs).all()
    moment = fitted.observe(one.obs[3], {CAMERA: pictures(7)[3]})
    assert np.allclose(seen.obs[3], moment, atol=1e-5)
    assert np.allclose(fitted.as_seen(seen, pictures).obs, seen.obs), "what was seen can be seen anew"


def test_a_control_loop_sees_the_same_without_torch(fitted: Encoder) -> None:
    sight, one = Sight.of(fitted.snapshot()), episode(7)
    assert sight is not None and sight.cameras == (CAMERA,)
    seen = fitted.as_seen(one, pictures).obs
    assert np.allclose(sight.observe(one.obs[3], {CAMERA: pictures(7)[3]}), seen[3], atol=1e-5)
    with pytest.raises(ValueError, match="no picture of front"):
        sight.observe(one.obs[3], {})
    assert Sight.of({}) is None


def test_cameras_stay_in_their_order_and_of_any_name() -> None:
    encoder = Encoder(2, ("wrist", "head", "place"), replace(CONFIG, steps=1), 0)
    sight = Sight.of(dict(sorted(encoder.snapshot().items())))
    assert sight is not None and sight.cameras == ("wrist", "head", "place")


def test_before_it_is_fitted_there_is_the_state_alone() -> None:
    encoder, one = made(), episode(3)
    seen = encoder.as_seen(one, pictures)
    assert not encoder.is_fitted
    assert (seen.obs[:, :2] == one.obs).all() and not seen.obs[:, 2:].any()


def test_the_same_seed_learns_the_same_and_leaves_torchs_own_generator_alone() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    quick = replace(CONFIG, steps=3)
    encoders = [made(5, quick) for _ in range(2)]
    for encoder in encoders:
        encoder.fit([episode(number) for number in range(4)], pictures, rng())
    assert torch.equal(before, torch.get_rng_state())
    first, second = (encoder.state() for encoder in encoders)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_it_learned_is_saved_and_put_back(fitted: Encoder) -> None:
    again = made(seed=9)
    again.load(fitted.state())
    one = episode(2)
    assert again.is_fitted
    assert (again.as_seen(one, pictures).obs == fitted.as_seen(one, pictures).obs).all()
    with pytest.raises(CheckpointError, match="encoder"):
        made(config=replace(CONFIG, keypoints=5)).load(fitted.state())


def test_what_cannot_be_learned_from_or_seen_is_named(fitted: Encoder) -> None:
    with pytest.raises(ValueError, match="in no step of these episodes"):
        made().fit([episode(0, Driver.POLICY)], pictures, rng())
    with pytest.raises(ValueError, match="no picture of front"):
        fitted.observe(np.zeros(2, np.float32), {"side": jpeg(0, 0)})
    for data in (b"", b"not a picture", jpeg(0, 0)[:200]):
        with pytest.raises(ValueError, match="cannot be read"):
            decode(data)


@pytest.mark.parametrize(
    ("drove", "succeeded", "expected"),
    [
        ("pppp", False, []),
        ("pppp", True, [(0, 4)]),
        ("poop", False, [(1, 3)]),
        ("poop", True, [(1, 3), (3, 4)]),
        ("oooo", True, [(0, 4)]),
        ("opoo", True, [(0, 1), (2, 4)]),
    ],
)
def test_it_learns_from_what_the_operator_drove_and_from_how_the_policy_came_to_succeed(
    drove: str, succeeded: bool, expected: list[tuple[int, int]]
) -> None:
    drivers = [Driver.OPERATOR if one == "o" else Driver.POLICY for one in drove]
    one = episode(0)
    short = replace(
        one,
        obs=one.obs[:5],
        action=one.action[:4],
        proposed=one.proposed[:4],
        scenes=one.scenes[:5],
        driver=np.array(drivers, np.uint8),
    )
    assert [(run.start, run.stop) for run in instructive_runs(short, succeeded)] == expected


@pytest.mark.parametrize(
    ("gripper", "expected"),
    [
        ([1, 1, 1, 1], [4, 4, 4, 4]),
        ([1, 1, -1, -1], [2, 2, 4, 4]),
        ([1, -1, -1, 1], [1, 3, 3, 4]),
    ],
)
def test_the_next_event_is_the_grippers_next_change_or_the_end(
    gripper: list[int], expected: list[int]
) -> None:
    action = np.zeros((len(gripper), 4), np.float32)
    action[:, 3] = gripper
    assert next_events(action).tolist() == expected


def test_nonsense_settings_are_refused_by_name() -> None:
    for wrong in (
        {"keypoints": 0},
        {"learning_rate": 0.0},
        {"shift_px": -1},
        {"anew_growth": 1.0},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            EncoderConfig(**wrong)
