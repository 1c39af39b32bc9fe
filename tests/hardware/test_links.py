"""How a link ends and comes back: peers that die, networks that fall silent, servers that refuse."""

from __future__ import annotations

import os
import shutil
import socket as tcp
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hardware.security import ClientSecurity, Role, ServerSecurity, make_client, make_server, revoke
from hardware.transport import Client, Publisher, Server, Subscriber, TransportError
from tests.hardware.wires import Move, Say, Wire, until

End = Client[Move | Say] | Subscriber[Move | Say]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A server's keys, and ada's."""
    make_server(tmp_path / "keys")
    make_client(tmp_path / "keys", "ada", Role.OPERATOR)
    return tmp_path / "keys"


def ada(folder: Path) -> ClientSecurity:
    return ClientSecurity(folder / "ada.key")


def rejection(end: End) -> str:
    """Why this end is not let in, once it knows."""

    def check() -> str | None:
        assert end.receive() is None
        return end.rejection or None

    return until(check, end)


def answered(server: Server[Move | Say], client: Client[Move | Say]) -> None:
    """A request of the client's reaches the server, and the answer comes back."""
    request = client.request(Say("hello"), retry_s=0.1)

    def check() -> bool | None:
        while (received := server.receive()) is not None:
            server.reply(received, Say("hello, you"))
        arrived = client.receive()
        return True if arrived is not None and arrived.request == request else None

    until(check, server, client)


def heard(publisher: Publisher, subscriber: Subscriber[Move | Say]) -> None:
    def check() -> bool | None:
        publisher.publish("", Say("hello"))
        return True if subscriber.receive() is not None else None

    until(check, subscriber)


# Peers that die and networks that fall silent

FLOODED = """
    import time
    import zmq
    from hardware.transport import Client, Publisher, Server, Subscriber
    from tests.hardware.wires import LOOPBACK, Say

    peers = zmq.Context()
    router, pub, dealer = (peers.socket(kind) for kind in (zmq.ROUTER, zmq.PUB, zmq.DEALER))
    for peer in (router, pub):
        peer.bind(LOOPBACK)
    def address(peer):
        return peer.getsockopt_string(zmq.LAST_ENDPOINT)
    server = Server(LOOPBACK, Say, security=None, hwm=2)
    client = Client(address(router), Say, security=None, hwm=2)
    subscriber = Subscriber(address(pub), Say, security=None, hwm=2)
    dealer.connect(server.address)
    client.request(Say("hello"), retry_s=60.0)
    while not router.poll(10):
        client.receive()
    identity = router.recv_multipart()[0]
    dealer.send_multipart([bytes(16), b"a request"])
    while server.receive() is not None or not server.refused.total():
        time.sleep(0.01)
    while subscriber.receive() is None and not subscriber.refused.total():
        pub.send_multipart([b"", b"a moment"])
        time.sleep(0.01)
    for _ in range(1_000):  # from now on nobody reads
        for peer, frames in ((router, [identity, b"", b""]), (pub, [b"", b""]), (dealer, [b"", b""])):
            peer.send_multipart(frames, zmq.NOBLOCK)
        time.sleep(0.0001)
    peers.destroy(linger=0)
    time.sleep(2.5)
    for endpoint in (server, client, subscriber):
        endpoint.receive()
        assert endpoint.refused.total() > 1, endpoint
"""


def test_a_peer_that_dies_while_nobody_reads_does_not_take_the_process_with_it() -> None:
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FLOODED)], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def sockets_at(port: int) -> list[tcp.socket]:
    """Both ends of this process's TCP connections to its own `port`."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            end = tcp.socket(fileno=os.dup(int(number)))
        except OSError:
            continue
        try:
            is_ours = port in (end.getsockname()[1], end.getpeername()[1])
        except (OSError, IndexError, TypeError):
            is_ours = False
        if is_ours:
            found.append(end)
        else:
            end.close()
    return found


def test_the_kernel_watches_every_connection_from_both_ends(wire: Wire) -> None:
    server, publisher = wire.server(), wire.publisher()
    client, subscriber = wire.client(server.address), wire.subscriber(publisher.address)
    answered(server, client)
    heard(publisher, subscriber)
    for address in (server.address, publisher.address):
        ends = sockets_at(int(address.rpartition(":")[2]))
        assert len(ends) == 2
        for end in ends:
            with end:
                assert end.getsockopt(tcp.SOL_SOCKET, tcp.SO_KEEPALIVE)
                idle, interval, count, user_timeout_ms = (
                    end.getsockopt(tcp.IPPROTO_TCP, option)
                    for option in (
                        tcp.TCP_KEEPIDLE,
                        tcp.TCP_KEEPINTVL,
                        tcp.TCP_KEEPCNT,
                        tcp.TCP_USER_TIMEOUT,
                    )
                )
                assert idle + interval * count <= 4
                assert user_timeout_ms == 3_000


def test_a_link_that_one_bad_message_ended_is_made_again(wire: Wire) -> None:
    server = wire.server(max_send_bytes=1_000_000)
    client = wire.client(server.address, max_bytes=100)
    client.request(Say("tell me everything"), retry_s=60.0)
    received = until(lambda: server.receive() if client.receive() is None else None, server, client)
    server.reply(received, Say("x" * 500_000))
    until(lambda: None if server.send(received.peer, Say("still there?")) else True)
    answered(server, client)


def test_an_end_that_nobody_closed_does_not_hold_up_the_others(wire: Wire) -> None:
    server = wire.server()
    for address in (server.address, "tcp://127.0.0.1:9"):
        Client(address, Say, security=None, context=wire.context)
    answered(server, wire.client(server.address))


# Servers that refuse


def test_who_holds_no_good_key_is_told_so_and_is_let_in_once_the_key_is_good(
    wire: Wire, folder: Path, tmp_path: Path
) -> None:
    keys, good = ada(folder), shutil.copy2(folder / "clients.json", tmp_path)
    revoke(folder, "ada")
    security = ServerSecurity(folder)
    server, publisher = wire.server(keys=security), wire.publisher(keys=security)
    client, subscriber = wire.client(server.address, keys=keys), wire.subscriber(publisher.address, keys=keys)
    for end, address in ((client, server.address), (subscriber, publisher.address)):
        assert rejection(end) == f"the server at {address} refused this key: unknown there, or revoked"
    shutil.copy2(good, folder / "clients.json")
    answered(server, client)
    heard(publisher, subscriber)
    assert (client.rejection, subscriber.rejection) == ("", "")


def test_a_subscriber_whose_key_is_revoked_while_it_listens_is_told_so(wire: Wire, folder: Path) -> None:
    publisher = wire.publisher(keys=ServerSecurity(folder))
    subscriber = wire.subscriber(publisher.address, keys=ada(folder))
    heard(publisher, subscriber)
    assert subscriber.rejection == ""
    revoke(folder, "ada")

    def check() -> str | None:
        publisher.publish("", Say("hello"))
        subscriber.receive()
        return subscriber.rejection or None

    assert "refused this key" in until(check, subscriber)


@pytest.mark.parametrize(("keyed", "reason"), [(True, "runs with keys"), (False, "runs without keys")])
def test_keys_at_one_end_alone_are_told_from_a_key_that_is_refused(
    wire: Wire, folder: Path, keyed: bool, reason: str
) -> None:
    server = wire.server(keys=ServerSecurity(folder) if keyed else None)
    assert reason in rejection(wire.client(server.address, keys=None if keyed else ada(folder)))


def test_a_key_for_another_server_is_told_from_one_that_is_refused(
    wire: Wire, folder: Path, tmp_path: Path
) -> None:
    make_server(tmp_path / "other")
    mistaken = ada(folder)
    mistaken.server_key = ServerSecurity(tmp_path / "other").public_key
    server = wire.server(keys=ServerSecurity(folder))
    assert "perhaps another one than this key was made for" in rejection(
        wire.client(server.address, keys=mistaken)
    )


def test_a_server_that_is_not_there_has_refused_nobody(wire: Wire, folder: Path) -> None:
    keys = ada(folder)
    assert wire.client("tcp://127.0.0.1:9", keys=keys).rejection == ""
    revoke(folder, "ada")
    server = wire.server(keys=ServerSecurity(folder))
    client = wire.client(server.address, keys=keys)
    assert rejection(client)
    server.close()
    until(lambda: True if client.receive() is None and not client.rejection else None, client)
    client.close()
    with pytest.raises(TransportError):
        _ = client.rejection
