"""What every socket of ours has in common: where it may listen, its options, its keys, and waiting.

Without keys a socket listens on and connects to loopback alone. Options are set before bind or connect,
since libzmq ignores them later. Queues are short and LINGER is 0: what is old is not worth sending.
"""

from __future__ import annotations

import errno
import re
import select
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import zmq

from hardware.clock import NS_PER_S
from hardware.security import ServerSecurity
from hardware.transport.addresses import is_loopback, try_listening
from hardware.transport.authenticator import admit, release
from hardware.transport.codec import AddressInUseError, TransportError

MAX_BYTES = 65_536
_HANDSHAKE_MS = 2_000
_SILENCE_MS = 3_000  # of the far end's kernel, after which a link is dead
_ADDRESS = re.compile(r"tcp://(?P<host>\[[^\]\s]+\]|[^\[\]:/\s]+):(?P<port>\d{1,5}|\*)")

Context = zmq.Context[zmq.Socket[bytes]]


class Endpoint(Protocol):
    """What `wait` waits on: a Server, a Client or a Subscriber."""

    socket: zmq.Socket[bytes]

    def ready_at_ns(self) -> int | None:
        """The monotonic time from which `receive` has something to do; None: when something arrives."""
        ...


def wait(endpoints: Sequence[Endpoint], deadline_ns: int) -> list[Endpoint]:
    """Return as soon as one has something to receive (or to send again), or at `deadline_ns` at the latest.

    The result is those to call `receive` of, in the order given. The deadline is on the scale of
    `time.monotonic_ns`: never early, late by some 0.1 ms; a message wakes at once. Raises
    TransportError for a closed endpoint. Not for processes with 1,024 open files or more.
    """
    while True:
        times = [endpoint.ready_at_ns() for endpoint in endpoints]
        now_ns = time.monotonic_ns()
        ready = [
            one for one, at_ns in zip(endpoints, times, strict=True) if at_ns is not None and at_ns <= now_ns
        ]
        if ready or now_ns >= deadline_ns:
            return ready
        until_ns = min([deadline_ns, *(at_ns for at_ns in times if at_ns is not None)])
        # libzmq's own poll counts in ms. Its descriptor tells of any change, so EVENTS is read again.
        select.select([int(one.socket.FD) for one in endpoints], [], [], (until_ns - now_ns) / NS_PER_S)


def check_bind(bind: str, *, keys: bool) -> None:
    """Raises TransportError where a socket could not be bound, as far as that shows beforehand: for whoever
    has something to do first that takes long."""
    host, _, port = checked_address(bind, keys, "bind").removeprefix("tcp://").rpartition(":")
    try:
        try_listening(host, 0 if port == "*" else int(port))
    except OSError as error:
        raise _cannot_bind(bind, error.errno, error.strerror) from error


class Listener:
    """A bound socket, with its keys if it has any. Belongs to one thread, and to the process that made it."""

    def __init__(
        self,
        kind: int,
        bind: str,
        *,
        options: dict[int, int],
        security: ServerSecurity | None,
        on_refused: Callable[[], None],
        context: Context | None,
    ) -> None:
        """Raises TransportError for an address that cannot be bound, or that is not loopback while there
        are no keys."""
        endpoint = checked_address(bind, security is not None, "bind")
        self._context: Context = context or zmq.Context.instance()
        self._domain: bytes | None = None
        self.socket = open_socket(self._context, kind, endpoint, options)
        try:
            if security is not None:
                self._domain = admit(self._context, security, on_refused)
                self.socket.setsockopt(zmq.CURVE_SERVER, 1)
                self.socket.setsockopt(zmq.CURVE_SECRETKEY, security.secret_key.encode())
                self.socket.setsockopt(zmq.ZAP_DOMAIN, self._domain)
                self.socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
            self.socket.bind(endpoint)
            self.address = self.socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        except zmq.ZMQError as error:
            self.close()
            raise _cannot_bind(bind, error.errno, str(error)) from error
        except TransportError:
            self.close()
            raise

    def close(self) -> None:
        """Drop every connection. Calling it twice is fine."""
        self.socket.close(linger=0)
        if self._domain is not None:
            domain, self._domain = self._domain, None
            release(self._context, domain)


def _cannot_bind(bind: str, number: int | None, why: str | None) -> TransportError:
    kind = AddressInUseError if number == errno.EADDRINUSE else TransportError
    return kind(f"cannot bind {bind}: {why}")


def inbound(max_bytes: int, hwm: int) -> dict[int, int]:
    """Options for what arrives: libzmq cuts the link for a frame of more than twice `max_bytes`, so that
    what is a little too big can be counted. Raises TransportError for numbers below 1."""
    for name, value in (("max_bytes", max_bytes), ("hwm", hwm)):
        if value < 1:
            raise TransportError(f"{name} is {value}: it must be at least 1")
    return {zmq.MAXMSGSIZE: max(2 * max_bytes, 4_096), zmq.RCVHWM: hwm}


def read(socket: zmq.Socket[bytes]) -> list[zmq.Frame] | None:
    """What has arrived, or None. Never blocks; raises TransportError for a closed socket."""
    try:
        return socket.recv_multipart(zmq.NOBLOCK, copy=False)
    except zmq.Again:
        return None
    except zmq.ZMQError as error:
        raise TransportError(f"cannot receive: {error}") from error


def write(socket: zmq.Socket[bytes], frames: Sequence[bytes]) -> bool:
    """Whether the frames were queued. Never blocks; raises TransportError for a closed socket."""
    try:
        socket.send_multipart(frames, zmq.NOBLOCK)
    except zmq.Again:
        return False
    except zmq.ZMQError as error:
        if error.errno == errno.EHOSTUNREACH:
            return False
        raise TransportError(f"cannot send: {error}") from error
    return True


def has_event(socket: zmq.Socket[bytes], event: int) -> bool:
    """Whether `event` (zmq.POLLIN, zmq.POLLOUT) holds now. Raises TransportError for a closed socket."""
    try:
        return bool(int(socket.getsockopt(zmq.EVENTS)) & event)
    except zmq.ZMQError as error:
        raise TransportError(f"cannot wait: {error}") from error


def open_socket(context: Context, kind: int, endpoint: str, options: dict[int, int]) -> zmq.Socket[bytes]:
    """A socket with the options that all of ours have and `options`, neither bound nor connected.

    The kernel, not ZMTP's heartbeats, tells a link that is dead: with those on, libzmq 4.3.5 aborts the
    process if its peer dies while nobody reads the socket and its queue is full.
    """
    socket = context.socket(kind)
    common: dict[int, int] = {
        zmq.LINGER: 0,
        zmq.HANDSHAKE_IVL: _HANDSHAKE_MS,
        zmq.TCP_KEEPALIVE: 1,
        zmq.TCP_KEEPALIVE_IDLE: 1,  # s
        zmq.TCP_KEEPALIVE_INTVL: 1,  # s
        zmq.TCP_KEEPALIVE_CNT: _SILENCE_MS // 1_000,
        zmq.TCP_MAXRT: _SILENCE_MS,  # for what was sent, which keepalive does not cover
        zmq.IPV6: int("[" in endpoint),
    }
    for option, value in {**common, **options}.items():
        socket.setsockopt(option, value)
    return socket


def checked_address(address: str, keys: bool, verb: str) -> str:
    """The address as libzmq takes it. Raises TransportError unless it is one and may be used."""
    parts = _ADDRESS.fullmatch(address)
    if parts is None or (parts["port"] != "*" and int(parts["port"]) > 65_535):  # libzmq would wrap it round
        raise TransportError(
            f"cannot {verb} {address!r}: an address is tcp://HOST:PORT, the port at most 65535"
        )
    host, port = parts["host"], parts["port"]
    if host == "localhost":
        host = "127.0.0.1"
    if not keys and not is_loopback(host):
        raise TransportError(
            f"cannot {verb} {address} without keys, since it is not loopback: robot-rlhf keys make NAME "
            f"makes them; tcp://127.0.0.1:{port} needs none"
        )
    return f"tcp://{host}:{port}"
