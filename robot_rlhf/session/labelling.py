"""Judging a run that is over: pairs and episodes at the end of the same wire, by several people at once, and
no robot."""

from __future__ import annotations

import time

import numpy as np

from hardware.appearance import SceneDescription
from hardware.transport import wait
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.messages import Phase, Stage, Wish
from robot_rlhf.feedback.types import Query
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.desk import Answer, Desk
from robot_rlhf.session.stream import Console, Stream
from sim.env import SPEED_M_S
from sim.task import make_task

_MOMENT_NS = 100_000_000
_STATUS_NS = 500_000_000


class LabelSession:
    """Serves one run's pairs and episodes until `over`. `row` is the scene that the Drive screen shows."""

    def __init__(
        self,
        config: RunConfig,
        description: SceneDescription,
        stream: Stream,
        desk: Desk,
        *,
        name: str,
        row: np.ndarray,
        queries: tuple[Query, ...],
    ) -> None:
        self.config, self.stream, self.desk, self.name = config, stream, desk, name
        self.stage, self.over = Stage.LABELLING, False
        self._description, self._row = description, row
        self._finished: set[str] = set()  # the consoles that have said so
        self._seq = 0
        self._moment_ns = self._status_ns = 0
        desk.add_queries(queries)

    def step(self) -> None:
        """Wait for what comes next, and handle it."""
        wait(self.stream.endpoints, time.monotonic_ns() + _MOMENT_NS // 2)
        self.stream.service(self)
        self.desk.settle()
        now = time.monotonic_ns()
        if now - self._moment_ns >= _MOMENT_NS:
            self._moment_ns = now
            self.stream.publish(self._moment())
        if now - self._status_ns >= _STATUS_NS:
            self._status_ns = now
            self.stream.publish(self.status())

    def welcome(self, console: Console) -> m.Welcome | m.Refused:
        if not self.desk.ready:
            return m.Refused(reason="the run is still being read; it is ready in a moment")
        task = make_task(self.config.task)
        drive_port, stop_port, watch_port = self.stream.ports
        return m.Welcome(
            console=console.token,
            instance=self.stream.instance,
            session=self.name,
            task=self.config.task,
            goal=task.goal,
            description=self._description,
            objects=tuple(prop.name for prop in task.props),
            uses_gripper=task.uses_gripper,
            control_hz=self.config.control_hz,
            full_speed_m_s=SPEED_M_S,
            drive_port=drive_port,
            stop_port=stop_port,
            watch_port=watch_port,
            latch_allowed=False,
            moment=self._moment(),
            status=self.status(),
            news=tuple(self.desk.news),
        )

    def gone(self, console: Console) -> None:
        self.desk.gone(console)
        self._finished.discard(console.token)
        self._conclude()

    def hands(self, console: Console, hands: m.Hands) -> None:
        """There is nothing to drive."""

    def stop(self, who: str) -> None:
        """Nothing moves."""

    def request(self, console: Console, message: m.FromConsole, answer: Answer) -> None:
        if not isinstance(message, m.Do):
            self.desk.request(console, message, answer)
        elif message.wish is Wish.FINISH:
            self._finished.add(console.token)
            self._conclude()
            answer(m.Granted())
        else:
            answer(m.Refused(reason="no robot runs here: compare clips, and mark episodes"))

    def _conclude(self) -> None:
        """It is over when everybody who judges has said so."""
        judging = {one.token for one in self.stream.consoles.values() if one.speaks}
        if self._finished and judging <= self._finished:
            self.over = True
        elif self._finished:
            self.desk.tell(f"{len(self._finished)} of {len(judging)} have finished")

    def _moment(self) -> m.Moment:
        self._seq += 1
        still = (0.0, 0.0, 0.0)
        return m.Moment(
            seq=self._seq,
            time_ns=time.monotonic_ns(),
            stage=self.stage,
            phase=Phase.HOLD,
            episode=-1,
            step=0,
            steps=0,
            recording=False,
            driver="",
            driving="",
            input_seq=0,
            scene=self._row.astype("<f4").tobytes(),
            commanded_m_s=still,
            achieved_m_s=still,
            operator_steps=0,
            reward=None,
            limits=(),
            hold_reason="no robot runs: pairs and episodes are judged",
        )

    def status(self) -> m.Status:
        """How many there are, and how many wait."""
        tally = self.desk.tally
        shown, online = tally.count(Role.DEMONSTRATION), tally.count(Role.ONLINE)
        return m.Status(
            demonstrations=shown,
            demonstrations_planned=shown,
            episodes=online,
            episodes_planned=online,
            pairs_waiting=len(tally.open_queries),
            marks=tally.marks,
            interventions=tally.interventions,
            evaluations=(),
            counts={kind.value: count for kind, count in tally.counts.items()},
            operator_s=tally.operator_s,
            learner="there is no learner",
            updates=0,
            reward_version=0,
            self_agreement=tally.self_agreement,
            consoles=tuple(console.name for console in self.stream.consoles.values()),
            overruns=0,
            report="",
            run=self.name,
            news=self.desk.told,
        )

    def close(self) -> None:
        """Finish writing; twice is fine."""
        self.desk.close()
        self.stream.close()
