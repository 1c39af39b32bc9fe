"""An arm at the other end of a wire, as a `Robot`.

It never serves an old state as a new one, never queues a command, and starts no thread: what has to be said
in time, renewing the lease above all, is said by `read` and `send`. Whoever stops calling them stops the arm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hardware import wire
from hardware.clock import NS_PER_S
from hardware.host.guard import LONGEST_S, Safety
from hardware.limits import limit
from hardware.robot import (
    Applied,
    Command,
    FaultError,
    RobotError,
    RobotSpec,
    RobotState,
    Source,
    StaleStateError,
    Vector,
)
from hardware.security import ClientSecurity
from hardware.transport import Client, Expired, Incoming, Subscriber, TransportError, wait

RENEW_S = 0.25
"""A lease is renewed after this."""
_GREET_S = 0.5  # while no state comes the host is asked as often whether it is still the same

_RELEASED_S = 0.2

_Answer = TypeVar("_Answer")


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
    ) -> None:
        """Waits up to `timeout_s` for the host's answer, now and at each later question. A state that came
        more than `stale_s` ago is old. Raises RobotError where no host answers, or one that speaks
        otherwise."""
        self._address, self._timeout_s, self._stale_ns = address, timeout_s, round(stale_s * NS_PER_S)
        self._lease, self._source, self._renew_ns = "", Source.SCRIPT, 0
        self._since = -1  # commands answer states after this one
        self._later: dict[str, wire.ToHost] = {}  # questions whose answers nobody waits for
        self._objects: dict[str, Vector] = {}
        self._seen = -1  # the state that they belong to
        self._state: wire.State | None = None
        self._reading: RobotState | None = None
        self._came_ns = 0
        self._seq = 0
        self._greet_ns = 0
        self._is_another = False  # the host, since it was started anew
        self._closed = False
        self.refusal = ""
        """Why the host refused a command, or to renew the lease, last; empty once it follows again."""
        self.events: list[str] = []
        """What the host told of since this was made, oldest first; whoever has read it empties it. What got
        lost on its way is asked for again."""
        self._said = ""  # what it told of since the newest state
        self._told: int | None = None  # the number of the newest event that is among them
        self._asked_events = ""
        self._rpc: Client[wire.FromHost] = Client(address, wire.FromHost, security=security)
        try:
            self._hello = wire.Hello(version=wire.VERSION, schema=wire.schema(), name=name)
            self.welcome = self._ask(self._hello, wire.Welcome)
            self._spec = self.welcome.spec.spec()
            self._commands: Client[wire.FromCommands] = Client(
                self._beside(self.welcome.commands_port), wire.FromCommands, security=security, immediate=True
            )
            self._stop: Client[wire.Done | wire.Refused] = Client(
                self.stop_address, wire.Done | wire.Refused, security=security
            )
            self._states: Subscriber[wire.Published] = Subscriber(
                self._beside(self.welcome.states_port), wire.Published, security=security, hwm=64
            )
        except BaseException:
            self._rpc.close()
            raise
        try:
            self._await(lambda: self._state is not None and (self._seen >= 0 or not self.welcome.lays_out))
        except BaseException:
            self.close()
            raise

    @property
    def spec(self) -> RobotSpec:
        return self._spec

    @property
    def safety(self) -> Safety:
        """What the arm may do, by the newest state. Raises StaleStateError as `read` does."""
        return self.now().safety

    @property
    def stop_address(self) -> str:
        """Where the host hears STOP, tcp://HOST:PORT."""
        return self._beside(self.welcome.stop_port)

    @property
    def cameras(self) -> Mapping[str, str]:
        """Where its cameras publish, by name: for `hardware.cameras.remote.RemoteCamera`."""
        return {name: self._beside(port) for name, port in self.welcome.cameras.items()}

    @property
    def newest(self) -> wire.State:
        """The newest state with all that the host says of it, however old."""
        assert self._state is not None  # one came before anybody had this
        return self._state

    @property
    def leading(self) -> Source | None:
        """As what it leads the arm; None where it does not, or is not known to yet."""
        return self._source if self._lease else None

    @property
    def ready(self) -> bool:
        """Whether a state has come that a command under the newest lease may answer."""
        return bool(self._lease) and self._state is not None and self._state.seq > self._since

    @property
    def objects(self) -> Mapping[str, Vector]:
        """Where things are that a simulated arm stands before, by name (7,): m and quaternion xyzw."""
        return self._objects

    # -- Robot -------------------------------------------------------------------------------------------

    def read(self) -> RobotState:
        """The newest state. Raises StaleStateError where none has come for `stale_s`."""
        self._service()
        self._fresh()
        assert self._reading is not None
        return self._reading

    def send(self, command: Command) -> Applied:
        """Ask for it, in answer to the newest state. The result is what the limits will let through by what
        is known here; what they did let through is in the states. Never waits. Raises StaleStateError as
        `read` does, FaultError where the arm is stopped or not armed, and RobotError without a lease."""
        self._service()
        state = self._fresh()
        if state.safety in (Safety.STOPPED, Safety.DISARMED):
            raise FaultError(
                f"command {command.seq} refused: {self._spec.name} is {state.safety.value}: {state.reason}"
            )
        if not self._lease:
            raise RobotError(f"command {command.seq} refused: {self.refusal or 'take() the arm first'}")
        assert self._reading is not None
        period_s = 1.0 / self._spec.control_hz
        applied = limit(command, self._reading, self._reading.applied, self._spec, period_s)
        self._seq += 1
        lasts_s = min(command.valid_for_s, LONGEST_S[self._source])
        dead_man = command.source is Source.OPERATOR
        self._commands.send(self.move(self._seq, command.twist, command.gripper, lasts_s, dead_man=dead_man))
        return applied

    def move(self, seq: int, twist: Vector, gripper: float, lasts_s: float, *, dead_man: bool) -> wire.Move:
        """A command as it travels, in answer to the newest state. Raises StaleStateError as `read` does."""
        return wire.Move(
            session=self.welcome.session,
            lease=self._lease,
            seq=seq,
            twist=wire.numbers(twist),
            gripper=gripper,
            lasts_s=lasts_s,
            based_on=self._fresh().seq,
            dead_man=dead_man,
        )

    def exchange(self, move: wire.Move) -> wire.FromCommands:
        """Say just this, and wait for the answer to it, for those who try what a host takes. Raises
        RobotError where none comes."""
        deadline_ns = time.monotonic_ns() + round(self._timeout_s * NS_PER_S)
        is_sent = False
        while time.monotonic_ns() < deadline_ns:
            is_sent = is_sent or self._commands.send(move)
            answer = self._commands.receive()
            if isinstance(answer, Incoming) and answer.message.seq == move.seq:
                return answer.message
            wait([self._commands], min(deadline_ns, time.monotonic_ns() + NS_PER_S // 100))
        raise RobotError(f"command {move.seq} was not answered within {self._timeout_s} s")

    def stop(self) -> None:
        """STOP: the arm decelerates and stays stopped until `clear_fault` and `arm`. Waits for nothing; the
        host is told again and again by whatever is called here next until it has heard."""
        if not self._closed:
            self._stop.request(wire.Stop(reason=""), retry_s=0.02, deadline_s=5.0)
            self._stop.receive()

    def close(self) -> None:
        """Give the arm back, and wait until the host has heard it, 0.2 s at most. Calling it twice is
        fine."""
        if self._closed:
            return
        self._closed = True
        if self._lease:
            request = self._rpc.request(wire.Release(lease=self._lease), deadline_s=_RELEASED_S)
            while (got := self._rpc.receive()) is None or got.request != request:
                wait([self._rpc], time.monotonic_ns() + NS_PER_S // 100)
        for socket in (self._rpc, self._commands, self._stop, self._states):
            socket.close()

    # -- beside it ---------------------------------------------------------------------------------------

    def take(self, source: Source) -> None:
        """Lead the arm as `source`. Raises RobotError where that may not be."""
        self._service()
        self._take(self._ask(wire.Take(source=source), wire.Leased), source)
        self._await(lambda: self.ready)

    def ask_to_lead(self, source: Source) -> None:
        """The same without waiting: `leading` and `ready` tell when it is so, `refusal` why it is not.
        Whoever leads already gets a new lease, and the arm holds."""
        question = wire.Take(source=source)
        if question not in self._later.values():
            self._ask_later(question)

    def ask_to_arm(self) -> None:
        """`arm` without waiting: the states tell."""
        self._ask_later(wire.Arm())

    def ask_to_clear(self) -> None:
        """`clear_fault` without waiting: the states tell."""
        self._ask_later(wire.Clear())

    def lay_out(self, tool_pos_m: Vector, opening: float, poses: Mapping[str, Vector]) -> None:
        """Put a simulated arm that is led, and what lies before it, at a start, and wait until it is there.
        Raises RobotError where that may not be."""
        self._service()
        places = {name: wire.numbers(pose) for name, pose in poses.items()}
        question = wire.Lay(
            lease=self._lease, tool_pos_m=wire.numbers(tool_pos_m), opening=opening, poses=places
        )
        since = self._ask(question, wire.Laid).since
        self._await(lambda: self._seen > since and self._state is not None and self._state.seq > since)

    def arm(self) -> None:
        """Let the arm move. For people, who are then taken to be there; raises RobotError where that may not
        be."""
        self._service()
        self._ask(wire.Present(), wire.Done, self._stop)
        self._ask(wire.Arm(), wire.Done)
        self._await_safety(lambda safety: safety is not Safety.DISARMED)

    def clear_fault(self) -> None:
        """Clear a stop, and the arm's faults. For people; raises RobotError where that may not be."""
        self._service()
        self._ask(wire.Clear(), wire.Done)
        self._await_safety(lambda safety: safety is not Safety.STOPPED)

    def stop_and_wait(self) -> None:
        """STOP, and wait until the host says that the arm is stopped. Raises RobotError where it does not."""
        self._ask(wire.Stop(reason=""), wire.Done, self._stop)
        self._await_safety(lambda safety: safety is Safety.STOPPED)

    def now(self) -> wire.State:
        """The newest state with all that the host says of it, once there is one. Raises as `read` does."""
        self._service()
        self._await(lambda: self._state is not None)
        return self._fresh()

    def present(self) -> None:
        """Let it be known that a person is there: at least five times a second where the arm needs one."""
        self._stop.send(wire.Present())
        self._stop.receive()

    def ping_s(self) -> float:
        """The time of a question and its answer."""
        began_ns = time.monotonic_ns()
        self._ask(wire.Ping(client_ns=began_ns), wire.Pong)
        return (time.monotonic_ns() - began_ns) / NS_PER_S

    # -- within ------------------------------------------------------------------------------------------

    def _beside(self, port: int) -> str:
        """Another of the host's sockets, seen from here."""
        return f"{self._address.rpartition(':')[0]}:{port}"

    def _ask(
        self,
        question: wire.ToHost | wire.ToStop,
        wanted: type[_Answer],
        at: Client[wire.Done | wire.Refused] | None = None,
    ) -> _Answer:
        """Ask and wait for the answer, where nothing else is said of `at` the host's socket for questions."""
        socket: Client[Any] = self._rpc if at is None else at
        request = socket.request(question, retry_s=0.5, deadline_s=self._timeout_s)
        while True:
            got = socket.receive()
            if isinstance(got, Expired) and got.request == request:
                why = socket.rejection or f"nothing answered within {self._timeout_s} s"
                raise RobotError(f"no host at {self._address}: {why}")
            if got is None:
                wait([socket], time.monotonic_ns() + NS_PER_S // 10)
                continue
            if isinstance(got, Expired) or got.request != request:
                if at is None:
                    self._hear_answer(got)
                continue
            if isinstance(got.message, wire.Refused):
                raise RobotError(got.message.text)
            if not isinstance(got.message, wanted):
                raise RobotError(
                    f"the host answered {type(got.message).__name__} to {type(question).__name__}"
                )
            return got.message

    def _await(self, holds: Callable[[], bool]) -> None:
        """Until the states that come say so."""
        deadline_ns = time.monotonic_ns() + round(self._timeout_s * NS_PER_S)
        while not holds():
            if time.monotonic_ns() >= deadline_ns:
                raise StaleStateError(f"the host at {self._address} answers, but no state of it comes")
            wait([self._states, self._rpc], min(deadline_ns, time.monotonic_ns() + NS_PER_S // 10))
            self._service()

    def _await_safety(self, holds: Callable[[Safety], bool]) -> None:
        """Until a state says so that came after this was called."""
        asked_ns = time.monotonic_ns()
        self._await(lambda: self._came_ns > asked_ns and holds(self.newest.safety))

    def _service(self) -> None:
        """Take in what has come, and say what is due."""
        if self._closed:
            raise RobotError(f"{self._spec.name} is closed; make a new one")
        try:
            while (heard := self._states.receive()) is not None:
                self._hear(heard[1])
            while (answer := self._commands.receive()) is not None:
                if not isinstance(answer, Expired):
                    said = answer.message
                    self.refusal = said.text if isinstance(said, wire.NotFollowed) else ""
            self._stop.receive()
            now_ns = time.monotonic_ns()
            if self._lease and now_ns >= self._renew_ns:
                self._ask_later(wire.Renew(lease=self._lease))
                self._renew_ns = now_ns + round(RENEW_S * NS_PER_S)
            is_old = self._state is not None and now_ns - self._came_ns > self._stale_ns
            if is_old and now_ns >= self._greet_ns:
                self._rpc.request(self._hello, deadline_s=_GREET_S)
                self._greet_ns = now_ns + round(_GREET_S * NS_PER_S)
            while (got := self._rpc.receive()) is not None:
                self._hear_answer(got)
            self._ask_events()
        except TransportError as error:
            raise RobotError(str(error)) from error
        if self._is_another:
            raise RobotError(f"the host at {self._address} was started anew: connect again")

    def _ask_events(self) -> None:
        """Ask for events that did not come, one request at a time."""
        is_lacking = self._state is not None and self._told is not None and self._told < self._state.told
        if is_lacking and not self._asked_events:
            assert self._told is not None
            self._asked_events = self._rpc.request(wire.Since(number=self._told), deadline_s=_GREET_S)

    def _catch_up(self, events: tuple[wire.Happened, ...]) -> None:
        for event in events:
            if self._told is None or event.number <= self._told:
                continue
            if event.number > self._told + 1:
                self.events.append(f"{event.number - self._told - 1} events are not known any more")
            self.events.append(event.text)
            self._told, self._said = event.number, event.text

    def _ask_later(self, question: wire.ToHost) -> None:
        deadline_s = RENEW_S if isinstance(question, wire.Renew) else self._timeout_s
        self._later[self._rpc.request(question, retry_s=0.1, deadline_s=deadline_s)] = question

    def _hear_answer(self, got: Incoming[wire.FromHost] | Expired) -> None:
        """What became of a question that nobody waits for."""
        question = self._later.pop(got.request or "", None)
        if got.request == self._asked_events:
            self._asked_events = ""
        if isinstance(got, Expired):
            return
        match question, got.message:
            case wire.Take(source=source), wire.Leased() as leased:
                self._take(leased, source)
            case wire.Take(), wire.Refused(text=text):
                self._lease, self.refusal = "", text
            case wire.Renew(lease=lease), wire.Refused(text=text) if lease == self._lease:
                self._lease, self.refusal = "", text
            case wire.Arm() | wire.Clear(), wire.Refused(text=text):
                self.events.append(f"refused: {text}")
            case _, wire.Welcome(session=session):
                self._is_another |= session != self.welcome.session
            case _, wire.Events(events=events):
                self._catch_up(events)
            case _:
                pass

    def _take(self, leased: wire.Leased, source: Source) -> None:
        self._lease, self._source, self.refusal, self._since = leased.lease, source, "", leased.since
        self._renew_ns = time.monotonic_ns() + round(RENEW_S * NS_PER_S)

    def _hear(self, said: wire.Published) -> None:
        if isinstance(said, wire.Happened):
            if self._told is not None and said.number == self._told + 1:  # else it is asked for, in order
                self._catch_up((said,))
            return
        if isinstance(said, wire.Objects):
            self._see(said)
            return
        if said.session != self.welcome.session:
            self._is_another = True
            return
        if self._state is not None and said.seq <= self._state.seq:
            return
        try:
            self._reading = wire.state(said, len(self._spec.joint_names))
        except ValueError as error:
            raise RobotError(
                f"the host at {self._address} sent a state that makes no sense: {error}"
            ) from error
        self._state, self._came_ns, self._said = said, time.monotonic_ns(), ""
        if self._told is None:
            self._told = said.told

    def _see(self, said: wire.Objects) -> None:
        if said.session != self.welcome.session or said.seq <= self._seen:
            return
        try:
            self._objects, self._seen = wire.poses(said.poses), said.seq
        except ValueError as error:
            raise RobotError(f"the host at {self._address} sent poses that make no sense: {error}") from error

    def _fresh(self) -> wire.State:
        age_ns = time.monotonic_ns() - self._came_ns
        if self._state is None or age_ns > self._stale_ns:
            age = (
                "none has come yet"
                if self._state is None
                else f"the newest came {age_ns / NS_PER_S:.2f} s ago"
            )
            why = f" ({self._said})" if self._said else ""
            raise StaleStateError(f"no fresh state of {self._spec.name}: {age}{why}")
        return self._state
