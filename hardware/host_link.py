"""The link of a client to an arm's host: what it knows by what has come, and what it asks.

It starts no thread, and nothing but `ask`, `until` and `close` waits. What has to be said in time, renewing
the lease above all, `service` says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from hardware import wire
from hardware.clock import NS_PER_S
from hardware.host.guard import Safety
from hardware.robot import RobotError, RobotState, Source, StaleStateError, Vector
from hardware.security import ClientSecurity
from hardware.transport import Client, Expired, Incoming, Subscriber, TransportError, wait

RENEW_S = 0.25
"""A lease is renewed after this."""
CLEARS_S = 10.0
"""So long it may take an arm to clear its faults."""
_GREET_S = 0.5  # while no state comes the host is asked as often whether it is still the same
_RELEASED_S = 0.2

_Answer = TypeVar("_Answer")


class HostLink:
    """A link to the host at `address`. Not for use from several threads.

    A host that was started anew is another one: `service`, and what calls it, raises RobotError then.
    """

    def __init__(
        self,
        address: str,
        name: str,
        security: ClientSecurity | None,
        timeout_s: float,
        stale_s: float,
        blind: bool,
    ) -> None:
        """As `hardware.remote.RemoteRobot`."""
        self.address, self.timeout_s, self._stale_ns = address, timeout_s, round(stale_s * NS_PER_S)
        self.lease, self.source = "", Source.SCRIPT
        """The lease that is held, empty where none is, and as what."""
        self.since = -1
        """Commands under it answer states after this one."""
        self.renew_ns = 0
        """When it is renewed next."""
        self.state: wire.State | None = None
        self.reading: RobotState | None = None
        """The newest state, as it came and as a reading."""
        self.objects: dict[str, Vector] = {}
        self.seen = -1
        """Where things are, and the state that this belongs to; -1 where nothing is known."""
        self.is_closed = False
        self.refusal = ""
        """Why the host refused a command, or to renew the lease, last; empty once it follows again."""
        self.events: list[str] = []
        """What the host told of since this was made, oldest first; whoever has read it clears it. What got
        lost on its way is asked for again."""
        self.stops = 0
        """How often the arm was told to stop, as far as is known."""
        self.told: int | None = None
        """The number of the newest event that is among them."""
        self._said = ""  # what it told of since the newest state
        self._asked_events = ""
        self._later: dict[str, wire.ToHost] = {}  # questions whose answers nobody waits for
        self._came_ns = self._greet_ns = 0
        self._is_another = False  # the host, since it was started anew
        self.rpc: Client[wire.FromHost] = Client(address, wire.FromHost, security=security)
        try:
            self._hello = wire.Hello(version=wire.VERSION, schema=wire.schema(), name=name)
            self.welcome = self.ask(self._hello, wire.Welcome)
            self.spec, self.stops = self.welcome.spec.spec(), self.welcome.stops
            self.commands: Client[wire.FromCommands] = Client(
                self.beside(self.welcome.commands_port), wire.FromCommands, security=security, immediate=True
            )
            self.stop: Client[wire.Done | wire.Refused] = Client(
                self.beside(self.welcome.stop_port), wire.Done | wire.Refused, security=security
            )
            self._states: Subscriber[wire.Published] = Subscriber(
                self.beside(self.welcome.states_port), wire.Published, security=security, hwm=64
            )
        except BaseException:
            self.rpc.close()
            raise
        try:
            if not blind:
                self.until(lambda: self.state is not None and (self.seen >= 0 or not self.welcome.lays_out))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the lease back, and wait until the host has heard it, 0.2 s at most. Twice is fine."""
        if self.is_closed:
            return
        self.is_closed = True
        if self.lease:
            request = self.rpc.request(wire.Release(lease=self.lease), deadline_s=_RELEASED_S)
            while (got := self.rpc.receive()) is None or got.request != request:
                wait([self.rpc], time.monotonic_ns() + NS_PER_S // 100)
        for socket in (self.rpc, self.commands, self.stop, self._states):
            socket.close()

    def beside(self, port: int) -> str:
        """Another of the host's sockets, seen from here."""
        return f"{self.address.rpartition(':')[0]}:{port}"

    def ask(
        self,
        question: wire.ToHost | wire.ToStop,
        wanted: type[_Answer],
        at: Client[wire.Done | wire.Refused] | None = None,
    ) -> _Answer:
        """Ask and wait for the answer, where nothing else is said of `at` the host's socket for questions."""
        socket: Client[Any] = self.rpc if at is None else at
        deadline_s = CLEARS_S if isinstance(question, wire.Clear) else self.timeout_s
        request = socket.request(question, retry_s=0.5, deadline_s=deadline_s)
        while True:
            got = socket.receive()
            if isinstance(got, Expired) and got.request == request:
                why = socket.rejection or f"nothing answered within {deadline_s} s"
                raise RobotError(f"no host at {self.address}: {why}")
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

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until the states that come say so. Raises StaleStateError where none does for `timeout_s`,
        with the host's reason where it has one."""
        deadline_ns = time.monotonic_ns() + round(self.timeout_s * NS_PER_S)
        while not holds():
            if time.monotonic_ns() >= deadline_ns:
                raise StaleStateError(f"no state of {self.spec.name} comes: {self._why_none()}")
            wait([self._states, self.rpc], min(deadline_ns, time.monotonic_ns() + NS_PER_S // 10))
            self.service()

    def _why_none(self) -> str:
        try:
            self.ask(wire.Ask(), wire.State)
        except RobotError as error:
            return str(error)
        return f"the host at {self.address} answers, but not what is waited for"

    def until_safety(self, holds: Callable[[Safety], bool]) -> None:
        """Wait until a state says so that came after this was called."""
        asked_ns = time.monotonic_ns()
        self.until(lambda: self._came_ns > asked_ns and holds(self.newest.safety))

    def service(self) -> None:
        """Take in what has come, and say what is due. Never waits. Raises RobotError once closed, and for a
        host that was started anew."""
        if self.is_closed:
            raise RobotError(f"{self.spec.name} is closed; make a new one")
        try:
            while (heard := self._states.receive()) is not None:
                self._hear(heard[1])
            while (answer := self.commands.receive()) is not None:
                if not isinstance(answer, Expired):
                    said = answer.message
                    self.refusal = said.text if isinstance(said, wire.NotFollowed) else ""
            self.stop.receive()
            now_ns = time.monotonic_ns()
            if self.lease and now_ns >= self.renew_ns:
                self.ask_later(wire.Renew(lease=self.lease))
                self.renew_ns = now_ns + round(RENEW_S * NS_PER_S)
            is_old = self.state is not None and now_ns - self._came_ns > self._stale_ns
            if is_old and now_ns >= self._greet_ns:
                self.rpc.request(self._hello, deadline_s=_GREET_S)
                self._greet_ns = now_ns + round(_GREET_S * NS_PER_S)
            while (got := self.rpc.receive()) is not None:
                self._hear_answer(got)
            self._ask_events()
        except TransportError as error:
            raise RobotError(str(error)) from error
        if self._is_another:
            raise RobotError(f"the host at {self.address} was started anew: connect again")

    def _ask_events(self) -> None:
        """Ask for events that did not come, one request at a time."""
        is_lacking = self.state is not None and self.told is not None and self.told < self.state.told
        if is_lacking and not self._asked_events:
            assert self.told is not None
            self._asked_events = self.rpc.request(wire.Since(number=self.told), deadline_s=_GREET_S)

    def _catch_up(self, events: tuple[wire.Happened, ...]) -> None:
        for event in events:
            if self.told is None or event.number <= self.told:
                continue
            if event.number > self.told + 1:
                self.events.append(f"{event.number - self.told - 1} events are not known any more")
            self.events.append(event.text)
            self.told, self._said = event.number, event.text

    def ask_later(self, question: wire.ToHost) -> None:
        """Ask without waiting: what becomes of it is seen in the lease, the states and the events."""
        deadline_s = self.timeout_s
        if isinstance(question, wire.Renew | wire.Clear):
            deadline_s = CLEARS_S if isinstance(question, wire.Clear) else RENEW_S
        self._later[self.rpc.request(question, retry_s=0.1, deadline_s=deadline_s)] = question

    def _hear_answer(self, got: Incoming[wire.FromHost] | Expired) -> None:
        """What became of a question that nobody waits for."""
        question = self._later.pop(got.request or "", None)
        if got.request == self._asked_events:
            self._asked_events = ""
        if isinstance(got, Expired):
            return
        match question, got.message:
            case wire.Take(source=source), wire.Leased() as leased:
                self.took(leased, source)
            case wire.Take(), wire.Refused(text=text):
                self.lease, self.refusal = "", text
            case wire.Renew(lease=lease), wire.Refused(text=text) if lease == self.lease:
                self.lease, self.refusal = "", text
            case wire.Arm() | wire.Clear(), wire.Refused(text=text):
                self.events.append(f"refused: {text}")
            case _, wire.Welcome(session=session, stops=stops):
                self._is_another |= session != self.welcome.session
                self.stops = max(self.stops, stops)
            case _, wire.Events(events=events):
                self._catch_up(events)
            case _:
                pass

    def is_asked(self, question: wire.ToHost) -> bool:
        """Whether the answer to it is still awaited."""
        return question in self._later.values()

    def took(self, leased: wire.Leased, source: Source) -> None:
        """The arm is led as `source` from now on."""
        self.lease, self.source, self.refusal, self.since = leased.lease, source, "", leased.since
        self.renew_ns = time.monotonic_ns() + round(RENEW_S * NS_PER_S)

    def _hear(self, said: wire.Published) -> None:
        if isinstance(said, wire.Happened):
            self.stops = max(self.stops, said.stops)
            if self.told is not None and said.number == self.told + 1:  # else it is asked for, in order
                self._catch_up((said,))
            return
        if isinstance(said, wire.Objects):
            self._see(said)
            return
        if said.session != self.welcome.session:
            self._is_another = True
            return
        if self.state is not None and said.seq <= self.state.seq:
            return
        try:
            self.reading = wire.state(said, len(self.spec.joint_names))
        except ValueError as error:
            raise RobotError(
                f"the host at {self.address} sent a state that makes no sense: {error}"
            ) from error
        self.state, self._came_ns, self._said = said, time.monotonic_ns(), ""
        self.stops = max(self.stops, said.stops)
        if self.told is None:
            self.told = said.told

    def _see(self, said: wire.Objects) -> None:
        if said.session != self.welcome.session or said.seq <= self.seen:
            return
        try:
            self.objects, self.seen = wire.poses(said.poses), said.seq
        except ValueError as error:
            raise RobotError(f"the host at {self.address} sent poses that make no sense: {error}") from error

    @property
    def newest(self) -> wire.State:
        """The newest state, however old."""
        assert self.state is not None  # one came before anybody had this
        return self.state

    def fresh(self) -> wire.State:
        """The newest state. Raises StaleStateError where it is old."""
        age_ns = time.monotonic_ns() - self._came_ns
        if self.state is None or age_ns > self._stale_ns:
            age = (
                "none has come yet"
                if self.state is None
                else f"the newest came {age_ns / NS_PER_S:.2f} s ago"
            )
            why = f" ({self._said})" if self._said else ""
            raise StaleStateError(f"no fresh state of {self.spec.name}: {age}{why}")
        return self.state
