"""The Prefer screen: two clips side by side, and which one is better.

How an answer comes about is `comparison.Comparison`; what it looks like is `view.py`.
"""

from __future__ import annotations

from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.input.actions import Action, Context
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.scene.orbit import Orbit
from robot_rlhf.console.screens.model import Shared
from robot_rlhf.console.screens.prefer.comparison import Comparison
from robot_rlhf.console.screens.prefer.view import PreferState, draw_prefer
from robot_rlhf.feedback.link import OperatorLink
from robot_rlhf.feedback.messages import Pair
from robot_rlhf.feedback.types import Choice

CHOICES = {
    Action.CHOOSE_LEFT: Choice.LEFT,
    Action.CHOOSE_RIGHT: Choice.RIGHT,
    Action.CHOOSE_EQUAL: Choice.EQUAL,
    Action.CANNOT_TELL: Choice.CANNOT_TELL,
}


class PreferScreen:
    """Shows the link's pairs one after another and says the answers."""

    context = Context.PREFER
    captures = False

    def __init__(self, shared: Shared, orbit: Orbit | None = None) -> None:
        self._shared = shared
        self._comparison = Comparison()
        self._orbit = orbit or Orbit()
        self._state: PreferState | None = None
        self._drawn: Pair | None = None

    def enter(self, link: OperatorLink, now_ns: int) -> None:
        self._comparison.returned()
        self._drawn = None

    def update(self, commands: Commands, link: OperatorLink, now_ns: int) -> None:
        model, comparison = self._shared.model, self._comparison
        comparison.heard(self._shared.fates)
        comparison.look(link.pairs, model.hz, now_ns, self._drawn)
        for action, pressed_ns in commands.presses(now_ns):
            if action in CHOICES:
                refused = comparison.choose(CHOICES[action], link, model.hz, now_ns, pressed_ns)
                if refused:
                    self._shared.refuse(refused)
            elif action is Action.UNDO:
                if not comparison.undo(link, model.hz, now_ns):
                    self._shared.refuse("Nothing to take back")
            elif action in (Action.SLOWER, Action.FASTER):
                comparison.pace(1 if action is Action.FASTER else -1, now_ns)
        view = None
        if model.welcome is not None:
            focus = model.snapshot.focus
            view = self._orbit.update(model.welcome.description, commands.orbit, focus, now_ns)
        self._state = PreferState(
            model=model,
            now_ns=now_ns,
            view=view,
            question=comparison.question,
            answer=comparison.answer,
            answered=comparison.answered,
            resting=comparison.resting_ns is not None,
            worked=(comparison.pairs_since_rest, comparison.since_rest_ns / 60e9),
            watches=link.watches,
        )

    def draw(self, canvas: Canvas) -> None:
        if (state := self._state) is not None:
            draw_prefer(canvas, state, self._shared.picture)
            self._drawn = state.question.pair if state.question is not None else None
