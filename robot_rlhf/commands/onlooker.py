"""Looks on while a session runs: metrics, progress, and evaluations that the learner never sees."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.learning.reward_model import FitReport
from robot_rlhf.learning.sac import Metrics
from robot_rlhf.report.metrics import (
    Candidate,
    EpisodeEnded,
    Evaluated,
    Event,
    MetricsLog,
    Moment,
    RewardFitted,
    SacUpdated,
    keep_lines,
    read_events,
)
from robot_rlhf.report.progress import Progress
from robot_rlhf.report.summary import RewardSummary
from robot_rlhf.session.environment import environment
from robot_rlhf.session.evaluation import Result, evaluate
from robot_rlhf.session.learner import Learner
from robot_rlhf.session.run_folder import RunError
from robot_rlhf.session.study import Study, Watcher
from sim.env import TaskEnv

WALL = "wall_seconds"
"""The store's note of how long the run has taken, over all its resumes."""
_CURVE_STREAM = 1  # evaluation starts of the learning curve; the final evaluation's are stream 0


def settle_log(run: Path, learner: Learner) -> list[tuple[Moment, Event]]:
    """What the log of the run at `run` holds, once it agrees with `learner`, its newest checkpoint.

    A run that was killed learns again what its checkpoint did not hold yet, and evaluates itself again at
    the end, so those lines are taken out. Episodes stay, since they are stored. Raises RunError for a log
    that cannot be read.
    """
    try:
        events = list(read_events(run))
    except ValueError as error:
        raise RunError(str(error)) from error
    keep, known = [], True
    for _, event in events:
        if isinstance(event, RewardFitted):
            known = known and event.version <= learner.reward.version
        elif isinstance(event, SacUpdated):
            known = known and event.updates <= learner.updates
        final = isinstance(event, Evaluated) and event.final
        keep.append(isinstance(event, EpisodeEnded) or (known and not final))
    keep_lines(run, keep)
    return [event for event, stays in zip(events, keep, strict=True) if stays]


class Onlooker(Watcher):
    """Writes metrics, shows progress, evaluates for the learning curve. The learner sees nothing of it."""

    def __init__(
        self,
        study: Study,
        log: MetricsLog,
        progress: Progress,
        past: Sequence[tuple[Moment, Event]],
        note: Callable[[str, str], None],
    ) -> None:
        """`past` is what the log holds of the run before a resume; `note` writes or replaces a note of the
        store's."""
        self.study, self.log, self.progress, self._note = study, log, progress, note
        self.reward: RewardSummary | None = None
        self._began = time.perf_counter() - float(study.store.meta(WALL) or 0.0)
        self._marks: deque[bool] = deque(maxlen=20)
        self._evaluated_s = 0.0  # operator seconds at the curve's last point
        self.doing = "starting"
        """The part of the work that runs."""
        self._env: TaskEnv | None = None
        self._take_up(past)

    def _take_up(self, past: Sequence[tuple[Moment, Event]]) -> None:
        """Go on where the log stops. An episode that a kill left stored but not logged is logged now."""
        logged = set()
        for moment, event in past:
            if isinstance(event, RewardFitted):
                self.reward = _summarised(event)
            elif isinstance(event, Evaluated) and event.policy == "policy":
                self._evaluated_s = moment.operator_seconds
            elif isinstance(event, EpisodeEnded):
                logged.add(event.episode)
                if event.success_mark is not None and event.role is Role.ONLINE:
                    self._marks.append(event.success_mark)
        marks = self.study.marks()
        for episode in self.study.learner.episodes.values():
            if episode.role is not Role.COUNTERFACTUAL and episode.id not in logged:
                self.episode(episode, marks.get(episode.id))

    def wall_seconds(self) -> float:
        """Seconds of work so far, those before a resume included."""
        return time.perf_counter() - self._began

    def _write(self, event: Event) -> None:
        """Log what happened now. The time is noted first, so that no line is ahead of the note."""
        moment = self.moment()
        self._note(WALL, repr(moment.wall_seconds))
        self.log.write(moment, event)

    def moment(self) -> Moment:
        study = self.study
        booked = study.store.operator_seconds()
        return Moment(
            environment_steps=study.environment_steps,
            operator_seconds=booked.active_s,
            attended_seconds=booked.attended_s,
            wall_seconds=self.wall_seconds(),
        )

    def phase(self, name: str) -> None:
        self.doing = name
        self._show()

    def _show(self) -> None:
        study = self.study
        rate = sum(self._marks) / len(self._marks) if self._marks else None
        self.progress.update(
            study.environment_steps,
            study.store.operator_seconds().active_s,
            rate,
            self.doing,
            study.store.counts(),
        )

    def episode(self, episode: Episode, mark: bool | None) -> None:
        if mark is not None and episode.role is Role.ONLINE:
            self._marks.append(mark)
        self._write(
            EpisodeEnded(
                episode=episode.id,
                role=episode.role,
                length=episode.length,
                success_mark=mark,
                operator_fraction=float(episode.operator_steps.mean()),
            )
        )
        self._show()

    def fitted(self, report: FitReport) -> None:
        event = msgspec.convert(report, RewardFitted, from_attributes=True)
        self.reward = _summarised(event)
        self._write(event)

    def trained(self, metrics: Metrics, updates: int, seconds: float) -> None:
        self._write(
            SacUpdated(
                updates=self.study.learner.updates,
                critic_loss=metrics.get("critic_loss"),
                actor_loss=metrics.get("actor_loss"),
                bc_loss=metrics.get("bc_loss"),
                alpha=metrics.get("temperature"),
                entropy=metrics.get("entropy"),
                q_mean=metrics.get("q_mean"),
                q_std=metrics.get("q_spread"),
                updates_per_second=updates / max(seconds, 1e-9),
            )
        )

    def checkpoint(self, online: int) -> None:
        schedule = self.study.config.schedule
        if schedule.evaluate_every and online % schedule.evaluate_every == 0 and online < schedule.episodes:
            self.evaluate_now(schedule.evaluation_episodes, final=False, stream=_CURVE_STREAM + online)

    def caught_up(self) -> None:
        schedule, active_s = self.study.config.schedule, self.study.store.operator_seconds().active_s
        due = [at for at in schedule.evaluate_at if self._evaluated_s < at <= active_s]
        if due:
            self._evaluated_s = due[-1]
            self.evaluate_now(schedule.evaluation_episodes, final=False, stream=_CURVE_STREAM)

    def evaluate_now(self, episodes: int, final: bool, stream: int) -> Result:
        """Evaluate the policy as it is and log it. On a served arm nobody lays out fresh starts: there the
        newest episodes count that it drove alone, by their operator's marks; there may be none."""
        study = self.study
        if study.config.robot:
            judged = study.judged_alone(episodes)
            result = Result(tuple(mark for mark, _ in judged), tuple(length for _, length in judged))
            if judged:
                self.record("policy", result, final)
            return result
        if self._env is None:
            self._env = environment(study.config, end_on_success=True)
        self.phase("evaluating")
        result = evaluate(self._env, study.deployed(), episodes, study.config.seed, stream)
        self.record("policy", result, final)
        return result

    def record(self, who: Candidate, result: Result, final: bool) -> None:
        """Log an evaluation."""
        self._write(
            Evaluated(
                policy=who,
                episodes=len(result.successes),
                successes=result.succeeded,
                mean_length=result.mean_length,
                final=final,
            )
        )


def _summarised(fit: RewardFitted) -> RewardSummary:
    held = fit.heldout
    return RewardSummary(accuracy=held.accuracy, nll=held.nll, calibration_error=held.calibration_error)
