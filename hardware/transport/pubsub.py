"""One to many: a `Publisher` tells whoever subscribed, and waits for nobody.

A message is two frames: [topic][MessagePack].
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from types import UnionType
from typing import Generic

import msgspec
import zmq

from hardware.security import ClientSecurity, ServerSecurity
from hardware.transport.codec import (
    AddressInUseError,
    Decoder,
    In,
    Refusal,
    RefusedError,
    TransportError,
    encode,
)
from hardware.transport.dialler import Dialler
from hardware.transport.sockets import MAX_BYTES, Context, Listener, has_event, inbound, read, write

_BUFFER_BYTES = 65_536  # of the kernel, at either end: what waits there grows old too
_MOST_A_CALL = 1_000
_SUBSCRIPTION_BYTES = 512
"""The longest frame of a subscriber; a handshake takes some 300."""


class Publisher:
    """Sends to every subscriber that keeps up; for the others messages are lost, and none blocks.

    With `security`, a subscriber whose key is revoked is cut by the next `publish`. Subscribers are then
    all cut, and those who still may come back by themselves: they miss what is published meanwhile.
    """

    def __init__(
        self,
        bind: str,
        *,
        security: ServerSecurity | None,
        max_send_bytes: int = MAX_BYTES,
        hwm: int = 4,
        context: Context | None = None,
    ) -> None:
        """`hwm` messages at most wait for each subscriber, and what the kernel buffers (some 64 KiB at
        either end). Raises TransportError as `Server` does, for `bind`."""
        self.refused: Counter[Refusal] = Counter()
        self._security, self._context = security, context
        self._evictions = 0 if security is None else security.evictions()
        self._max_send_bytes = max_send_bytes
        self._options = {**inbound(_SUBSCRIPTION_BYTES, hwm), zmq.SNDHWM: hwm, zmq.SNDBUF: _BUFFER_BYTES}
        self._listener: Listener | None = self._listen(bind)
        self._closed = False
        self.address = self._listener.address

    def publish(self, topic: str, message: msgspec.Struct) -> None:
        """Tell whoever subscribed to `topic` or a beginning of it. Never blocks. Raises TransportError
        for a message of more than `max_send_bytes`, and once closed."""
        data = encode(message, self._max_send_bytes)
        if self._closed:
            raise TransportError(f"the publisher at {self.address} is closed")
        if self._security is not None:
            self._cut_the_revoked(self._security.evictions())
        if self._listener is not None:
            write(self._listener.socket, (topic.encode(), data))

    def close(self) -> None:
        """Drop every subscriber. Calling it twice is fine."""
        self._closed = True
        if self._listener is not None:
            self._listener.close()

    def _listen(self, bind: str) -> Listener:
        return Listener(
            zmq.PUB,
            bind,
            options=self._options,
            security=self._security,
            on_refused=lambda: self.refused.update([Refusal.UNKNOWN_KEY]),
            context=self._context,
        )

    def _cut_the_revoked(self, evictions: int) -> None:
        """libzmq cannot cut one connection, but a socket that is closed sends to nobody any more."""
        if self._evictions != evictions and self._listener is not None:
            self._listener.close()
            self._listener = None
        self._evictions = evictions
        if self._listener is None:
            with contextlib.suppress(AddressInUseError):  # not quite free yet: the next message tries again
                self._listener = self._listen(self.address)


class Subscriber(Generic[In]):
    """Receives messages of the types `incoming` from one publisher, over a link that is made again
    whenever it is lost. What is wrong is dropped and counted in `refused`."""

    def __init__(
        self,
        connect: str,
        incoming: type[In] | UnionType,
        *,
        security: ClientSecurity | None,
        topics: Sequence[str] = ("",),
        newest: bool = False,
        max_bytes: int = MAX_BYTES,
        hwm: int = 4,
        context: Context | None = None,
    ) -> None:
        """`topics` are beginnings of topics, so "" is every one. With `newest`, of all that has arrived
        only the last message of each topic is received. `hwm` messages at most wait here. Raises
        TransportError as `Server` does, for `connect`."""
        self.refused: Counter[Refusal] = Counter()
        self.last_refusal = ""
        self._decoder = Decoder(incoming, max_bytes)
        self._newest = newest
        self._held: dict[bytes, zmq.Frame] = {}  # topic -> its newest message, not received yet
        options = {**inbound(max_bytes, hwm), zmq.RCVBUF: _BUFFER_BYTES}
        self._dialler = Dialler(zmq.SUB, connect, options=options, security=security, context=context)
        self.socket = self._dialler.socket
        for topic in topics:
            self.socket.setsockopt(zmq.SUBSCRIBE, topic.encode())

    @property
    def rejection(self) -> str:
        """Why the publisher does not let us in, as a `Client`'s; also once our key has been revoked."""
        return self._dialler.rejection

    def ready_at_ns(self) -> int | None:
        return 0 if self._held or has_event(self.socket, zmq.POLLIN) else self._dialler.due_ns()

    def receive(self) -> tuple[str, In] | None:
        """The next (topic, message), or None if there is none. Never blocks; raises TransportError once
        closed."""
        self._dialler.service()
        for _ in range(_MOST_A_CALL):
            frames = read(self.socket)
            if frames is not None and len(frames) != 2:
                self._refuse(RefusedError(Refusal.MALFORMED, f"{len(frames)} frames"))
                continue
            if frames is not None:
                topic = frames[0].bytes
                self._held.pop(topic, None)
                self._held[topic] = frames[1]
                if self._newest:
                    continue
            if not self._held:
                return None
            topic = next(iter(self._held))
            body = self._held.pop(topic)
            try:
                return topic.decode(), self._decoder.decode(body.buffer)
            except UnicodeDecodeError as error:
                self._refuse(
                    RefusedError(Refusal.MALFORMED, f"the topic {topic!r} is not UTF-8: {error.reason}")
                )
            except RefusedError as refused:
                self._refuse(refused)
        return None

    def close(self) -> None:
        """Calling it twice is fine."""
        self._dialler.close()

    def _refuse(self, refused: RefusedError) -> None:
        self.refused[refused.reason] += 1
        self.last_refusal = f"{refused.reason.value}: {refused}"
