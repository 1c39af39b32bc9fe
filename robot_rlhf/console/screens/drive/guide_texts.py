"""What the newcomer's guide says at each of its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.screens.model import Model, Words
from robot_rlhf.feedback.messages import Moment, Stage, Status


class Step(Enum):
    """The steps in the order in which they are told."""

    DRIVE = "Drive the arm by hand"
    AGAIN = "Forget the practice"
    RECORD = "Show how it is done"
    WATCH = "Watch the policy try"
    CORRECT = "Take over when it errs"
    PRESS = "Say good or bad"
    MARK = "Mark the outcome"
    COMPARE = "Compare two clips"
    RISE = "See success rise"
    REPORT = "The report"


def _drive(model: Model, moment: Moment, status: Status) -> Words:
    verb = "Press" if model.latched else "Hold"
    words: Words = (verb, Action.TAKEOVER, "and move with", Action.X, Action.Y, "and", Action.Z)
    if model.welcome is not None and model.welcome.uses_gripper:
        words += (", the gripper with", Action.GRIP)
    if moment.stage is Stage.TELEOP:
        return words
    return (*words, ". This first try is recorded too; the next step forgets it.")


def _again(model: Model, moment: Moment, status: Status) -> Words:
    return (
        f"All this was recorded, as demonstration {status.demonstrations + 1}. Hold",
        Action.DISCARD,
        "to forget it and begin afresh. Or go on, do the task, and keep it.",
    )


def _record(model: Model, moment: Moment, status: Status) -> Words:
    goal = model.welcome.goal.rstrip(".") if model.welcome is not None else "do the task"
    if moment.stage is Stage.DEMONSTRATION:
        return (f"{goal}. When it is done:", Action.SUCCESS, "It went wrong? Start over:", Action.DISCARD)
    verb = "Press" if model.latched else "Hold"
    words = f"and do it: {goal}. From then on it is recorded."
    return (f"Your way is the way it learns. {verb}", Action.TAKEOVER, words)


def _watch(model: Model, moment: Moment, status: Status) -> Words:
    if moment.stage is Stage.PREPARING:
        return ("The first policy is being made from your demonstrations. It takes a moment.",)
    return ("The policy has the arm. Only watch: it will be clumsy at first.",)


def _compare(model: Model, moment: Moment, status: Status) -> Words:
    busy = moment.stage in (Stage.EPISODE, Stage.MARK)
    return (
        "Two clips wait for your choice." + (" Mark this episode first, then" if busy else ""),
        Action.SCREEN,
        "opens them" + (", and the next one waits for you" if busy else "") + ".",
        "Pick the better one, three times.",
        Action.TO_ARM,
        "leads back.",
    )


TEXTS: Mapping[Step, Callable[[Model, Moment, Status], Words]] = {
    Step.DRIVE: _drive,
    Step.AGAIN: _again,
    Step.RECORD: _record,
    Step.WATCH: _watch,
    Step.CORRECT: lambda *_: (
        "When it goes wrong hold",
        Action.TAKEOVER,
        ", put it right and let go: what you did counts more than what it did.",
    ),
    Step.PRESS: lambda *_: (
        "While it moves say what you think of the last moments:",
        Action.GOOD,
        "good",
        Action.BAD,
        "bad",
    ),
    Step.MARK: lambda *_: (
        "After an episode, hold",
        Action.SUCCESS,
        "for a success or",
        Action.FAILURE,
        "for a failure.",
    ),
    Step.COMPARE: _compare,
    Step.RISE: lambda *_: (
        "Go on like this: correct less as it gets better, and mark every episode. The curve on the right "
        "shows how often it succeeds.",
    ),
    Step.REPORT: lambda model, moment, status: (
        (f"It is written: {status.report}",)
        if status.report
        else ("At the end the policy is measured on starts of its own; then the report is written.",)
    ),
}
