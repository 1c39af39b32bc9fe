"""A headless session: simulated operator, simulated arm, learner, one after the other, as fast as it goes.

Where it stands follows from the store alone: how many demonstrations and policy episodes there are. So
going on after a kill is the same loop, entered in the middle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.operator import MARK_S, PAIR_S, PRESS_S, SimulatedOperator
from robot_rlhf.feedback.queries import label_demand, select_queries
from robot_rlhf.feedback.store import OperatorSeconds
from robot_rlhf.feedback.types import (
    Demonstration,
    Evaluation,
    Feedback,
    Kind,
    Outcome,
    Preference,
    Press,
    Query,
    Segment,
    Takeover,
    derived_id,
)
from robot_rlhf.learning.reward_model import FitReport, NothingToFitError
from robot_rlhf.learning.sac import Metrics
from robot_rlhf.session.learner import Learner
from robot_rlhf.session.rollout import (
    Policy,
    Recorder,
    Rollout,
    counterfactual,
    demonstrate,
    noised_replay,
    supervise,
)
from robot_rlhf.session.run_folder import RunFolder
from robot_rlhf.session.seeds import Purpose, generator, seed_of
from sim.env import SPEED_M_S, TaskEnv

Float32 = NDArray[np.float32]

_ASKED = "pairs_asked_at"  # the store's note of the policy episodes there were at the last round of pairs


class _Said(TypedDict):
    """The fields that every event carries."""

    id: str
    operator: str
    session: str
    time_ns: int


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


class LockstepSession:
    """Runs a run folder's config to its end, from wherever its store says it stands."""

    def __init__(self, run: RunFolder) -> None:
        self.run, self.config, self.store = run, run.config, run.store
        self.watcher = Watcher()
        self.env = TaskEnv(self.config.task, self.config.control_hz)
        self._side: TaskEnv | None = None
        self.operator = SimulatedOperator(
            self.env.task, self.config.simulated, SPEED_M_S, self.config.control_hz
        )
        self.kinds = self.config.kinds
        self._judged = self.config.reward == "learned"  # judgements serve the reward model alone
        self.learner = Learner(self.config, self.env.obs_size, self.env.axes)
        self._objects = [prop.name for prop in self.env.task.props]
        try:
            self._rebuild()
        except BaseException:
            self.close()
            raise

    # -- the whole road ------------------------------------------------------------------------------

    def complete(self, watcher: Watcher | None = None) -> None:
        """Go on until the schedule is done, telling `watcher`."""
        self.watcher = watcher or Watcher()
        schedule = self.config.schedule
        shows = Kind.DEMONSTRATIONS in self.kinds
        self.watcher.phase("demonstrations")
        while shows and self._count(Role.DEMONSTRATION) < schedule.demonstrations:
            self._demonstrate()
        if not self.learner.cloned:
            self.watcher.phase("cloning")
            self.learner.clone(self.to_imitate())
        while (online := self._count(Role.ONLINE)) < schedule.episodes:
            self._fit_if_due(online)
            self._catch_up(online)
            self.watcher.phase("policy drives")
            self._supervise()
        online = self._count(Role.ONLINE)
        self._fit_if_due(online)
        self._catch_up(online)
        self.save()

    def _count(self, role: Role) -> int:
        return sum(episode.role is role for episode in self.learner.episodes.values())

    def _online_steps(self) -> int:
        episodes = self.learner.episodes.values()
        return sum(episode.length for episode in episodes if episode.role is Role.ONLINE)

    @property
    def environment_steps(self) -> int:
        """Steps of the arm so far; counterfactuals, which only a simulation can roll out, are not in it."""
        episodes = self.learner.episodes.values()
        return sum(episode.length for episode in episodes if episode.role is not Role.COUNTERFACTUAL)

    def _fit_if_due(self, online: int) -> None:
        """Ask for preferences and fit the reward model, once every few episodes."""
        due = online == 0 or online - self.learner.fitted_at >= self.config.schedule.episodes_per_fit
        if not self._judged or not due or online == self.learner.fitted_at:
            return
        if online > 0:
            self._ask(online)
        events = self.store.feedback(self.kinds, learnable=True)
        if not events:
            return
        self.watcher.phase("fitting the reward")
        try:
            report = self.learner.refit(events, online)
        except NothingToFitError:
            return  # say, nothing but failures so far: the next round may have more
        self.watcher.fitted(report)
        if online == 0:
            self.save()  # the next checkpoint is episodes away

    def _catch_up(self, online: int) -> None:
        """The gradient updates that the steps so far have earned."""
        if not self.learner.ready or online < self.config.schedule.warmup_episodes:
            return
        owed = self._online_steps() * self.config.sac.updates_per_step - self.learner.sac.updates
        if owed > 0:
            self.watcher.phase("learning")
            began = time.perf_counter()
            metrics = self.learner.train(owed)
            self.watcher.trained(metrics, owed, time.perf_counter() - began)
            if online % self.config.schedule.episodes_per_fit == 0:
                self.save()
                self.watcher.checkpoint(online)

    def save(self) -> None:
        """Write a checkpoint."""
        step = self.environment_steps
        path = self.run.new_checkpoint(step)
        self.learner.save(path)
        self.run.keep(step, path)

    # -- episodes ------------------------------------------------------------------------------------

    def _side_env(self) -> TaskEnv:
        if self._side is None:
            self._side = TaskEnv(self.config.task, self.config.control_hz)
        return self._side

    def _event(self, id: int, *what: object) -> _Said:
        """The fields that every event about episode `id` carries."""
        name = derived_id(self.config.seed, id, *what)
        return {"id": name, "operator": "simulated", "session": self.run.path.name, "time_ns": time.time_ns()}

    def _demonstrate(self) -> None:
        config, id = self.config, self.store.next_episode_id()
        seed = seed_of(config.seed, Purpose.START, id)
        self.operator.begin(generator(config.seed, Purpose.OPERATOR, id), True, False, False)
        recorder = demonstrate(self.env, self.operator, seed)
        seconds = len(recorder.action) / config.control_hz
        events: list[Feedback] = []
        stored: list[tuple[Episode, Recorder]] = [self._episode(id, Role.DEMONSTRATION, seed, recorder)]
        for index in range(config.schedule.alternatives if self._judged else 0):
            rng = generator(config.seed, Purpose.NOISE, id, index)
            noise = 0.25 + 0.75 * index / max(1, config.schedule.alternatives - 1)
            worse = noised_replay(self._side_env(), recorder, seed, noise, rng)
            stored.append(self._episode(id + 1 + index, Role.COUNTERFACTUAL, seed, worse))
        alternatives = tuple(episode.id for episode, _ in stored[1:])
        said = self._event(id, "demonstration")
        events.append(Demonstration(**said, episode=id, alternatives=alternatives))
        self._commit(stored, events, "demonstration", seconds, seconds)

    def _supervise(self) -> None:
        config, id = self.config, self.store.next_episode_id()
        seed = seed_of(config.seed, Purpose.START, id)
        helps = Kind.TAKEOVERS in self.kinds
        spent = self.store.operator_seconds_by_activity().get("takeover", OperatorSeconds(0.0, 0.0))
        may_take_over = helps and spent.active_s < config.schedule.takeover_seconds
        presses = Kind.EVALUATIONS in self.kinds and self._judged
        self.operator.begin(generator(config.seed, Purpose.OPERATOR, id), False, may_take_over, presses)
        policy = self._policy(self._count(Role.ONLINE))
        rollout = supervise(self.env, policy, self.operator, seed)
        stored = [self._episode(id, Role.ONLINE, seed, rollout.recorder)]
        events = self._events_of(id, rollout, stored, seed, policy)
        live = self.kinds & {Kind.TAKEOVERS, Kind.EVALUATIONS, Kind.OUTCOMES}
        watched = len(rollout.recorder.action) / config.control_hz if live else 0.0
        self._commit(stored, events, "takeover", rollout.operator_steps / config.control_hz, watched)

    def _policy(self, online: int) -> Policy:
        """Who drives the policy episode number `online`: the explorer, or the policy as deployed."""
        sac, every = self.learner.sac, self.config.schedule.deployed_every
        if every and online % every == every - 1:
            return lambda obs: sac.act(obs, deterministic=True, averaged=True)
        return sac.act

    def _events_of(
        self, id: int, rollout: Rollout, stored: list[tuple[Episode, Recorder]], seed: int, policy: Policy
    ) -> list[Feedback]:
        """Takeovers, each with the policy's counterfactual (appended to `stored`), and presses."""
        events: list[Feedback] = []
        for index, taken in enumerate(rollout.takeovers):
            side: Segment | None = None
            if self._judged:
                side = Segment(id + len(stored), 0, taken.length)
                recorder = counterfactual(self._side_env(), taken, policy)
                stored.append(self._episode(side.episode, Role.COUNTERFACTUAL, seed, recorder))
            driven = Segment(id, taken.start, taken.length)
            said = self._event(id, "takeover", index)
            events.append(Takeover(**said, executed=driven, counterfactual=side))
        for index, (step, press) in enumerate(rollout.presses):
            fields = self._event(id, "press", index)
            events.append(Evaluation(**fields, episode=id, step=step, good=press is Press.GOOD))
        return events

    def _episode(self, id: int, role: Role, seed: int, recorder: Recorder) -> tuple[Episode, Recorder]:
        return recorder.episode(id, role, self.config.task, seed, self.learner.version), recorder

    def _commit(
        self,
        stored: Sequence[tuple[Episode, Recorder]],
        events: list[Feedback],
        activity: str,
        active_s: float,
        watched_s: float,
    ) -> None:
        """Everything of an episode in one transaction, then on to the learner."""
        episode, config = stored[0][0], self.config
        mark: bool | None = None
        with self.store.transaction():
            for one, recorder in stored:
                self.store.add_episode(one, (np.array(recorder.reward, np.float32), recorder.success))
            self.store.book(activity, active_s, active_s, episode.id)
            if watched_s > active_s:
                self.store.book("watching", 0.0, watched_s - active_s, episode.id)
            if Kind.OUTCOMES in self.kinds:
                clip = Scene.unpack(episode.scenes, self._objects)
                mark = self.operator.mark(clip, generator(config.seed, Purpose.MARK, episode.id))
                events.append(Outcome(**self._event(episode.id, "mark"), episode=episode.id, success=mark))
                self.store.book("mark", MARK_S, MARK_S, episode.id)
            for event in events:
                self.store.add_feedback(event)
                if isinstance(event, Evaluation):
                    self.store.book("press", PRESS_S, PRESS_S, episode.id)
        for one, recorder in stored:
            self._ingest(one, np.array(recorder.reward, np.float32), mark)
        self.watcher.episode(episode, mark)

    def _ingest(self, episode: Episode, reward: Float32, mark: bool | None) -> None:
        failed = episode.role is Role.DEMONSTRATION and mark is False
        given = reward if self.config.reward == "task" else None
        self.learner.ingest(episode, given, imitate=not failed)

    # -- preferences ---------------------------------------------------------------------------------

    def _ask(self, online: int) -> None:
        """A round of pairs, chosen by disagreement, answered and committed before anything is learned.
        It is committed as a whole, so that a run that was killed asks it once."""
        if Kind.PREFERENCES not in self.kinds or int(self.store.meta(_ASKED) or 0) >= online:
            return
        schedule, config = self.config.schedule, self.config
        round_index = max(0, online // schedule.episodes_per_fit - 1)
        count = label_demand(round_index, schedule.pairs_first, schedule.pairs_last, schedule.pairs_decay)
        asked = self.store.queries()
        compare: Callable[[Sequence[Segment], Sequence[Segment]], NDArray[np.float64]] | None = None
        if self.learner.reward.version > 0:
            compare = self._disagreement
        queries = select_queries(
            list(self.learner.episodes.values()),
            asked,
            compare,
            count,
            config.queries,
            generator(config.seed, Purpose.QUERY, online),
            lambda left, right: derived_id(config.seed, "pair", online, left, right),
        )
        with self.store.transaction():
            for index, query in enumerate(queries):
                self._answer(query, generator(config.seed, Purpose.ANSWER, online, index), online)
            self.store.set_meta(_ASKED, str(online))

    def _answer(self, query: Query, rng: np.random.Generator, online: int) -> None:
        left, right = (self._clip(segment) for segment in (query.left, query.right))
        answer = Preference(
            **self._event(online, "answer", query.id),
            query=query.id,
            left=query.left,
            right=query.right,
            choice=self.operator.compare(left, right, rng),
            response_s=PAIR_S,
        )
        self.store.add_query(query)
        self.store.add_feedback(answer)
        self.store.book("pair", PAIR_S, PAIR_S)

    def _disagreement(self, left: Sequence[Segment], right: Sequence[Segment]) -> NDArray[np.float64]:
        return np.asarray(self.learner.reward.disagreement(left, right, self.learner.episodes))

    def _clip(self, segment: Segment) -> Scene:
        rows = self.learner.episodes[segment.episode].scenes
        return Scene.unpack(rows[segment.start + 1 : segment.start + segment.length + 1], self._objects)

    # -- going on ------------------------------------------------------------------------------------

    def marks(self) -> dict[int, bool]:
        """Episode id -> the operator's mark, of those that were marked."""
        events = self.store.feedback({Kind.OUTCOMES})
        return {event.episode: event.success for event in events if isinstance(event, Outcome)}

    def to_imitate(self) -> list[Episode]:
        """Demonstrations that were not marked as failed."""
        marks = self.marks()
        return [
            episode
            for episode in self.learner.episodes.values()
            if episode.role is Role.DEMONSTRATION and marks.get(episode.id, True)
        ]

    def _rebuild(self) -> None:
        """Take in what the store holds, then the newest checkpoint."""
        marks = self.marks()
        rewards = self.store.truth() if self.config.reward == "task" else {}
        for episode in self.store.episodes():
            reward = rewards[episode.id].task_reward if rewards else np.zeros(0, np.float32)
            self._ingest(episode, reward, marks.get(episode.id))
        saved = self.run.latest_checkpoint()
        if saved is not None:
            self.learner.load(saved)

    def close(self) -> None:
        """Let go of the physics."""
        self.env.close()
        if self._side is not None:
            self._side.close()
