"""The learner of a live session, in a process of its own: reads the run's store, learns, answers.

It has one thread and never touches the arm; on the arm's machine it is niced. All that it wants written it
sends to the session.
Killed at any moment, it goes on from the store and its newest checkpoint when it is started anew.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from hardware.transport import Client, Expired, wait
from robot_rlhf.commands.onlooker import Onlooker, settle_log
from robot_rlhf.commands.train import conclude, planned_steps
from robot_rlhf.feedback import store_codec as codec
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store, StoreError
from robot_rlhf.feedback.types import Kind
from robot_rlhf.learning.checkpoint import CheckpointError
from robot_rlhf.learning.device import Device
from robot_rlhf.learning.processor import compute_with
from robot_rlhf.learning.reward_fit import FitError
from robot_rlhf.learning.snapshot import Snapshot, SnapshotError
from robot_rlhf.report.files import REPORT
from robot_rlhf.report.metrics import Candidate, MetricsLog
from robot_rlhf.report.progress import Progress
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.environment import environment
from robot_rlhf.session.evaluation import Result
from robot_rlhf.session.learner_link import ADDRESS, MAX_BYTES, SESSION, TOKEN
from robot_rlhf.session.remote.arms import arm_of
from robot_rlhf.session.remote.mirror import shared_by
from robot_rlhf.session.rollout import Recorder, TakenOver, counterfactual, noised_replay
from robot_rlhf.session.run_folder import DATABASE, RunError, RunFolder, read_config
from robot_rlhf.session.seeds import Purpose, generator
from robot_rlhf.session.study import Study
from robot_rlhf.session.worth import PRESSES_REST

NICENESS = 10
ROLLOUT_SHARE, ROLLOUT_START_S = 0.1, 5.0
"""Rollouts for takeovers may take this share of the learner's time, and so much at the beginning."""
ANSWERS_FOR_A_FIT = 5
"""So many new answers bring a fit forward."""
_BURST = 20  # gradient updates between two looks at the mail
_TOLD_EVERY_S = 5.0
_PUBLISHED_EVERY_S = 1.0
_IDLE_NS = 50_000_000


class LiveLearner:
    """One run's learner at the end of a line to its session."""

    def __init__(self, run: RunFolder, line: Client[lm.ToLearner], token: str, device: Device) -> None:
        self._run, self._config = run, run.config
        self._env = environment(run.config)
        self._study = Study(run, self._env.obs_size, self._env.axes, device)
        gc.freeze()  # a long run's episodes are here for good: no search through them shall hold up a pair
        self._line = line
        self._began = self._finishing = self._ended = self.over = False
        self._stale = self._anew = False  # there is something new in the store, or all of it is
        self._heard = True  # something since it was last asked whether the clone is to be made anew
        self._unlogged: list[Episode] = []
        self._answers = 0  # preferences since the last fit
        self._counted = run.store.counts()[Kind.PREFERENCES]
        self._number = time.monotonic_ns()  # no learner of this run has used a later one
        self._published_s = self._told_s = 0.0
        self._saved_at = -1
        self._rollout_s, self._started_s = 0.0, time.monotonic()
        self._line.send(lm.Ready(token=token, cloned=self._study.learner.begun))
        if self._study.learner.begun:
            self._publish()

    def run(self) -> None:
        """Until the session has had enough, or has died."""
        session = int(os.environ[SESSION])
        past = settle_log(self._run.path, self._study.learner)
        with MetricsLog(self._run.path) as log, Progress(planned_steps(self._config)) as progress:
            watcher = _Reporter(self._study, log, progress, past, self._note)
            watcher.line, self._study.watcher = self._line, watcher
            while not self.over and os.getppid() == session:
                busy = self._work(watcher)
                wait([self._line], time.monotonic_ns() + (0 if busy else _IDLE_NS))
                self._read_mail()

    # -- the line ----------------------------------------------------------------------------------------

    def _note(self, key: str, value: str) -> None:
        self._line.send(lm.Note(key=key, value=value))

    def _read_mail(self) -> None:
        while (got := self._line.receive()) is not None and not isinstance(got, Expired):
            match got.message:
                case lm.Stored(anew=anew):
                    self._stale = True
                    self._anew = self._anew or anew
                    self._count_answers()
                case lm.Begin():
                    self._began = True
                case lm.RollOut():
                    self._roll_out(got.message)
                case lm.Worsen():
                    self._worsen(got.message)
                case lm.MorePairs(count=count, arm=arm):
                    self._ask(count, arm=arm)
                case lm.Finish():
                    self._finishing = True
                case lm.Quit():
                    self._save()
                    _deliver(self._line)
                    self.over = True
                case lm.Heard():
                    pass

    def _count_answers(self) -> None:
        answered = self._run.store.counts()[Kind.PREFERENCES]
        self._answers += max(0, answered - self._counted)
        self._counted = answered

    def _take_in(self) -> None:
        """What was stored since the last time."""
        study, store = self._study, self._run.store
        known = study.learner.episodes.keys() | store.removed()
        fresh = [id for id in store.episode_steps() if id not in known]
        if self._anew:
            study.rebuild()
        else:
            study.take_in(fresh)
        taken_in = (study.learner.episodes[id] for id in fresh if id in study.learner.episodes)
        self._unlogged += [episode for episode in taken_in if episode.role is not Role.COUNTERFACTUAL]
        self._log_episodes()
        self._heard = True
        self._stale = self._anew = False

    def _log_episodes(self, at_the_end: bool = False) -> None:
        """Log the episodes that have their marks, and those that another has followed: a mark that has not
        come by then does not come."""
        marks = self._study.marks()
        waiting: list[Episode] = []
        for index, episode in enumerate(self._unlogged):
            if at_the_end or episode.id in marks or index + 1 < len(self._unlogged):
                self._study.watcher.episode(episode, marks.get(episode.id))
            else:
                waiting.append(episode)
        self._unlogged = waiting

    def _publish(self) -> None:
        self._number += 1
        made_ns = time.time_ns()
        data = self._study.learner.snapshot().to_bytes()
        self._line.send(lm.Policy(number=self._number, data=data, made_ns=made_ns))
        self._published_s = time.monotonic()

    def _save(self) -> None:
        def enter(step: int, path: Path) -> None:
            self._line.request(lm.Written(step=step, name=f"{path.parent.name}/{path.name}"))

        self._study.save(enter)

    # -- learning ----------------------------------------------------------------------------------------

    def _work(self, watcher: _Reporter) -> bool:
        """Do a little of what is due; whether there is more."""
        study = self._study
        if self._stale:
            self._take_in()
        if self._ended:
            return False
        if not self._began:
            watcher.idle("waiting for demonstrations")
            return False
        online = study.count(Role.ONLINE)
        if not study.learner.begun:
            study.begin()
            self._publish()
            return True
        if study.eyes_due(online):
            study.see_anew(online)
            self._publish()
            return True
        if self._heard and study.clone_due():
            study.clone_anew()
            self._publish()
            return True
        self._heard = False
        enough = self._answers >= ANSWERS_FOR_A_FIT and study.learner.fitted_at >= 0
        if study.judged and (study.fit_due(online) or enough):
            self._answers, watching = 0, study.worth_of_watching()
            if study.fit(online):
                self._note(PRESSES_REST, study.presses_rest(online, watching))
                self._save()
                self._publish()
                arms: list[int | None] = [*shared_by(self._run.store)] or [None]
                for arm in arms:
                    self._ask(-(-study.demand(online) // len(arms)) if online else 0, watching.worth, arm)
                return True
        owed = study.owed(online)
        if owed > 0:
            now = time.monotonic()
            tell = now - self._told_s > _TOLD_EVERY_S or owed <= _BURST
            self._told_s = now if tell else self._told_s
            study.train(min(owed, _BURST), tell=tell)
            if now - self._published_s > _PUBLISHED_EVERY_S or owed <= _BURST:
                self._publish()
                watcher.tell()
            return True
        if online % self._config.schedule.episodes_per_fit == 0 and online > self._saved_at:
            self._saved_at = online
            self._save()
            if online and not self._finishing:
                watcher.checkpoint(online)
        if self._finishing:
            self._save()
            self._log_episodes(at_the_end=True)
            conclude(study, watcher, self._note)
            self._line.request(lm.Ended(report=str(self._run.path / REPORT)))
            self._ended = True
            watcher.idle("finished")
            return False
        watcher.idle("waiting for the next episode")
        return False

    def _ask(self, count: int, worth: float = 0.0, arm: int | None = None) -> None:
        """Choose pairs, so that `count` are open where that many are worth `worth` nats a second; where
        several arms are learned from, those of episodes of `arm`, whose operator sees no others."""

        def is_seen(episode: int) -> bool:
            return arm is None or arm_of(episode) == arm

        waiting = self._run.store.queries(answered=False)
        open_now = sum(is_seen(query.left.episode) for query in waiting)
        online = self._study.count(Role.ONLINE)
        if count <= open_now or online == 0 or self._study.learner.reward.version == 0:
            return
        queries = self._study.choose_pairs(online, count - open_now, worth, is_seen)
        self._line.send(lm.Asked(queries=tuple(queries)))

    # -- rollouts ----------------------------------------------------------------------------------------

    def _roll_out(self, job: lm.RollOut) -> None:
        """What the policy of that moment would have done; nothing where the budget is spent."""
        began, snapshot = time.monotonic(), None
        if self._rollout_s <= ROLLOUT_START_S + ROLLOUT_SHARE * (began - self._started_s):
            with contextlib.suppress(SnapshotError):  # a session elsewhere sent what is none
                snapshot = Snapshot.from_bytes(job.policy)
        if snapshot is None:
            self._line.request(lm.RolledOut(job=job.job, episodes=(), truths=()))
            return
        rng = generator(self._config.seed, Purpose.EXPLORE, job.episode) if job.explores else None
        moment = TakenOver(0, job.length, job.state)
        acting = snapshot.begin(rng)
        recorder = counterfactual(
            self._env, moment, lambda obs, pictures: acting.act(snapshot.observe(obs, pictures))
        )
        self._answer(job.job, [(job.episode, job.seed, recorder)], snapshot.version)
        self._rollout_s += time.monotonic() - began

    def _worsen(self, job: lm.Worsen) -> None:
        shown = self._run.store.episode(job.demonstration)
        worse = []
        for index, id in enumerate(job.episodes):
            rng = generator(self._config.seed, Purpose.NOISE, shown.id, index)
            noise = 0.25 + 0.75 * index / max(1, len(job.episodes) - 1)
            recorder = noised_replay(self._env, shown.action, shown.seed, noise, rng)
            worse.append((id, shown.seed, recorder))
        self._answer(job.job, worse, version=0)

    def _answer(self, job: int, rolled: list[tuple[int, int, Recorder]], version: int) -> None:
        episodes = [
            recorder.episode(id, Role.COUNTERFACTUAL, self._config.task, seed, version)
            for id, seed, recorder in rolled
        ]
        truths = [
            (codec.reward_bytes(np.array(recorder.reward, np.float32), episode), recorder.success)
            for (_, _, recorder), episode in zip(rolled, episodes, strict=True)
        ]
        packed = tuple(codec.encode_episode(episode) for episode in episodes)
        seen = tuple(
            {
                camera: codec.pictures_bytes(frames, episode.id, camera, episode.length + 1)
                for camera, frames in recorder.pictures.items()
            }
            for (_, _, recorder), episode in zip(rolled, episodes, strict=True)
        )
        self._line.request(lm.RolledOut(job=job, episodes=packed, truths=tuple(truths), pictures=seen))

    def close(self) -> None:
        """Let go of the physics."""
        self._env.close()


class _Reporter(Onlooker):
    """An onlooker that also tells the session, for its consoles."""

    line: Client[lm.ToLearner]

    def phase(self, name: str) -> None:
        super().phase(name)
        self.tell()

    def idle(self, what: str) -> None:
        """There is nothing to do, and why."""
        if what != self.doing:
            self.phase(what)

    def tell(self) -> None:
        """What the learner is about."""
        learner = self.study.learner
        self.line.send(
            lm.Doing(what=self.doing, updates=learner.updates, reward_version=learner.reward.version)
        )

    def record(self, who: Candidate, result: Result, final: bool) -> None:
        super().record(who, result, final)
        if who == "policy":
            online = self.study.count(Role.ONLINE)
            self.line.send(
                lm.Evaluated(
                    after=online, successes=result.succeeded, episodes=len(result.successes), final=final
                )
            )


def _deliver(line: Client[lm.ToLearner]) -> None:
    """Wait until all that must arrive has, for 5 s at most."""
    deadline_ns = time.monotonic_ns() + 5_000_000_000
    while line.pending and time.monotonic_ns() < deadline_ns:
        wait([line], deadline_ns)
        line.receive()


def main() -> int:
    """`python -m robot_rlhf.commands.live_learner RUN [cuda] [apart]`, started by a live session, or for one
    apart from it, where there is no arm that would have to wait."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the session's to handle; it tells us
    device: Device = "cuda" if "cuda" in sys.argv[2:] else "cpu"
    if "apart" not in sys.argv[2:]:
        os.nice(NICENESS)
    path, address, token = Path(sys.argv[1]), os.environ[ADDRESS], os.environ[TOKEN]
    line: Client[lm.ToLearner] = Client(
        address, lm.ToLearner, security=None, max_bytes=MAX_BYTES, max_send_bytes=MAX_BYTES, hwm=1000
    )
    try:
        config = read_config(path)
        compute_with(config.threads)
        with Store.open_readonly(path / DATABASE) as store:
            learner = LiveLearner(RunFolder(path, config, store), line, token, device)
            try:
                learner.run()
            finally:
                learner.close()
    except (RunError, StoreError, CheckpointError, FitError, FloatingPointError) as error:
        line.request(lm.Failed(reason=f"the learner cannot go on: {error}"))
        _deliver(line)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
