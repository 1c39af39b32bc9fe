"""Real sockets for tests of the transport, in a context of their own, and the messages that they carry."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any, TypeVar

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

from hardware.security import ClientSecurity, ServerSecurity
from hardware.transport import Client, Endpoint, Publisher, Server, Subscriber, wait

PATIENCE_NS = 10_000_000_000
MISTAKE = 2**40
LOOPBACK = "tcp://127.0.0.1:*"
T = TypeVar("T")
In = TypeVar("In", bound=msgspec.Struct)


class Move(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    seq: int
    twist: bytes = b""

    def __post_init__(self) -> None:
        if self.seq < 0:
            raise ValueError(f"seq is {self.seq}: it must not be negative")
        if self.seq == MISTAKE:
            raise KeyError("a check with a mistake in it")


class Say(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    text: str


class Wire:
    """Opens sockets in a context of their own, and closes them all: a leak would not let it end."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.context = zmq.Context()
        stack.callback(self.context.term)

    def _kept(self, opened: T) -> T:
        self._stack.enter_context(closing(opened))  # type: ignore[type-var]
        return opened

    def server(
        self, bind: str = LOOPBACK, *, keys: ServerSecurity | None = None, **more: Any
    ) -> Server[Move | Say]:
        return self._kept(Server(bind, Move | Say, security=keys, context=self.context, **more))

    def serving(self, incoming: type[In]) -> Server[In]:
        """A server of other messages."""
        return self._kept(Server(LOOPBACK, incoming, security=None, context=self.context))

    def client(self, connect: str, *, keys: ClientSecurity | None = None, **more: Any) -> Client[Move | Say]:
        return self._kept(Client(connect, Move | Say, security=keys, context=self.context, **more))

    def publisher(self, *, keys: ServerSecurity | None = None, **more: Any) -> Publisher:
        return self._kept(Publisher(LOOPBACK, security=keys, context=self.context, **more))

    def subscriber(
        self, connect: str, *, keys: ClientSecurity | None = None, **more: Any
    ) -> Subscriber[Move | Say]:
        return self._kept(Subscriber(connect, Move | Say, security=keys, context=self.context, **more))

    def raw(self, kind: int) -> zmq.Socket[bytes]:
        socket = self._kept(self.context.socket(kind))
        socket.linger = 0
        return socket

    def dealer(self, address: str, **options: Any) -> zmq.Socket[bytes]:
        """A client of somebody else's making."""
        dealer = self.raw(zmq.DEALER)
        for name, value in options.items():
            setattr(dealer, name, value)
        dealer.connect(address)
        return dealer

    def events(self, socket: zmq.Socket[bytes]) -> Events:
        return self._kept(Events(socket))


class Events:
    """What libzmq says of a socket's connections."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket, self._monitor = socket, socket.get_monitor_socket()

    def wait_for(self, *wanted: zmq.Event) -> zmq.Event:
        """The first of these events that comes."""
        while self._monitor.poll(PATIENCE_NS // 1_000_000):
            event = zmq.Event(recv_monitor_message(self._monitor)["event"])
            if event in wanted:
                return event
        raise AssertionError(f"none of {wanted} came")

    def close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)


def until(check: Callable[[], T | None], *endpoints: Endpoint) -> T:
    """The first result of `check` that is not None, asked whenever one of the endpoints is ready."""
    deadline_ns = time.monotonic_ns() + PATIENCE_NS
    while time.monotonic_ns() < deadline_ns:
        found = check()
        if found is not None:
            return found
        wait(endpoints, min(deadline_ns, time.monotonic_ns() + 20_000_000))
    raise AssertionError("nothing came")
