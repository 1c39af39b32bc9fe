"""What consoles are shown: the moment, and how the run stands."""

from __future__ import annotations

import numpy as np

from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.episode import Role
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.course import Course
from robot_rlhf.session.desk import Desk
from robot_rlhf.session.drive import Drive
from robot_rlhf.session.learner_link import LearnerLine
from robot_rlhf.session.stream import Stream
from sim.env import TaskEnv


def moment(seq: int, now_ns: int, env: TaskEnv, drive: Drive, course: Course, trouble: str) -> m.Moment:
    """Moment number `seq`. `trouble` is shown where nothing more pressing is."""
    scene, episode = env.look(), course.episode
    applied = env.robot.read().applied
    commanded = np.zeros(3) if applied is None else applied.command.twist[:3]
    return m.Moment(
        seq=seq,
        time_ns=now_ns,
        stage=course.stage,
        phase=drive.phase,
        episode=course.shown_id,
        step=0 if episode is None else episode.steps,
        steps=0 if episode is None else episode.horizon,
        recording=episode is not None,
        driver=drive.driver,
        driving=drive.driving,
        input_seq=drive.input_seq,
        scene=scene.pack().astype("<f4").tobytes(),
        commanded_m_s=_vector(commanded),
        achieved_m_s=_vector(scene.tool_vel_m_s),
        operator_steps=0 if episode is None else episode.operator_steps,
        reward=None if episode is None else episode.reward,
        limits=() if applied is None else tuple(limit.value for limit in applied.limits),
        hold_reason=drive.reason or trouble,
    )


def _vector(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


def status(
    name: str,
    config: RunConfig,
    stream: Stream,
    desk: Desk,
    course: Course,
    learner: LearnerLine | None,
    *,
    evaluations: tuple[m.Measured, ...],
    overruns: int,
    report: str,
) -> m.Status:
    """How the run `name` stands."""
    tally = desk.tally
    return m.Status(
        demonstrations=tally.count(Role.DEMONSTRATION),
        demonstrations_planned=course.demonstrations_planned,
        episodes=tally.count(Role.ONLINE),
        episodes_planned=config.schedule.episodes if learner is not None else 0,
        pairs_waiting=len(tally.open_queries),
        marks=tally.marks,
        interventions=tally.interventions,
        evaluations=evaluations,
        counts={kind.value: count for kind, count in tally.counts.items()},
        operator_s=tally.operator_s,
        learner="there is no learner" if learner is None else learner.what,
        updates=0 if learner is None else learner.updates,
        reward_version=0 if learner is None else learner.reward_version,
        self_agreement=tally.self_agreement,
        consoles=tuple(console.name for console in stream.consoles.values()),
        overruns=overruns,
        report=report,
        run=name,
        news=desk.told,
        presses_rest=tally.presses_rest,
    )
