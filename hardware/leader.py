"""A served arm as a control loop has it: nothing here waits, and nothing raises because of the link.

What cannot be done is not done, and said in words: `stopped`, `armed` and `trouble` are to be looked at in
every pass. The lease follows the source of the commands; between asking for one and a state that may be
answered under it, some hundredths of a second, the arm holds.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from hardware.clock import NS_PER_S
from hardware.host.guard import Safety
from hardware.remote import RemoteRobot
from hardware.robot import Applied, Command, RobotError, RobotSpec, RobotState, Source

PRESENT_S = 0.1
"""How often the host is told that a person is there."""
_ASKED_S = 0.5  # how long an act that was asked for is taken to be on its way


class Leader:
    """Leads the arm of `robot`, which it closes. A `Robot`, but for `read`: it gives the newest state known,
    however old, and `trouble` says so."""

    def __init__(self, robot: RemoteRobot) -> None:
        """Raises RobotError where no state comes."""
        self._robot = robot
        self._state = robot.read()
        self._trouble = ""
        self._asked_ns = 0  # when a person last asked for something that has not come to be yet
        self._awaited: frozenset[Safety] = frozenset()  # what shows that it has
        self._tried_ns = 0  # when it was last asked to lead
        self._present_ns = 0

    @property
    def spec(self) -> RobotSpec:
        return self._robot.spec

    @property
    def trouble(self) -> str:
        """Why the arm cannot be led now, in words; empty where it can, or nobody has just tried."""
        tried = time.monotonic_ns() - self._tried_ns < _ASKED_S * NS_PER_S
        return self._trouble or (self._robot.refusal if tried and self._robot.leading is None else "")

    @property
    def stopped(self) -> str:
        """Why the arm is stopped until `clear`, in words; empty where it is not, as far as is known."""
        said = self._robot.newest
        is_stopped = said.safety is Safety.STOPPED and not self._is_on_its_way
        return (said.reason or "the arm is stopped") if is_stopped else ""

    @property
    def armed(self) -> bool:
        """Whether the arm follows commands once it is led."""
        return self._robot.newest.safety is not Safety.DISARMED or self._is_on_its_way

    def events(self) -> list[str]:
        """What the host has told of since this was last asked, oldest first."""
        events = list(self._robot.events)
        self._robot.events.clear()
        return events

    @property
    def _is_on_its_way(self) -> bool:
        return time.monotonic_ns() - self._asked_ns < _ASKED_S * NS_PER_S

    def service(self) -> None:
        """Take in what has come, and say what is due. Call it every few ms."""
        try:
            self._state, self._trouble = self._robot.read(), ""
        except RobotError as error:
            self._trouble = str(error)
        if self._robot.newest.safety in self._awaited:
            self._asked_ns = 0

    # -- Robot -------------------------------------------------------------------------------------------

    def read(self) -> RobotState:
        """The newest state known."""
        self.service()
        return self._state

    def send(self, command: Command) -> Applied:
        """Have the arm follow it, where it can be led. The result is what is known to be let through, at rest
        where it cannot."""
        self.service()
        if self._robot.leading is not command.source:
            self._ask_to_lead(command.source)
        elif self._robot.ready and not self._trouble:
            try:
                return self._robot.send(command)
            except RobotError as error:
                self._trouble = str(error) if self.armed and not self.stopped else ""
        return Applied(replace(command, twist=np.zeros(6)))

    def _ask_to_lead(self, source: Source) -> None:
        self._tried_ns = time.monotonic_ns()
        try:
            self._robot.ask_to_lead(source)
        except RobotError as error:
            self._trouble = str(error)

    def stop(self) -> None:
        """Hold: what was commanded is forgotten, and the next command is followed."""
        if self._robot.leading is not None:
            self._ask_to_lead(self._robot.leading)

    def close(self) -> None:
        self._robot.close()

    # -- what people do ----------------------------------------------------------------------------------

    def halt(self) -> None:
        """STOP, until `clear` and `arm`."""
        self._asked_ns = 0
        self._robot.stop()

    def clear(self) -> None:
        """Clear a stop."""
        self._asked_ns, self._awaited = time.monotonic_ns(), frozenset(Safety) - {Safety.STOPPED}
        self._robot.ask_to_clear()

    def arm(self) -> None:
        """Let the arm move."""
        self._asked_ns, self._awaited = time.monotonic_ns(), frozenset({Safety.HOLDING, Safety.MOVING})
        self._robot.ask_to_arm()

    def present(self) -> None:
        """A person is there: may be called as often as one likes."""
        now_ns = time.monotonic_ns()
        if now_ns - self._present_ns >= PRESENT_S * NS_PER_S:
            self._present_ns = now_ns
            self._robot.present()
