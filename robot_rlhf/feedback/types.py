"""The five kinds of feedback, as the messages that travel and the rows that are stored.

Every event is frozen, checked when made, and carries who said it, when and in which session. An
event is never changed or deleted: taking one back is an `Undo`. None can be part of a cycle, so Python's
collector of those need not go through them (`gc=False`), however many are held.
"""

from __future__ import annotations

import uuid
from enum import Enum, IntEnum
from typing import TypeAlias, TypedDict

import msgspec


class Driver(IntEnum):
    """Who drove a step."""

    POLICY = 0
    OPERATOR = 1
    CLONE = 2  # a clone of the operator, where it is the policy


class Kind(str, Enum):
    """The kinds of feedback by the names they have in flags and JSON."""

    DEMONSTRATIONS = "demonstrations"
    TAKEOVERS = "takeovers"
    PREFERENCES = "preferences"
    EVALUATIONS = "evaluations"
    OUTCOMES = "outcomes"


class Choice(str, Enum):
    """An answer to 'which clip is better?'."""

    LEFT = "left"
    RIGHT = "right"
    EQUAL = "equal"
    CANNOT_TELL = "cannot_tell"  # stored, never learned from


class Segment(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """`length` consecutive transitions of an episode, from step `start` on."""

    episode: int
    start: int
    length: int

    def __post_init__(self) -> None:
        if self.episode < 0 or self.start < 0 or self.length < 1:
            raise ValueError(f"{self} is no segment: episode and start from 0, length from 1")


class Query(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Two segments to compare, and why they were chosen ('disagreement', 'random', 'repeat')."""

    id: str
    left: Segment
    right: Segment
    reason: str


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """What every feedback event carries. `time_ns` is wall-clock time since the epoch."""

    id: str
    operator: str
    session: str
    time_ns: int


class EventFields(TypedDict):
    """The fields that every event carries, to make one with."""

    id: str
    operator: str
    session: str
    time_ns: int


class Preference(Event, frozen=True, kw_only=True, gc=False, tag="preferences"):
    """Which of two segments is better, how long the answer took and how often the clips began again
    before it."""

    query: str
    left: Segment
    right: Segment
    choice: Choice
    response_s: float
    replays: int = 0


class Evaluation(Event, frozen=True, kw_only=True, gc=False, tag="evaluations"):
    """A good or bad press while step `step` of an episode was running."""

    episode: int
    step: int
    good: bool


class Takeover(Event, frozen=True, kw_only=True, gc=False, tag="takeovers"):
    """The operator drove `executed`. `counterfactual` is what the policy of that moment would have
    done from the same state for the same time (an episode of its own), or None where it could not be
    rolled out; then the equally long clip before the takeover stands in for it."""

    executed: Segment
    counterfactual: Segment | None


class Demonstration(Event, frozen=True, kw_only=True, gc=False, tag="demonstrations"):
    """A whole episode driven by the operator, with the alternatives it was chosen over."""

    episode: int
    alternatives: tuple[int, ...]


class Outcome(Event, frozen=True, kw_only=True, gc=False, tag="outcomes"):
    """The operator's mark at the end of an episode."""

    episode: int
    success: bool


class Undo(Event, frozen=True, kw_only=True, gc=False, tag="undo"):
    """Takes the event `target` back; both stay in the record."""

    target: str


class Removal(Event, frozen=True, kw_only=True, gc=False, tag="removal"):
    """Takes an episode, and all that was said of it, out of what is learned from; undoing brings it back."""

    episode: int


Feedback: TypeAlias = Preference | Evaluation | Takeover | Demonstration | Outcome
Withdrawal: TypeAlias = Undo | Removal

KIND_OF: dict[type, Kind] = {
    Preference: Kind.PREFERENCES,
    Evaluation: Kind.EVALUATIONS,
    Takeover: Kind.TAKEOVERS,
    Demonstration: Kind.DEMONSTRATIONS,
    Outcome: Kind.OUTCOMES,
}


def derived_id(seed: int, *parts: object) -> str:
    """A stable identifier: the same seed and parts give the same id, so a seeded run repeats exactly
    and an event that is sent twice is stored once."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, ":".join(str(part) for part in (seed, *parts))))


class Press(str, Enum):
    """A momentary button."""

    GOOD = "good"
    BAD = "bad"


class OperatorInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator's hands do at one moment, as a console sends it.

    `stick` is (x, y, z) in [-1, 1], a fraction of full tool speed; `yaw` in [-1, 1] is a fraction of full
    turning rate about the base's z axis; `grip` is -1 to close, 1 to open, 0 to leave; `takeover` is the
    held dead-man: without it stick, yaw and grip move nothing.
    """

    stick: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    grip: float = 0.0
    takeover: bool = False
    press: Press | None = None

    def __post_init__(self) -> None:
        for name, values in (("stick", self.stick), ("yaw", (self.yaw,)), ("grip", (self.grip,))):
            if not all(-1.0 <= value <= 1.0 for value in values):
                raise ValueError(f"{name} is {values}: every number must lie in [-1, 1]")
