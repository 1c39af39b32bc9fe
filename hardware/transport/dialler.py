"""The end that connects: a link that is made again however it ended, and why it is not let in.

libzmq connects again by itself after a link breaks, but never after a server refused it or a message was
no message. What it says of the socket's connections (zmq_socket_monitor) tells the one from the other.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import struct
import time
import weakref

import zmq

from hardware.security import ClientSecurity
from hardware.transport.codec import TransportError
from hardware.transport.sockets import Context, checked_address, has_event, open_socket, read

_REDIAL_NS = 1_000_000_000
_CONNECT_MS = 2_000
_HANG_UPS = 3  # in a row; fewer may be a server that ends
_NO_ACCESS = 400  # what the authenticator says of a key that is not in the registry
_TRIES_AGAIN = zmq.Event.CONNECT_RETRIED | zmq.Event.CONNECT_DELAYED | zmq.Event.CONNECTED
_EVENTS = (
    _TRIES_AGAIN
    | zmq.Event.CLOSED
    | zmq.Event.DISCONNECTED
    | zmq.Event.HANDSHAKE_SUCCEEDED
    | zmq.Event.HANDSHAKE_FAILED_AUTH
    | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
    | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
)
_numbers = itertools.count(1)


class Dialler:
    """A socket that connects, and again whenever the link is lost or refused: then once a second, for
    which `service` is to be called."""

    def __init__(
        self,
        kind: int,
        connect: str,
        *,
        options: dict[int, int],
        security: ClientSecurity | None,
        context: Context | None,
    ) -> None:
        """Raises TransportError for an address that is none, or that is not loopback while there are no
        keys."""
        self._address, self._has_key = connect, security is not None
        self._endpoint = checked_address(connect, self._has_key, "connect to")
        context = context or zmq.Context.instance()
        self._rejection = ""
        self._hang_ups = 0
        self._redial_ns: int | None = None
        self.socket = open_socket(
            context, kind, self._endpoint, {zmq.CONNECT_TIMEOUT: _CONNECT_MS, **options}
        )
        self._events = context.socket(zmq.PAIR)
        self.close = weakref.finalize(self, _close, self.socket, self._events, os.getpid())
        """Calling it twice is fine; one that nobody refers to any more is closed too."""
        self.close.atexit = False
        try:
            self._events.setsockopt(zmq.RCVHWM, 0)  # or libzmq's own thread would wait for us to read
            told_at = f"inproc://robot_rlhf.events.{next(_numbers)}"
            self.socket.monitor(told_at, _EVENTS)
            self._events.connect(told_at)
            if security is not None:
                self.socket.setsockopt(zmq.CURVE_SECRETKEY, security.secret_key.encode())
                self.socket.setsockopt(zmq.CURVE_PUBLICKEY, security.public_key.encode())
                self.socket.setsockopt(zmq.CURVE_SERVERKEY, security.server_key.encode())
            self.socket.connect(self._endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise TransportError(f"cannot connect to {connect}: {error}") from error

    @property
    def rejection(self) -> str:
        """Why the server does not let us in, in words; '' where it does, or none is there."""
        self._listen()
        return self._rejection

    def due_ns(self) -> int | None:
        """The monotonic time from which `service` has to connect anew, if it has. Raises TransportError
        once closed."""
        self._listen()
        return self._redial_ns

    def service(self) -> None:
        """Connect anew where that is due. Raises TransportError once closed."""
        due_ns = self.due_ns()
        if due_ns is None or time.monotonic_ns() < due_ns:
            return
        self._redial_ns = None
        try:
            self.socket.disconnect(self._endpoint)
            self.socket.connect(self._endpoint)
        except zmq.ZMQError as error:
            raise TransportError(f"cannot connect to {self._address}: {error}") from error

    def _listen(self) -> None:
        while has_event(self._events, zmq.POLLIN):
            frames = read(self._events)
            if frames is not None:
                event, value = struct.unpack("=Hi", frames[0].bytes)
                self._heed(zmq.Event(event), value)

    def _heed(self, event: zmq.Event, value: int) -> None:
        address = self._address
        if event in _TRIES_AGAIN:
            self._redial_ns = None
        elif event is zmq.Event.DISCONNECTED:
            self._redial_ns = time.monotonic_ns() + _REDIAL_NS
        elif event in zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.CLOSED:  # closed: nobody listens there
            self._rejection, self._hang_ups = "", 0
        elif event is zmq.Event.HANDSHAKE_FAILED_AUTH and value == _NO_ACCESS:
            self._rejection = f"the server at {address} refused this key: unknown there, or revoked"
        elif event is zmq.Event.HANDSHAKE_FAILED_AUTH:
            self._rejection = f"the server at {address} could not check this key: status {value}"
        elif event is zmq.Event.HANDSHAKE_FAILED_PROTOCOL:
            self._rejection = self._misunderstanding(value)
        elif value in (errno.EPIPE, errno.ECONNRESET):
            self._hang_ups += 1
            if self._hang_ups >= _HANG_UPS:
                perhaps = (
                    "another one than this key was made for"
                    if self._has_key
                    else "it runs with keys: use one"
                )
                self._rejection = f"the server at {address} hangs up before it lets us in, perhaps {perhaps}"

    def _misunderstanding(self, value: int) -> str:
        if value != zmq.Event.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
            return f"what listens at {self._address} does not speak as our servers do: error {value:#x}"
        if self._has_key:
            return f"the server at {self._address} runs without keys: connect to it without one"
        return f"the server at {self._address} runs with keys: connect to it with one"


def _close(socket: zmq.Socket[bytes], events: zmq.Socket[bytes], maker: int) -> None:
    if not socket.closed and os.getpid() == maker:
        with contextlib.suppress(zmq.ContextTerminated):
            socket.monitor(None, 0)  # first: libzmq's own thread would wait for a reader that is gone
    events.close(linger=0)
    socket.close(linger=0)
