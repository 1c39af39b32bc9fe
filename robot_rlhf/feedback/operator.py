"""Simulated people. They see what a console shows (scenes and clips) and speak its message types.

A simulated operator has an opinion that nobody is told: how good a moment is, a number from 0 to 1. From
it follow all five kinds of feedback. Answers to pairs follow B-Pref's teachers (Lee et al. 2021): a
rationality, a mistake rate, thresholds for 'equal' and for skipping, and a short memory.

When they take over: the opinion has not risen by `stall_gain` within `stall_s` and the goal is not
reached. When they hand back: the goal is reached, or the scripted way has got past the stage at which
they took over and they have driven for at least a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from robot_rlhf.feedback.hands import Hands, HandsConfig
from robot_rlhf.feedback.types import Choice, OperatorInput, Press
from sim.task import Task

Array = NDArray[np.float64]

PAIR_S, PRESS_S, MARK_S = 4.0, 0.5, 1.0
"""Active seconds booked for an answered pair, a press and a mark."""


@dataclass(frozen=True)
class OperatorConfig:
    """Who the simulated person is."""

    kind: Literal["human", "ideal", "noisy"] = "human"
    """human: human-like hands and fallible judgement; ideal: neither errs; noisy: 30% mistakes, 0.5 s
    more delay, a quarter of the rationality."""
    teacher: Literal["", "oracle", "stochastic", "myopic", "mistake", "skip", "equal"] = ""
    """Answer pairs as this teacher of B-Pref would, in place of `kind`: oracle by the opinion alone; each of
    the others departs from it in one way."""
    hands: HandsConfig = field(default_factory=HandsConfig)
    """How they drive."""
    rationality: float = 25.0
    """Logit of preferring the better clip per unit of mean opinion."""
    mistakes: float = 0.05
    """Probability that an answer, a press or a mark is the wrong way round."""
    equal_within: float = 0.015
    """Clips whose mean opinions are this close are called equal."""
    skip_below: float = 0.0
    """Of clips whose mean opinions are both below this, they cannot tell which is better;
    0: they always can."""
    memory: float = 1.0
    """What a step of a clip weighs beside the one after it: below 1 the beginning is forgotten."""
    absent: float = 0.0
    """Share of the policy's episodes that they do not watch, nor mark."""
    press_delay_s: float = 0.4
    """Delay of a good or bad press."""
    press_step: float = 0.08
    """Rise or fall of the opinion within a second that makes them press."""
    presses_per_episode: int = 2
    """They press no more often than this."""
    stall_s: float = 2.0
    """Patience before taking over."""
    stall_gain: float = 0.03
    """Rise of the opinion that counts as getting on."""

    def __post_init__(self) -> None:
        for name in ("mistakes", "absent", "memory"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"simulated.{name} is {getattr(self, name)}: it must be from 0 to 1")

    def answering(self) -> OperatorConfig:
        """The numbers by which they answer pairs: those of `teacher`, where there is one. B-Pref's own
        thresholds are shares of an episode's return; here they are of the opinion, which is from 0 to 1."""
        own = self.resolved()
        if not self.teacher:
            return own
        oracle = replace(own, rationality=1e6, mistakes=0.0, equal_within=0.0, skip_below=0.0, memory=1.0)
        departures = {
            "oracle": oracle,
            "stochastic": replace(oracle, rationality=self.rationality),
            "myopic": replace(oracle, memory=0.9),
            "mistake": replace(oracle, mistakes=0.1),
            "skip": replace(oracle, skip_below=0.15),
            "equal": replace(oracle, equal_within=0.05),
        }
        return departures[self.teacher]

    def resolved(self) -> OperatorConfig:
        """The numbers that `kind` stands for."""
        if self.kind == "ideal":
            return replace(
                self, hands=replace(self.hands, ideal=True), rationality=1e6, mistakes=0.0, press_delay_s=0.4
            )
        if self.kind == "noisy":
            return replace(
                self,
                rationality=self.rationality / 4,
                mistakes=0.3,
                press_delay_s=self.press_delay_s + 0.5,
                stall_s=self.stall_s + 0.5,
            )
        return self


class SimulatedOperator:
    """One person at the console of one task."""

    def __init__(
        self,
        task: Task,
        config: OperatorConfig,
        full_speed_m_s: float,
        control_hz: float,
        opinion: Callable[[Scene], Array] | None = None,
    ) -> None:
        self._task = task
        self._config, self._answering = config.resolved(), config.answering()
        self._opinion = opinion or task.utility
        self._hz = control_hz
        self._hands = Hands(task.expert, self._config.hands, full_speed_m_s, control_hz)

    def begin(
        self, rng: np.random.Generator, demonstrate: bool, may_take_over: bool, may_press: bool
    ) -> None:
        """A new episode. `demonstrate`: drive all of it."""
        self._rng = rng
        self._demonstrate, self._may_take_over, self._may_press = demonstrate, may_take_over, may_press
        self._history: list[float] = []
        self._patient_from = 0
        self._driving = demonstrate
        self._since = self._done = self._presses = 0
        self._stage = 0
        self._pending: list[tuple[int, Press]] = []
        self._last_press = -10 * round(self._hz)
        if demonstrate:
            self._hands.begin(rng, may_botch=True)

    @property
    def finished(self) -> bool:
        """A demonstrator stops recording a second after the goal was reached."""
        return self._demonstrate and self._done >= round(self._hz)

    def watch(self, scene: Scene) -> OperatorInput:
        """One tick: look, decide, move."""
        self._history.append(float(self._opinion(scene)))
        self._done = self._done + 1 if bool(self._task.success(scene)) else 0
        if not self._demonstrate:
            self._decide(scene)
        press = self._press()
        if not self._driving:
            return OperatorInput(press=press)
        moved = self._hands.drive(scene)
        return OperatorInput(stick=moved.stick, yaw=moved.yaw, grip=moved.grip, takeover=True, press=press)

    def _decide(self, scene: Scene) -> None:
        """Take over or hand back."""
        if self._driving:
            self._since += 1
            past = self._task.expert(scene).stage > self._stage and self._since >= self._hz
            if self._done >= round(0.5 * self._hz) or past:
                self._driving = False
                self._patient_from = len(self._history)
            return
        window = round(self._config.stall_s * self._hz)
        if not self._may_take_over or len(self._history) - self._patient_from <= window or self._done:
            return
        if self._history[-1] < self._history[-1 - window] + self._config.stall_gain:
            self._driving, self._since = True, 0
            self._stage = self._task.expert(scene).stage
            self._hands.begin(self._rng, may_botch=False)

    def _press(self) -> Press | None:
        """A press that was decided on `press_delay_s` ago, and the decision about a new one."""
        now, second = len(self._history), round(self._hz)
        due = [press for at, press in self._pending if at <= now]
        self._pending = [(at, press) for at, press in self._pending if at > now]
        quiet = self._driving or not self._may_press or self._presses >= self._config.presses_per_episode
        if not quiet and now > second and now - self._last_press > 2 * second:
            change = self._history[-1] - self._history[-1 - second]
            stalls = change < 0.005 and not self._done and self._rng.random() < 0.02
            if abs(change) > self._config.press_step or stalls:
                good = (change > self._config.press_step) != (self._rng.random() < self._config.mistakes)
                self._pending.append(
                    (now + round(self._config.press_delay_s * self._hz), Press.GOOD if good else Press.BAD)
                )
                self._last_press, self._presses = now, self._presses + 1
        return due[0] if due else None

    def mark(self, episode: Scene, rng: np.random.Generator) -> bool:
        """Success or failure, from the last half second of an episode (leading dimension T + 1)."""
        last = max(1, round(0.5 * self._hz))
        reached = bool(np.all(self._task.success(episode)[-last:]))
        return reached != (rng.random() < self._config.mistakes)

    def compare(self, left: Scene, right: Scene, rng: np.random.Generator) -> Choice:
        """Which of two clips is better (leading dimension: their steps)."""
        config = self._answering
        good, other = (self._remembered(clip) for clip in (left, right))
        if config.skip_below and max(good, other) < config.skip_below:
            return Choice.CANNOT_TELL
        if abs(good - other) < config.equal_within:
            return Choice.EQUAL
        chance = 1.0 / (1.0 + np.exp(-np.clip(config.rationality * (good - other), -50, 50)))
        prefers_left = (rng.random() < chance) != (rng.random() < config.mistakes)
        return Choice.LEFT if prefers_left else Choice.RIGHT

    def _remembered(self, clip: Scene) -> float:
        """The mean opinion of a clip, its beginning weighing less where memory is short."""
        opinions = np.atleast_1d(self._opinion(clip))
        weights = self._answering.memory ** np.arange(len(opinions))[::-1]
        return float(np.average(opinions, weights=weights))

    def watches(self, rng: np.random.Generator) -> bool:
        """Whether they look at the policy's next episode."""
        return bool(rng.random() >= self._config.absent)
