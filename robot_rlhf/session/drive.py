"""Who drives the arm at this moment, and what it is told: the way from hands, or a policy, to commands.

The operator's hands act when they come, not at the policy's tick. A takeover pre-empts the policy at
once: the arm's target is re-based on its measured pose, and the velocity goes from what it is to what the
thumb says without a jump. Lost hands are released hands, and hands that were lost, or that are refused,
drive again only after they have let go.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hardware.homing import towards
from hardware.robot import Source
from robot_rlhf.feedback.messages import LOST_S, Phase
from robot_rlhf.feedback.types import OperatorInput
from robot_rlhf.session.phases import Signal, following
from sim.env import SPEED_M_S, TaskEnv
from sim.task import FULL_TURN_RAD_S

Array = NDArray[np.float64]

HANDBACK_S = 0.3
"""The arm holds still this long between the operator's release and the policy."""
SPEEDING_UP_M_S2 = 1.0
"""The operator's velocity grows by no more than this; it falls as fast as the arm allows."""
_HANDS_VALID_S = 0.1
_NS = 1e9


@dataclass
class _Hands:
    """What is known of one console's hands."""

    name: str
    given: OperatorInput = field(default_factory=OperatorInput)
    seq: int = 0
    seen_ns: int = 0
    released: bool = False
    """Whether takeover was seen let go since these hands last lost the arm, or since they came."""


class Drive:
    """Hands and policy at one simulated or real arm. Times are ns of one monotonic clock."""

    def __init__(self, env: TaskEnv, phase: Phase, now_ns: int) -> None:
        self._env = env
        self.phase = phase
        self.driving = ""
        """The console that drives; empty when none does."""
        self.reason = ""
        """Why the arm holds or is stopped, in words; empty when it does not."""
        self.allowed = True
        """Whether a takeover is of use at the moment."""
        self.armed = True
        """False after a stop, until the operator takes over again."""
        self.drove = False
        """Whether an operator has had the arm; whoever has seen it sets it back."""
        self.wanted = np.zeros(3)
        self.homing_m: Array | None = None
        """Where the arm goes (3,), m, while somebody who has it leaves the stick alone; None: nowhere."""
        self._hands: dict[str, _Hands] = {}
        self._held_since = self._sent_ns = self._advanced_ns = now_ns
        self._velocity = np.zeros(3)  # what the operator's slew has come to

    # -- consoles ----------------------------------------------------------------------------------------

    def enter(self, console: str, name: str) -> None:
        """Hands that may drive."""
        self._hands[console] = _Hands(name)

    def knows(self, console: str) -> bool:
        """Whether these hands may drive."""
        return console in self._hands

    def leave(self, console: str, now_ns: int) -> None:
        """They are gone: as if takeover was released."""
        self._hands.pop(console, None)
        if console == self.driving:
            self._release(now_ns, "the operator left")

    @property
    def driver(self) -> str:
        """The name of the operator who drives; empty when none does."""
        return self._hands[self.driving].name if self.driving else ""

    @property
    def input_seq(self) -> int:
        """The newest hands accepted from the console that drives; 0 when none does."""
        return self._hands[self.driving].seq if self.driving else 0

    def hands(self, console: str, seq: int, given: OperatorInput, now_ns: int) -> None:
        """Hands at one moment; older ones than were seen, and unknown consoles, are ignored."""
        hands = self._hands.get(console)
        if hands is None or seq <= hands.seq:
            return
        hands.given, hands.seq, hands.seen_ns = given, seq, now_ns
        if not given.takeover:
            hands.released = True
            if console == self.driving:
                self._release(now_ns, "")
            return
        may = (self.allowed or not self.armed) and self.phase in (Phase.POLICY, Phase.HOLD)
        if may and not self.driving and hands.released:
            self._take(console, now_ns)
        if console == self.driving:
            self._send(now_ns)
        else:
            hands.released = False

    # -- phases ------------------------------------------------------------------------------------------

    def _take(self, console: str, now_ns: int) -> None:
        self.phase = following(self.phase, Signal.TAKE)
        if not self.armed:
            self._env.cell.arm()
        self.driving, self.reason, self.drove, self.armed = console, "", True, True
        self._hands[console].released = False
        applied = self._env.robot.read().applied
        before = np.zeros(3) if applied is None else applied.command.twist[:3]
        self._env.cell.rest()  # targets are where the arm is, not where the policy wanted it
        self._velocity = np.array(before)
        self._advanced_ns = now_ns

    def _release(self, now_ns: int, reason: str) -> None:
        self.phase = following(self.phase, Signal.RELEASE)
        self.driving, self.reason = "", reason
        self.hold(now_ns, reason)

    def hold(self, now_ns: int, reason: str) -> None:
        """Zero velocity; the pause before the policy begins now."""
        if self.phase is not Phase.STOPPED:
            if self.phase is Phase.OPERATOR and self.driving:
                self._hands[self.driving].released = False
            self.phase, self.driving, self.reason = Phase.HOLD, "", reason
        self._held_since = now_ns
        self._velocity = np.zeros(3)
        self.wanted = np.zeros(3)
        self._env.cell.rest()

    def stop(self, now_ns: int, reason: str) -> None:
        """Stop at once and stay stopped until `clear`."""
        self._env.cell.halt()
        self.phase = following(self.phase, Signal.STOP)
        for hands in self._hands.values():
            hands.released = False
        self.driving, self.reason, self.armed = "", reason, False
        self._velocity, self.wanted = np.zeros(3), np.zeros(3)
        self._held_since = now_ns

    def clear(self, now_ns: int) -> None:
        """Clear a stop: the arm holds, and moves again with a fresh takeover, or with `resume`."""
        self._env.cell.clear()
        self.phase = following(self.phase, Signal.CLEAR)
        self._held_since, self.reason = now_ns, "cleared: take over to go on"

    def disarm(self, now_ns: int, reason: str) -> None:
        """The arm holds until somebody takes it over, who lets it move by that."""
        self.hold(now_ns, f"{reason}: take over to go on")
        for hands in self._hands.values():
            hands.released = False
        self.armed = False

    def resume(self, now_ns: int) -> bool:
        """Hand a held arm to the policy once its pause is over; whether the policy has it."""
        if self.phase is Phase.HOLD and self.armed and now_ns - self._held_since >= HANDBACK_S * _NS:
            self.phase, self.reason = following(self.phase, Signal.HELD), ""
        return self.phase is Phase.POLICY

    # -- time --------------------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> None:
        """Call it every few ms: the slew goes on, and silence counts."""
        if self.phase is not Phase.OPERATOR:
            return
        hands = self._hands[self.driving]
        if now_ns - hands.seen_ns > LOST_S * _NS:
            hands.released = False
            self._release(now_ns, f"nothing was heard of {hands.name} for {LOST_S:.1f} s")
        elif now_ns - hands.seen_ns > _HANDS_VALID_S * _NS:
            if self._velocity.any():  # the command has run out, and so the arm stands
                self._env.cell.rest()
            self._velocity, self._advanced_ns = np.zeros(3), now_ns
        else:
            self._send(now_ns)

    def _send(self, now_ns: int) -> None:
        """Command what the hands say now, as far as the slew has come."""
        hands = self._hands[self.driving]
        stick = np.array(hands.given.stick)
        self.wanted = stick * SPEED_M_S
        if self.homing_m is not None and not stick.any():
            self.wanted = towards(self._env.robot.read().tool_pos_m, self.homing_m)
        elapsed_s = (now_ns - self._advanced_ns) / _NS
        self._advanced_ns = now_ns
        falling = self._env.robot.spec.max_acceleration_m_s2
        self._velocity = slewed(self._velocity, self.wanted, SPEEDING_UP_M_S2, falling, elapsed_s)
        left_s = _HANDS_VALID_S - (now_ns - hands.seen_ns) / _NS
        turn = hands.given.yaw * FULL_TURN_RAD_S
        self._env.drive(self._velocity, hands.given.grip, max(left_s, 1e-3), Source.OPERATOR, turn)


def slewed(before: Array, wanted: Array, rising: float, falling: float, elapsed_s: float) -> Array:
    """The velocity (3,) `elapsed_s` after `before` on the way to `wanted`, m/s: along each axis its
    magnitude grows by at most `rising` m/s^2 and falls by at most `falling`."""
    towards_zero = np.where(np.sign(wanted) == np.sign(before), wanted, 0.0)
    slower = np.abs(towards_zero) < np.abs(before)
    target = np.where(slower, towards_zero, wanted)
    step = np.where(slower, falling, rising) * elapsed_s
    return np.asarray(before + np.clip(target - before, -step, step))
