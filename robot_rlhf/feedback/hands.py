"""How a person's hands drive an arm with two sticks: late, one or two axes at a time, not quite there.

The numbers are those of our design note: reaction 0.2 to 0.4 s, the same stick and the same speed limit
as a person, pauses, overshoot and correction, a fumbled grasp now and then. `HandsConfig.ideal` turns
all of it off; it serves unit tests and the scripted expert.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from robot_rlhf.feedback.types import OperatorInput
from sim.task import FULL_TURN_RAD_S, Waypoint, tool_yaw

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HandsConfig:
    """How well somebody drives."""

    ideal: bool = False
    """Straight, immediate and exact."""
    reaction_s: tuple[float, float] = (0.2, 0.4)
    """Delay between what is seen and what the thumb does about it; drawn each time they take the stick."""
    tracking_delay_s: float = 0.1
    """Delay of the continuous correction of the tool's position."""
    tremor: float = 0.06
    """Standard deviation of the stick, in full deflections, while it moves."""
    aim_error_m: float = 0.004
    """Standard deviation of where the hand aims, drawn anew for each stage."""
    turn_error_rad: float = 0.03
    """The same of how far it turns, where the task has it turn."""
    third_axis: float = 0.3
    """Probability that all axes move at once; otherwise the one or two with most to do."""
    pause_rate_hz: float = 0.12
    """How often the hand rests for a moment."""
    pause_s: tuple[float, float] = (0.2, 0.7)
    """How long it rests."""
    fumble: float = 0.15
    """Probability that a grasp is aimed beside the thing (it is noticed and done again)."""
    botch: float = 0.1
    """Probability that a whole demonstration goes wrong."""


class Hands:
    """Drives towards an expert's waypoints. One object for one person; `begin` for each time they take
    the stick."""

    def __init__(
        self,
        expert: Callable[[Scene], Waypoint],
        config: HandsConfig,
        full_speed_m_s: float,
        control_hz: float,
    ) -> None:
        self._expert = expert
        self._config = config
        self._speed = full_speed_m_s
        self._hz = control_hz

    def begin(self, rng: np.random.Generator, may_botch: bool) -> None:
        """Take the stick. `may_botch`: this time may go wrong altogether (a demonstration's one in ten)."""
        config = self._config
        self._rng = rng
        self._late = round(rng.uniform(*config.reaction_s) * self._hz)
        self._seen: deque[Scene] = deque(maxlen=max(self._late, 1) + 1)
        self._stage = -1
        self._aim, self._turn_aim = np.zeros(3), 0.0
        self._axes = np.ones(3, dtype=bool)
        self._rest = 0
        self._height_first = rng.random() < 0.5
        self._botched = may_botch and rng.random() < config.botch
        self._bias = rng.choice([-1.0, 1.0], 3) * np.array([0.035, 0.035, 0.0]) * self._botched

    def drive(self, scene: Scene) -> OperatorInput:
        """The thumbs at this moment, takeover held."""
        if self._config.ideal:
            waypoint = self._expert(scene)
            stick = self._stick((waypoint.pos_m - scene.tool_pos_m) * 4 / self._speed)
            return self._move(stick, waypoint, self._turn(scene, waypoint, gain=4.0))
        self._seen.append(scene)
        waypoint = self._expert(self._seen[0])
        if waypoint.stage != self._stage:
            self._stage = waypoint.stage
            self._aim = self._rng.normal(0.0, self._config.aim_error_m, 3) * np.array([1.0, 1.0, 0.5])
            if waypoint.precise and self._rng.random() < self._config.fumble:
                self._aim[:2] += self._rng.choice([-1.0, 1.0], 2) * 0.018
            if waypoint.yaw_rad is not None:
                self._turn_aim = self._rng.normal(0.0, self._config.turn_error_rad)
        elif waypoint.precise and self._rng.random() < 0.5 / self._hz:
            self._aim *= 0.3  # looked again
        if self._rest > 0:
            self._rest -= 1
            return self._move(np.zeros(3), waypoint)
        if self._rng.random() < self._config.pause_rate_hz / self._hz:
            self._rest = round(self._rng.uniform(*self._config.pause_s) * self._hz)
        behind = min(len(self._seen) - 1, round(self._config.tracking_delay_s * self._hz))
        then = self._seen[-1 - behind]
        error = waypoint.pos_m + self._aim + self._bias - then.tool_pos_m
        self._choose_axes(error)
        wanted = np.where(self._axes, error, 0.0) * (2.0 if waypoint.precise else 3.0) / self._speed
        stick = self._stick(wanted)
        moving = np.abs(stick) > 0.02
        stick = stick + moving * self._rng.normal(0.0, self._config.tremor, 3)
        turn = self._turn(then, waypoint, gain=2.0 if waypoint.precise else 3.0)
        return self._move(np.clip(stick, -1.0, 1.0), waypoint, turn)

    def _turn(self, scene: Scene, waypoint: Waypoint, gain: float) -> float:
        """The stick that turns the hand to where it should be; at rest where that does not matter."""
        if waypoint.yaw_rad is None:
            return 0.0
        error = waypoint.yaw_rad + self._turn_aim - float(tool_yaw(scene))
        return float(np.clip(error * gain / FULL_TURN_RAD_S, -1.0, 1.0))

    def _choose_axes(self, error: Array) -> None:
        """Now and then decide anew which axes to move: those with most to do, height first or last."""
        if self._rng.random() > 3.0 / self._hz and (np.abs(error)[self._axes] > 0.008).any():
            return
        if self._rng.random() < self._config.third_axis:
            self._axes = np.ones(3, dtype=bool)
            return
        weight = np.abs(error) * np.array([1.0, 1.0, 1.5 if self._height_first else 0.7])
        self._axes = weight >= np.sort(weight)[-2 if self._rng.random() < 0.7 else -1]

    @staticmethod
    def _stick(wanted: Array) -> Array:
        return np.asarray(wanted / max(1.0, float(np.abs(wanted).max())))

    @staticmethod
    def _move(stick: Array, waypoint: Waypoint, turn: float = 0.0) -> OperatorInput:
        grip = 1.0 if waypoint.gripper > 0.5 else -1.0
        return OperatorInput(
            stick=(float(stick[0]), float(stick[1]), float(stick[2])), yaw=turn, grip=grip, takeover=True
        )
