"""Whether an arm behind a wire may move, and on whose word: lease, watchdog, STOP. No sockets and no arm.

Whoever moves an arm holds its lease. A command is for one lease, newer than the one before, and answers a
state that is not old: its age is counted on the host's clock from when that state was published, so that
nothing that waited in a socket is taken for fresh, whatever it says of itself.

An arm that has stopped moves again after two acts of a person: `clear`, then `arm`. Times are ns of the
host's monotonic clock.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np

from hardware.robot import Command, Source, Vector
from hardware.security import Role
from hardware.transport import Peer

LEASE_S = 1.0
"""A lease that is not renewed ends after this."""
HOLD_AFTER_S, STOP_AFTER_S = 0.3, 0.5
"""An arm that needs a person beside it holds, and then stops, when nothing was heard of one for so long."""
LONGEST_S = {Source.POLICY: 0.2, Source.SCRIPT: 0.2, Source.OPERATOR: 0.1}
"""How long a command may last at most, from when the state that it answers was published."""

HOLDING = "holding: "
"""How an event begins that only says why the arm holds."""

_NS = 1_000_000_000
_REMEMBERED = 256  # published states whose age is known
_MAY_LEAD: dict[Role, frozenset[Source]] = {
    Role.OBSERVER: frozenset(),
    Role.POLICY: frozenset({Source.POLICY, Source.SCRIPT}),
    Role.OPERATOR: frozenset(Source),
    Role.MAINTAINER: frozenset(Source),
    Role.SESSION: frozenset(),
}


class Safety(str, Enum):
    """What an arm may do at this moment."""

    STOPPED = "stopped"  # latched, until it is cleared and then armed
    DISARMED = "disarmed"  # cleared, or just switched on; until it is armed
    HOLDING = "holding"  # armed, at zero velocity under power
    MOVING = "moving"  # following a command


class Why(str, Enum):
    """Why something asked of the host was refused."""

    ROLE = "role"
    LEASE = "lease"
    STOPPED = "stopped"
    DISARMED = "disarmed"
    SEQUENCE = "sequence"
    STALE = "stale"
    LONG = "long"
    DEAD_MAN = "dead man"
    STOPPED_SINCE = "stopped since"
    UNATTENDED = "unattended"


class NotAllowedError(Exception):
    """What was asked is refused; `why` for programs, the text for people."""

    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.why = why


@dataclass(frozen=True)
class Lease:
    """The right to move the arm, as `source`, until it expires, is released or is taken. Whoever knows its id
    and is the same user as `peer`, over whichever connection, has it."""

    id: str
    peer: Peer
    source: Source
    expires_ns: int


@dataclass(frozen=True, eq=False)
class Wish:
    """A tool velocity (m/s, rad/s) and gripper opening that a holder of `lease` asks for.

    `based_on` is the number of the state it answers, `lasts_s` counts from then; `dead_man` says that a
    person holds the switch.
    """

    lease: str
    seq: int
    twist: Vector
    gripper: float
    lasts_s: float
    based_on: int
    dead_man: bool


class Guard:
    """Decides for one arm."""

    def __init__(self, *, attended: bool) -> None:
        self.safety = Safety.DISARMED
        self.reason = "just switched on"
        """Why it does not move, in words; empty where it may."""
        self.stops = 0
        """How often it was told to stop."""
        self.lease: Lease | None = None
        self.happened: deque[str] = deque(maxlen=1_000)
        """What has come to pass, oldest first; whoever tells of it empties it."""
        self.attended = attended
        """Whether it moves only while a person is heard of."""
        self._published: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self.since = -1
        """A command answers a state after this one: after the arm was armed or put elsewhere, and no older
        than the newest when the lease was taken."""
        self._seq = -1  # of the newest command under this lease
        self._command: Command | None = None
        self._deadline_ns = 0
        self._heard_ns: int | None = None  # of a person

    # -- states ------------------------------------------------------------------------------------------

    def published(self, seq: int, now_ns: int) -> None:
        """A state of this number is about to go out."""
        self._published.append((seq, now_ns))

    @property
    def _newest(self) -> int:
        """The number of the newest state; -1 where there is none."""
        return self._published[-1][0] if self._published else -1

    def _published_ns(self, seq: int) -> int | None:
        """When that state went out; None where it never did, or so long ago that it does not matter."""
        if not self._published:
            return None
        first = self._published[0][0]
        at = self._published[seq - first] if 0 <= seq - first < len(self._published) else None
        return None if at is None else at[1]

    # -- who leads ---------------------------------------------------------------------------------------

    def take(self, peer: Peer, source: Source, now_ns: int, instead: str = "") -> Lease:
        """A new lease for `peer`. An operator takes it from a policy or a script at once; otherwise whoever
        has it keeps it, and who has the lease `instead` may change it for another. Raises NotAllowedError."""
        if source not in _MAY_LEAD[peer.role]:
            raise NotAllowedError(
                Why.ROLE, f"{peer.name} is {peer.role.value}: it may not lead as {source.value}"
            )
        held = self._valid_lease(now_ns)
        preempts = source is Source.OPERATOR and held is not None and held.source is not Source.OPERATOR
        is_own = held is not None and (held.peer == peer or self._is_of(held, peer, instead))
        if held is not None and not is_own and not preempts:
            raise NotAllowedError(Why.LEASE, f"{held.peer.name} has the arm, as {held.source.value}")
        self.lease = Lease(secrets.token_hex(8), peer, source, now_ns + round(LEASE_S * _NS))
        # a command that has the new id was made after this
        self.since = max(self.since, self._newest - 1)
        self._begin_anew()
        if held is None or (held.peer, held.source) != (peer, source):
            self.happened.append(f"{peer.name} has the arm, as {source.value}")
        return self.lease

    def renew(self, peer: Peer, id: str, now_ns: int) -> Lease:
        """The same lease, for longer. Raises NotAllowedError where it is not theirs any more."""
        held = self._own_lease(peer, id, now_ns)
        self.lease = Lease(held.id, held.peer, held.source, now_ns + round(LEASE_S * _NS))
        return self.lease

    def release(self, peer: Peer, id: str, now_ns: int) -> None:
        """Give it back: the arm holds. Raises NotAllowedError where it is not theirs any more."""
        self._end_lease(f"{self._own_lease(peer, id, now_ns).peer.name} gave the arm back")

    def laid_out(self, peer: Peer, id: str, now_ns: int) -> None:
        """The arm is about to be put elsewhere: what was commanded is forgotten. Raises NotAllowedError where
        it is not theirs, or stopped."""
        self._own_lease(peer, id, now_ns)
        if self.safety is Safety.STOPPED:
            raise NotAllowedError(Why.STOPPED, f"stopped: {self.reason}")
        self.since = self._newest
        self._begin_anew()

    def heard(self, peer: Peer, now_ns: int) -> None:
        """A person lets it be known that they are there. Raises NotAllowedError for others than people."""
        self._require_person(peer, "stand in for a person")
        self._heard_ns = now_ns

    # -- stopping and starting ---------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """Stop, and stay stopped. Whoever says it again says it for what they see then."""
        self.stops += 1
        if self.safety is Safety.STOPPED:
            return
        self.safety, self.reason = Safety.STOPPED, reason
        self._end_lease("")
        self.happened.append(f"stopped: {reason}")

    def clear(self, peer: Peer, stops: int) -> None:
        """The first of two acts after a stop, by somebody who knows of so many. Raises NotAllowedError as
        `require_to_clear`."""
        self.require_to_clear(peer, stops)
        if self.safety is Safety.STOPPED:
            self.safety, self.reason = Safety.DISARMED, "cleared: arm to go on"
            self.happened.append(f"cleared by {peer.name}")

    def require_to_clear(self, peer: Peer, stops: int) -> None:
        """Raises NotAllowedError for others than people, and where there was a stop that they do not know
        of."""
        self._require_person(peer, "clear a stop")
        self._require_known(stops)

    def _require_known(self, stops: int) -> None:
        if stops != self.stops:
            raise NotAllowedError(Why.STOPPED_SINCE, f"it was stopped since that was asked: {self.reason}")

    @staticmethod
    def _require_person(peer: Peer, act: str) -> None:
        if peer.role not in (Role.OPERATOR, Role.MAINTAINER):
            raise NotAllowedError(Why.ROLE, f"{peer.name} is {peer.role.value}: it may not {act}")

    def arm(self, peer: Peer, now_ns: int, stops: int) -> None:
        """The second. Raises NotAllowedError as `require_to_clear`, while stopped, and where nobody is heard
        of though somebody has to be."""
        self._require_person(peer, "arm")
        self._require_known(stops)
        if self.safety is Safety.STOPPED:
            raise NotAllowedError(Why.STOPPED, f"stopped ({self.reason}): clear it first")
        if self.attended and self._silence_s(now_ns) > HOLD_AFTER_S:
            raise NotAllowedError(
                Why.UNATTENDED, "nobody is heard of, and this arm moves only beside a person"
            )
        if self.safety is Safety.DISARMED:
            self.safety, self.reason = Safety.HOLDING, ""
            self.since = self._newest
            self._begin_anew()
            self.happened.append(f"armed by {peer.name}")

    # -- commands ----------------------------------------------------------------------------------------

    def command(self, peer: Peer, wish: Wish, now_ns: int) -> Command:
        """Follow this until it has run out or another comes. Raises NotAllowedError, and ValueError for
        numbers that are none; what is followed then stays as it was."""
        held = self._own_lease(peer, wish.lease, now_ns)
        if self.safety is Safety.STOPPED:
            raise NotAllowedError(Why.STOPPED, f"stopped: {self.reason}")
        if self.safety is Safety.DISARMED:
            raise NotAllowedError(Why.DISARMED, f"not armed: {self.reason}")
        if wish.seq <= self._seq:
            raise NotAllowedError(Why.SEQUENCE, f"command {wish.seq} is not newer than {self._seq}")
        longest_s = LONGEST_S[held.source]
        if not 0.0 < wish.lasts_s <= longest_s:
            raise NotAllowedError(
                Why.LONG, f"it lasts {wish.lasts_s} s: above 0 and at most {longest_s} as {held.source.value}"
            )
        if held.source is Source.OPERATOR and not wish.dead_man:
            raise NotAllowedError(Why.DEAD_MAN, "an operator's command needs the dead-man switch held")
        if self.attended and held.source is not Source.OPERATOR and self._silence_s(now_ns) > HOLD_AFTER_S:
            raise NotAllowedError(
                Why.UNATTENDED, "nobody is heard of, and this arm moves only beside a person"
            )
        answered_ns = self._published_ns(wish.based_on)
        if answered_ns is None or wish.based_on <= self.since:
            raise NotAllowedError(Why.STALE, f"it answers state {wish.based_on}, which says nothing of now")
        deadline_ns = answered_ns + round(wish.lasts_s * _NS)
        if deadline_ns <= now_ns:
            late_ms = (now_ns - deadline_ns) / 1e6
            raise NotAllowedError(
                Why.STALE, f"it ran out {late_ms:.0f} ms ago: it answers state {wish.based_on}"
            )
        left_s = (deadline_ns - now_ns) / _NS
        command = Command(wish.seq, np.array(wish.twist), wish.gripper, left_s, held.source)
        if held.source is Source.OPERATOR:
            self._heard_ns = now_ns
        self._seq, self._deadline_ns, self._command = wish.seq, deadline_ns, command
        self.safety, self.reason = Safety.MOVING, ""
        return command

    def due(self, now_ns: int) -> Command | None:
        """What the arm shall follow now; None for zero velocity. Call it at every turn of the control loop:
        here is noticed what has fallen silent."""
        if self.lease is not None and self._valid_lease(now_ns) is None:
            self._end_lease(f"the lease of {self.lease.peer.name} was not renewed")
        if self.safety in (Safety.STOPPED, Safety.DISARMED):
            return None
        silence_s = self._silence_s(now_ns) if self.attended else 0.0
        if silence_s > STOP_AFTER_S:
            self.stop(f"nobody was heard of for {STOP_AFTER_S} s")
            return None
        if self._command is not None and now_ns >= self._deadline_ns:
            self._hold("the command has run out")
        if self._command is not None and silence_s > HOLD_AFTER_S:
            self._hold(f"nobody was heard of for {HOLD_AFTER_S} s")
        return self._command

    # -- within ------------------------------------------------------------------------------------------

    def _silence_s(self, now_ns: int) -> float:
        return float("inf") if self._heard_ns is None else (now_ns - self._heard_ns) / _NS

    def _valid_lease(self, now_ns: int) -> Lease | None:
        return self.lease if self.lease is not None and now_ns < self.lease.expires_ns else None

    def _own_lease(self, peer: Peer, id: str, now_ns: int) -> Lease:
        held = self._valid_lease(now_ns)
        if held is None or not self._is_of(held, peer, id):
            who = "nobody" if held is None else held.peer.name
            raise NotAllowedError(Why.LEASE, f"the lease {id!r} of {peer.name} is over: {who} has the arm")
        return held

    @staticmethod
    def _is_of(held: Lease, peer: Peer, id: str) -> bool:
        return held.id == id and (held.peer.name, held.peer.key) == (peer.name, peer.key)

    def _begin_anew(self) -> None:
        """What was commanded before is forgotten."""
        self._seq = -1
        if self._command is not None:
            self._hold("the lease changed hands")

    def _hold(self, reason: str) -> None:
        self._command = None
        if self.safety is Safety.MOVING:
            self.safety, self.reason = Safety.HOLDING, reason
            self.happened.append(f"{HOLDING}{reason}")

    def _end_lease(self, reason: str) -> None:
        """`reason` is told, also where the arm holds already; "" is not."""
        if reason and self.safety is not Safety.MOVING:
            self.happened.append(reason)
        self.lease = None
        self._hold(reason)
        self._command = None
