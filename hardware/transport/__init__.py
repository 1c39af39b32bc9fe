"""The one transport: typed messages over ZeroMQ, from whom is known, and nothing blocks.

A `Server` (ROUTER) and its `Client`s (DEALER) talk both ways; a `Publisher` tells many `Subscriber`s;
`wait` waits on any number of them. Callers bring their own message types: msgspec structs that forbid
unknown fields, tagged where there are several.

Between server and client a message is two frames: [the request's id, 16 bytes, or nothing][MessagePack].
A client sends a request until it is answered, so that a server may see one twice: handling it must be
idempotent. One-way messages may be lost, and overtake requests that are sent again.

Every socket belongs to the thread, and to the process, that made it: make it after a fork.
"""

from hardware.transport.client import Client, Expired, Incoming
from hardware.transport.codec import AddressInUseError, Refusal, TransportError, array_bytes, array_from
from hardware.transport.pubsub import Publisher, Subscriber
from hardware.transport.server import Peer, Received, Server
from hardware.transport.sockets import Endpoint, check_bind, wait

__all__ = [
    "AddressInUseError",
    "Client",
    "Endpoint",
    "Expired",
    "Incoming",
    "Peer",
    "Publisher",
    "Received",
    "Refusal",
    "Server",
    "Subscriber",
    "TransportError",
    "array_bytes",
    "array_from",
    "check_bind",
    "wait",
]
