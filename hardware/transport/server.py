"""The end that listens: whose message it is, and the answer to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from types import UnionType
from typing import Generic

import msgspec
import zmq

from hardware.security import Role, ServerSecurity
from hardware.transport.codec import ID_BYTES, Decoder, In, Refusal, RefusedError, TransportError, encode
from hardware.transport.sockets import MAX_BYTES, Context, Listener, has_event, inbound, read, write


@dataclass(frozen=True)
class Peer:
    """Who sent a message. Equal for all messages of one connection while its user keeps the role.

    `name` is "local" without keys. `identity` is the server's own word for the connection: keep it there,
    a client that knew its like could pretend to it. `key` is the public key, empty without keys.
    """

    identity: bytes
    name: str
    role: Role
    key: str = ""


@dataclass(frozen=True)
class Received(Generic[In]):
    """A message that a server got; `request` is the id that its reply carries, None if one way."""

    peer: Peer
    message: In
    request: str | None


class Server(Generic[In]):
    """Receives messages of the types `incoming` from any number of clients, and answers or pushes.

    Nothing that a client sends raises or ends a server: what is wrong is dropped, counted in `refused`,
    and `last_refusal` says what it was. With `security` every message's key is looked up again, so that
    a revoked client is refused, and sent nothing more, from the next message on. Without, on loopback
    alone, everybody is the user "local" with the role `local_role`.
    """

    def __init__(
        self,
        bind: str,
        incoming: type[In] | UnionType,
        *,
        security: ServerSecurity | None,
        local_role: Role = Role.OPERATOR,
        max_bytes: int = MAX_BYTES,
        max_send_bytes: int = MAX_BYTES,
        hwm: int = 64,
        send_hwm: int = 64,
        context: Context | None = None,
    ) -> None:
        """`bind` is tcp://HOST:PORT, with port 0 or * for a free one. For each client `hwm` messages at most
        wait to be received, and `send_hwm` to be sent; libzmq frees the room of those in halves and late, so
        that a few leave no room for one answer after another. Raises TransportError for an address that
        cannot be bound, or is not loopback without `security`, and for message types that let unknown fields
        pass."""
        self.refused: Counter[Refusal] = Counter()
        self.last_refusal = ""
        self._decoder = Decoder(incoming, max_bytes)
        self._security, self._local_role = security, local_role
        self._max_send_bytes, self._hwm = max_send_bytes, hwm
        options = {**inbound(max_bytes, hwm), zmq.SNDHWM: send_hwm, zmq.ROUTER_MANDATORY: 1}
        self._listener = Listener(
            zmq.ROUTER,
            bind,
            options=options,
            security=security,
            on_refused=lambda: self.refused.update([Refusal.UNKNOWN_KEY]),
            context=context,
        )
        self.address = self._listener.address
        self.socket = self._listener.socket

    def ready_at_ns(self) -> int | None:
        return 0 if has_event(self.socket, zmq.POLLIN) else None

    def receive(self) -> Received[In] | None:
        """The next message, or None if there is none. Never blocks; drops at most `hwm` bad ones a call.
        Raises TransportError once closed."""
        for _ in range(self._hwm):
            frames = read(self.socket)
            if frames is None:
                return None
            try:
                return self._received(frames)
            except RefusedError as refused:
                self.refused[refused.reason] += 1
                self.last_refusal = f"{refused.reason.value}: {refused}"
        return None

    def send(self, peer: Peer, message: msgspec.Struct) -> bool:
        """Push to a client. Never blocks; False if it is gone, revoked, or `send_hwm` messages behind.
        Raises TransportError for a message of more than `max_send_bytes`, and once closed."""
        return self._send(peer, b"", message)

    def reply(self, received: Received[In], message: msgspec.Struct) -> bool:
        """Answer a request; the rest as `send`. Raises TransportError for a message that is no request."""
        if received.request is None:
            raise TransportError(f"{type(received.message).__name__} is no request: send() pushes to a peer")
        return self._send(received.peer, bytes.fromhex(received.request), message)

    def close(self) -> None:
        """Drop every client and what is still queued. Calling it twice is fine."""
        self._listener.close()

    def _received(self, frames: list[zmq.Frame]) -> Received[In]:
        peer = self._peer(frames[0].bytes, frames[-1])
        if len(frames) != 3 or len(frames[1]) not in (0, ID_BYTES):
            sizes = [len(frame) for frame in frames[1:4]]
            raise RefusedError(Refusal.MALFORMED, f"{len(frames) - 1} frames from {peer.name}, first {sizes}")
        try:
            message = self._decoder.decode(frames[2].buffer)
        except RefusedError as refused:
            raise RefusedError(refused.reason, f"{refused} from {peer.name}") from refused
        return Received(peer, message, frames[1].bytes.hex() or None)

    def _peer(self, identity: bytes, frame: zmq.Frame) -> Peer:
        if self._security is None:
            return Peer(identity, "local", self._local_role)
        key = str(frame.get("User-Id"))  # what the authenticator said of the connection
        user = self._security.user(key)
        if user is None:
            raise RefusedError(Refusal.NOT_AUTHORISED, f"the key {key} is revoked")
        return Peer(identity, user.name, user.role, key)

    def _send(self, peer: Peer, request: bytes, message: msgspec.Struct) -> bool:
        data = encode(message, self._max_send_bytes)
        if self._security is not None and self._security.user(peer.key) is None:
            return False
        return write(self.socket, (peer.identity, request, data))
