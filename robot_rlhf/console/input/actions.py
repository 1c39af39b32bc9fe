"""Everything an operator can say with their hands, where it counts, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Context(Enum):
    """What the window is showing; the same button means different things in different ones."""

    DRIVE = "drive"
    PREFER = "prefer"
    REVIEW = "review"
    HELP = "help"
    BIND = "bind"


class Kind(Enum):
    """How an action is given."""

    AXIS = "axis"  # a deflection in [-1, 1]
    HOLD = "hold"  # counts for as long as it is held
    PRESS = "press"  # fires once, on the press or after its hold time


class Action(str, Enum):
    """The actions by the names they have in the bindings file. `ACTIONS` says what each is."""

    X = "x"
    Y = "y"
    Z = "z"
    YAW = "yaw"
    GRIP = "grip"
    TAKEOVER = "takeover"
    PRECISION = "precision"
    GOOD = "good"
    BAD = "bad"
    CAMERA_LEFT = "camera_left"
    CAMERA_RIGHT = "camera_right"
    SUCCESS = "success"
    FAILURE = "failure"
    DISCARD = "discard"
    CONFIRM = "confirm"
    UNDO = "undo"
    STOP = "stop"
    CLEAR_FAULT = "clear_fault"
    SCREEN = "screen"
    HELP = "help"
    TO_ARM = "to_arm"
    CHOOSE_LEFT = "choose_left"
    CHOOSE_RIGHT = "choose_right"
    CHOOSE_EQUAL = "choose_equal"
    CANNOT_TELL = "cannot_tell"
    SLOWER = "slower"
    FASTER = "faster"
    ORBIT_X = "orbit_x"
    ORBIT_Y = "orbit_y"
    SCRUB = "scrub"
    PREVIOUS_EPISODE = "previous_episode"
    NEXT_EPISODE = "next_episode"
    PLAY = "play"
    DELETE = "delete"


@dataclass(frozen=True)
class ActionInfo:
    """One row of the table: `hold_s` is how long a PRESS must be held before it fires. An action that
    `follows` another has no binding of its own: it is given by holding that one's button."""

    kind: Kind
    words: str
    contexts: frozenset[Context]
    hold_s: float = 0.0
    follows: Action | None = None


_DRIVE = frozenset({Context.DRIVE})
_PREFER = frozenset({Context.PREFER})
_REVIEW = frozenset({Context.REVIEW})
_CLIPS = _PREFER | _REVIEW
_EVERYWHERE = frozenset(Context)

ACTIONS: Mapping[Action, ActionInfo] = {
    Action.X: ActionInfo(Kind.AXIS, "move away / back", _DRIVE),
    Action.Y: ActionInfo(Kind.AXIS, "move left / right", _DRIVE),
    Action.Z: ActionInfo(Kind.AXIS, "move up / down", _DRIVE),
    Action.YAW: ActionInfo(Kind.AXIS, "turn left / right", _DRIVE),
    Action.GRIP: ActionInfo(Kind.AXIS, "gripper open / close", _DRIVE),
    Action.TAKEOVER: ActionInfo(Kind.HOLD, "take over (hold)", _DRIVE),
    Action.PRECISION: ActionInfo(Kind.HOLD, "precision (hold)", _DRIVE),
    Action.GOOD: ActionInfo(Kind.PRESS, "good", _DRIVE),
    Action.BAD: ActionInfo(Kind.PRESS, "bad", _DRIVE),
    Action.CAMERA_LEFT: ActionInfo(Kind.PRESS, "camera to the left", _DRIVE),
    Action.CAMERA_RIGHT: ActionInfo(Kind.PRESS, "camera to the right", _DRIVE),
    Action.SUCCESS: ActionInfo(Kind.PRESS, "success (hold 0.3 s)", _DRIVE | _REVIEW, 0.3),
    Action.FAILURE: ActionInfo(Kind.PRESS, "failure (hold 0.3 s)", _DRIVE | _REVIEW, 0.3),
    Action.DISCARD: ActionInfo(Kind.PRESS, "discard, record again (hold 0.6 s)", _DRIVE, 0.6),
    Action.CONFIRM: ActionInfo(Kind.PRESS, "confirm, next", _DRIVE),
    Action.UNDO: ActionInfo(Kind.PRESS, "undo", _DRIVE | _CLIPS),
    Action.STOP: ActionInfo(Kind.PRESS, "STOP", _EVERYWHERE),
    Action.CLEAR_FAULT: ActionInfo(Kind.PRESS, "clear a stop (hold 1 s)", _DRIVE, 1.0, Action.CONFIRM),
    Action.SCREEN: ActionInfo(Kind.PRESS, "next screen", _EVERYWHERE),
    Action.HELP: ActionInfo(Kind.PRESS, "help", _EVERYWHERE),
    Action.TO_ARM: ActionInfo(Kind.PRESS, "back to the arm", _CLIPS),
    Action.CHOOSE_LEFT: ActionInfo(Kind.PRESS, "left is better", _PREFER),
    Action.CHOOSE_RIGHT: ActionInfo(Kind.PRESS, "right is better", _PREFER),
    Action.CHOOSE_EQUAL: ActionInfo(Kind.PRESS, "equally good", _PREFER),
    Action.CANNOT_TELL: ActionInfo(Kind.PRESS, "cannot tell", _PREFER),
    Action.SLOWER: ActionInfo(Kind.PRESS, "slower", _CLIPS),
    Action.FASTER: ActionInfo(Kind.PRESS, "faster", _CLIPS),
    Action.ORBIT_X: ActionInfo(Kind.AXIS, "look from the right / left", _CLIPS),
    Action.ORBIT_Y: ActionInfo(Kind.AXIS, "look from above / below", _CLIPS),
    Action.SCRUB: ActionInfo(Kind.AXIS, "forward / backward in the episode", _REVIEW),
    Action.PREVIOUS_EPISODE: ActionInfo(Kind.PRESS, "previous episode", _REVIEW),
    Action.NEXT_EPISODE: ActionInfo(Kind.PRESS, "next episode", _REVIEW),
    Action.PLAY: ActionInfo(Kind.PRESS, "play / pause", _REVIEW),
    Action.DELETE: ActionInfo(Kind.PRESS, "delete the episode (hold 0.6 s)", _REVIEW, 0.6),
}
BINDABLE: tuple[Action, ...] = tuple(action for action, info in ACTIONS.items() if info.follows is None)
"""The actions that have a button, key or stick of their own."""


def live(context: Context) -> tuple[Action, ...]:
    """The actions that count in a context, in the table's order."""
    return tuple(action for action, info in ACTIONS.items() if context in info.contexts)
