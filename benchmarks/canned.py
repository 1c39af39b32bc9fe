"""A session that is not there: what a console would have heard of one, for pictures and measurements.

The scenes are real, two episodes of pick_cube by a scripted operator, one of them with a careless hand;
the numbers around them are made up.
"""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from hardware.appearance import SceneDescription
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.hands import HandsConfig
from robot_rlhf.feedback.link import Report
from robot_rlhf.feedback.operator import OperatorConfig, SimulatedOperator
from robot_rlhf.feedback.types import Choice, OperatorInput, Query, Segment
from robot_rlhf.session.rollout import demonstrate
from sim.description import describe
from sim.env import SPEED_M_S, TaskEnv

Rows = NDArray[np.float32]
CLIP_STEPS = 25


@dataclass(frozen=True, eq=False)
class Footage:
    """A scene description and two episodes (steps, k): a good one and a careless one."""

    description: SceneDescription
    good: Rows
    careless: Rows
    hz: float


def film() -> Footage:
    """Record the episodes; takes a few seconds."""
    env = TaskEnv("pick_cube")
    episodes = []
    for config, seed in (
        (OperatorConfig(kind="ideal"), 3),
        (OperatorConfig(hands=HandsConfig()), 11),
    ):
        operator = SimulatedOperator(env.task, config, SPEED_M_S, env.control_hz)
        operator.begin(np.random.default_rng(seed), demonstrate=True, may_take_over=False, may_press=False)
        episodes.append(np.stack(demonstrate(env, operator, seed).scenes))
    hz = env.control_hz
    description = describe(env.task)
    env.close()
    return Footage(description, episodes[0], episodes[1], hz)


def status() -> m.Status:
    """Half way through a run."""
    marks = (False, False, True, False, False, True, True, False, True, True, True)
    return m.Status(
        demonstrations=3,
        demonstrations_planned=3,
        episodes=11,
        episodes_planned=24,
        pairs_waiting=4,
        marks=marks,
        interventions=(0.6, 0.5, 0.42, 0.5, 0.4, 0.31, 0.2, 0.3, 0.12, 0.1, 0.05),
        evaluations=(
            m.Measured(after=0, successes=2, episodes=10, final=False),
            m.Measured(after=6, successes=5, episodes=10, final=False),
        ),
        counts={"demonstrations": 3, "takeovers": 14, "preferences": 21, "evaluations": 17, "outcomes": 11},
        operator_s=341.0,
        learner="training the policy",
        updates=18_240,
        reward_version=7,
        self_agreement=0.86,
        consoles=("ada",),
        overruns=0,
        report="",
        run="pick_cube-0412",
    )


def moment(footage: Footage, step: int = 34) -> m.Moment:
    """A moment of the good episode that the policy drives."""
    rows = footage.good
    at = min(step, len(rows) - 2)
    done = (rows[at + 1][9:12] - rows[at][9:12]) * footage.hz
    x, y, z = (float(v) for v in done)
    return m.Moment(
        seq=2041,
        time_ns=0,
        stage=m.Stage.EPISODE,
        phase=m.Phase.POLICY,
        episode=14,
        step=step,
        steps=100,
        recording=True,
        driver="",
        driving="",
        input_seq=0,
        scene=rows[at].astype("<f4").tobytes(),
        commanded_m_s=(x * 1.15 + 0.01, y * 1.1, z * 1.2),
        achieved_m_s=(x, y, z),
        operator_steps=4,
        reward=0.6,
        limits=(),
        hold_reason="",
    )


class CannedLink:
    """Stands in for `feedback.link.OperatorLink`: it holds what it is given and keeps what is said.

    `said` are (what, arguments) in order: hands, stop, press, mark, wish, undo, remove, prefer.
    """

    def __init__(self, footage: Footage) -> None:
        self.footage = footage
        self.address, self.name, self.watches = "tcp://127.0.0.1:7421", "ada", False
        now = moment(footage)
        self.moment: m.Moment | None = now
        self.status: m.Status | None = status()
        self.welcome: m.Welcome | None = m.Welcome(
            console="canned",
            session="session-1",
            task="pick_cube",
            goal=footage.description.goal,
            description=footage.description,
            objects=tuple(prop.name for prop in footage.description.props),
            uses_gripper=True,
            control_hz=footage.hz,
            full_speed_m_s=SPEED_M_S,
            drive_port=1,
            stop_port=2,
            watch_port=3,
            latch_allowed=True,
            moment=now,
            status=status(),
            news=(),
        )
        self.news: deque[m.News] = deque(
            [m.News(number=1, text="Reward model 7: fitted on 66 comparisons, held-out accuracy 0.87")]
        )
        self.reports: deque[Report] = deque()
        self.pairs: list[m.Pair] = [self._pair(i) for i in range(3)]
        self.episode_lines = tuple(self._line(i) for i in range(15))
        self.refusal = self.rejection = ""
        self.drops, self.unsaved = 0, 0
        self.connected = True
        self.state_age_s = 0.012
        self.round_trip_ms: tuple[float, float] | None = (3.2, 9.4)
        self.said: list[tuple[str, tuple[Any, ...]]] = []

    # -- what it holds ---------------------------------------------------------------------------------

    def _clip(self, rows: Rows, episode: int, start: int, count: int) -> m.Clip:
        part = rows[start : start + count]
        driver = bytes(1 if 8 <= (start + i) < 20 else 0 for i in range(len(part)))
        segment = Segment(episode, start, max(1, len(part)))
        return m.Clip(segment=segment, count=len(part), rows=part.astype("<f4").tobytes(), driver=driver)

    def _pair(self, number: int) -> m.Pair:
        left = self._clip(self.footage.good, 12, 4, CLIP_STEPS)
        right = self._clip(self.footage.careless, 9, 0, CLIP_STEPS)
        query = Query(f"query-{number}", left.segment, right.segment, "disagreement")
        return m.Pair(query=query, left=left, right=right)

    def _line(self, number: int) -> m.EpisodeLine:
        is_demonstration = number < 3
        marks = status().marks
        return m.EpisodeLine(
            episode=number,
            role="demonstration" if is_demonstration else "policy",
            steps=len(self.footage.good) if number % 2 == 0 else len(self.footage.careless),
            operator_fraction=1.0 if is_demonstration else status().interventions[(number - 3) % 11],
            mark=None if is_demonstration or number > 13 else marks[number - 3],
            mark_id="" if is_demonstration or number > 13 else f"mark-{number}",
            removed=number == 5,
            removed_id="removed-5" if number == 5 else "",
        )

    def episode(self, id: int) -> m.Episode | None:
        rows = self.footage.good if id % 2 == 0 else self.footage.careless
        clip = self._clip(rows, id, 0, len(rows))
        reward = np.cumsum(np.random.default_rng(id).normal(0.02, 0.12, len(rows)))
        return m.Episode(clip=clip, reward=tuple(float(value) for value in reward))

    def look(self, **changes: Any) -> None:
        """Change fields of the moment."""
        assert self.moment is not None
        self.moment = replace(self.moment, seq=self.moment.seq + 1, **changes)

    def stand(self, **changes: Any) -> None:
        """Change fields of the status."""
        assert self.status is not None
        self.status = replace(self.status, **changes)

    # -- what it is told -------------------------------------------------------------------------------

    def _keep(self, what: str, *arguments: Any) -> str:
        self.said.append((what, arguments))
        return str(uuid.uuid4())

    def service(self) -> None:
        pass

    def refresh_episodes(self) -> None:
        pass

    def hands(self, given: OperatorInput, attending: bool) -> None:
        self._keep("hands", given, attending)

    def stop(self) -> None:
        self._keep("stop")

    def wish(self, wish: m.Wish) -> None:
        self._keep("wish", wish)

    def press(self, good: bool) -> str:
        assert self.moment is not None
        return self._keep("press", good) if self.moment.stage is m.Stage.EPISODE else ""

    def mark(self, episode: int, success: bool) -> str:
        return self._keep("mark", episode, success)

    def prefer(self, pair: m.Pair, choice: Choice, response_s: float, replays: int = 0) -> str:
        self.pairs = [other for other in self.pairs if other.query.id != pair.query.id]
        return self._keep("prefer", pair.query.id, choice)

    def undo(self, target: str) -> str:
        return self._keep("undo", target)

    def remove(self, episode: int) -> str:
        return self._keep("remove", episode)

    def leave(self) -> None:
        self._keep("leave")

    def close(self) -> None:
        pass
