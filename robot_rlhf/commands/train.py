"""`train` and `demo --headless`: run the session to its end, evaluate once, leave a report."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

import torch

from robot_rlhf.commands.candidates import Candidates
from robot_rlhf.commands.report import write_run_report
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.learning.reward_model import FitReport
from robot_rlhf.report.metrics import (
    EpisodeEnded,
    Evaluated,
    HeldOut,
    KindFit,
    MetricsLog,
    Moment,
    RewardFitted,
    SacUpdated,
)
from robot_rlhf.report.progress import Progress
from robot_rlhf.report.statistics import wilson
from robot_rlhf.report.summary import RewardSummary, Summary, installed_versions, read_summary, write_summary
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.evaluation import Plain, Result, evaluate
from robot_rlhf.session.lockstep import LockstepSession, Watcher
from robot_rlhf.session.run_folder import RunFolder
from sim.env import TaskEnv

_WALL = "wall_seconds"
_CURVE_STREAM = 1  # evaluation starts of the learning curve; the final evaluation's are stream 0


class Onlooker(Watcher):
    """Writes metrics, shows progress, evaluates for the learning curve. The learner sees nothing of it."""

    def __init__(self, log: MetricsLog, progress: Progress, began: float) -> None:
        self.log, self.progress, self.began = log, progress, began
        self.session: LockstepSession | None = None
        self.reward: RewardSummary | None = None
        self._marks: deque[bool] = deque(maxlen=20)
        self._phase = "starting"
        self._env: TaskEnv | None = None

    def _session(self) -> LockstepSession:
        if self.session is None:
            raise RuntimeError("an onlooker needs its session before the session runs")
        return self.session

    def wall_seconds(self) -> float:
        """Seconds of work so far, those before a resume included."""
        return time.perf_counter() - self.began

    def moment(self) -> Moment:
        session = self._session()
        booked = session.store.operator_seconds()
        return Moment(
            environment_steps=session.environment_steps,
            operator_seconds=booked.active_s,
            attended_seconds=booked.attended_s,
            wall_seconds=self.wall_seconds(),
        )

    def phase(self, name: str) -> None:
        self._phase = name
        self._show()

    def _show(self) -> None:
        session = self._session()
        rate = sum(self._marks) / len(self._marks) if self._marks else None
        self.progress.update(
            session.environment_steps,
            session.store.operator_seconds().active_s,
            rate,
            self._phase,
            session.store.counts(),
        )

    def episode(self, episode: Episode, mark: bool | None) -> None:
        if mark is not None and episode.role is Role.ONLINE:
            self._marks.append(mark)
        self.log.write(
            self.moment(),
            EpisodeEnded(
                episode=episode.id,
                role=episode.role,
                length=episode.length,
                success_mark=mark,
                operator_fraction=float(episode.operator_steps.mean()),
            ),
        )
        self._session().store.set_meta(_WALL, repr(self.wall_seconds()))
        self._show()

    def fitted(self, report: FitReport) -> None:
        held = report.heldout
        self.reward = RewardSummary(
            accuracy=held.accuracy, nll=held.nll, calibration_error=held.calibration_error
        )
        kinds = {
            kind: KindFit(
                count=one.count,
                nll=one.nll,
                accuracy=one.accuracy,
                calibration_error=one.calibration_error,
            )
            for kind, one in report.kinds.items()
        }
        self.log.write(
            self.moment(),
            RewardFitted(
                version=report.version,
                train_nll=report.train_nll,
                steps=report.steps,
                seconds=report.seconds,
                kinds=kinds,
                heldout=HeldOut(
                    nll=held.nll,
                    accuracy=held.accuracy,
                    calibration_error=held.calibration_error,
                    calibration=tuple(held.calibration),
                ),
            ),
        )

    def trained(self, metrics: dict[str, float], updates: int, seconds: float) -> None:
        session = self._session()
        self.log.write(
            self.moment(),
            SacUpdated(
                updates=session.learner.sac.updates,
                critic_loss=metrics.get("critic_loss"),
                actor_loss=metrics.get("actor_loss"),
                bc_loss=metrics.get("bc_loss"),
                alpha=metrics.get("temperature"),
                entropy=metrics.get("entropy"),
                q_mean=metrics.get("q_mean"),
                q_std=metrics.get("q_spread"),
                updates_per_second=updates / max(seconds, 1e-9),
            ),
        )

    def checkpoint(self, online: int) -> None:
        schedule = self._session().config.schedule
        if schedule.evaluate_every and online % schedule.evaluate_every == 0 and online < schedule.episodes:
            self.evaluate_now(schedule.evaluation_episodes, final=False, stream=_CURVE_STREAM + online)

    def evaluate_now(self, episodes: int, final: bool, stream: int) -> Result:
        """Evaluate the policy as it is and log it."""
        session = self._session()
        if self._env is None:
            self._env = TaskEnv(session.config.task, session.config.control_hz, end_on_success=True)
        self.phase("evaluating")
        sac = session.learner.sac
        actor = Plain(lambda obs: sac.act(obs, deterministic=True, averaged=True))
        result = evaluate(self._env, actor, episodes, session.config.seed, stream)
        self.record("policy", result, final)
        return result

    def record(self, who: str, result: Result, final: bool) -> None:
        """Log an evaluation."""
        self.log.write(
            self.moment(),
            Evaluated(
                policy=who,  # type: ignore[arg-type]
                episodes=len(result.successes),
                successes=result.succeeded,
                mean_length=result.mean_length,
                final=final,
            ),
        )


def train(run: RunFolder) -> Summary:
    """Go on with `run` to its end. Interrupting it (KeyboardInterrupt) leaves a run that resumes."""
    config = run.config
    torch.set_num_threads(config.threads)
    before = float(run.store.meta(_WALL) or 0.0)
    horizon = round(10 * config.control_hz)
    total = (config.schedule.demonstrations + config.schedule.episodes) * horizon
    began = time.perf_counter() - before
    with MetricsLog(run.path) as log, Progress(total) as progress:
        watcher = Onlooker(log, progress, began)
        session = _attached(run, watcher)
        try:
            session.complete()
            result = watcher.evaluate_now(config.schedule.final_episodes, final=True, stream=0)
            wall_seconds = watcher.wall_seconds()
            run.store.set_meta(_WALL, repr(wall_seconds))
            watcher.phase("comparing with cloning")
            for who, clone in Candidates(session).evaluated(config.schedule.final_episodes):
                watcher.record(who, clone, final=True)
            summary = _summary(session, watcher, result, wall_seconds)
        except KeyboardInterrupt:
            session.save()
            raise
        finally:
            session.close()
    write_summary(run.path, summary)
    write_run_report(run.path)
    return summary


def _attached(run: RunFolder, watcher: Onlooker) -> LockstepSession:
    session = LockstepSession(run, watcher)
    watcher.session = session
    return session


def _summary(session: LockstepSession, watcher: Onlooker, result: Result, wall_seconds: float) -> Summary:
    low, high = wilson(result.succeeded, len(result.successes))
    booked = session.store.operator_seconds()
    return Summary(
        task=session.config.task,
        seed=session.config.seed,
        success_rate=result.success_rate,
        wilson_low=low,
        wilson_high=high,
        episodes=len(result.successes),
        environment_steps=session.environment_steps,
        operator_seconds=booked.active_s,
        attended_seconds=booked.attended_s,
        wall_seconds=wall_seconds,
        feedback=session.store.counts(),
        reward_model=watcher.reward,
        versions=installed_versions(),
    )


def finished(path: Path) -> Summary | None:
    """The summary of the run at `path` when it has ended."""
    return read_summary(path)


def defaults(task: str) -> RunConfig:
    """The config that a task is trained with unless told otherwise."""
    return RunConfig(task=task)
