"""The learner of a run: replay, reward model and policy, fed with stored episodes and events."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch

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
from robot_rlhf.learning.cloning import ChunkedClone, clone_actor, moving_steps
from robot_rlhf.learning.replay import Replay
from robot_rlhf.learning.reward_model import FitReport, RewardModel
from robot_rlhf.learning.sac import SAC, Metrics
from robot_rlhf.learning.snapshot import Snapshot
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.evaluation import Actor, Plain
from robot_rlhf.session.seeds import Purpose, generator, seed_of


class _Notes(msgspec.Struct, frozen=True, kw_only=True):
    """What of a learner is no tensor, as it stands in a checkpoint's metadata."""

    cloned: bool
    fitted_at: int
    chunked: int = 0
    deploys_clone: bool = False


_FLIPPED = {Choice.LEFT: Choice.RIGHT, Choice.RIGHT: Choice.LEFT}


class Learner:
    """Holds everything that learns. It is told of episodes and events, never of the task's reward
    (unless the run's config says `reward = "task"`)."""

    def __init__(self, config: RunConfig, obs_size: int, action_size: int) -> None:
        self.config = config
        self._obs_size, self._action_size = obs_size, action_size
        self.replay = Replay(obs_size, action_size)
        self.reward = RewardModel(obs_size, config.reward_model, seed_of(config.seed, Purpose.REWARD))
        self.sac = SAC(obs_size, action_size, config.sac, seed_of(config.seed, Purpose.POLICY))
        self.episodes: dict[int, Episode] = {}
        self.chunked: ChunkedClone | None = None
        """What `clone_in_chunks` made last."""
        self.deploys_clone = config.policy == "clone"
        """Whether that is what is put to work."""
        self._chunked_fits = 0
        self.cloned = False
        self.fitted_at = -1
        """Online episodes there were at the last fit of the reward model."""

    @property
    def version(self) -> int:
        """Counts the policies that were made."""
        return self._chunked_fits if self.config.policy == "clone" else self.sac.updates

    def deployed(self) -> Actor:
        """The policy as it is put to work."""
        if self.deploys_clone and self.chunked is not None:
            return self.chunked
        return Plain(lambda obs: self.sac.act(obs, deterministic=True, averaged=True))

    @property
    def ready(self) -> bool:
        """Whether every transition has a reward to learn from."""
        return self.config.reward == "task" or self.reward.version > 0

    def forget_episodes(self) -> None:
        """Let go of all episodes, to be told of them anew; what was learned stays."""
        self.replay = Replay(self._obs_size, self._action_size)
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

    def clone(self, demonstrations: Sequence[Episode]) -> None:
        """Start the policy as a clone of these episodes."""
        if demonstrations:
            clone_policy(self.sac, demonstrations, self.config)
        self.cloned = True

    def clone_in_chunks(self, episodes: Sequence[Episode]) -> None:
        """Clone what the operator drove in these episodes into a policy of its own. Raises ValueError
        where that is nothing."""
        self.chunked = clone_in_chunks(self._obs_size, self._action_size, episodes, self.config)
        self._chunked_fits += 1

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
        rng = generator(self.config.seed, Purpose.TRAIN, self.sac.updates)
        return self.sac.train(self.replay, updates, rng)

    def snapshot(self) -> Snapshot:
        """The policy and the reward model as they are now, for a control loop."""
        return Snapshot.of(self.sac.snapshot() | self.reward.snapshot())

    def save(self, path: Path) -> None:
        """Write everything but the episodes, which the store has."""
        tensors = {f"sac.{name}": value for name, value in self.sac.state().items()}
        tensors |= {f"reward.{name}": value for name, value in self.reward.state().items()}
        if self.chunked is not None:
            tensors |= {f"chunked.{name}": value for name, value in self.chunked.state().items()}
        notes = msgspec.json.encode(
            _Notes(
                cloned=self.cloned,
                fitted_at=self.fitted_at,
                chunked=self._chunked_fits,
                deploys_clone=self.deploys_clone,
            )
        )
        checkpoint.save(path, tensors, {"learner": notes.decode(), "task": self.config.task})

    def load(self, path: Path) -> None:
        """Put back what `save` wrote. CheckpointError says what does not fit; the learner is of no use
        then."""
        saved = checkpoint.load(path)
        try:
            self.sac.load(_part(saved.tensors, "sac."))
            self.reward.load(_part(saved.tensors, "reward."))
            notes = msgspec.json.decode(saved.metadata.get("learner", "{}"), type=_Notes)
            if chunked := _part(saved.tensors, "chunked."):
                seed = seed_of(self.config.seed, Purpose.CHUNKED)
                self.chunked = ChunkedClone(self._obs_size, self._action_size, self.config.clone, seed)
                self.chunked.load(chunked)
        except (CheckpointError, ValueError, RuntimeError, msgspec.DecodeError) as error:
            raise CheckpointError(f"checkpoint {path} does not fit this run: {error}") from error
        self.cloned, self.fitted_at = notes.cloned, notes.fitted_at
        self._chunked_fits, self.deploys_clone = notes.chunked, notes.deploys_clone


def clone_policy(sac: SAC, demonstrations: Sequence[Episode], config: RunConfig) -> None:
    """Make a fresh policy a clone of these episodes."""
    sac.normaliser.fit(np.concatenate([episode.obs[:-1] for episode in demonstrations]))
    rng = generator(config.seed, Purpose.CLONE)
    clone_actor(sac.actor, sac.normaliser, demonstrations, config.clone, rng)
    sac.sync_average()


def clone_in_chunks(
    obs_size: int, action_size: int, episodes: Sequence[Episode], config: RunConfig
) -> ChunkedClone:
    """A clone in chunks of what the operator drove. Raises ValueError where that is nothing."""
    chunked = ChunkedClone(obs_size, action_size, config.clone, seed_of(config.seed, Purpose.CHUNKED))
    chunked.fit(episodes, generator(config.seed, Purpose.CHUNKED))
    return chunked


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
