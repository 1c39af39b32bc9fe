"""The learning half of a session: what the store holds, what the learner makes of it, and what is due next.

It follows from the store alone where a run stands, so that one that was killed goes on from there. No arm
and no operator: a lockstep session has a study beside its arm, a live one in a process of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.operator import PAIR_S
from robot_rlhf.feedback.queries import Worth, label_demand, select_queries
from robot_rlhf.feedback.store_codec import episodes_of
from robot_rlhf.feedback.types import Feedback, Kind, Outcome, Preference, Query, Segment, derived_id
from robot_rlhf.learning.device import Device
from robot_rlhf.learning.reward_model import FitReport, NothingToFitError
from robot_rlhf.learning.sac import Metrics
from robot_rlhf.learning.strides import shows_how
from robot_rlhf.learning.turns import Turn, next_turn
from robot_rlhf.session.evaluation import Actor
from robot_rlhf.session.learner import Learner, shuffled
from robot_rlhf.session.run_folder import RunFolder
from robot_rlhf.session.seeds import Purpose, generator
from robot_rlhf.session.worth import Watching

Float32 = NDArray[np.float32]

_NEWEST = 10  # episodes that say how well the policy does


class Watcher:
    """What a session tells those who look on; every method may be left as it is."""

    def phase(self, name: str) -> None:
        """A part of the work begins."""

    def episode(self, episode: Episode, mark: bool | None) -> None:
        """An episode was stored."""

    def fitted(self, report: FitReport) -> None:
        """The reward model was fitted."""

    def trained(self, metrics: Metrics, updates: int, seconds: float) -> None:
        """The policy was trained."""

    def checkpoint(self, online: int) -> None:
        """The learner was saved after so many policy episodes; a good moment to evaluate."""

    def caught_up(self) -> None:
        """The operator has said something more, and what was to be learned from it is learned."""


class Study:
    """A run's learner and all that is known to it."""

    def __init__(self, run: RunFolder, obs_size: int, action_size: int, device: Device = "cpu") -> None:
        self.run, self.config, self.store = run, run.config, run.store
        self.watcher = Watcher()
        self.kinds = self.config.kinds
        self.judged = self.config.reward == "learned" and self.config.policy == "rl"
        """Whether judgements are of use: they serve the reward model alone."""
        self.learner = Learner(self.config, obs_size, action_size, device)
        self._asked: list[Query] = []
        saved = run.latest_checkpoint()
        if saved is not None:
            self.learner.load(saved)
        self.rebuild()

    # -- what there is ---------------------------------------------------------------------------------

    def rebuild(self) -> None:
        """Take in, from nothing, every episode that the store holds and that was not removed."""
        self.learner.forget_episodes()
        removed = self.store.removed()
        self.take_in([id for id in self.store.episode_steps() if id not in removed])

    def take_in(self, ids: Sequence[int]) -> list[Episode]:
        """Take in stored episodes, and return them."""
        marks = self.marks()
        rewards = self.store.truth() if self.config.reward == "task" else {}
        episodes = self.store.episodes(ids)
        for episode in episodes:
            reward = rewards[episode.id].task_reward if rewards else np.zeros(0, np.float32)
            self.ingest(episode, reward, marks.get(episode.id))
        return episodes

    def ingest(self, episode: Episode, reward: Float32, mark: bool | None) -> None:
        """Hand an episode to the learner. `reward` (T,) is the task's own, for the mode that uses it."""
        failed = episode.role is Role.DEMONSTRATION and mark is False
        episode = self.learner.as_seen(episode, self.store.pictures)
        given = reward if self.config.reward == "task" else None
        self.learner.ingest(episode, given, imitate=not failed)

    def count(self, role: Role) -> int:
        """Episodes of that role."""
        return sum(episode.role is role for episode in self.learner.episodes.values())

    @property
    def environment_steps(self) -> int:
        """Steps of the arm so far; counterfactuals, which only a simulation can roll out, are not in it."""
        episodes = self.learner.episodes.values()
        return sum(episode.length for episode in episodes if episode.role is not Role.COUNTERFACTUAL)

    def marks(self, as_learned: bool = False) -> dict[int, bool]:
        """Episode id -> the operator's mark, of those that were marked; `as_learned`, turned at random where
        the labels are shuffled."""
        events = self.store.feedback({Kind.OUTCOMES})
        if as_learned and self.config.labels == "shuffled":
            events = [shuffled(event, self.config.seed) for event in events]
        return {event.episode: event.success for event in events if isinstance(event, Outcome)}

    def judged_alone(self, most: int) -> list[tuple[bool, int]]:
        """How the newest of the policy's episodes went that it drove as it is put to work and that were
        marked, `most` of them at most: success, which a takeover rules out, and length in steps."""
        marks = self.marks()
        online = [one for one in self.learner.episodes.values() if one.role is Role.ONLINE]
        every = self.config.schedule.deployed_every
        return [
            (marks[one.id] and not one.operator_steps.any(), one.length)
            for index, one in enumerate(online)
            if next_turn(index, every) is Turn.DEPLOY and one.id in marks
        ][-most:]

    def spread(self) -> float:
        """How far from the expert's first waypoint the next policy episode starts, as a share of what the
        task asks for: more, the more of the newest ten were marked as successes without a takeover."""
        least = self.config.schedule.curriculum
        if least == 1.0:
            return 1.0
        marks = self.marks()
        online = [one for one in self.learner.episodes.values() if one.role is Role.ONLINE][-_NEWEST:]
        alone = sum(marks.get(one.id, False) and not one.operator_steps.any() for one in online)
        return least + (1.0 - least) * alone / _NEWEST

    def to_imitate(self) -> list[Episode]:
        """Demonstrations that were not marked as failed, and in which the arm was moved."""
        marks = self.marks()
        return [
            episode
            for episode in self.learner.episodes.values()
            if episode.role is Role.DEMONSTRATION
            and marks.get(episode.id, True)
            and shows_how(episode, self.config.clone)
        ]

    def driven(self) -> list[Episode]:
        """Demonstrations that were not marked as failed, and the policy's episodes, takeovers in them."""
        online = [one for one in self.learner.episodes.values() if one.role is Role.ONLINE]
        return [*self.to_imitate(), *online]

    def deployed(self) -> Actor:
        """The policy as it would be put to work at this moment: before it has begun, a clone of what was
        shown so far."""
        learner, shown = self.learner, self.to_imitate()
        if learner.begun or not shown:
            return learner.policy(explore=False)
        if learner.encoder is not None:
            self.open_eyes()
            shown = self.to_imitate()
        return learner.cloned(shown)

    @property
    def is_spent(self) -> bool:
        """Whether the operator has given all the time that the schedule asks for."""
        limit = self.config.schedule.operator_seconds
        return limit > 0.0 and self.store.operator_seconds().active_s >= limit

    # -- what is due -----------------------------------------------------------------------------------

    def open_eyes(self) -> None:
        """Where there are cameras, fit the encoder to all that was driven so far; what was learned behind
        another is forgotten."""
        if self.learner.encoder is not None:
            self.watcher.phase("learning to see")
            succeeded = {id for id, success in self.marks().items() if success}
            online = self.count(Role.ONLINE)
            self.learner.learn_to_see(self.driven(), self.store.pictures, succeeded, online)
            self.rebuild()

    def begin(self) -> None:
        """Start the policy as a clone of the demonstrations, and with cameras of the takeovers there are."""
        self.open_eyes()
        self.watcher.phase("cloning")
        self.learner.begin(self.to_imitate() if self.learner.encoder is None else self.driven())

    def eyes_due(self, online: int) -> bool:
        """Whether the policy has driven so much that the encoder is to be fitted anew to it."""
        config, learner = self.config.encoder, self.learner
        if learner.encoder is None or not learner.begun or config.anew_at == 0:
            return False
        return online >= max(config.anew_at, config.anew_growth * learner.seen_at)

    def see_anew(self, online: int) -> None:
        """Fit the encoder to all that was driven so far, and start the policy anew behind it; its updates are
        owed again."""
        self.begin()
        self.fit(online)

    def clone_due(self) -> bool:
        """Whether the policy has succeeded so often that its clone is to be made anew with that."""
        config, learner = self.config.clone, self.learner
        if learner.clone is None or config.anew_successes == 0 or self.config.policy == "clone":
            return False
        least = max(config.anew_successes, config.anew_growth * learner.successes_cloned)
        return self.count(Role.ONLINE) >= least and len(self._successes()) >= least

    def _successes(self) -> list[Episode]:
        """The policy's episodes that were marked as such, takeovers in them."""
        marks = self.marks(as_learned=True)
        online = (one for one in self.learner.episodes.values() if one.role is Role.ONLINE)
        return [one for one in online if marks.get(one.id, False)]

    def clone_anew(self) -> None:
        """Make the policy's clone anew, of the demonstrations and of its successes."""
        self.watcher.phase("cloning")
        successes = self._successes()
        ids = {one.id for one in successes}
        shown = self.to_imitate() if self.learner.encoder is None else self.driven()
        self.learner.clone_successes([one for one in shown if one.id not in ids], successes)

    def fit_due(self, online: int) -> bool:
        """Whether a round of pairs and a fit of the reward model are due after `online` policy episodes."""
        fitted_at = self.learner.fitted_at
        due = online == 0 or online - fitted_at >= self.config.schedule.episodes_per_fit
        return self.judged and due and online != fitted_at

    def fit(self, online: int) -> bool:
        """Fit the reward model to all that was said; False where there is nothing to fit to yet."""
        events = self._known_events()
        if not events:
            return False
        self.watcher.phase("fitting the reward")
        try:
            report = self.learner.refit(events, online)
        except NothingToFitError:
            return False  # say, nothing but failures so far: the next round may have more
        self.watcher.fitted(report)
        return True

    def _known_events(self) -> list[Feedback]:
        """What was said of episodes that are here, and stands."""
        known = self.learner.episodes.keys()
        stored = self.store.feedback(self.kinds, learnable=True)
        return [event for event in stored if episodes_of(event) <= known]

    def owed(self, online: int) -> int:
        """The gradient updates that the policy's steps so far have earned and not had."""
        if not self.learner.ready or online < self.config.schedule.warmup_episodes:
            return 0
        episodes = self.learner.episodes.values()
        steps = sum(episode.length for episode in episodes if episode.role is Role.ONLINE)
        return max(0, steps * self.config.sac.updates_per_step - self.learner.sac.updates)

    def train(self, updates: int, tell: bool = True) -> None:
        """Gradient updates of the policy; `tell` the watcher what they came to."""
        self.watcher.phase("learning")
        began = time.perf_counter()
        metrics = self.learner.train(updates)
        if tell:
            self.watcher.trained(metrics, updates, time.perf_counter() - began)

    def demand(self, online: int) -> int:
        """How many pairs a round after `online` policy episodes asks for."""
        schedule = self.config.schedule
        first, last, decay = schedule.pairs_first, schedule.pairs_last, schedule.pairs_decay
        return label_demand(self._round(online), first, last, decay)

    def _round(self, online: int) -> int:
        """Which round of asking it is after `online` policy episodes, from 0."""
        return max(0, online // self.config.schedule.episodes_per_fit - 1)

    def worth_of_watching(self) -> Watching:
        """What the newest policy episodes brought, as many as come between two fits; call it before they are
        fitted to."""
        learner = self.learner
        online = sorted(one.id for one in learner.episodes.values() if one.role is Role.ONLINE)
        newest = online[-self.config.schedule.episodes_per_fit :]
        booked = self.store.operator_seconds_by_activity(newest)
        seconds = {activity: spent.active_s for activity, spent in booked.items() if spent.active_s > 0.0}
        if learner.reward.version == 0 or not seconds:
            return Watching()
        events = self._known_events()
        new = {
            e.id for e in events if not isinstance(e, Preference) and not episodes_of(e).isdisjoint(newest)
        }
        kinds = self.config.reward_kinds
        return Watching(seconds, learner.reward.event_information(events, learner.episodes, kinds, new))

    def presses_rest(self, online: int, watching: Watching) -> str:
        """What to note under PRESSES_REST once `online` policy episodes are over."""
        weighed = self.config.schedule.weigh_presses and Kind.EVALUATIONS in self.kinds
        return "1" if weighed and watching.presses_rest(self._round(online)) else ""

    def _seconds_a_pair(self) -> float:
        """What a pair has taken this operator so far."""
        booked = self.store.operator_seconds_by_activity().get("pair")
        answered = self.store.counts()[Kind.PREFERENCES]
        return PAIR_S if booked is None or not answered else booked.active_s / answered

    def choose_pairs(
        self, online: int, count: int, worth: float = 0.0, among: Callable[[int], bool] = lambda id: True
    ) -> list[Query]:
        """Up to `count` pairs to ask about, the most telling first once there is a reward model, and none
        whose answer tells less than `worth` nats a second but for as many as late rounds ask for. Both clips
        are of episodes whose id is `among` those that whoever is asked can see."""
        compare: Worth | None = None
        if self.learner.reward.version > 0:
            compare = self._information
        return select_queries(
            {id: episode for id, episode in self.learner.episodes.items() if among(id)},
            self._queries(),
            compare,
            count,
            self.config.queries,
            generator(self.config.seed, Purpose.QUERY, online),
            lambda left, right: derived_id(self.config.seed, "pair", online, left, right),
            least=worth * self._seconds_a_pair(),
            sure=self.config.schedule.pairs_last,
        )

    def _queries(self) -> list[Query]:
        """All that was ever asked, of which only what is new is read: queries are never taken out."""
        self._asked += self.store.queries(skip=len(self._asked))
        return self._asked

    def _information(self, left: Sequence[Segment], right: Sequence[Segment]) -> Float32:
        return self.learner.reward.pair_information(left, right, self.learner.episodes)

    def save(self, enter: Callable[[int, Path], None]) -> None:
        """Write a checkpoint and have it entered in the run's index."""
        step = self.environment_steps
        path = self.run.new_checkpoint(step)
        self.learner.save(path)
        enter(step, path)
