"""A newcomer's guide: what to do next, told by what the operator has really done.

A state machine over what is seen of the session and of the hands; it draws nothing and stops nothing.
Every step can be met in any order and skipped by holding the camera button.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.screens.drive.asks import is_mine
from robot_rlhf.console.screens.drive.guide_texts import TEXTS, Step
from robot_rlhf.console.screens.long_hold import LongHold
from robot_rlhf.console.screens.model import Model, Words
from robot_rlhf.feedback.messages import Moment, Phase, Stage, Status
from robot_rlhf.feedback.types import Kind, Outcome

SKIP = Action.CAMERA_RIGHT
"""Held for `long_hold.LONG_S`, it skips a step."""
MOVED_M = 0.10
WATCHED_S = 3.0
CORRECTED_S = 0.5
PAIRS = 3
MARKED_EPISODES = 5
_TOOL = slice(9, 12)  # of a scene row


@dataclass(frozen=True)
class Card:
    """A step as it is shown. `ticks` are its parts and whether each is done; `skipping` is how far the
    skip button has been held, 0..1."""

    step: Step
    number: int
    of: int
    sentences: Words
    ticks: tuple[tuple[str, bool], ...]
    skipping: float = 0.0


@dataclass
class _Seen:
    """What the operator has done so far."""

    drove: bool = False
    moved_m: float = 0.0
    closed: bool = False
    opened: bool = False
    recorded: bool = False
    """Whether a demonstration was begun and is over, kept or forgotten."""
    watched_s: float = 0.0
    corrected_s: float = 0.0
    pressed: bool = False
    marked: bool = False


class Guide:
    """`card` is what to show now, None when every step is done or skipped."""

    def __init__(self) -> None:
        self.card: Card | None = None
        self._seen = _Seen()
        self._skipped: set[Step] = set()
        self._past: set[Step] = set()
        self._last_ns: int | None = None
        self._stage: Stage | None = None
        self._tool: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None
        self._skip_button = LongHold(SKIP)
        self._first_pairs: int | None = None

    def update(self, model: Model, commands: Commands, now_ns: int) -> None:
        """Take in one pass. Steps that are done stay done."""
        moment, status = model.moment, model.status
        passed_s = 0.0 if self._last_ns is None else min(0.1, (now_ns - self._last_ns) / 1e9)
        self._last_ns = now_ns
        if moment is None or status is None:
            return
        self._notice(model, moment, status, commands, passed_s)
        self._past |= {step for step in Step if self._is_done(step, model, moment, status)}
        skipping = self._skip(model, now_ns)
        step = self._current(moment, status)
        self.card = None if step is None else self._told(step, model, moment, status, skipping)

    def done(self, step: Step) -> bool:
        """Whether a step was done or skipped."""
        return step in self._past or step in self._skipped

    # -- what was done ---------------------------------------------------------------------------------

    def _notice(
        self, model: Model, moment: Moment, status: Status, commands: Commands, passed_s: float
    ) -> None:
        seen, mine = self._seen, is_mine(model)
        tool = model.row[_TOOL] if model.row is not None else None
        if mine:
            seen.drove = True
            if tool is not None and self._tool is not None:
                way_m = float(np.linalg.norm(tool - self._tool))
                seen.moved_m += way_m if way_m < MOVED_M / 2 else 0.0  # a new start is no motion
            seen.closed = seen.closed or commands.grip < 0.0
            seen.opened = seen.opened or commands.grip > 0.0
        self._tool = tool
        seen.recorded |= self._stage is Stage.DEMONSTRATION and moment.stage is not Stage.DEMONSTRATION
        self._stage = moment.stage
        if moment.stage is Stage.EPISODE:
            if moment.phase is Phase.POLICY:
                seen.watched_s += passed_s
            elif mine:
                seen.corrected_s += passed_s
        presses = status.counts.get(Kind.EVALUATIONS.value, 0)
        seen.pressed = seen.pressed or presses > 0
        seen.marked = seen.marked or bool(status.marks)
        for report in model.reports:
            if (
                isinstance(report["what"], Outcome)
                and not report["reason"]
                and moment.stage is not Stage.READY
            ):
                seen.marked = True
        if self._first_pairs is None:
            self._first_pairs = self._pairs(status)

    def _pairs(self, status: Status) -> int:
        return status.counts.get(Kind.PREFERENCES.value, 0)

    def _answered(self, status: Status) -> int:
        return self._pairs(status) - (self._first_pairs or 0)

    def _skip(self, model: Model, now_ns: int) -> float:
        """How far the skip button is held; the step is skipped when it gets to 1."""
        if self._skip_button.update(model, now_ns) and self.card is not None:
            self._skipped.add(self.card.step)
        return self._skip_button.share

    # -- steps -----------------------------------------------------------------------------------------

    def _is_done(self, step: Step, model: Model, moment: Moment, status: Status) -> bool:
        if step is Step.AGAIN and Step.DRIVE in self._skipped:
            return True  # who skips the practice has nothing to forget
        if step is Step.AGAIN:
            return self._seen.recorded or moment.stage not in _MAY_PRACTISE
        if step is Step.RECORD:
            enough = 0 < status.demonstrations_planned <= status.demonstrations
            return enough or moment.stage not in _BEFORE_POLICY
        if step is Step.REPORT:
            return False  # it stays until it is skipped
        ticks = self._ticks(step, model, status)
        return bool(ticks) and all(done for _, done in ticks)

    def _ticks(self, step: Step, model: Model, status: Status) -> tuple[tuple[str, bool], ...]:
        seen = self._seen
        grips = model.welcome is not None and model.welcome.uses_gripper
        match step:
            case Step.DRIVE:
                ticks = [("take over", seen.drove), ("move", seen.moved_m >= MOVED_M)]
                if grips:
                    ticks += [("close the gripper", seen.closed), ("open it", seen.opened)]
                return tuple(ticks)
            case Step.AGAIN:
                return (("start over, or keep it", seen.recorded),)
            case Step.RECORD:
                planned = max(1, status.demonstrations_planned)
                return tuple((str(i + 1), status.demonstrations > i) for i in range(planned))
            case Step.WATCH:
                return ((f"{WATCHED_S:.0f} s watched", seen.watched_s >= WATCHED_S),)
            case Step.CORRECT:
                return (("one correction", seen.corrected_s >= CORRECTED_S),)
            case Step.PRESS:
                return (("one press", seen.pressed),)
            case Step.MARK:
                return (("one mark", seen.marked),)
            case Step.COMPARE:
                answered = self._answered(status)
                return tuple((f"pair {i + 1}", answered > i) for i in range(PAIRS))
            case Step.RISE:
                marks = len(status.marks)
                return (
                    (
                        f"{min(marks, MARKED_EPISODES)} of {MARKED_EPISODES} episodes",
                        marks >= MARKED_EPISODES,
                    ),
                )
            case Step.REPORT:
                return (("written", bool(status.report)),)

    def _current(self, moment: Moment, status: Status) -> Step | None:
        """The first open step that can be done at this stage; where none can, the first open one."""
        left = [step for step in Step if not self.done(step)]
        now = _FITTING.get(moment.stage, ())
        for step in now:
            if step in left and (step is not Step.COMPARE or status.pairs_waiting or self._answered(status)):
                return step
        waits = [step for step in left if step is not Step.COMPARE or status.pairs_waiting]
        return waits[0] if waits else None

    def _told(self, step: Step, model: Model, moment: Moment, status: Status, skipping: float) -> Card:
        words = TEXTS[step](model, moment, status)
        number = list(Step).index(step) + 1
        return Card(step, number, len(Step), words, self._ticks(step, model, status), skipping)


_BEFORE_POLICY = (Stage.TELEOP, Stage.READY, Stage.DEMONSTRATION, Stage.PAUSED)
"""The stages at which there may be demonstrations to come."""
_MAY_PRACTISE = (Stage.READY, Stage.DEMONSTRATION, Stage.PAUSED)
_EPISODE = (Step.WATCH, Step.CORRECT, Step.PRESS, Step.COMPARE, Step.RISE)
_FITTING: Mapping[Stage, tuple[Step, ...]] = {
    Stage.TELEOP: (Step.DRIVE,),
    Stage.READY: (Step.DRIVE, Step.RECORD),
    Stage.DEMONSTRATION: (Step.DRIVE, Step.AGAIN, Step.RECORD),
    Stage.PREPARING: (Step.COMPARE, Step.WATCH),
    Stage.EPISODE: _EPISODE,
    Stage.MARK: (Step.MARK, Step.COMPARE, *_EPISODE),
    Stage.PAUSED: (Step.DRIVE, Step.RECORD, Step.COMPARE, *_EPISODE),
    Stage.EVALUATING: (Step.COMPARE, Step.RISE, Step.REPORT),
    Stage.LABELLING: (Step.COMPARE, Step.REPORT),
    Stage.DONE: (Step.REPORT,),
}
"""What can be done at each stage, the most fitting first."""
