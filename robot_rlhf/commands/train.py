"""`train` and `demo --headless`: run the session to its end, evaluate once, leave a report."""

from __future__ import annotations

import torch

from robot_rlhf.commands.candidates import Candidates
from robot_rlhf.commands.onlooker import WALL, Onlooker, settle_log
from robot_rlhf.commands.report import write_run_report
from robot_rlhf.report.metrics import MetricsLog
from robot_rlhf.report.progress import Progress
from robot_rlhf.report.statistics import wilson
from robot_rlhf.report.summary import Summary, installed_versions, write_summary
from robot_rlhf.session.evaluation import Result
from robot_rlhf.session.lockstep import LockstepSession
from robot_rlhf.session.run_folder import RunFolder
from sim.task import make_task


def train(run: RunFolder) -> Summary:
    """Go on with `run` to its end.

    It may be interrupted or killed at any moment: all that was said is in the store, the learner goes on
    from its newest checkpoint, and the updates since then are owed. A run that has a summary is finished;
    its report can be written again at any time.
    """
    config = run.config
    torch.set_num_threads(config.threads)
    horizon = round(make_task(config.task).horizon_s * config.control_hz)
    total = (config.schedule.demonstrations + config.schedule.episodes) * horizon
    session = LockstepSession(run)
    try:
        past = settle_log(run.path, session.learner)
        with MetricsLog(run.path) as log, Progress(total) as progress:
            watcher = Onlooker(session, log, progress, past)
            session.complete(watcher)
            result = watcher.evaluate_now(config.schedule.final_episodes, final=True, stream=0)
            wall_seconds = watcher.wall_seconds()
            run.store.set_meta(WALL, repr(wall_seconds))
            if config.schedule.compare_with_cloning:
                watcher.phase("comparing with cloning")
                for who, clone in Candidates(session).evaluated(config.schedule.final_episodes):
                    watcher.record(who, clone, final=True)
        summary = _summary(session, watcher, result, wall_seconds)
    finally:
        session.close()
    write_summary(run.path, summary)
    write_run_report(run.path)
    return summary


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
