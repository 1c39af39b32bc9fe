"""A simulated person at the far end of the real wire: sees what a console is shown, says what one says."""

from __future__ import annotations

import time

import numpy as np

from hardware.scene import Scene
from hardware.transport import wait
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.link import OperatorLink
from robot_rlhf.feedback.messages import Phase, Stage, Wish
from robot_rlhf.feedback.operator import PAIR_S, OperatorConfig, SimulatedOperator
from robot_rlhf.feedback.types import Kind, OperatorInput, Press
from sim.task import make_task

_WAKE_NS = 5_000_000
_GONE_S = 30.0


class LiveOperator:
    """Teaches the session at the end of `link` until it is done, at a person's pace: one thing at a time,
    `pair_s` for a pair. Between two episodes it answers the pairs that wait when the pause begins: those
    that come meanwhile wait for the next, or there would never be one."""

    def __init__(
        self,
        link: OperatorLink,
        config: OperatorConfig,
        kinds: frozenset[Kind],
        takeover_seconds: float,
        rng: np.random.Generator,
        pair_s: float = PAIR_S,
    ) -> None:
        self._link, self._config, self._kinds, self._rng = link, config, kinds, rng
        self._pair_s = pair_s
        self._takeover_s_left = takeover_seconds
        self._person: SimulatedOperator | None = None
        self._objects: tuple[str, ...] = ()
        self._hz = 10.0
        self._episode = -1
        self._step = -1
        self._next_look_ns = 0
        self._busy_until_ns = 0
        self._pair: m.Pair | None = None
        self._pauses = False
        self._to_answer = 0  # pairs left of this pause
        self._given = OperatorInput()
        self._shows = False  # whether a demonstration of this person's runs
        self._shown_s = 0.0
        self._to_mark: set[int] = set()
        self._marked: set[int] = set()
        self._task = ""

    def run(self) -> None:
        """Until the session is done, or gone for 30 s."""
        began = time.monotonic()
        while not self.step() and min(self._link.state_age_s, time.monotonic() - began) < _GONE_S:
            wait(self._link.endpoints, time.monotonic_ns() + _WAKE_NS)

    def step(self) -> bool:
        """Look, think, act; whether it is over."""
        link = self._link
        link.service()
        link.reports.clear()
        link.news.clear()
        moment, status = link.moment, link.status
        if link.welcome is None or moment is None or status is None:
            return False
        if self._person is None:
            self._meet(link.welcome)
        if moment.stage is Stage.DONE:
            return link.unsaved == 0
        now = time.monotonic_ns()
        pauses = moment.stage in (Stage.PAUSED, Stage.PREPARING)
        if pauses and not self._pauses:
            self._to_answer = status.pairs_waiting
        self._pauses = pauses
        self._mark()
        if self._pair is not None:
            self._compare(now)
        elif self._may_compare(moment):
            self._pair, self._busy_until_ns = link.pairs[0], now + round(self._pair_s * 1e9)
            self._given = OperatorInput()
        elif now >= self._next_look_ns:
            self._next_look_ns = max(self._next_look_ns + round(1e9 / self._hz), now)
            self._look(moment)
        link.hands(self._given, attending=self._pair is None and not self._may_compare(moment))
        return False

    def _meet(self, welcome: m.Welcome) -> None:
        self._objects, self._hz = welcome.objects, welcome.control_hz
        self._task = welcome.task
        self._person = SimulatedOperator(
            make_task(self._task), self._config, welcome.full_speed_m_s, self._hz
        )

    def _may_compare(self, moment: m.Moment) -> bool:
        between = moment.stage in (Stage.PAUSED, Stage.PREPARING) and self._to_answer > 0
        return between and bool(self._link.pairs) and Kind.PREFERENCES in self._kinds

    def _compare(self, now: int) -> None:
        """Answer the pair once as much time has passed as a person takes."""
        pair = self._pair
        if pair is None or now < self._busy_until_ns or self._person is None:
            return
        left, right = (Scene.unpack(clip.scenes()[1:], self._objects) for clip in (pair.left, pair.right))
        self._link.prefer(pair, self._person.compare(left, right, self._rng), self._pair_s)
        self._pair = None
        self._to_answer -= 1

    def _look(self, moment: m.Moment) -> None:
        """Ten times a second, as often as they would in lockstep."""
        person = self._person
        assert person is not None
        scene = Scene.unpack(moment.row(), self._objects)
        if moment.phase is Phase.HOLD and moment.asks_for_takeover:
            self._given = OperatorInput(takeover=not self._given.takeover)  # pressed anew until it is heard
            return
        match moment.stage:
            case Stage.READY:
                if not self._shows or self._given.takeover:  # a press that went unheard is made again
                    person.begin(self._rng, True, False, False)
                    self._shows, self._shown_s = True, 0.0
                    self._given = OperatorInput()
                else:
                    self._given = person.watch(scene)
            case Stage.DEMONSTRATION:
                self._demonstrate(moment, scene, person)
            case Stage.EPISODE:
                self._supervise(moment, scene, person)
            case _:
                self._given = OperatorInput()
                if moment.stage is Stage.MARK:
                    self._wants_mark(moment.episode)

    def _demonstrate(self, moment: m.Moment, scene: Scene, person: SimulatedOperator) -> None:
        """Drive until the goal was held for a second, or give up once a policy's time would be over."""
        self._shown_s += 1.0 / self._hz
        if self._shows and (person.finished or self._shown_s > make_task(self._task).horizon_s):
            self._shows = False
            self._given = OperatorInput()
            self._link.wish(Wish.CONFIRM)
            self._wants_mark(moment.episode)
        elif self._shows:
            self._given = person.watch(scene)

    def _wants_mark(self, episode: int) -> None:
        if Kind.OUTCOMES in self._kinds and episode not in self._marked:
            self._marked.add(episode)
            self._to_mark.add(episode)

    def _supervise(self, moment: m.Moment, scene: Scene, person: SimulatedOperator) -> None:
        if moment.episode != self._episode:
            self._episode, self._step = moment.episode, -1
            may = Kind.TAKEOVERS in self._kinds and self._takeover_s_left > 0.0
            asked = self._link.status is None or not self._link.status.presses_rest
            person.begin(self._rng, False, may, asked and Kind.EVALUATIONS in self._kinds)
        if moment.step == self._step:
            return
        self._step = moment.step
        given = person.watch(scene)
        if given.press is not None:
            self._link.press(given.press is Press.GOOD)
        if moment.phase is Phase.OPERATOR:
            self._takeover_s_left -= 1.0 / self._hz
        self._given = OperatorInput(
            stick=given.stick, yaw=given.yaw, grip=given.grip, takeover=given.takeover
        )

    def _mark(self) -> None:
        """Judge episodes that have ended from what was recorded of them, each once."""
        for episode in tuple(self._to_mark):
            stored = self._link.episode(episode)
            if stored is not None and self._person is not None:
                self._to_mark.discard(episode)
                clip = Scene.unpack(stored.clip.scenes(), self._objects)
                self._link.mark(episode, self._person.mark(clip, self._rng))
