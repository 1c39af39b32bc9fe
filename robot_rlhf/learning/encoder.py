"""Pictures as a few numbers, shared by policy, critics and reward model: what replaces the poses of things.

A small convolution follows keypoints (spatial softmax, Levine et al. 2016), and a layer behind them learns
where the arm will be at the next thing that happens, when the gripper's command changes or the episode ends:
in the room, and as seen from the hand. Where an operator's hand will stop to close the gripper is where the
thing lies, so what they drove says what to look at, with no pose known to anybody. It is not told where the
hand is nor how fast it moves: in demonstrations that alone tells where they lead, and whoever goes by it
is lost as soon as the policy leaves their path (causal confusion, de Haan et al. 2019).
Fitted once, to the operator's steps; from then on the numbers stay what they mean, are computed once a moment
and kept in place of pictures, and all that learns does so at the speed that it has without cameras.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from robot_rlhf.feedback.episode import Episode, Float32
from robot_rlhf.learning.device import Device, sent
from robot_rlhf.learning.encoder_config import EncoderConfig
from robot_rlhf.learning.networks import MLP, Normaliser
from robot_rlhf.learning.sight import (
    CHANGES,
    EYE,
    FINE,
    HAND,
    HEAD,
    LIKELY,
    PLACE,
    PREFIX,
    SHARPNESS,
    STRIDE,
    TOOL,
    VARIANCE_FLOOR,
    WINDOW,
    looked_at,
    posture,
)
from robot_rlhf.learning.state import Tensors, check_fits, module_state
from robot_rlhf.learning.strides import gripper_changes, operator_runs
from sim.jpeg import Picture, decode

Seen = Callable[[int, str], Sequence[bytes]]
"""(episode's id, camera) -> its JPEGs (T + 1), as `feedback.store.Store.pictures`."""

_AT_ONCE = 256  # pictures that are encoded together
_MOST_MOMENTS = 20_000  # that a fit looks at; 25 KB each with two cameras of 64 pixels


class Eye(nn.Module):
    """One camera's keypoints: (B, 3, H, W) uint8 -> (B, 3 K), each one's column and row in [-1, 1], and how
    surely it is there."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        channels = config.channels
        self.layers = nn.Sequential(
            nn.Conv2d(3, channels, WINDOW, STRIDE, 1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(channels, config.keypoints, 1),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        maps = self.layers(pictures.float() / 255.0 - 0.5)
        height, width = maps.shape[-2:]
        flat = maps.flatten(2)
        spread = (flat.var(-1, correction=0, keepdim=True) + VARIANCE_FLOOR).sqrt()
        flat = (flat - flat.mean(-1, keepdim=True)) / spread  # so that maps are sharp from the first step on
        where = (flat * SHARPNESS).softmax(-1).unflatten(-1, (height, width))
        columns = (where.sum(2) * torch.linspace(-1.0, 1.0, width, device=maps.device)).sum(-1)
        rows = (where.sum(3) * torch.linspace(-1.0, 1.0, height, device=maps.device)).sum(-1)
        return torch.cat((columns, rows, torch.tanh(flat.amax(-1) / LIKELY)), -1)

    def arrays(self) -> list[tuple[Float32, Float32]]:
        """Weights (rows * columns * inputs, outputs) and biases of its layers, copied."""
        layers = [layer for layer in self.layers if isinstance(layer, nn.Conv2d)]
        biases = [layer.bias for layer in layers if layer.bias is not None]
        weights = [layer.weight.detach().permute(2, 3, 1, 0).flatten(0, 2) for layer in layers]
        return [
            (weight.numpy().copy(), bias.detach().numpy().copy())
            for weight, bias in zip(weights, biases, strict=True)
        ]


@dataclass(frozen=True)
class EncoderReport:
    """How a fit went: the mean squared error of what is foretold, over the last tenth of the steps; and the
    moments it was fitted to."""

    error: float
    moments: int


class Encoder(nn.Module):
    """(state (p,), pictures) -> observation (size,): the state, the way to the next event as it is foretold
    from the pictures, and the keypoints. Before `fit` all but the state is 0."""

    _fitted: Tensor

    def __init__(self, state_size: int, cameras: Sequence[str], config: EncoderConfig, seed: int) -> None:
        super().__init__()
        self.config, self.cameras = config, tuple(cameras)
        self._state_size = state_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._eyes = nn.ModuleList(Eye(config) for _ in cameras)
            keypoints = 3 * config.keypoints * len(cameras)
            hand = len(range(state_size)[HAND])
            told = 2 * (len(range(state_size)[TOOL]) + hand)
            self._head = MLP(keypoints + hand, config.hidden, 1, told, torch.default_generator)
        self._normaliser = Normaliser(state_size)
        self.register_buffer("_fitted", torch.zeros((), dtype=torch.bool))
        self.size = state_size + 2 * told + keypoints
        """How many numbers an observation has."""

    @property
    def is_fitted(self) -> bool:
        """Whether there is more to an observation than the state."""
        return bool(self._fitted)

    # -- what is seen ------------------------------------------------------------------------------------

    def observe(self, state: Float32, pictures: Mapping[str, bytes]) -> Float32:
        """The observation (size,) of a single moment. Raises ValueError for a camera that is missing and for
        a picture that cannot be read."""
        seen = np.stack(looked_at(pictures, self.cameras)).transpose(0, 3, 1, 2)
        return self._observations(state[None], seen[None])[0]

    def as_seen(self, episode: Episode, seen: Seen) -> Episode:
        """The episode with the observations (T + 1, size) that its states and pictures make."""
        state = episode.obs[:, : self._state_size]
        if self.is_fitted:
            return replace(episode, obs=self._observations(state, self._pictures(episode.id, seen)))
        blank = np.zeros((len(state), self.size - self._state_size), np.float32)
        return replace(episode, obs=np.concatenate([state, blank], axis=1))

    def _pictures(self, episode: int, seen: Seen) -> Picture:
        """(T + 1, cameras, 3, H, W)."""
        views = [np.stack([decode(jpeg) for jpeg in seen(episode, camera)]) for camera in self.cameras]
        return np.ascontiguousarray(np.stack(views, axis=1).transpose(0, 1, 4, 2, 3))

    def _observations(self, state: Float32, pictures: Picture) -> Float32:
        parts = []
        with torch.no_grad():
            for start in range(0, len(state), _AT_ONCE):
                rows = torch.from_numpy(np.ascontiguousarray(state[start : start + _AT_ONCE]))
                parts.append(self(rows, torch.from_numpy(pictures[start : start + _AT_ONCE])))
        observations: Float32 = torch.cat(parts).numpy()
        if not np.isfinite(observations).all():
            raise FloatingPointError("the encoder gave an observation that is not finite")
        return observations

    def forward(self, state: Tensor, pictures: Tensor) -> Tensor:
        """States (B, p) and what the cameras saw, (B, cameras, 3, H, W) uint8 -> observations (B, size)."""
        keypoints = self._keypoints(pictures)
        there, from_hand = self._foretell(keypoints, self._normaliser(state)).chunk(2, -1)
        here = torch.cat((state[:, TOOL], state[:, HAND]), -1)
        way = torch.cat((there - CHANGES * here, from_hand), -1)
        return torch.cat((state, way, torch.tanh(FINE * way), keypoints), -1)

    def _keypoints(self, pictures: Tensor) -> Tensor:
        """(B, cameras, 3, H, W) -> (B, 3 K cameras)."""
        return torch.cat([eye(pictures[:, index]) for index, eye in enumerate(self._eyes)], -1)

    def _foretell(self, keypoints: Tensor, normalised: Tensor) -> Tensor:
        """(B, 2 q): the posture at the next event, and how far that is from the arm's own."""
        told: Tensor = self._head(torch.cat((keypoints, normalised[:, HAND]), -1))
        return told

    # -- learning to see ---------------------------------------------------------------------------------

    def fit(
        self,
        episodes: Sequence[Episode],
        seen: Seen,
        rng: np.random.Generator,
        succeeded: Collection[int] = (),
        device: Device = "cpu",
    ) -> EncoderReport:
        """Learn to foretell where the operator went in these episodes, and where the policy did last where it
        `succeeded`, from what was seen, on `device`; what sees then is on the CPU. Once; raises ValueError
        where they drove nothing."""
        state, pictures, wanted = self._examples(episodes, seen, rng, succeeded)
        self._normaliser.fit(state.numpy())
        self.to(device)
        normalised, wanted = self._normaliser(state.to(device)), wanted.to(device)
        config, losses = self.config, []
        optimizer = torch.optim.AdamW(
            self.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        for step in range(config.steps):
            share = step / config.steps
            optimizer.param_groups[0]["lr"] = config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))
            rows = torch.from_numpy(rng.integers(0, len(state), config.batch_size))
            noise = rng.standard_normal((len(rows), self._state_size), dtype=np.float32) * config.state_noise
            shifted = _shifted(sent(pictures[rows], device), config.shift_px, rng)  # all at once are too many
            rows, noised = sent(rows, device), sent(torch.from_numpy(noise), device)
            told = self._foretell(self._keypoints(shifted), normalised[rows] + noised)
            loss = (told - wanted[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        errors = torch.stack(losses).tolist()
        if not all(map(math.isfinite, errors)):
            raise FloatingPointError("learning to see diverged")
        self.cpu()
        self._fitted.fill_(True)
        return EncoderReport(float(np.mean(errors[-max(1, config.steps // 10) :])), len(state))

    def _examples(
        self, episodes: Sequence[Episode], seen: Seen, rng: np.random.Generator, succeeded: Collection[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """States (N, p), pictures (N, cameras, 3, H, W) and what is to be foretold (N, 2 q)."""
        chosen = [
            (episode, run)
            for episode in episodes
            for run in instructive_runs(episode, episode.id in succeeded)
        ]
        moments = sum(run.stop - run.start for _, run in chosen)
        if moments == 0:
            raise ValueError(
                "nothing to learn to see from: in no step of these episodes did the operator drive"
            )
        kept = np.ones(moments, np.bool_)
        if moments > _MOST_MOMENTS:
            kept[:] = False
            kept[rng.choice(moments, _MOST_MOMENTS, replace=False)] = True
        state, pictures, wanted, at = [], [], [], 0
        for episode, run in chosen:
            length = run.stop - run.start
            rows, at = kept[at : at + length], at + length
            if rows.any():
                state.append(episode.obs[run, : self._state_size][rows])
                pictures.append(self._pictures(episode.id, seen)[run][rows])
                wanted.append(self._to_foretell(episode, run)[rows])
        return (
            torch.from_numpy(np.concatenate(state)),
            torch.from_numpy(np.concatenate(pictures)),
            torch.from_numpy(np.concatenate(wanted)),
        )

    def _to_foretell(self, episode: Episode, run: slice) -> Float32:
        """(run, 2 q): the arm's posture at the next event, and how far that is from the one that it has."""
        here = CHANGES * posture(episode.obs[run.start : run.stop + 1, : self._state_size])
        there = here[next_events(episode.action[run])]
        return np.concatenate([there, there - here[:-1]], axis=1)

    # -- kept --------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Float32]:
        """The arrays that a `learning.sight.Sight` sees with, copied."""
        arrays = {
            f"{PLACE}{camera}": np.array([place], np.float32) for place, camera in enumerate(self.cameras)
        }
        arrays |= {
            f"{PREFIX}mean": self._normaliser.mean.numpy().copy(),
            f"{PREFIX}inverse_std": self._normaliser.inverse_std.numpy().copy(),
            f"{PREFIX}clip": np.array([Normaliser.CLIP], np.float32),
        }
        for part, tensors in (("weights", self._head.weights), ("biases", self._head.biases)):
            for layer, tensor in enumerate(tensors):
                arrays[f"{HEAD}{part}.{layer}"] = tensor.detach().numpy().copy()
        for camera, eye in zip(self.cameras, self._eyes, strict=True):
            assert isinstance(eye, Eye)
            for number, (weights, biases) in enumerate(eye.arrays()):
                arrays |= {
                    f"{EYE}{camera}.weights.{number}": weights,
                    f"{EYE}{camera}.biases.{number}": biases,
                }
        return arrays

    def state(self) -> Tensors:
        """Copies of all that it learned, as named tensors."""
        return module_state(self)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned. Raises CheckpointError naming a tensor that does not fit."""
        check_fits(self.state_dict(), state, "encoder")
        self.load_state_dict(dict(state))


def instructive_runs(episode: Episode, succeeded: bool) -> list[slice]:
    """The stretches of an episode at whose end something was as it should be: those that the operator drove,
    and where it `succeeded` what the policy did after them."""
    runs = operator_runs(episode)
    since = runs[-1].stop if runs else 0
    if succeeded and since < episode.length:
        runs.append(slice(since, episode.length))
    return runs


def next_events(action: Float32) -> NDArray[np.int64]:
    """(T, m) consecutive actions -> (T,) the state's index at the next event: the step at which the gripper
    is told something else, or the end, T."""
    events = np.append(np.flatnonzero(gripper_changes(action)), len(action))
    return np.asarray(events[np.searchsorted(events, np.arange(len(action)), side="right")], np.int64)


def _shifted(pictures: Tensor, most: int, rng: np.random.Generator) -> Tensor:
    """Each moment's pictures (B, cameras, 3, H, W) moved by up to `most` pixels, each camera's its own way,
    with the edge drawn out (Kostrikov et al. 2021, DrQ)."""
    if most == 0:
        return pictures
    batch, cameras, _, height, width = pictures.shape
    flat = pictures.flatten(0, 1)
    padded = F.pad(flat.float(), (most,) * 4, mode="replicate").to(torch.uint8)
    corners = rng.integers(0, 2 * most + 1, (batch * cameras, 2)).tolist()
    moved = [
        one[:, top : top + height, left : left + width]
        for one, (top, left) in zip(padded, corners, strict=True)
    ]
    return torch.stack(moved).unflatten(0, (batch, cameras))
