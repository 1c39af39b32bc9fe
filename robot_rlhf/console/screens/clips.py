"""Clips as they are played: moments between the stored ones, where playing stands, what the hand did.

Pure functions of the clock, so that whoever draws at whatever rate sees the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hardware.scene import JOINTS
from robot_rlhf.feedback.messages import Clip
from robot_rlhf.feedback.types import Driver

Row = NDArray[np.float32]
Bools = NDArray[np.bool_]

SPEEDS = (0.5, 1.0, 2.0)
REST_S = 0.5
"""How long the last frame stands before a loop begins again, in the clip's own seconds."""

_GRIPPER, _TARGET, _TOOL_QUAT, _OBJECTS, _POSE = JOINTS, JOINTS + 1, JOINTS + 5, JOINTS + 12, 7
_COMMANDED_SHUT = 0.5  # a target below this closes the hand
_EMPTY = 0.06  # fingers that stop nearer than this have nothing between them
_STILL = 0.02  # opening a step below which the fingers have come to rest
_MOVES_M_S = 0.01


@dataclass(frozen=True, eq=False)
class Reel:
    """A clip, ready to be shown: `rows` (n, k) are scene rows at `hz` a second, `operator` (n - 1,) says
    of each step whether a person drove."""

    rows: Row
    hz: float
    operator: Bools

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or not len(self.rows) or (self.rows.shape[1] - _OBJECTS) % _POSE:
            raise ValueError(
                f"rows have the shape {self.rows.shape}: expected (1 or more, {_OBJECTS} + {_POSE} an object)"
            )
        if not self.hz > 0:
            raise ValueError(f"hz is {self.hz}: it must be above 0")

    @staticmethod
    def of(clip: Clip, hz: float) -> Reel:
        """The reel of a clip that was recorded at `hz` control steps a second."""
        rows = clip.scenes()
        operator = np.zeros(len(rows) - 1, dtype=np.bool_)
        told = np.frombuffer(clip.driver, np.uint8)[: len(operator)]
        operator[: len(told)] = told == Driver.OPERATOR
        return Reel(rows, hz, operator)

    @property
    def duration_s(self) -> float:
        """From the first row to the last, in seconds."""
        return (len(self.rows) - 1) / self.hz

    def at(self, time_s: float) -> Row:
        """The moment (k,) at `time_s` from the start; before the first row and after the last, those.

        Between two rows positions, joints and openings go straight, orientations turn by the normalised
        mean of the quaternions, the shorter way round.
        """
        place = min(max(time_s * self.hz, 0.0), len(self.rows) - 1.0)
        index = min(int(place), max(len(self.rows) - 2, 0))
        before, after, share = self.rows[index], self.rows[min(index + 1, len(self.rows) - 1)], place - index
        row: Row = before + np.float32(share) * (after - before)
        for start in (_TOOL_QUAT, *range(_OBJECTS + 3, len(row), _POSE)):
            turn = slice(start, start + 4)
            first, second = before[turn], after[turn]
            if float(first @ second) < 0.0:
                second = -second
            mean = first + np.float32(share) * (second - first)
            length = float(np.linalg.norm(mean))
            row[turn] = mean / length if length > 1e-6 else first
        return row

    @cached_property
    def opening(self) -> Row:
        """(n,) How far the hand is open, 0 to 1."""
        return np.clip(self.rows[:, _GRIPPER], 0.0, 1.0)

    @cached_property
    def shut(self) -> Bools:
        """(n,) Whether the hand is told to close."""
        return np.asarray(self.rows[:, _TARGET] < _COMMANDED_SHUT)

    @cached_property
    def holding(self) -> Bools:
        """(n,) Whether the fingers, told to close, have come to rest on something."""
        change = np.abs(np.diff(self.opening, prepend=self.opening[:1]))
        before = np.concatenate([self.shut[:1], self.shut[:-1]])
        return np.asarray(self.shut & before & (change < _STILL) & (self.opening > _EMPTY))

    @cached_property
    def moving(self) -> Bools:
        """(n,) Whether any object moves faster than 1 cm/s: what the arm touches gives way."""
        if self.rows.shape[1] == _OBJECTS or len(self.rows) < 2:
            return np.zeros(len(self.rows), dtype=np.bool_)
        places = self.rows[:, _OBJECTS:].reshape(len(self.rows), -1, _POSE)[..., :3]
        speed = np.linalg.norm(np.diff(places, axis=0), axis=-1).max(axis=1) * self.hz
        return np.concatenate([[False], speed > _MOVES_M_S])


def runs(flags: Bools) -> tuple[tuple[int, int], ...]:
    """The stretches (first, past the last) in which `flags` (n,) are True, in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return tuple((int(a), int(b)) for a, b in edges.reshape(-1, 2))


@dataclass(frozen=True, slots=True)
class Playhead:
    """Where playing stood at `since_ns` (monotonic), and how it goes on: a function of the clock.

    `from_s` is counted through all rounds; a round is `duration_s` and then `rest_s` on the last frame.
    Clips of different lengths that share a playhead start again together: give it the longer duration.
    """

    duration_s: float
    since_ns: int
    from_s: float = 0.0
    speed: float = 1.0
    playing: bool = True
    rest_s: float = REST_S

    def __post_init__(self) -> None:
        if self.duration_s < 0 or not self.rest_s > 0 or self.speed not in SPEEDS:
            raise ValueError(
                f"{self}: the duration must be from 0, the rest above 0 and the speed one of {SPEEDS}"
            )

    def _unrolled_s(self, now_ns: int) -> float:
        passed_s = max(now_ns - self.since_ns, 0) / 1e9 * self.speed if self.playing else 0.0
        return self.from_s + passed_s

    def at(self, now_ns: int) -> float:
        """Seconds into the clip, 0 to `duration_s`."""
        return min(self._unrolled_s(now_ns) % (self.duration_s + self.rest_s), self.duration_s)

    def rounds(self, now_ns: int) -> int:
        """How many times the clip has been shown whole and begun again."""
        return int(self._unrolled_s(now_ns) // (self.duration_s + self.rest_s))

    def _from(self, now_ns: int, from_s: float) -> Playhead:
        return replace(self, since_ns=now_ns, from_s=from_s)

    def paced(self, now_ns: int, steps: int) -> Playhead:
        """Goes on from where it is, so many SPEEDS faster (slower where negative)."""
        speed = SPEEDS[min(max(SPEEDS.index(self.speed) + steps, 0), len(SPEEDS) - 1)]
        return replace(self._from(now_ns, self._unrolled_s(now_ns)), speed=speed)

    def toggled(self, now_ns: int) -> Playhead:
        """Paused, or going on from where it stands."""
        return replace(self._from(now_ns, self._unrolled_s(now_ns)), playing=not self.playing)

    def moved(self, now_ns: int, time_s: float) -> Playhead:
        """At `time_s` into the clip, held to its ends; it plays or stands as before."""
        return self._from(now_ns, min(max(time_s, 0.0), self.duration_s))
