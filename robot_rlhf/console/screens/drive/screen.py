"""The Drive screen: the arm, who has it, what is asked, and what the operator says while looking at it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.input.actions import Action, Context
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.scene.camera import Viewpoint
from robot_rlhf.console.screens.drive.guide import Guide
from robot_rlhf.console.screens.drive.sights import count, sights
from robot_rlhf.console.screens.drive.state import DriveState, Said
from robot_rlhf.console.screens.drive.view import DriveView
from robot_rlhf.console.screens.long_hold import LongHold
from robot_rlhf.console.screens.model import Model, Shared
from robot_rlhf.feedback.link import OperatorLink
from robot_rlhf.feedback.messages import Moment, Phase, Stage, Wish

FINISH_NS = 6_000_000_000
"""Holding confirm a second time within so long ends the session's episodes."""
_REWARDS = 240
_MARKED = (Stage.DEMONSTRATION, Stage.EPISODE, Stage.MARK)
_DISCARDED = (Stage.RESET, *_MARKED)
_LOOKING = (Action.CAMERA_LEFT, Action.CAMERA_RIGHT)
_WISHED = (Stage.RESET, Stage.DEMONSTRATION, Stage.EPISODE, Stage.MARK)


class DriveScreen:
    """`guide`: a newcomer's guide lies over it. `shows_reward`: the predicted reward is shown, which may
    sway whoever judges."""

    context = Context.DRIVE
    captures = False

    def __init__(self, shared: Shared, *, guide: bool = False, shows_reward: bool = True) -> None:
        self.shared = shared
        self.state = DriveState()
        self._view = DriveView(shared)
        self._shows_reward = shows_reward
        self.guide = Guide() if guide else None
        self._rewards: deque[float] = deque(maxlen=_REWARDS)
        self._reward_of: tuple[int, int] | None = None
        self._finish_ns: int | None = None
        self._box_button = LongHold(Action.CAMERA_LEFT)

    def enter(self, link: OperatorLink, now_ns: int) -> None:
        self.state = replace(self.state, holding={})

    def update(self, commands: Commands, link: OperatorLink, now_ns: int) -> None:
        model = self.shared.model
        moment = model.moment
        self._follow_reward(moment)
        self._follow_said(now_ns)
        if moment is not None and model.connected:
            for action in commands.fired:
                if model.watches and action not in _LOOKING:
                    continue
                self._act(action, link, model, moment, now_ns)
        if self._box_button.update(model, now_ns):
            self.state = replace(self.state, workspace=not self.state.workspace)
        shown = sights(model, self.state.view)
        link.eyes.look_at(() if shown is None else shown.cameras)
        if self.guide is not None:
            self.guide.update(model, commands, now_ns)
        self.state = replace(
            self.state,
            rewards=tuple(self._rewards) if self._shows_reward else None,
            holding=dict(commands.holding),
            precision=commands.precision,
            card=self.guide.card if self.guide is not None else None,
        )

    @property
    def quarter_turns(self) -> int:
        """How the view that is shown turns the sticks: see `Viewpoint.quarter_turns`."""
        welcome, shown = self.shared.model.welcome, sights(self.shared.model, self.state.view)
        if welcome is None or shown is None:
            return 0
        # where a camera stands is not known here
        view = welcome.description.views[0] if isinstance(shown.main, str) else shown.main
        return Viewpoint.of(view).quarter_turns()

    def draw(self, canvas: Canvas) -> None:
        self._view.draw(canvas, self.state)

    # -- what was said ---------------------------------------------------------------------------------

    def _act(self, action: Action, link: OperatorLink, model: Model, moment: Moment, now_ns: int) -> None:
        match action:
            case Action.GOOD | Action.BAD:
                self._press(action is Action.GOOD, link, moment, now_ns)
            case Action.SUCCESS | Action.FAILURE:
                self._mark(action is Action.SUCCESS, link, moment, now_ns)
            case Action.CONFIRM if moment.phase is not Phase.STOPPED and moment.stage in _WISHED:
                link.wish(Wish.CONFIRM)
            case Action.DISCARD if moment.stage in _DISCARDED:
                link.wish(Wish.DISCARD)
            case Action.CLEAR_FAULT:
                self._hold_confirm(link, model, moment, now_ns)
            case Action.UNDO:
                self._undo(link, now_ns)
            case Action.CAMERA_LEFT | Action.CAMERA_RIGHT:
                step = 1 if action is Action.CAMERA_RIGHT else -1
                self.state = replace(self.state, view=(self.state.view + step) % count(model))
            case _:
                pass

    def _press(self, good: bool, link: OperatorLink, moment: Moment, now_ns: int) -> None:
        event = link.press(good)
        if not event:
            self.shared.refuse("Good and bad count while an episode runs")
            return
        words = f"{'Good' if good else 'Bad'} at step {moment.step} of episode {moment.episode}"
        self._said(Said(event, words, good, now_ns, moment.episode, is_mark=False))

    def _mark(self, success: bool, link: OperatorLink, moment: Moment, now_ns: int) -> None:
        if moment.stage not in _MARKED:
            self.shared.refuse("There is no episode to mark now")
            return
        last = self.state.said
        if (
            last is not None
            and last.is_mark
            and (last.episode, last.good) == (moment.episode, success)
            and last.undo_left_s(now_ns) > 0.0
        ):
            return  # the same again
        event = link.mark(moment.episode, success)
        words = f"Episode {moment.episode} marked as a {'success' if success else 'failure'}"
        self._said(Said(event, words, success, now_ns, moment.episode, is_mark=True))

    def _said(self, said: Said) -> None:
        self.state = replace(self.state, said=said)

    def _follow_said(self, now_ns: int) -> None:
        said = self.state.said
        if said is None or said.saved or said.refused:
            return
        reason = self.shared.fates.get(said.event)
        if reason is not None:
            self._said(replace(said, saved=not reason, refused=reason))

    def _undo(self, link: OperatorLink, now_ns: int) -> None:
        said = self.state.said
        if said is None or said.undo_left_s(now_ns) <= 0.0:
            self.shared.refuse("Nothing to take back")
            return
        link.undo(said.event)
        self._said(replace(said, taken_back=True))

    def _hold_confirm(self, link: OperatorLink, model: Model, moment: Moment, now_ns: int) -> None:
        """Confirm, held for 1 s: clears a stop; says 'enough demonstrations'; twice, 'enough episodes'."""
        if moment.phase is Phase.STOPPED:
            link.wish(Wish.CLEAR)
        elif moment.stage is Stage.READY and model.status is not None and model.status.demonstrations:
            link.wish(Wish.ENOUGH)
        elif moment.stage in (Stage.EPISODE, Stage.MARK, Stage.PAUSED, Stage.RESET):
            if self._finish_ns is not None and now_ns - self._finish_ns < FINISH_NS:
                self._finish_ns = None
                link.wish(Wish.FINISH)
                self.shared.notify("No more episodes: the policy is evaluated")
            else:
                self._finish_ns = now_ns
                self.shared.notify(
                    f"Hold {model.label(Action.CONFIRM)} again to end the episodes and evaluate"
                )

    def _follow_reward(self, moment: Moment | None) -> None:
        if (
            moment is None
            or not moment.steps
            or moment.reward is None
            or (moment.episode, moment.step) == self._reward_of
        ):
            return
        if self._reward_of is not None and self._reward_of[0] != moment.episode:
            self._rewards.clear()
        self._reward_of = moment.episode, moment.step
        self._rewards.append(moment.reward)
