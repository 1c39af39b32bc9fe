"""The end that connects: requests that are sent until they are answered, and one-way messages."""

from __future__ import annotations

import secrets
import time
from collections import Counter, deque
from dataclasses import dataclass
from types import UnionType
from typing import Generic

import msgspec
import zmq

from hardware.clock import NS_PER_S
from hardware.security import ClientSecurity
from hardware.transport.codec import ID_BYTES, Decoder, In, Refusal, RefusedError, TransportError, encode
from hardware.transport.dialler import Dialler
from hardware.transport.sockets import MAX_BYTES, Context, has_event, inbound, read, write

_NO_LINK_NS = 20_000_000  # how soon to try again what no link took
_SNDBUF_BYTES = 16_384  # for what is worthless when old: the kernel queues too


@dataclass(frozen=True)
class Incoming(Generic[In]):
    """A message that a client got: the reply to `request`, or pushed by the server if that is None."""

    message: In
    request: str | None


@dataclass(frozen=True)
class Expired:
    """A request whose deadline passed without a reply. Whether the server acted on it is not known."""

    request: str


@dataclass
class _Pending:
    frames: tuple[bytes, bytes]
    retry_ns: int
    due_ns: int
    deadline_ns: int | None

    def next_ns(self) -> int:
        return self.due_ns if self.deadline_ns is None else min(self.due_ns, self.deadline_ns)


class Client(Generic[In]):
    """Sends to one server and receives messages of the types `incoming` from it, over a link that is
    made again whenever it is lost.

    `receive` does the work, also what is due to be sent again: call it often, or when `wait` says so.
    """

    def __init__(
        self,
        connect: str,
        incoming: type[In] | UnionType,
        *,
        security: ClientSecurity | None,
        immediate: bool = False,
        max_bytes: int = MAX_BYTES,
        max_send_bytes: int = MAX_BYTES,
        hwm: int = 64,
        context: Context | None = None,
    ) -> None:
        """With `immediate`, for commands, a one-way message goes out now or not at all: nothing is kept
        for a link that is not there, and one message at most waits behind a slow link. Otherwise `hwm`
        of them wait. Raises TransportError as `Server` does, for `connect`."""
        self.refused: Counter[Refusal] = Counter()
        self.last_refusal = ""
        self._decoder = Decoder(incoming, max_bytes)
        self._max_send_bytes, self._hwm = max_send_bytes, hwm
        self._outbox: deque[tuple[bytes, bytes]] = deque()
        self._outbox_size = 0 if immediate else hwm
        self._pending: dict[str, _Pending] = {}
        self._expired: deque[Expired] = deque()
        # libzmq itself never keeps anything for a link that is down, or requests would pile up in copies.
        options = {**inbound(max_bytes, hwm), zmq.SNDHWM: hwm, zmq.IMMEDIATE: 1}
        if immediate:
            options |= {zmq.SNDHWM: 1, zmq.SNDBUF: _SNDBUF_BYTES}
        self._dialler = Dialler(zmq.DEALER, connect, options=options, security=security, context=context)
        self.socket = self._dialler.socket

    @property
    def pending(self) -> int:
        """How many requests are unanswered."""
        return len(self._pending)

    @property
    def connected(self) -> bool:
        """Whether the server has let us in and takes more. Raises TransportError once closed."""
        return has_event(self.socket, zmq.POLLOUT)

    @property
    def rejection(self) -> str:
        """Why the server does not let us in, in words, such as that it does not know our key; '' where it
        does, or none is there. We go on trying. Raises TransportError once closed."""
        return self._dialler.rejection

    def ready_at_ns(self) -> int | None:
        if self._expired or has_event(self.socket, zmq.POLLIN):
            return 0
        due = [pending.next_ns() for pending in self._pending.values()]
        if (redial_ns := self._dialler.due_ns()) is not None:
            due.append(redial_ns)
        if self._outbox:
            due.append(0 if self.connected else time.monotonic_ns() + _NO_LINK_NS)
        return min(due, default=None)

    def send(self, message: msgspec.Struct) -> bool:
        """Send one way. Never blocks; False if it was neither sent nor kept, see `immediate`.
        Raises TransportError for a message of more than `max_send_bytes`, and once closed."""
        frames = (b"", encode(message, self._max_send_bytes))
        self._flush()
        if not self._outbox and write(self.socket, frames):
            return True
        if len(self._outbox) >= self._outbox_size:
            return False
        self._outbox.append(frames)
        return True

    def request(
        self, message: msgspec.Struct, *, retry_s: float = 1.0, deadline_s: float | None = None
    ) -> str:
        """Ask the server; the result is the id that the reply will carry. Never blocks.

        It is sent with the same id every `retry_s` seconds until it is answered, cancelled, or
        `deadline_s` seconds have passed, which `receive` then reports once. Raises TransportError for a
        time that is not positive, as `send` does otherwise.
        """
        for name, seconds in (("retry_s", retry_s), ("deadline_s", deadline_s)):
            if seconds is not None and not seconds > 0.0:
                raise TransportError(f"{name} is {seconds}: it must be above 0")
        id_ = secrets.token_bytes(ID_BYTES)
        now_ns = time.monotonic_ns()
        self._pending[id_.hex()] = _Pending(
            frames=(id_, encode(message, self._max_send_bytes)),
            retry_ns=round(retry_s * NS_PER_S),
            due_ns=now_ns,
            deadline_ns=None if deadline_s is None else now_ns + round(deadline_s * NS_PER_S),
        )
        self._send_due()
        return id_.hex()

    def cancel(self, request: str) -> bool:
        """Send a request no more and pass over its reply. False if it was not pending."""
        return self._pending.pop(request, None) is not None

    def receive(self) -> Incoming[In] | Expired | None:
        """The next reply, push or expired request; None if there is none. Never blocks.

        A request is answered once, whatever arrives. What is wrong is dropped and counted in `refused`,
        and its request stays pending. Raises TransportError once closed.
        """
        arrived = self._next()
        self._dialler.service()
        self._flush()
        self._send_due()
        if arrived is None and self._expired:
            return self._expired.popleft()
        return arrived

    def close(self) -> None:
        """Forget everything unsent and unanswered. Calling it twice is fine."""
        self._dialler.close()

    def _next(self) -> Incoming[In] | None:
        for _ in range(self._hwm):
            frames = read(self.socket)
            if frames is None:
                break
            try:
                incoming = self._incoming(frames)
            except RefusedError as refused:
                self.refused[refused.reason] += 1
                self.last_refusal = f"{refused.reason.value}: {refused}"
                continue
            if incoming.request is None or self.cancel(incoming.request):
                return incoming
        return None

    def _incoming(self, frames: list[zmq.Frame]) -> Incoming[In]:
        if len(frames) != 2 or len(frames[0]) not in (0, ID_BYTES):
            sizes = [len(frame) for frame in frames[:3]]
            raise RefusedError(Refusal.MALFORMED, f"{len(frames)} frames, first {sizes}")
        return Incoming(self._decoder.decode(frames[1].buffer), frames[0].bytes.hex() or None)

    def _flush(self) -> None:
        while self._outbox and write(self.socket, self._outbox[0]):
            self._outbox.popleft()

    def _send_due(self) -> None:
        """Send again what is due, oldest first, and give up what is past its deadline."""
        now_ns = time.monotonic_ns()
        has_room = True
        for request, pending in list(self._pending.items()):
            if pending.deadline_ns is not None and pending.deadline_ns <= now_ns:
                del self._pending[request]
                self._expired.append(Expired(request))
            elif pending.due_ns <= now_ns:
                has_room = has_room and write(self.socket, pending.frames)
                pending.due_ns = now_ns + (pending.retry_ns if has_room else _NO_LINK_NS)
