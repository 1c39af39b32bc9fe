"""Who may connect at all: the answer to libzmq's handshakes (ZAP, ZeroMQ RFC 27).

libzmq asks one handler per context, in a thread of its own here; all servers in the context share it,
told apart by their ZAP domain. It admits a client whose key the server's registry knows and gives the
key on as User-Id, so that each message can be looked up again. With the domain enforced on the socket,
a handler that is dead or gone admits nobody.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass

import zmq
from zmq.utils import z85

from hardware.security import ServerSecurity
from hardware.transport.codec import TransportError

_ENDPOINT = "inproc://zeromq.zap.01"  # by RFC 27
_VERSION = b"1.0"


@dataclass(frozen=True)
class _Door:
    security: ServerSecurity
    on_refused: Callable[[], None]


class Authenticator:
    """The handler of one context. Made by `admit`, closed when the last server of the context is."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Raises TransportError where the context has a handler of somebody else's."""
        self.doors: dict[bytes, _Door] = {}
        self._handler = context.socket(zmq.REP)
        try:
            self._handler.bind(_ENDPOINT)
        except zmq.ZMQError as error:
            self._handler.close()
            raise TransportError(f"the context has another ZAP handler: {error}") from error
        stop = f"inproc://robot_rlhf.zap.{id(self)}"
        self._stop, self._stopped = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        self._stop.bind(stop)
        self._stopped.connect(stop)
        self.thread = threading.Thread(target=self._serve, name="authenticator", daemon=True)
        self.thread.start()

    def close(self) -> None:
        """From now on nobody is admitted."""
        self._stop.send(b"")
        self.thread.join()
        self._stop.close(linger=0)

    def _serve(self) -> None:
        poller = zmq.Poller()
        for socket in (self._handler, self._stopped):
            poller.register(socket, zmq.POLLIN)
        try:
            while not any(socket is self._stopped for socket, _ in poller.poll()):
                self._handler.send_multipart(self._answer(self._handler.recv_multipart()))
        finally:
            self._handler.unbind(_ENDPOINT)  # at once, for the next one: closing is done in the background
            self._handler.close(linger=0)
            self._stopped.close(linger=0)

    def _answer(self, request: list[bytes]) -> list[bytes]:
        _, request_id, domain, _, _, mechanism, *credentials = request
        door = self.doors.get(domain)
        if door is not None and mechanism == b"CURVE" and len(credentials) == 1:
            key = z85.encode(credentials[0])
            if door.security.user(key.decode()) is not None:
                return [_VERSION, request_id, b"200", b"OK", key, b""]
            door.on_refused()
        return [_VERSION, request_id, b"400", b"no access", b"", b""]


_running: dict[zmq.Context[zmq.Socket[bytes]], Authenticator] = {}
_lock = threading.Lock()
_numbers = itertools.count(1)


def admit(
    context: zmq.Context[zmq.Socket[bytes]], security: ServerSecurity, on_refused: Callable[[], None]
) -> bytes:
    """Begin to admit the clients of `security`; the result is the ZAP domain to set on the socket.

    `on_refused` is called in the authenticator's thread for each handshake with a key that is not, or
    no longer, in the registry. Raises TransportError.
    """
    domain = b"robot_rlhf.%d" % next(_numbers)
    with _lock:
        if context not in _running:
            _running[context] = Authenticator(context)
        _running[context].doors[domain] = _Door(security, on_refused)
    return domain


def release(context: zmq.Context[zmq.Socket[bytes]], domain: bytes) -> None:
    """Admit nobody to `domain` any more; the last one to go ends the thread."""
    with _lock:
        authenticator = _running[context]
        del authenticator.doors[domain]
        if not authenticator.doors:
            del _running[context]
            authenticator.close()
