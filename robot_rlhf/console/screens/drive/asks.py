"""Who has the arm, and what is asked of the operator now: the words of the Drive screen's banner."""

from __future__ import annotations

from dataclasses import dataclass

from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.theme import Colour
from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.screens.chrome import PHASES
from robot_rlhf.console.screens.model import Model, Words
from robot_rlhf.feedback.messages import Moment, Phase, Stage, Status


@dataclass(frozen=True)
class State:
    """The banner: its word, icon and colour, whether a thick frame goes with it, whether it is loud, and
    what is asked."""

    word: str
    icon: str
    colour: Colour
    asked: Words
    framed: bool = False
    loud: bool = False


def state_of(model: Model) -> State:
    """The banner for a model whose session has answered."""
    moment, status = model.moment, model.status
    if moment is None or status is None:
        return State("HOLD", "pause", theme.YELLOW, ("Waiting for the session.",))
    word, icon, colour = PHASES[moment.phase]
    asked = _asked(model, moment, status)
    if moment.stage is Stage.DONE and moment.phase is Phase.HOLD:
        return State("DONE", "flag", theme.GOOD, asked)
    if moment.stage is Stage.LABELLING:
        return State("LABELS", "question", theme.PURPLE, asked)
    human = moment.phase is Phase.OPERATOR
    return State(word, icon, colour, asked, framed=human, loud=human or moment.phase is Phase.STOPPED)


def is_mine(model: Model) -> bool:
    """Whether this console drives."""
    return (
        model.moment is not None
        and model.welcome is not None
        and model.moment.phase is Phase.OPERATOR
        and model.moment.driving == model.welcome.console
    )


def _asked(model: Model, moment: Moment, status: Status) -> Words:
    if model.watches:
        why = f" {_sentence(moment.hold_reason)}" if moment.hold_reason else ""
        who = f" {moment.driver} drives." if moment.driver else ""
        return (f"You only watch.{who}{why}",)
    match moment.phase:
        case Phase.STOPPED:
            why = f"{_sentence(moment.hold_reason)} " if moment.hold_reason else ""
            return (f"{why}Hold", Action.CLEAR_FAULT, "1 s to clear it, then press", Action.TAKEOVER, "anew")
        case Phase.OPERATOR if not is_mine(model):
            return (f"{moment.driver or 'Another console'} drives.",)
        case Phase.OPERATOR:
            return _driving(model, moment, status)
        case Phase.POLICY if moment.stage is Stage.EVALUATING:
            return ("Evaluation: the policy alone, from starts of its own. Nothing to do.",)
        case Phase.POLICY if status.presses_rest:
            return (*_take(model), "to correct it", "|", "good and bad tell little now: no need")
        case Phase.POLICY:
            return (
                *_take(model),
                "to correct it",
                "|",
                Action.GOOD,
                "good",
                "|",
                Action.BAD,
                "bad",
            )
        case Phase.HOLD:
            return _holding(model, moment, status)


def _take(model: Model) -> Words:
    return ("Press" if model.latched else "Hold", Action.TAKEOVER)


def _driving(model: Model, moment: Moment, status: Status) -> Words:
    back: Words = ("Press" if model.latched else "Let go of", Action.TAKEOVER)
    match moment.stage:
        case Stage.DEMONSTRATION | Stage.READY:
            return (
                f"Demonstration {_number(status)} is recorded. Hold",
                Action.SUCCESS,
                "when done",
                "|",
                Action.DISCARD,
                "to start over",
            )
        case Stage.RESET:
            return ("Hands off the stick and the arm goes to its start.", *back, "to stop")
        case Stage.EPISODE:
            return ("You correct the policy.", *back, "to give it back")
        case _:
            return ("You drive freely; nothing is recorded.", *back, "to stop")


def _holding(model: Model, moment: Moment, status: Status) -> Words:
    match moment.stage:
        case Stage.TELEOP:
            return (*_take(model), "and drive: free practice, nothing is recorded")
        case Stage.RESET:
            return (
                _sentence(moment.hold_reason) if moment.hold_reason else "Put things back.",
                *_take(model),
                "and the arm goes to its start",
                "|",
                Action.CONFIRM,
                "when all is ready",
            )
        case Stage.READY:
            words: Words = (*_take(model), f"and drive: demonstration {_number(status)} begins")
            if status.demonstrations:
                words += ("|", "Enough? Hold", Action.CLEAR_FAULT)
            return words
        case Stage.DEMONSTRATION:
            return (
                *((_sentence(moment.hold_reason),) if moment.hold_reason else ()),
                *_take(model),
                "to go on",
                "|",
                Action.SUCCESS,
                "done",
                "|",
                Action.DISCARD,
                "start over",
            )
        case Stage.PREPARING:
            return (f"The first policy is being made: {_doing(status)}.",)
        case Stage.EPISODE:
            why = _sentence(moment.hold_reason) if moment.hold_reason else "The policy goes on in a moment."
            return (why, *_take(model), "to drive")
        case Stage.MARK:
            return (
                "How did it go? Hold",
                Action.SUCCESS,
                "success",
                "|",
                Action.FAILURE,
                "failure",
                "|",
                Action.CONFIRM,
                "skip",
            )
        case Stage.PAUSED if moment.hold_reason:
            take = _take(model) if moment.asks_for_takeover else ()
            return (_sentence(moment.hold_reason), *take)
        case Stage.PAUSED if model.snapshot.focus:
            return ("The next episode begins in a moment.",)
        case Stage.PAUSED:
            return ("Paused, because nobody is looking: click on this window to go on.",)
        case Stage.EVALUATING:
            return (f"No more episodes: the policy is measured out of sight ({_doing(status)}).",)
        case Stage.LABELLING:
            return _labelling(status)
        case Stage.DONE:
            return (_ended(status),)


def _doing(status: Status) -> str:
    """What the learner does; it may not have taken in yet that it waits no longer."""
    waits = not status.learner or status.learner.startswith("waiting")
    return "a moment" if waits else status.learner


def _labelling(status: Status) -> Words:
    if status.pairs_waiting:
        return (f"{status.pairs_waiting} pairs wait to be compared:", Action.SCREEN)
    return ("No robot here: look at episodes and pairs with", Action.SCREEN)


def _ended(status: Status) -> str:
    final = next((each for each in reversed(status.evaluations) if each.final), None)
    how = f": alone it succeeds in {final.successes} of {final.episodes} starts" if final is not None else ""
    where = f" The report: {status.report}" if status.report else ""
    return f"The session is over{how}.{where}"


def _number(status: Status) -> str:
    number = status.demonstrations + 1
    return f"{number} of {max(number, status.demonstrations_planned)}"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".") + "."
