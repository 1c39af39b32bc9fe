"""An arm at the other end of a wire, as a `Robot`.

It never serves an old state as a new one, never queues a command, and starts no thread: what has to be said
in time, renewing the lease above all, is said by `read` and `send`. Whoever stops calling them stops the arm.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from hardware import wire
from hardware.clock import NS_PER_S
from hardware.host.guard import LONGEST_S, Safety
from hardware.host_link import HostLink
from hardware.limits import limit
from hardware.robot import (
    Applied,
    Command,
    FaultError,
    RobotError,
    RobotSpec,
    RobotState,
    Source,
    Vector,
)
from hardware.security import ClientSecurity
from hardware.transport import Incoming, wait


class RemoteRobot:
    """The arm that `address`, a host's, serves. Not for use from several threads.

    `take`, `arm` and `clear_fault` ask the host and raise RobotError with its words where it refuses. A host
    that was started anew is another one: whatever is called here raises RobotError then, and says so.
    """

    def __init__(
        self,
        address: str,
        *,
        name: str = "remote",
        security: ClientSecurity | None = None,
        timeout_s: float = 2.0,
        stale_s: float = 0.2,
        blind: bool = False,
    ) -> None:
        """Waits up to `timeout_s` for the host's answer, now and at each later question, and for a state,
        but if `blind` it shall do without. A state that came more than `stale_s` ago is old. Raises
        RobotError where no host answers, or one that speaks otherwise."""
        self.link = HostLink(address, name, security, timeout_s, stale_s, blind)
        """What it stands on, for those who try what a host takes."""
        self._seq = 0

    @property
    def spec(self) -> RobotSpec:
        return self.link.spec

    @property
    def welcome(self) -> wire.Welcome:
        """Who the host is."""
        return self.link.welcome

    @property
    def refusal(self) -> str:
        """Why the host refused a command, or to renew the lease, last; empty once it follows again."""
        return self.link.refusal

    @property
    def events(self) -> list[str]:
        """What the host told of since this was made, oldest first; whoever has read it clears it. What got
        lost on its way is asked for again."""
        return self.link.events

    @property
    def safety(self) -> Safety:
        """What the arm may do, by the newest state. Raises StaleStateError as `read` does."""
        return self.now().safety

    @property
    def stop_address(self) -> str:
        """Where the host hears STOP, tcp://HOST:PORT."""
        return self.link.beside(self.welcome.stop_port)

    @property
    def cameras(self) -> Mapping[str, str]:
        """Where its cameras publish, by name: for `hardware.cameras.remote.RemoteCamera`."""
        return {name: self.link.beside(port) for name, port in self.welcome.cameras.items()}

    @property
    def newest(self) -> wire.State:
        """The newest state with all that the host says of it, however old."""
        return self.link.newest

    @property
    def leading(self) -> Source | None:
        """As what it leads the arm; None where it does not, or is not known to yet."""
        return self.link.source if self.link.lease else None

    @property
    def ready(self) -> bool:
        """Whether a state has come that a command under the newest lease may answer."""
        return bool(self.link.lease) and self.newest.seq > self.link.since

    @property
    def objects(self) -> Mapping[str, Vector]:
        """Where things are that a simulated arm stands before, by name (7,): m and quaternion xyzw."""
        return self.link.objects

    # -- Robot -------------------------------------------------------------------------------------------

    def read(self) -> RobotState:
        """The newest state. Raises StaleStateError where none has come for `stale_s`."""
        self.link.service()
        self.link.fresh()
        assert self.link.reading is not None
        return self.link.reading

    def send(self, command: Command) -> Applied:
        """Ask for it, in answer to the newest state. The result is what the limits will let through by what
        is known here; what they did let through is in the states. Never waits. Raises StaleStateError as
        `read` does, FaultError where the arm is stopped or not armed, and RobotError without a lease."""
        reading, safety, spec = self.read(), self.newest.safety, self.spec
        if safety in (Safety.STOPPED, Safety.DISARMED):
            raise FaultError(
                f"command {command.seq} refused: {spec.name} is {safety.value}: {self.newest.reason}"
            )
        if self.leading is None:
            raise RobotError(f"command {command.seq} refused: {self.refusal or 'take() the arm first'}")
        applied = limit(command, reading, reading.applied, spec, 1.0 / spec.control_hz)
        self._seq += 1
        lasts_s = min(command.valid_for_s, LONGEST_S[self.link.source])
        dead_man = command.source is Source.OPERATOR
        self.link.commands.send(
            self.move(self._seq, command.twist, command.gripper, lasts_s, dead_man=dead_man)
        )
        return applied

    def move(self, seq: int, twist: Vector, gripper: float, lasts_s: float, *, dead_man: bool) -> wire.Move:
        """A command as it travels, in answer to the newest state. Raises StaleStateError as `read` does."""
        return wire.Move(
            session=self.welcome.session,
            lease=self.link.lease,
            seq=seq,
            twist=wire.numbers(twist),
            gripper=gripper,
            lasts_s=lasts_s,
            based_on=self.link.fresh().seq,
            dead_man=dead_man,
        )

    def exchange(self, move: wire.Move) -> wire.FromCommands:
        """Say just this, and wait for the answer to it, for those who try what a host takes. Raises
        RobotError where none comes."""
        deadline_ns = time.monotonic_ns() + round(self.link.timeout_s * NS_PER_S)
        is_sent = False
        while time.monotonic_ns() < deadline_ns:
            is_sent = is_sent or self.link.commands.send(move)
            answer = self.link.commands.receive()
            if isinstance(answer, Incoming) and answer.message.seq == move.seq:
                return answer.message
            wait([self.link.commands], min(deadline_ns, time.monotonic_ns() + NS_PER_S // 100))
        raise RobotError(f"command {move.seq} was not answered within {self.link.timeout_s} s")

    def stop(self) -> None:
        """STOP: the arm decelerates and stays stopped until `clear_fault` and `arm`. Waits for nothing; the
        host is told again and again by whatever is called here next until it has heard."""
        if not self.link.is_closed:
            self.link.stop.request(wire.Stop(reason=""), retry_s=0.02, deadline_s=5.0)
            self.link.stop.receive()

    def close(self) -> None:
        """Give the arm back, and wait until the host has heard it, 0.2 s at most. Calling it twice is
        fine."""
        self.link.close()

    # -- beside it ---------------------------------------------------------------------------------------

    def take(self, source: Source) -> None:
        """Lead the arm as `source`. Raises RobotError where that may not be."""
        self.link.service()
        self.link.took(self.link.ask(wire.Take(source=source, lease=self.link.lease), wire.Leased), source)
        self.link.until(lambda: self.ready)

    def ask_to_lead(self, source: Source) -> None:
        """The same without waiting: `leading` and `ready` tell when it is so, `refusal` why it is not.
        Whoever leads already gets a new lease, and the arm holds."""
        question = wire.Take(source=source, lease=self.link.lease)
        if not self.link.is_asked(question):
            self.link.ask_later(question)

    def ask_to_arm(self) -> None:
        """`arm` without waiting: the states tell."""
        self.link.ask_later(wire.Arm(stops=self.link.stops))

    def ask_to_clear(self) -> None:
        """`clear_fault` without waiting: the states tell."""
        self.link.ask_later(wire.Clear(stops=self.link.stops))

    def lay_out(self, tool_pos_m: Vector, opening: float, poses: Mapping[str, Vector]) -> None:
        """Put a simulated arm that is led, and what lies before it, at a start, and wait until it is there.
        Raises RobotError where that may not be."""
        self.link.service()
        places = {name: wire.numbers(pose) for name, pose in poses.items()}
        question = wire.Lay(
            lease=self.link.lease, tool_pos_m=wire.numbers(tool_pos_m), opening=opening, poses=places
        )
        since = self.link.ask(question, wire.Laid).since
        self.link.until(lambda: min(self.link.seen, self.link.newest.seq) > since)

    def arm(self) -> None:
        """Let the arm move. For people, who are then taken to be there; raises RobotError where that may not
        be."""
        self.link.service()
        self.link.ask(wire.Present(), wire.Done, self.link.stop)
        self.link.ask(wire.Arm(stops=self.link.stops), wire.Done)
        self.link.until_safety(lambda safety: safety is not Safety.DISARMED)

    def clear_fault(self) -> None:
        """Clear a stop, and the arm's faults. For people; raises RobotError where that may not be."""
        self.link.service()
        self.link.ask(wire.Clear(stops=self.link.stops), wire.Done)
        self.link.until_safety(lambda safety: safety is not Safety.STOPPED)

    def stop_and_wait(self) -> None:
        """STOP, and wait until the host says that the arm is stopped, in a state too where those come.
        Raises RobotError where it does not."""
        self.link.ask(wire.Stop(reason=""), wire.Done, self.link.stop)
        if self.link.state is not None:
            self.link.until_safety(lambda safety: safety is Safety.STOPPED)

    def now(self) -> wire.State:
        """The newest state with all that the host says of it, once there is one. Raises as `read` does."""
        self.link.service()
        self.link.until(lambda: self.link.state is not None)
        return self.link.fresh()

    def present(self) -> None:
        """Let it be known that a person is there: at least five times a second where the arm needs one."""
        self.link.stop.send(wire.Present())
        self.link.stop.receive()

    def ping_s(self) -> float:
        """The time of a question and its answer."""
        began_ns = time.monotonic_ns()
        self.link.ask(wire.Ping(client_ns=began_ns), wire.Pong)
        return (time.monotonic_ns() - began_ns) / NS_PER_S
