"""The session's end of the wire to its consoles: who is there, what they send, what they are shown.

Several may watch and speak, one drives. Hands and stops are taken in before anything else, and no answer
is waited for. Consoles that fall silent are gone.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from hardware.security import Role, ServerSecurity
from hardware.transport import Endpoint, Peer, Publisher, Received, Server
from robot_rlhf.feedback import messages as m

GONE_S = 3.0
"""Silence after which a console is taken to be gone."""
_REMEMBERED = 256  # wishes whose answer is kept for when they are sent again
_AT_ONCE = 16  # requests taken in before time is looked at again; hands and stops are never put off
_MAX_ANSWER = 16 << 20
_DRIVERS = (Role.OPERATOR, Role.MAINTAINER)


@dataclass(eq=False)
class Console:
    """One console that has joined."""

    token: str
    name: str
    peer: Peer
    speaks: bool
    """Whether it may drive and give feedback."""
    heard_ns: int
    attending: bool = False


class Host(Protocol):
    """What a stream serves."""

    def welcome(self, console: Console) -> m.Welcome | m.Refused:
        """The answer to a console that joins."""
        ...

    def gone(self, console: Console) -> None:
        """A console left or fell silent."""
        ...

    def hands(self, console: Console, hands: m.Hands) -> None:
        """An operator's hands at one moment."""
        ...

    def stop(self, who: str) -> None:
        """Somebody wants everything to stop."""
        ...

    def request(
        self, console: Console, message: m.FromConsole, answer: Callable[[m.FromSession], None]
    ) -> None:
        """Anything else, from a console that may ask for it; `answer` may be called later."""
        ...


class Stream:
    """Four sockets from the port of `bind` on (tcp://HOST:PORT; port 0: any free ones)."""

    def __init__(self, bind: str, security: ServerSecurity | None) -> None:
        """Raises TransportError for an address that cannot be bound, or is not loopback without keys."""
        self._closing = contextlib.ExitStack()
        base = urlsplit(bind).port or 0
        host = bind.rpartition(":")[0]

        def place(offset: int) -> str:
            return f"{host}:{base + offset if base else 0}"

        try:
            self.talk: Server[m.FromConsole] = Server(
                bind, m.FromConsole, security=security, max_send_bytes=_MAX_ANSWER
            )
            self._closing.callback(self.talk.close)
            self.drive: Server[m.Hands] = Server(place(1), m.Hands, security=security, hwm=8)
            self._closing.callback(self.drive.close)
            self.emergency: Server[m.Stop] = Server(place(2), m.Stop, security=security)
            self._closing.callback(self.emergency.close)
            self.watch = Publisher(place(3), security=security)
            self._closing.callback(self.watch.close)
        except BaseException:
            self._closing.close()
            raise
        self.consoles: dict[str, Console] = {}
        self.instance = secrets.token_hex(8)
        """Different for every session that was ever started."""
        self._carried_out: OrderedDict[str, m.FromSession] = OrderedDict()  # request -> its answer

    @property
    def address(self) -> str:
        """What a console connects to."""
        return self.talk.address

    @property
    def ports(self) -> tuple[int, int, int]:
        """Ports of drive, stop and watch."""
        drive, stop, watch = (
            urlsplit(each.address).port or 0 for each in (self.drive, self.emergency, self.watch)
        )
        return drive, stop, watch

    @property
    def endpoints(self) -> list[Endpoint]:
        """For `hardware.transport.wait`."""
        return [self.emergency, self.drive, self.talk]

    def service(self, host: Host) -> None:
        """Take in what has come. Never blocks."""
        while (stop := self.emergency.receive()) is not None:
            host.stop(stop.peer.name)
            if stop.request is not None:
                self.emergency.reply(stop, m.Granted())
        now = time.monotonic_ns()
        while (moved := self.drive.receive()) is not None:
            console = self.consoles.get(moved.message.console)
            if console is not None and console.speaks and moved.peer.key == console.peer.key:
                console.heard_ns, console.attending = now, moved.message.attending
                host.hands(console, moved.message)
        for _ in range(_AT_ONCE):
            asked = self.talk.receive()
            if asked is None:
                break
            self._asked(host, asked, now)
        for console in list(self.consoles.values()):
            if now - console.heard_ns > GONE_S * 1e9:
                self._drop(host, console)

    def publish(self, seen: m.Watched) -> None:
        """Show every console something; those that cannot keep up miss it."""
        match seen:
            case m.Moment():
                topic = m.WATCH_MOMENT
            case m.Status():
                topic = m.WATCH_STATUS
            case m.News():
                topic = m.WATCH_NEWS
        self.watch.publish(topic, seen)

    def close(self) -> None:
        """Drop every console; twice is fine."""
        self._closing.close()

    def _asked(self, host: Host, asked: Received[m.FromConsole], now: int) -> None:
        def answer(message: m.FromSession) -> None:
            if asked.request is not None:
                self.talk.reply(asked, message)
                if isinstance(asked.message, m.Do):
                    self._carried_out[asked.request] = message
                    if len(self._carried_out) > _REMEMBERED:
                        self._carried_out.popitem(last=False)

        if asked.request is not None and asked.request in self._carried_out:
            self.talk.reply(asked, self._carried_out[asked.request])
            return
        message, peer = asked.message, asked.peer
        console = next((one for one in self.consoles.values() if one.peer == peer), None)
        if console is not None:
            console.heard_ns = now
        match message:
            case m.Join():
                answer(self._joined(host, message, peer, console, now))
            case m.Leave():
                if console is not None:
                    self._drop(host, console)
                answer(m.Granted())
            case m.Ping(sent_ns=sent_ns):
                answer(m.Pong(sent_ns=sent_ns, session_ns=now, joined=console is not None))
            case m.Say() | m.Do() | m.AskPairs() if peer.role not in _DRIVERS:
                answer(m.Refused(reason=f"{peer.name} may only watch: its key's role is {peer.role.value}"))
            case m.Say() | m.Do() | m.AskPairs() if console is not None and not console.speaks:
                answer(m.Refused(reason=f"{console.name} joined to watch only"))
            case _:
                # What was said before the session was started anew is taken in although nobody joined yet.
                known = console or Console("", peer.name, peer, True, now)
                host.request(known, message, answer)

    def _joined(
        self, host: Host, join: m.Join, peer: Peer, console: Console | None, now: int
    ) -> m.Welcome | m.Refused:
        if join.protocol != m.PROTOCOL:
            return m.Refused(
                reason=f"this session speaks version {m.PROTOCOL} of the console's protocol, "
                f"the console {join.protocol}: install the same robot-rlhf on both machines"
            )
        if console is None:
            speaks = peer.role in _DRIVERS and not join.watches
            console = Console(secrets.token_hex(8), join.name, peer, speaks, now)
            self.consoles[console.token] = console
        answer = host.welcome(console)
        if isinstance(answer, m.Refused):
            del self.consoles[console.token]
        return answer

    def _drop(self, host: Host, console: Console) -> None:
        del self.consoles[console.token]
        host.gone(console)
