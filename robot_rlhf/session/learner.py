"""The learner of a run: replay, reward model and policy, fed with stored episodes and events."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import (
    Choice,
    Demonstration,
    Evaluation,
    Feedback,
    Outcome,
    Preference,
    Takeover,
)
from robot_rlhf.learning import checkpoint
from robot_rlhf.learning.checkpoint import CheckpointError
from robot_rlhf.learning.cloning import ChunkedClone
from robot_rlhf.learning.device import Device
from robot_rlhf.learning.encoder import Encoder, Seen
from robot_rlhf.learning.replay import Replay
from robot_rlhf.learning.reward_model import FitReport, RewardModel
from robot_rlhf.learning.sac import SAC, Metrics
from robot_rlhf.learning.snapshot import Snapshot
from robot_rlhf.learning.strides import moving_steps
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.evaluation import Actor
from robot_rlhf.session.seeds import Purpose, generator, seed_of
from sim.pictures import NO_PICTURES, Pictures

Float32 = NDArray[np.float32]


class _Notes(msgspec.Struct, frozen=True, kw_only=True):
    """What of a learner is no tensor, as it stands in a checkpoint's metadata."""

    begun: bool
    fitted_at: int
    clones: int
    successes_cloned: int = 0
    clone_error: float | None = None
    seen_at: int = 0
    forgotten: int = 0


class CorrectedClone:
    """The policy as it drives one arm: the clone, corrected by SAC's actor; the actor alone without one."""

    def __init__(self, clone: ChunkedClone | None, sac: SAC, explore: bool) -> None:
        self._clone, self._sac, self._explore = copy.copy(clone), sac.at_hand(), explore
        self.reset()

    def reset(self) -> None:
        """A new episode begins."""
        if self._clone is not None:
            self._clone.reset()

    def act(self, obs: Float32) -> Float32:
        """The action (m,) for the observation (n,) of the running episode."""
        base = None if self._clone is None else self._clone.act(obs)
        return self._sac.act(obs, base, deterministic=not self._explore, averaged=not self._explore)


class Blind(Protocol):
    """A policy that is given observations as they are learned from."""

    def reset(self) -> None: ...

    def act(self, obs: Float32) -> Float32: ...


class Driving:
    """A policy at work, given the environment's observation as it is, or where there are cameras what the
    encoder makes of it and of their pictures."""

    def __init__(self, policy: Blind, encoder: Encoder | None = None) -> None:
        self._policy, self._encoder = policy, encoder

    def reset(self) -> None:
        """A new episode begins."""
        self._policy.reset()

    def act(self, obs: Float32, pictures: Pictures = NO_PICTURES) -> Float32:
        """The action (m,) for what the environment gave of this moment of the running episode."""
        return self._policy.act(obs if self._encoder is None else self._encoder.observe(obs, pictures))


_FLIPPED = {Choice.LEFT: Choice.RIGHT, Choice.RIGHT: Choice.LEFT}


class Learner:
    """Holds everything that learns. It is told of episodes and events, never of the task's reward
    (unless the run's config says `reward = "task"`)."""

    def __init__(self, config: RunConfig, obs_size: int, action_size: int, device: Device = "cpu") -> None:
        """`obs_size` is what an environment's observation has; with cameras an encoder makes more of it.
        Gradient steps are made on `device`."""
        self.config, self._device = config, device
        self.encoder: Encoder | None = None
        """What makes observations of states and pictures, where there are cameras."""
        self._state_size, self._action_size = obs_size, action_size
        if config.camera_names:
            self.encoder = self._new_encoder()
            obs_size = self.encoder.size
        self._obs_size = obs_size
        self.replay = Replay(obs_size, action_size)
        fit_seed = seed_of(config.seed, Purpose.REWARD)
        self.reward = RewardModel(obs_size, config.reward_model, fit_seed, device)
        self.sac = self._new_policy()
        self.episodes: dict[int, Episode] = {}
        self.clone: ChunkedClone | None = None
        """The newest clone of what the operator drove."""
        self.begun = False
        """Whether reinforcement learning has begun, with that clone or with none."""
        self.fitted_at = -1
        """Online episodes there were at the last fit of the reward model."""
        self.successes_cloned = 0
        """Successes of the policy there were when its clone was last made anew, or tried to."""
        self.seen_at = 0
        """Online episodes there were when the encoder was last fitted."""
        self._clones = 0
        self._forgotten = 0  # updates of policies that were begun anew

    @property
    def updates(self) -> int:
        """Gradient updates of this policy and of those before it."""
        return self._forgotten + self.sac.updates

    @property
    def version(self) -> int:
        """Counts the policies that were made."""
        return self._clones if self.config.policy == "clone" else self.updates

    def policy(self, explore: bool) -> Actor:
        """The policy that drives, as it explores or as it is put to work."""
        if self.config.policy == "clone" and self.clone is not None:
            return Driving(copy.copy(self.clone), self.encoder)
        return Driving(CorrectedClone(self.clone, self.sac, explore), self.encoder)

    def cloned(self, episodes: Sequence[Episode]) -> Actor:
        """A clone of what the operator drove in these episodes, on its own. Raises ValueError where that is
        nothing."""
        return Driving(self._cloned(episodes), self.encoder)

    def _cloned(self, episodes: Sequence[Episode], successes: Sequence[Episode] = ()) -> ChunkedClone:
        return make_clone(self._obs_size, self._action_size, episodes, self.config, self._device, successes)

    def as_seen(self, episode: Episode, seen: Seen) -> Episode:
        """A stored episode with the observations that are learned from."""
        return episode if self.encoder is None else self.encoder.as_seen(episode, seen)

    def learn_to_see(
        self, episodes: Sequence[Episode], seen: Seen, succeeded: Collection[int], online: int
    ) -> None:
        """Fit the encoder to what the operator drove in these episodes, `online` of them the policy's, and to
        its successes. Nothing that learned from the encoder before stays, and all episodes must be told of
        anew."""
        self.encoder = self._new_encoder()
        rng = generator(self.config.seed, Purpose.ENCODER, online)
        self.encoder.fit(episodes, seen, rng, succeeded, self._device)
        self.seen_at = online
        self.reward.forget()
        self._forgotten += self.sac.updates
        self.sac = self._new_policy()
        self.clone, self.begun = None, False
        self.fitted_at, self.successes_cloned = -1, 0

    def _new_policy(self) -> SAC:
        seed = seed_of(self.config.seed, Purpose.POLICY)
        return SAC(self._obs_size, self._action_size, self.config.sac, seed, self._device)

    def _new_encoder(self) -> Encoder:
        config, seed = self.config, seed_of(self.config.seed, Purpose.ENCODER)
        return Encoder(self._state_size, config.camera_names, config.encoder, seed)

    @property
    def ready(self) -> bool:
        """Whether every transition has a reward to learn from."""
        return self.config.reward == "task" or self.reward.version > 0

    def forget_episodes(self) -> None:
        """Let go of all episodes, to be told of them anew; what was learned stays."""
        base = None if self.clone is None else self.clone.along
        self.replay = Replay(self._obs_size, self._action_size, base)
        self.episodes = {}

    def ingest(self, episode: Episode, task_reward: np.ndarray | None, imitate: bool) -> None:
        """Take in a stored episode. `task_reward` (T,) is used in the mode that learns from it, else it
        must be None; `imitate` False keeps a failed demonstration from being cloned."""
        if (task_reward is not None) != (self.config.reward == "task"):
            raise ValueError("the task's reward goes to the learner with --reward task, and only then")
        self.episodes[episode.id] = episode
        if episode.role is Role.COUNTERFACTUAL:
            return
        moving = moving_steps(episode.action, self.config.clone)
        self.replay.add(episode, imitate=moving if imitate else np.zeros_like(moving))
        if task_reward is not None:
            self.replay.set_rewards(episode.id, task_reward * 2 - 1)

    def begin(self, demonstrations: Sequence[Episode]) -> None:
        """Start the policy, as a clone of these episodes where there are any."""
        if demonstrations:
            self.sac.normaliser.fit(np.concatenate([episode.obs[:-1] for episode in demonstrations]))
            self.clone_again(demonstrations)
        self.begun = True

    def clone_again(self, episodes: Sequence[Episode]) -> None:
        """Clone what the operator drove in these episodes. Raises ValueError where that is nothing."""
        self.clone = self._cloned(episodes)
        self.replay.rebase(self.clone.along)
        self._clones += 1

    def clone_successes(self, shown: Sequence[Episode], successes: Sequence[Episode]) -> bool:
        """Make the policy's clone anew of what was shown and of its own successes, all of their steps
        whoever drove; False where the old one is kept, being so much better on the demonstrations that both
        hold out."""
        self.successes_cloned = len(successes)
        new = self._cloned(shown, successes)
        before = None if self.clone is None else self.clone.heldout_error
        tolerance = self.config.clone.anew_tolerance
        if before is not None and new.heldout_error is not None and new.heldout_error > tolerance * before:
            return False
        self.clone = new
        self.replay.rebase(new.along)
        return True

    def refit(self, events: Sequence[Feedback], online: int) -> FitReport:
        """Fit the reward model on all evidence, score the replay anew and carry the critics along."""
        if self.config.labels == "shuffled":
            events = [shuffled(event, self.config.seed) for event in events]
        before = self.reward.version
        report = self.reward.fit(events, self.episodes, self.config.reward_kinds)
        self.replay.score(self.reward.score, self.reward.version)
        if before > 0:
            self.sac.carry_scale(report.old_scale, report.new_scale)
        self.fitted_at = online
        return report

    def train(self, updates: int) -> Metrics:
        """Gradient updates of the policy on the replay."""
        if self.config.reward == "learned":
            self.replay.score(self.reward.score, self.reward.version)
        rng = generator(self.config.seed, Purpose.TRAIN, self.updates)
        return self.sac.train(self.replay, updates, rng)

    def snapshot(self) -> Snapshot:
        """The policy and the reward model as they are now, for a control loop."""
        clone = {} if self.clone is None else self.clone.snapshot()
        eyes = {} if self.encoder is None else self.encoder.snapshot()
        return Snapshot.of(self.sac.snapshot() | clone | self.reward.snapshot() | eyes)

    def save(self, path: Path) -> None:
        """Write everything but the episodes, which the store has."""
        tensors = {f"sac.{name}": value for name, value in self.sac.state().items()}
        tensors |= {f"reward.{name}": value for name, value in self.reward.state().items()}
        if self.encoder is not None:
            tensors |= {f"encoder.{name}": value for name, value in self.encoder.state().items()}
        if self.clone is not None:
            tensors |= {f"clone.{name}": value for name, value in self.clone.state().items()}
        notes = _Notes(
            begun=self.begun,
            fitted_at=self.fitted_at,
            clones=self._clones,
            successes_cloned=self.successes_cloned,
            clone_error=None if self.clone is None else self.clone.heldout_error,
            seen_at=self.seen_at,
            forgotten=self._forgotten,
        )
        metadata = {"learner": msgspec.json.encode(notes).decode(), "task": self.config.task}
        checkpoint.save(path, tensors, metadata)

    def load(self, path: Path) -> None:
        """Put back what `save` wrote. CheckpointError says what does not fit; the learner is of no use
        then."""
        saved = checkpoint.load(path)
        try:
            self.sac.load(_part(saved.tensors, "sac."))
            self.reward.load(_part(saved.tensors, "reward."))
            notes = msgspec.json.decode(saved.metadata.get("learner", "{}"), type=_Notes)
            if self.encoder is not None:
                self.encoder.load(_part(saved.tensors, "encoder."))
            if tensors := _part(saved.tensors, "clone."):
                seed = seed_of(self.config.seed, Purpose.CLONE)
                self.clone = ChunkedClone(self._obs_size, self._action_size, self.config.clone, seed)
                self.clone.load(tensors)
                self.clone.heldout_error = notes.clone_error
                self.replay.rebase(self.clone.along)
        except (CheckpointError, ValueError, RuntimeError, msgspec.DecodeError) as error:
            raise CheckpointError(f"checkpoint {path} does not fit this run: {error}") from error
        self.begun, self.fitted_at, self._clones = notes.begun, notes.fitted_at, notes.clones
        self.successes_cloned, self.seen_at = notes.successes_cloned, notes.seen_at
        self._forgotten = notes.forgotten


def make_clone(
    obs_size: int,
    action_size: int,
    episodes: Sequence[Episode],
    config: RunConfig,
    device: Device = "cpu",
    successes: Sequence[Episode] = (),
) -> ChunkedClone:
    """A clone of what the operator drove in `episodes`, and of all of `successes`. Raises ValueError where
    that is nothing."""
    clone = ChunkedClone(obs_size, action_size, config.clone, seed_of(config.seed, Purpose.CLONE))
    clone.fit(episodes, generator(config.seed, Purpose.CLONE), device, successes)
    return clone


def _part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def shuffled(event: Feedback, seed: int) -> Feedback:
    """The event with its judgement drawn at random, as its id and the seed decide: a comparison is turned
    round half of the time, a demonstration is any of those it was chosen among."""
    coin = hashlib.sha256(f"{seed}:{event.id}".encode()).digest()
    if isinstance(event, Demonstration):
        candidates = (event.episode, *event.alternatives)
        chosen = candidates[int.from_bytes(coin[:8], "big") % len(candidates)]
        rest = tuple(episode for episode in candidates if episode != chosen)
        return msgspec.structs.replace(event, episode=chosen, alternatives=rest)
    if coin[0] % 2:
        return event
    match event:
        case Preference():
            return msgspec.structs.replace(event, choice=_FLIPPED.get(event.choice, event.choice))
        case Evaluation():
            return msgspec.structs.replace(event, good=not event.good)
        case Outcome():
            return msgspec.structs.replace(event, success=not event.success)
        case Takeover():
            if event.counterfactual is None:
                return event
            return msgspec.structs.replace(
                event, executed=event.counterfactual, counterfactual=event.executed
            )
