"""The transport over real sockets: who says what, requests answered once, nothing that kills or blocks."""

from __future__ import annotations

import itertools
import pickle
import socket as tcp
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.security import ClientSecurity, Role, ServerSecurity, User, make_client, make_server, revoke
from hardware.transport import (
    AddressInUseError,
    Client,
    Expired,
    Incoming,
    Publisher,
    Received,
    Refusal,
    Server,
    Subscriber,
    TransportError,
    array_bytes,
    array_from,
    wait,
)
from hardware.transport import authenticator as zap
from tests.hardware.wires import LOOPBACK, MISTAKE, PATIENCE_NS, Events, Move, Say, Wire, until

numbers = itertools.count()


class Loose(msgspec.Struct, frozen=True, tag=True):
    text: str


class Holder(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    inner: tuple[Loose | None, ...]


class Anything(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    value: dict[str, Any]


class Tree(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    children: list[Tree] = []


REFUSED = (
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL,
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL,
    zmq.Event.HANDSHAKE_FAILED_AUTH,
    zmq.Event.DISCONNECTED,
)


def outcome(events: Events) -> bool:
    """Whether the next connection that gets so far is let in."""
    return events.wait_for(zmq.Event.HANDSHAKE_SUCCEEDED, *REFUSED) is zmq.Event.HANDSHAKE_SUCCEEDED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Keys of a server and of one client a role, each named as its role."""
    keys = tmp_path / "keys"
    make_server(keys)
    for role in Role:
        make_client(keys, role.value, role)
    return keys


def key_of(folder: Path, role: Role = Role.OPERATOR) -> ClientSecurity:
    return ClientSecurity(folder / f"{role.value}.key")


def heard(server: Server[Move | Say], *clients: Client[Move | Say]) -> Received[Move | Say]:
    """What a server gets while its clients send again what is due."""

    def check() -> Received[Move | Say] | None:
        for client in clients:
            assert client.receive() is None
        return server.receive()

    return until(check, server, *clients)


def got(client: Client[Move | Say]) -> Incoming[Move | Say] | Expired:
    found = until(client.receive, client)
    assert isinstance(found, Incoming | Expired)
    return found


def connect(client: Client[Move | Say]) -> None:
    assert client.socket.poll(PATIENCE_NS // 1_000_000, zmq.POLLOUT)


def round_trip(server: Server[Move | Say], client: Client[Move | Say], seq: int = 1) -> Received[Move | Say]:
    """A request and its reply; the server's view of it."""
    request = client.request(Move(seq), retry_s=60.0)
    received = heard(server, client)
    assert received.message == Move(seq)
    assert received.request == request
    assert server.reply(received, Say("done"))
    assert got(client) == Incoming(Say("done"), request)
    return received


def again(wire: Wire, address: str) -> Server[Move | Say]:
    """A server at an address that another has just left; libzmq frees it in its own time."""

    def check() -> Server[Move | Say] | None:
        try:
            return wire.server(address)
        except AddressInUseError:
            return None

    return until(check)


# Round trips


def test_a_request_is_answered_a_one_way_message_arrives_and_the_server_can_push(wire: Wire) -> None:
    server = wire.server()
    client = wire.client(server.address)
    received = round_trip(server, client)
    assert (received.peer.name, received.peer.role) == ("local", Role.OPERATOR)
    assert client.pending == 0
    assert client.send(Say("hello"))
    one_way = heard(server, client)
    assert (one_way.message, one_way.request, one_way.peer) == (Say("hello"), None, received.peer)
    assert server.send(one_way.peer, Move(7))
    assert got(client) == Incoming(Move(7), None)
    assert (server.receive(), client.receive()) == (None, None)


def test_without_keys_everybody_has_the_role_that_the_server_gives(wire: Wire) -> None:
    server = wire.server(local_role=Role.OBSERVER)
    assert round_trip(server, wire.client(server.address)).peer.role is Role.OBSERVER


def test_two_clients_are_told_apart_and_each_gets_its_own(wire: Wire) -> None:
    server = wire.server()
    one, two = wire.client(server.address), wire.client(server.address)
    peers = {round_trip(server, one).peer, round_trip(server, two).peer}
    assert len(peers) == 2


def test_an_array_travels_as_bytes() -> None:
    twist = np.arange(6.0).reshape(2, 3)
    back = array_from(array_bytes(twist, "<f8"), "<f8", (2, 3), "twist")
    np.testing.assert_array_equal(back, twist)
    assert not back.flags.writeable
    with pytest.raises(ValueError, match="twist has 47 bytes, expected 48"):
        array_from(bytes(47), "<f8", (2, 3), "twist")


def test_a_reply_to_what_was_no_request_is_refused(wire: Wire) -> None:
    server = wire.server()
    client = wire.client(server.address)
    client.send(Say("hello"))
    with pytest.raises(TransportError, match="Say is no request"):
        server.reply(heard(server, client), Say("what?"))


def test_a_message_that_the_other_end_would_find_too_big_is_not_sent(wire: Wire) -> None:
    server = wire.server(max_send_bytes=100)
    client = wire.client(server.address, max_send_bytes=50)
    with pytest.raises(TransportError, match=r"Say has \d+ bytes, more than 50"):
        client.request(Say("x" * 50))
    assert client.pending == 0
    with pytest.raises(TransportError, match="more than 100"):
        server.send(round_trip(server, client).peer, Say("x" * 100))


# Requests that are sent again


def test_a_request_outlives_its_server_and_is_answered_exactly_once(wire: Wire) -> None:
    first = wire.server()
    client = wire.client(first.address)
    request = client.request(Move(1), retry_s=0.05)
    assert heard(first, client).request == request
    first.close()
    second = again(wire, first.address)
    received = heard(second, client)
    assert (received.request, received.message) == (request, Move(1))
    repeated = heard(second, client)
    assert repeated.request == request
    for _ in range(2):
        assert second.reply(repeated, Say("done"))
    assert got(client) == Incoming(Say("done"), request)
    assert client.pending == 0
    second.send(repeated.peer, Say("what comes next"))
    assert got(client) == Incoming(Say("what comes next"), None)


def test_a_request_waits_for_a_server_that_comes_later_and_is_not_piled_up_meanwhile(wire: Wire) -> None:
    with tcp.create_server(("127.0.0.1", 0)) as placeholder:
        address = f"tcp://127.0.0.1:{placeholder.getsockname()[1]}"
    client = wire.client(address)
    given_up = client.request(Move(1), retry_s=0.001)
    request = client.request(Move(2), retry_s=60.0)
    for _ in range(20):
        wait([client], time.monotonic_ns() + PATIENCE_NS)
        assert client.receive() is None
    assert client.cancel(given_up)
    server = again(wire, address)
    received = heard(server, client)
    assert (received.request, received.message) == (request, Move(2))
    assert server.receive() is None


def test_an_expired_request_is_reported_once_and_its_late_reply_is_passed_over(wire: Wire) -> None:
    server = wire.server()
    client = wire.client(server.address)
    connect(client)
    request = client.request(Move(1), deadline_s=0.001)
    received = heard(server)
    assert got(client) == Expired(request)
    assert client.pending == 0
    assert server.reply(received, Say("late"))
    assert server.send(received.peer, Say("next"))
    assert got(client) == Incoming(Say("next"), None)
    assert client.receive() is None


def test_a_cancelled_request_is_not_answered(wire: Wire) -> None:
    server = wire.server()
    client = wire.client(server.address)
    connect(client)
    request = client.request(Move(1), retry_s=0.001)
    received = heard(server)
    assert client.cancel(request)
    assert not client.cancel(request)
    server.reply(received, Say("late"))
    server.send(received.peer, Say("next"))
    assert got(client) == Incoming(Say("next"), None)


@pytest.mark.parametrize(
    "wrong", [{"retry_s": 0.0}, {"retry_s": float("nan")}, {"deadline_s": -1.0}], ids=str
)
def test_a_time_that_is_none_is_refused_by_name(wire: Wire, wrong: dict[str, float]) -> None:
    client = wire.client("tcp://127.0.0.1:9")
    with pytest.raises(TransportError, match=next(iter(wrong))):
        client.request(Move(1), **wrong)
    assert client.pending == 0


# One-way messages while nobody is there


def test_an_immediate_client_delivers_nothing_that_it_sent_while_the_server_was_down(wire: Wire) -> None:
    first = wire.server()
    client = wire.client(first.address, immediate=True)
    round_trip(first, client)
    events = wire.events(client.socket)
    first.close()
    events.wait_for(zmq.Event.DISCONNECTED)
    for _ in range(10):
        client.send(Say("stale"))
    assert not client.send(Say("stale"))
    second = again(wire, first.address)
    connect(client)
    assert client.send(Say("fresh"))
    assert heard(second, client).message == Say("fresh")
    assert second.receive() is None


def test_an_immediate_client_says_that_nobody_is_there(wire: Wire) -> None:
    client = wire.client("tcp://127.0.0.1:9", immediate=True)
    assert not client.connected
    assert not client.send(Say("is anybody there?"))


def test_any_other_client_keeps_a_few_and_says_when_it_is_full(wire: Wire) -> None:
    with tcp.create_server(("127.0.0.1", 0)) as placeholder:
        address = f"tcp://127.0.0.1:{placeholder.getsockname()[1]}"
    client = wire.client(address, hwm=3)
    assert [client.send(Move(seq)) for seq in range(5)] == [True, True, True, False, False]
    server = again(wire, address)
    assert [heard(server, client).message for _ in range(3)] == [Move(0), Move(1), Move(2)]


def test_a_push_to_a_client_that_has_gone_fails_and_does_not_raise(wire: Wire) -> None:
    server = wire.server()
    client = wire.client(server.address)
    peer = round_trip(server, client).peer
    events = wire.events(server.socket)
    client.close()
    events.wait_for(zmq.Event.DISCONNECTED)
    until(lambda: None if server.send(peer, Say("hello?")) else True)


def test_a_client_that_does_not_read_fills_its_queue_and_nobody_elses(wire: Wire) -> None:
    server = wire.server(send_hwm=2)
    slow, quick = wire.client(server.address, hwm=2), wire.client(server.address)
    peer = round_trip(server, slow).peer
    big = Move(1, bytes(60_000))
    assert not all(server.send(peer, big) for _ in range(2_000))
    round_trip(server, quick)


def test_a_server_that_lets_few_wait_still_answers_each_of_many(wire: Wire) -> None:
    server = wire.server(hwm=4)
    client = wire.client(server.address, immediate=True)
    peer = round_trip(server, client).peer
    for seq in range(200):
        move = Move(seq)
        while not client.send(move):
            wait([client], time.monotonic_ns() + PATIENCE_NS)
        assert heard(server, client).message == Move(seq)
        assert server.send(peer, Say(str(seq)))
        until(client.receive)


# Whatever bytes come


ID = bytes(16)


def packed(**fields: object) -> bytes:
    return msgspec.msgpack.encode(fields)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([ID, b""], Refusal.MALFORMED),
        ([ID, packed(type="Move", seq=1)[:-1]], Refusal.MALFORMED),
        ([ID, packed(type="Move", seq=1) + b"\0"], Refusal.MALFORMED),
        ([b"\xc1" * 16, b"\xc1"], Refusal.MALFORMED),
        ([b"short", packed(type="Move", seq=1)], Refusal.MALFORMED),
        ([packed(type="Move", seq=1)], Refusal.MALFORMED),
        ([ID, packed(type="Move", seq=1), b"more"], Refusal.MALFORMED),
        ([b""] * 500, Refusal.MALFORMED),
        ([ID, b"\x82\xa4type\xa4Move\xa3seq" + b"\x91" * 30_000 + b"\xc0"], Refusal.INVALID),
        ([ID, b"\x91" * 60_000], Refusal.INVALID),
        ([ID, b"\xdd\xff\xff\xff\xff"], Refusal.INVALID),
        ([ID, pickle.dumps(Move(1))], Refusal.INVALID),
        ([ID, packed(type="Move", seq=1, more=2)], Refusal.INVALID),
        ([ID, packed(type="Move", seq="1")], Refusal.INVALID),
        ([ID, packed(type="Move", seq=1.0)], Refusal.INVALID),
        ([ID, packed(type="Move")], Refusal.INVALID),
        ([ID, packed(type="Stop", seq=1)], Refusal.INVALID),
        ([ID, packed(seq=1)], Refusal.INVALID),
        ([ID, packed(type="Move", seq=-1)], Refusal.INVALID),
        ([ID, packed(type="Move", seq=MISTAKE)], Refusal.INVALID),
        ([ID, packed(type="Say", text=b"\xff")], Refusal.INVALID),
        ([ID, packed(type="Move", seq=1, twist=bytes(70_000))], Refusal.TOO_BIG),
    ],
)
def test_what_is_wrong_is_counted_by_reason_and_the_server_goes_on(
    wire: Wire, frames: list[bytes], reason: Refusal
) -> None:
    server = wire.server()
    wire.dealer(server.address).send_multipart(frames)
    until(lambda: server.receive() or server.refused.total() or None, server)
    assert server.refused == {reason: 1}
    assert server.last_refusal.startswith(reason.value)
    assert "local" in server.last_refusal
    round_trip(server, wire.client(server.address))


@pytest.mark.parametrize("depth", [10, 2_500])
def test_a_recursive_message_may_nest_but_not_without_end(wire: Wire, depth: int) -> None:
    server = wire.serving(Tree)
    body = b"\x82\xa4type\xa4Tree\xa8children\x91" * depth + b"\x81\xa4type\xa4Tree"
    wire.dealer(server.address).send_multipart([ID, body])
    until(lambda: server.receive() or server.refused.total() or None, server)
    assert server.refused.total() == (depth > 10)


def test_far_too_big_cuts_the_link_and_the_server_goes_on(wire: Wire) -> None:
    server = wire.server()
    events = wire.events(server.socket)
    wire.dealer(server.address).send_multipart([ID, bytes(10_000_000)])
    events.wait_for(zmq.Event.DISCONNECTED)
    assert server.receive() is None
    round_trip(server, wire.client(server.address))


def test_a_request_id_or_frame_that_makes_no_sense_is_counted_by_the_client(wire: Wire) -> None:
    router = wire.raw(zmq.ROUTER)
    router.bind(LOOPBACK)
    client = wire.client(router.getsockopt_string(zmq.LAST_ENDPOINT))
    request = client.request(Move(1), retry_s=60.0)
    until(lambda: client.receive() or router.poll(0) or None, client)
    identity, id_, _ = router.recv_multipart()
    for frames in ([b"x"], [b"short", b""], [id_, b"\xc1"], [id_, packed(type="Say", text=1)]):
        router.send_multipart([identity, *frames])
    router.send_multipart([identity, bytes(16), packed(type="Say", text="to nobody's request")])
    router.send_multipart([identity, id_, packed(type="Say", text="done")])
    assert got(client) == Incoming(Say("done"), request)
    assert client.refused == {Refusal.MALFORMED: 3, Refusal.INVALID: 1}


@pytest.mark.parametrize("keyed", [False, True])
def test_no_bytes_kill_a_server(wire: Wire, folder: Path, keyed: bool) -> None:
    server = wire.server(keys=ServerSecurity(folder)) if keyed else wire.server()
    client = wire.client(server.address, keys=key_of(folder) if keyed else None)
    host, port = server.address.removeprefix("tcp://").split(":")
    greeting = (
        b"\xff" + bytes(8) + b"\x7f\x03\0" + (b"CURVE" if keyed else b"NULL").ljust(20, b"\0") + bytes(32)
    )

    @settings(max_examples=50)
    @given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: greeting + data))
    def check(data: bytes) -> None:
        with tcp.create_connection((host, int(port))) as raw:
            raw.sendall(data)
        assert server.receive() is None

    check()
    round_trip(server, client)


def test_no_message_kills_a_server(wire: Wire) -> None:
    server = wire.server()
    dealer = wire.dealer(server.address)
    values = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    )
    fields = st.fixed_dictionaries(
        {"type": st.sampled_from(["Move", "Say"])}, optional={"seq": values, "text": values}
    )
    bodies = st.binary(max_size=200) | (values | fields).map(msgspec.msgpack.encode)
    seen = 0

    @given(st.lists(bodies, min_size=1, max_size=3), st.sampled_from([b"", ID]) | st.binary(max_size=20))
    def check(body: list[bytes], id_: bytes) -> None:
        nonlocal seen
        dealer.send_multipart([id_, *body])
        before = server.refused.total()
        until(lambda: server.receive() or (server.refused.total() - before) or None, server)
        seen += 1

    check()
    assert seen >= server.refused.total() > 0
    round_trip(server, wire.client(server.address))


def test_a_flood_of_bad_messages_does_not_hold_a_server_up(wire: Wire) -> None:
    server = wire.server(hwm=4)
    dealer = wire.dealer(server.address)
    for _ in range(100):
        dealer.send_multipart([ID, b""])
    assert server.socket.poll(PATIENCE_NS // 1_000_000)
    assert server.receive() is None
    assert 1 <= server.refused[Refusal.MALFORMED] <= 4


@pytest.mark.parametrize(
    ("incoming", "complaint"),
    [
        (Loose, "Loose must be declared with forbid_unknown_fields=True"),
        (Move | Loose, "Loose must be"),
        (Holder, "Loose must be"),
        (Anything, "it contains AnyType"),
        (int, "a struct or a union of them"),
        (Move | None, "a struct or a union of them"),
        (dict, "a struct or a union of them"),
    ],
)
def test_a_type_that_lets_something_unnamed_pass_is_refused(incoming: Any, complaint: str) -> None:
    with pytest.raises(TransportError, match=complaint):
        Server(LOOPBACK, incoming, security=None)


# One to many


def subscribed(publisher: Publisher, subscriber: Subscriber[Move | Say]) -> None:
    """Publish until the subscriber has heard the last of it, so that nothing is on its way."""

    def check() -> bool | None:
        last = ("greeting", Say(f"hello, number {next(numbers)}"))
        publisher.publish(*last)
        soon_ns = time.monotonic_ns() + 20_000_000
        while wait([subscriber], soon_ns):
            if subscriber.receive() == last:
                return True
        return None

    until(check)


def test_a_subscriber_hears_the_topics_it_asked_for(wire: Wire) -> None:
    publisher = wire.publisher()
    subscriber = wire.subscriber(publisher.address, topics=["greeting", "state"])
    found: set[str] = set()

    def check() -> bool | None:
        for topic in ("camera", "greeting", "state", "state/joints"):
            publisher.publish(topic, Move(3))
        while (one := subscriber.receive()) is not None:
            assert one[1] == Move(3)
            found.add(one[0])
        return True if len(found) >= 3 else None

    until(check, subscriber)
    assert found == {"greeting", "state", "state/joints"}


def test_a_slow_subscriber_loses_messages_and_its_publisher_never_blocks(wire: Wire) -> None:
    publisher = wire.publisher()
    subscriber = wire.subscriber(publisher.address)
    subscribed(publisher, subscriber)
    sent = 2_000
    for seq in range(sent):
        publisher.publish("state", Move(seq, bytes(30_000)))
    heard_seqs: list[int] = []

    def check() -> bool | None:
        publisher.publish("state", Move(sent))
        while (found := subscriber.receive()) is not None:
            assert isinstance(found[1], Move)
            heard_seqs.append(found[1].seq)
        return True if sent in heard_seqs else None

    until(check, subscriber)
    assert heard_seqs == sorted(heard_seqs)
    assert len(set(heard_seqs)) < sent


def test_a_subscriber_to_the_newest_gets_the_last_message_of_each_topic(wire: Wire) -> None:
    publisher = wire.publisher(hwm=100)
    subscriber = wire.subscriber(publisher.address, newest=True, hwm=100)
    plain = wire.subscriber(publisher.address, hwm=100)
    subscribed(publisher, subscriber)
    subscribed(publisher, plain)
    while subscriber.receive() is not None:
        pass
    publisher.publish("event", Say("noted"))
    for seq in range(10):
        publisher.publish("state", Move(seq))
    assert [until(plain.receive, plain) for _ in range(11)][-1] == ("state", Move(9))
    until(lambda: subscriber.receive() == ("state", Move(9)) or None, subscriber)
    assert subscriber.receive() is None


def test_what_is_wrong_does_not_end_a_subscriber(wire: Wire) -> None:
    foreign = wire.raw(zmq.PUB)
    foreign.bind(LOOPBACK)
    subscriber = wire.subscriber(foreign.getsockopt_string(zmq.LAST_ENDPOINT), hwm=1_000)
    bad = [[b"a"], [b"a", b"", b""], [b"a", b"\xc1"], [b"\xff", packed(type="Move", seq=1)]]
    bad.append([b"a", packed(type="Move", seq=1, more=1)])

    seen: list[tuple[str, Move | Say]] = []

    def check() -> bool | None:
        for frames in [*bad, [b"good", packed(type="Move", seq=1)]]:
            foreign.send_multipart(frames)
        while (found := subscriber.receive()) is not None:
            seen.append(found)
        return True if seen and len(subscriber.refused) == 2 else None

    until(check, subscriber)
    assert set(seen) == {("good", Move(1))}
    assert set(subscriber.refused) == {Refusal.MALFORMED, Refusal.INVALID}


# Waiting


def test_waiting_ends_at_the_message_or_at_the_deadline_and_never_early(wire: Wire) -> None:
    server, other = wire.server(), wire.server()
    client = wire.client(server.address)
    deadline_ns = time.monotonic_ns() + 3_300_000
    assert wait([server, other], deadline_ns) == []
    assert time.monotonic_ns() >= deadline_ns
    assert wait([server], time.monotonic_ns() - PATIENCE_NS) == []
    connect(client)
    client.send(Say("hello"))
    far_ns = time.monotonic_ns() + PATIENCE_NS
    assert wait([other, server], far_ns) == [server]
    assert time.monotonic_ns() < far_ns
    assert wait([server, other], time.monotonic_ns() - PATIENCE_NS) == [server]


def test_waiting_wakes_a_client_that_has_something_to_send_again_or_to_report(wire: Wire) -> None:
    server = wire.server()
    client = wire.client(server.address)
    connect(client)
    client.request(Move(1), retry_s=0.001, deadline_s=0.002)
    assert wait([client], time.monotonic_ns() + PATIENCE_NS) == [client]


def test_a_closed_endpoint_says_so(wire: Wire) -> None:
    publisher = wire.publisher()
    publisher.close()
    publisher.close()
    with pytest.raises(TransportError, match="closed"):
        publisher.publish("state", Move(1))
    server = wire.server()
    client = wire.client(server.address)
    for endpoint in (client, server):
        endpoint.close()
        endpoint.close()
        with pytest.raises(TransportError):
            endpoint.receive()
        with pytest.raises(TransportError):
            wait([endpoint], 0)
    with pytest.raises(TransportError):
        client.send(Move(1))


# Who may come in


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "192.0.2.7", "robot.example", "[::]", "eth0"])
def test_without_keys_only_loopback_is_listened_on_and_connected_to(wire: Wire, host: str) -> None:
    address = f"tcp://{host}:5555"
    advice = "without keys, since it is not loopback: robot-rlhf keys make NAME"
    for opened in (wire.server, wire.client, wire.subscriber):
        with pytest.raises(TransportError, match=advice) as caught:
            opened(address)
        assert address in str(caught.value)
    with pytest.raises(TransportError, match=advice):
        Publisher(address, security=None, context=wire.context)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:5", "ipc:///tmp/x", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "", "tcp://:1"]
)
def test_what_is_no_address_is_refused_by_name(wire: Wire, address: str) -> None:
    with pytest.raises(TransportError) as caught:
        wire.server(address)
    assert address in str(caught.value)


def test_an_address_in_use_is_refused_by_name(wire: Wire) -> None:
    address = wire.server().address
    with pytest.raises(AddressInUseError, match=f"cannot bind {address}: Address already in use"):
        wire.server(address)


@pytest.mark.parametrize("bind", ["tcp://localhost:0", "tcp://127.0.0.1:*", "tcp://[::1]:0"])
def test_a_free_port_is_found_and_told(wire: Wire, bind: str) -> None:
    server = wire.server(bind)
    assert int(server.address.rpartition(":")[2]) > 0
    round_trip(server, wire.client(server.address))


def test_a_known_key_is_let_in_and_its_name_and_role_come_with_every_message(
    wire: Wire, folder: Path
) -> None:
    server = wire.server("tcp://0.0.0.0:*", keys=ServerSecurity(folder))
    address = server.address.replace("0.0.0.0", "127.0.0.1")
    for role in Role:
        peer = round_trip(server, wire.client(address, keys=key_of(folder, role))).peer
        assert (peer.name, peer.role) == (role.value, role)
    assert not server.refused


def test_an_unknown_key_is_not_let_in(wire: Wire, folder: Path, tmp_path: Path) -> None:
    security = ServerSecurity(folder)
    server = wire.server(keys=security)
    make_server(tmp_path / "other")
    stranger = ClientSecurity(make_client(tmp_path / "other", "mallory", Role.MAINTAINER))
    stranger.server_key = security.public_key
    events = wire.events(server.socket)
    client = wire.client(server.address, keys=stranger)
    assert not outcome(events)
    assert server.refused[Refusal.UNKNOWN_KEY] >= 1
    assert not client.connected


def test_a_client_that_expects_another_server_does_not_talk_to_this_one(
    wire: Wire, folder: Path, tmp_path: Path
) -> None:
    server = wire.server(keys=ServerSecurity(folder))
    make_server(tmp_path / "other")
    mistaken = key_of(folder)
    mistaken.server_key = ServerSecurity(tmp_path / "other").public_key
    events = wire.events(server.socket)
    client = wire.client(server.address, keys=mistaken)
    assert not outcome(events)
    assert not client.connected


def test_no_key_is_not_let_in_and_a_key_does_not_speak_to_a_server_without(wire: Wire, folder: Path) -> None:
    locked, unlocked = wire.server(keys=ServerSecurity(folder)), wire.server()
    for server, keys in ((locked, None), (unlocked, key_of(folder))):
        events = wire.events(server.socket)
        client = wire.client(server.address, keys=keys)
        assert not outcome(events)
        assert not client.connected


def test_two_servers_share_a_context_and_each_admits_its_own(
    wire: Wire, folder: Path, tmp_path: Path
) -> None:
    make_server(tmp_path / "other")
    ann = ClientSecurity(make_client(tmp_path / "other", "ann", Role.OBSERVER))
    one, other = (
        wire.server(keys=ServerSecurity(folder)),
        wire.server(keys=ServerSecurity(tmp_path / "other")),
    )
    round_trip(one, wire.client(one.address, keys=key_of(folder)))
    assert round_trip(other, wire.client(other.address, keys=ann)).peer.name == "ann"
    events = wire.events(other.socket)
    lost = key_of(folder)
    lost.server_key = ann.server_key
    wire.client(other.address, keys=lost)
    assert not outcome(events)
    one.close()
    round_trip(other, wire.client(other.address, keys=ann))


def test_a_server_can_be_opened_as_soon_as_the_last_one_is_closed(wire: Wire, folder: Path) -> None:
    security = ServerSecurity(folder)
    for _ in range(20):
        server = wire.server(keys=security)
        server.close()
    server = wire.server(keys=security)
    round_trip(server, wire.client(server.address, keys=key_of(folder)))


def test_a_revoked_client_is_refused_and_told_nothing_from_its_next_message_on(
    wire: Wire, folder: Path
) -> None:
    server = wire.server(keys=ServerSecurity(folder))
    client, keys = wire.client(server.address, keys=key_of(folder)), key_of(folder)
    other = wire.client(server.address, keys=key_of(folder, Role.OBSERVER))
    peer = round_trip(server, client).peer
    revoke(folder, peer.name)
    assert client.send(Move(2))
    until(lambda: server.receive() or server.refused.total() or None, server)
    assert server.refused == {Refusal.NOT_AUTHORISED: 1}
    assert not server.send(peer, Say("secret"))
    round_trip(server, other)
    events = wire.events(server.socket)
    wire.client(server.address, keys=keys)
    assert not outcome(events)
    assert server.refused[Refusal.UNKNOWN_KEY] >= 1


def test_a_revoked_subscriber_is_cut_and_the_others_come_back(wire: Wire, folder: Path) -> None:
    publisher = wire.publisher(keys=ServerSecurity(folder))
    revoked = wire.subscriber(publisher.address, keys=key_of(folder, Role.OBSERVER))
    other = wire.subscriber(publisher.address, keys=key_of(folder))
    subscribed(publisher, revoked)
    subscribed(publisher, other)
    revoke(folder, "observer")
    events = wire.events(revoked.socket)
    while revoked.receive() is not None:
        pass
    publisher.publish("state", Say("secret"))
    events.wait_for(zmq.Event.DISCONNECTED)
    subscribed(publisher, other)
    until(lambda: publisher.refused[Refusal.UNKNOWN_KEY] or None)
    subscribed(publisher, other)
    assert revoked.receive() is None


def test_a_dead_authenticator_admits_nobody(wire: Wire, folder: Path) -> None:
    server = wire.server(keys=ServerSecurity(folder))
    events = wire.events(server.socket)
    authenticator = zap._running[wire.context]
    authenticator.close()
    try:
        client = wire.client(server.address, keys=key_of(folder))
        assert not outcome(events)
        assert not client.connected
        assert server.receive() is None
    finally:
        zap._running[wire.context] = zap.Authenticator(wire.context)
        zap._running[wire.context].doors.update(authenticator.doors)


def test_an_authenticator_that_hangs_admits_nobody(
    wire: Wire, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, security = threading.Event(), ServerSecurity(folder)

    def hang(_: str) -> User | None:
        release.wait()
        return None

    monkeypatch.setattr(security, "user", hang)
    server = wire.server(keys=security)
    try:
        events = wire.events(server.socket)
        client = wire.client(server.address, keys=key_of(folder))
        assert not outcome(events)
        assert not client.connected
    finally:
        release.set()


def test_nobody_takes_over_the_connection_of_another(wire: Wire) -> None:
    server = wire.server()
    client = wire.client(server.address)
    peer = round_trip(server, client).peer
    events = wire.events(server.socket)
    impostor = wire.dealer(server.address, routing_id=peer.identity)
    impostor.send_multipart([b"", packed(type="Say", text="I am somebody else")])
    events.wait_for(zmq.Event.HANDSHAKE_SUCCEEDED)
    assert server.send(peer, Say("for you alone"))
    assert got(client) == Incoming(Say("for you alone"), None)
    round_trip(server, client)
    assert not impostor.poll(0)
    assert server.receive() is None
