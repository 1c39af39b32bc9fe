"""Who drives now: a table from (phase, event) to the next phase, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from robot_rlhf.feedback.messages import Phase


class Signal(Enum):
    """What can change that."""

    TAKE = "take"  # the operator presses take-over
    RELEASE = "release"  # the operator lets go, or is lost
    HELD = "held"  # the pause after a release is over
    STOP = "stop"
    CLEAR = "clear"  # the fault is cleared


TABLE: Mapping[tuple[Phase, Signal], Phase] = {
    (Phase.POLICY, Signal.TAKE): Phase.OPERATOR,
    (Phase.HOLD, Signal.TAKE): Phase.OPERATOR,
    (Phase.OPERATOR, Signal.RELEASE): Phase.HOLD,
    (Phase.HOLD, Signal.HELD): Phase.POLICY,
    **{(phase, Signal.STOP): Phase.STOPPED for phase in Phase},
    (Phase.STOPPED, Signal.CLEAR): Phase.HOLD,
}


def following(phase: Phase, signal: Signal) -> Phase:
    """The phase after `signal`; what the table does not name changes nothing."""
    return TABLE.get((phase, signal), phase)
