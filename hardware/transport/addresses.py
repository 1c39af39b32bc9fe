"""Addresses to listen at, and by which other machines reach what listens on every one of this machine."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import socket
import struct

_EVERY = {"0.0.0.0", "[::]", "*"}
_ELSEWHERE = {  # addresses for documentation (RFC 5737, 3849): routed as the internet is, and nobody's
    socket.AF_INET: ("192.0.2.1", 9),
    socket.AF_INET6: ("2001:db8::1", 9),
}
_SIOCGIFADDR = 0x8915  # Linux, netdevice(7)


def is_loopback(host: str) -> bool:
    """Whether that is this machine's own address for itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name, an interface or '*'


def reachable(address: str) -> list[str]:
    """What to connect to where something listens at `address` (tcp://HOST:PORT); the best comes first.

    The address itself, unless that is every interface's: then this machine's own address on the way to
    other networks or, where there is no such way, on each of its own; and its name, which others may know
    or not. Without any, loopback. Sends nothing.
    """
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    if host not in _EVERY:
        return [address]
    families = [socket.AF_INET, socket.AF_INET6] if host == "[::]" else [socket.AF_INET]
    hosts = [own for family in families if (own := _own_address(family))] or _interface_addresses()
    name = socket.gethostname()
    if name and not name.startswith("localhost"):
        hosts.append(name)
    return [f"tcp://{own}:{port}" for own in hosts or ["127.0.0.1"]]


def try_listening(host: str, port: int) -> None:
    """Raises OSError where nothing could listen there now; port 0 is any. Of the name of an interface nothing
    is known."""
    numeric = "0.0.0.0" if host == "*" else host.strip("[]")
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            numeric, port, type=socket.SOCK_STREAM, flags=flags
        )[0]
    except socket.gaierror:
        return
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as libzmq does
        probe.bind(where)


def _own_address(family: socket.AddressFamily) -> str:
    """The address that this machine would send from to another network; '' if it has none."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(_ELSEWHERE[family])  # of UDP: only chooses the route
            own = str(probe.getsockname()[0])
    except OSError:
        return ""
    if not _is_reachable(own):
        return ""
    return f"[{own}]" if family == socket.AF_INET6 else own


def _interface_addresses() -> list[str]:
    """The IPv4 address of each interface that has one, for a network without a way out of it."""
    found = []
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # an interface without one
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("40s", name.encode()))
                found.append(socket.inet_ntoa(answer[20:24]))
    return [own for own in found if _is_reachable(own)]


def _is_reachable(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return not (ip.is_loopback or ip.is_unspecified or ip.is_link_local)
