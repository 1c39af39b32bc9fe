"""A headless session: simulated operator, simulated arm, learner, one after the other, as fast as it goes.

Where it stands follows from the store alone: how many demonstrations and policy episodes there are. So
going on after a kill is the same loop, entered in the middle.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from hardware.scene import Scene
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.operator import MARK_S, PAIR_S, PRESS_S, SimulatedOperator
from robot_rlhf.feedback.store import OperatorSeconds
from robot_rlhf.feedback.types import (
    Demonstration,
    Evaluation,
    EventFields,
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
from robot_rlhf.learning.device import Device
from robot_rlhf.learning.turns import Turn, next_turn
from robot_rlhf.session.environment import environment
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
from robot_rlhf.session.study import Study, Watcher
from robot_rlhf.session.worth import PRESSES_REST
from sim.env import SPEED_M_S, TaskEnv

_ASKED = "pairs_asked_at"  # the store's note of the policy episodes there were at the last round of pairs


class LockstepSession:
    """Runs a run folder's config to its end, from wherever its store says it stands, learning on `device`."""

    def __init__(self, run: RunFolder, device: Device = "cpu") -> None:
        self.run, self.config, self.store = run, run.config, run.store
        self.env = environment(self.config)
        self._side: TaskEnv | None = None
        try:
            self.study = Study(run, self.env.obs_size, self.env.axes, device)
        except BaseException:
            self.close()
            raise
        self.kinds, self.learner = self.study.kinds, self.study.learner
        self.operator = SimulatedOperator(
            self.env.task, self.config.simulated, SPEED_M_S, self.config.control_hz
        )
        self._objects = [prop.name for prop in self.env.task.props]

    # -- the whole road ------------------------------------------------------------------------------

    def complete(self, watcher: Watcher | None = None) -> None:
        """Go on until the schedule is done, telling `watcher`."""
        study, schedule = self.study, self.config.schedule
        study.watcher = watcher = watcher or Watcher()
        shows = Kind.DEMONSTRATIONS in self.kinds
        watcher.phase("demonstrations")
        while shows and study.count(Role.DEMONSTRATION) < schedule.demonstrations and not study.is_spent:
            self._demonstrate()
            watcher.caught_up()
        if self.config.policy == "clone":
            self._learn_by_cloning()
        else:
            self._learn_by_reward()
        self.save()

    def _learn_by_reward(self) -> None:
        study, watcher = self.study, self.study.watcher
        if not self.learner.begun:
            study.begin()
        while True:
            online = study.count(Role.ONLINE)
            self._fit_if_due(online)
            if study.eyes_due(online):
                study.see_anew(online)
            if study.clone_due():
                study.clone_anew()
            self._catch_up(online)
            watcher.caught_up()
            asks = bool(
                self.kinds - {Kind.DEMONSTRATIONS}
            )  # else the policy's episodes cost the operator nothing
            if online >= self.config.schedule.episodes or (asks and study.is_spent):
                return
            watcher.phase("policy drives")
            self._supervise()

    def _learn_by_cloning(self) -> None:
        """Behaviour cloning, and with takeovers HG-DAgger (Kelly et al. 2019)."""
        study, watcher, schedule = self.study, self.study.watcher, self.config.schedule
        while True:
            online = study.count(Role.ONLINE)
            if not self.learner.begun or study.eyes_due(online):
                study.open_eyes()
            if online % schedule.episodes_per_fit == 0 or not self.learner.begun:
                watcher.phase("cloning")
                self.learner.clone_again(study.driven())
                self.learner.begun = True
            watcher.caught_up()
            if online >= schedule.episodes or study.is_spent:
                return
            watcher.phase("policy drives")
            self._supervise()

    def _fit_if_due(self, online: int) -> None:
        """Ask for preferences and fit the reward model, once every few episodes."""
        if not self.study.fit_due(online):
            return
        if online > 0:
            self._ask(online)
        if self.study.fit(online) and online == 0:
            self.save()  # the next checkpoint is episodes away

    def _catch_up(self, online: int) -> None:
        """The gradient updates that the steps so far have earned."""
        owed = self.study.owed(online)
        if owed > 0:
            self.study.train(owed)
            if online % self.config.schedule.episodes_per_fit == 0:
                self.save()
                self.study.watcher.checkpoint(online)

    def save(self) -> None:
        """Write a checkpoint."""
        self.study.save(self.run.keep)

    # -- episodes ------------------------------------------------------------------------------------

    def _side_env(self) -> TaskEnv:
        if self._side is None:
            self._side = environment(self.config)
        return self._side

    def _event(self, id: int, *what: object) -> EventFields:
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
        for index in range(config.schedule.alternatives if self.study.judged else 0):
            rng = generator(config.seed, Purpose.NOISE, id, index)
            noise = 0.25 + 0.75 * index / max(1, config.schedule.alternatives - 1)
            worse = noised_replay(self._side_env(), recorder.action, seed, noise, rng)
            stored.append(self._episode(id + 1 + index, Role.COUNTERFACTUAL, seed, worse))
        alternatives = tuple(episode.id for episode, _ in stored[1:])
        said = self._event(id, "demonstration")
        events.append(Demonstration(**said, episode=id, alternatives=alternatives))
        self._commit(stored, events, "demonstration", seconds, seconds)

    def _supervise(self) -> None:
        config, id = self.config, self.store.next_episode_id()
        seed = seed_of(config.seed, Purpose.START, id)
        watches = self.operator.watches(generator(config.seed, Purpose.OPERATOR, id, 1))
        helps = watches and Kind.TAKEOVERS in self.kinds
        spent = self.store.operator_seconds_by_activity().get("takeover", OperatorSeconds(0.0, 0.0))
        may_take_over = helps and spent.active_s < config.schedule.takeover_seconds
        presses = watches and Kind.EVALUATIONS in self.kinds and self.study.judged
        presses = presses and not self.store.meta(PRESSES_REST)
        self.operator.begin(generator(config.seed, Purpose.OPERATOR, id), False, may_take_over, presses)
        turn = self._turn()
        policy, spread = self._policy(turn), self.study.spread()
        rollout = supervise(self.env, policy, self.operator, seed, turn.driver, spread)
        stored = [self._episode(id, Role.ONLINE, seed, rollout.recorder)]
        events = self._events_of(id, rollout, stored, seed, turn)
        live = self.kinds & {Kind.TAKEOVERS, Kind.EVALUATIONS, Kind.OUTCOMES}
        watched = len(rollout.recorder.action) / config.control_hz if live and watches else 0.0
        driven_s = rollout.operator_steps / config.control_hz
        self._commit(stored, events, "takeover", driven_s, watched, marks=watches)

    def _turn(self) -> Turn:
        """Who drives the next episode."""
        if self.config.policy == "clone":
            return Turn.CLONE
        return next_turn(self.study.count(Role.ONLINE), self.config.schedule.deployed_every)

    def _policy(self, turn: Turn) -> Policy:
        """That policy, from the beginning of an episode."""
        return self.learner.policy(explore=turn is Turn.EXPLORE).act

    def _events_of(
        self, id: int, rollout: Rollout, stored: list[tuple[Episode, Recorder]], seed: int, turn: Turn
    ) -> list[Feedback]:
        """Takeovers, each with the policy's counterfactual (appended to `stored`), and presses."""
        events: list[Feedback] = []
        for index, taken in enumerate(rollout.takeovers):
            side: Segment | None = None
            if self.study.judged:
                side = Segment(id + len(stored), 0, taken.length)
                recorder = counterfactual(self._side_env(), taken, self._policy(turn))
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
        marks: bool = True,
    ) -> None:
        """Everything of an episode in one transaction, then on to the learner."""
        episode, config = stored[0][0], self.config
        mark: bool | None = None
        with self.store.transaction():
            for one, recorder in stored:
                truth = np.array(recorder.reward, np.float32), recorder.success
                self.store.add_episode(one, truth, recorder.pictures)
            self.store.book(activity, active_s, active_s, episode.id)
            if watched_s > active_s:
                self.store.book("watching", 0.0, watched_s - active_s, episode.id)
            if marks and Kind.OUTCOMES in self.kinds:
                clip = Scene.unpack(episode.scenes, self._objects)
                mark = self.operator.mark(clip, generator(config.seed, Purpose.MARK, episode.id))
                events.append(Outcome(**self._event(episode.id, "mark"), episode=episode.id, success=mark))
                self.store.book("mark", MARK_S, MARK_S, episode.id)
            for event in events:
                self.store.add_feedback(event)
                if isinstance(event, Evaluation):
                    self.store.book("press", PRESS_S, PRESS_S, episode.id)
        for one, recorder in stored:
            self.study.ingest(one, np.array(recorder.reward, np.float32), mark)
        self.study.watcher.episode(episode, mark)

    # -- preferences ---------------------------------------------------------------------------------

    def _ask(self, online: int) -> None:
        """A round of pairs worth more than what watching brings, answered and committed before anything is
        learned, and whether presses are worth theirs from now on.
        It is committed as a whole, so that a run that was killed asks it once."""
        if int(self.store.meta(_ASKED) or 0) >= online:
            return
        config, study = self.config, self.study
        watching = study.worth_of_watching()
        asks = Kind.PREFERENCES in self.kinds
        queries = study.choose_pairs(online, study.demand(online), watching.worth) if asks else []
        with self.store.transaction():
            for index, query in enumerate(queries):
                self._answer(query, generator(config.seed, Purpose.ANSWER, online, index), online)
            self.store.set_meta(PRESSES_REST, study.presses_rest(online, watching))
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

    def _clip(self, segment: Segment) -> Scene:
        rows = self.learner.episodes[segment.episode].scenes
        return Scene.unpack(rows[segment.start + 1 : segment.start + segment.length + 1], self._objects)

    def close(self) -> None:
        """Let go of the physics."""
        self.env.close()
        if self._side is not None:
            self._side.close()
