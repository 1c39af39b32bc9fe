"""`train` and `demo` in lockstep: run the session to its end, evaluate once, leave a report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from robot_rlhf.commands.candidates import evaluate_clone
from robot_rlhf.commands.onlooker import WALL, Onlooker, settle_log
from robot_rlhf.commands.report import write_run_report
from robot_rlhf.commands.summaries import summary_of
from robot_rlhf.feedback.store import StoreError
from robot_rlhf.learning.device import Device
from robot_rlhf.learning.processor import compute_with
from robot_rlhf.report.metrics import MetricsLog
from robot_rlhf.report.progress import Progress
from robot_rlhf.report.statistics import wilson
from robot_rlhf.report.summary import Summary, installed_versions, write_summary
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.evaluation import Result
from robot_rlhf.session.lockstep import LockstepSession
from robot_rlhf.session.run_folder import RunFolder
from robot_rlhf.session.study import Study
from sim.task import make_task

_LOCKED_S = 30.0
"""A worker of a cluster that was cut off may hold its run for some moments after another has its task."""


def train(run: RunFolder, progress_to: TextIO | None = None, device: Device = "cpu") -> Summary:
    """Go on with `run` to its end, showing progress on standard error unless told otherwise.

    It may be interrupted or killed at any moment: all that was said is in the store, the learner goes on
    from its newest checkpoint, and the updates since then are owed. A run that has a summary is finished;
    its report can be written again at any time.
    """
    compute_with(run.config.threads)
    session = LockstepSession(run, device)
    try:
        past = settle_log(run.path, session.learner)
        with MetricsLog(run.path) as log, Progress(planned_steps(run.config), progress_to) as progress:
            watcher = Onlooker(session.study, log, progress, past, run.store.set_meta)
            session.complete(watcher)
            return conclude(session.study, watcher, run.store.set_meta)
    finally:
        session.close()


def bring_to_end(path: Path, settings: RunConfig, progress_to: TextIO | None = None) -> Summary:
    """The summary of the run at `path`, which is begun with `settings` or gone on with where it has none yet.

    Raises RunError, StoreError or CheckpointError for a folder that is not in order, and FitError or
    FloatingPointError for a run that cannot go on.
    """
    if RunFolder.is_begun(path):
        summary = summary_of(path)
        if summary is not None:
            return summary
    with contextlib.closing(_opened(path, settings)) as run:
        return train(run, progress_to)


def _opened(path: Path, settings: RunConfig) -> RunFolder:
    if not RunFolder.is_begun(path):
        return RunFolder.create(path, settings)
    since = time.monotonic()
    while True:
        try:
            return RunFolder.open(path)
        except StoreError as error:
            locked = "locked" in str(error.__cause__)
            if not locked or time.monotonic() - since > _LOCKED_S:
                raise
        time.sleep(0.5)


def planned_steps(config: RunConfig) -> int:
    """Steps of the arm that a run's schedule asks for at most."""
    horizon = round(make_task(config.task).horizon_s * config.control_hz)
    return (config.schedule.demonstrations + config.schedule.episodes) * horizon


def conclude(study: Study, watcher: Onlooker, note: Callable[[str, str], None]) -> Summary:
    """The end of a run whose schedule is done: evaluate the policy and, beside it, what cloning alone makes
    of the demonstrations; write the summary, then the report."""
    schedule = study.config.schedule
    result = watcher.evaluate_now(schedule.final_episodes, final=True, stream=0)
    wall_seconds = watcher.wall_seconds()
    note(WALL, repr(wall_seconds))
    if schedule.compare_with_cloning and not study.config.robot:
        watcher.phase("comparing with cloning")
        clone = evaluate_clone(study, schedule.final_episodes)
        if clone is not None:
            watcher.record("clone", clone, final=True)
    summary = _summary(study, watcher, result, wall_seconds)
    write_summary(study.run.path, summary)
    watcher.phase("writing the report")
    write_run_report(study.run.path)
    return summary


def _summary(study: Study, watcher: Onlooker, result: Result, wall_seconds: float) -> Summary:
    low, high = wilson(result.succeeded, len(result.successes))
    booked = study.store.operator_seconds()
    return Summary(
        task=study.config.task,
        seed=study.config.seed,
        success_rate=result.success_rate,
        wilson_low=low,
        wilson_high=high,
        episodes=len(result.successes),
        environment_steps=study.environment_steps,
        operator_seconds=booked.active_s,
        attended_seconds=booked.attended_s,
        wall_seconds=wall_seconds,
        feedback=study.store.counts(),
        reward_model=watcher.reward,
        versions=installed_versions(),
        judged_by="operator" if study.config.robot else "task",
    )
