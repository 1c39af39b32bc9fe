"""What a person is told to connect to."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from hardware.transport import AddressInUseError, TransportError, addresses, check_bind
from hardware.transport.addresses import reachable


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:7001", "tcp://192.168.1.7:7001", "tcp://[::1]:7001"])
def test_one_address_is_told_as_it_is(address: str) -> None:
    assert reachable(address) == [address]


@pytest.mark.parametrize("every", ["0.0.0.0", "*", "[::]"])
def test_every_address_is_told_as_the_machines_own_and_its_name(
    every: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {socket.AF_INET: "192.168.1.7", socket.AF_INET6: ""}
    monkeypatch.setattr(addresses, "_own_address", own.get)
    monkeypatch.setattr(socket, "gethostname", lambda: "bench")
    assert reachable(f"tcp://{every}:7001") == ["tcp://192.168.1.7:7001", "tcp://bench:7001"]


def test_a_machine_without_network_or_name_is_told_as_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object) -> socket.socket:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "socket", no_network)
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    assert reachable("tcp://0.0.0.0:7001") == ["tcp://127.0.0.1:7001"]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_machines_own_address_can_be_bound_here(family: socket.AddressFamily) -> None:
    own = addresses._own_address(family).strip("[]")
    if not own:
        pytest.skip("no such network here")
    assert not ipaddress.ip_address(own).is_unspecified
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((own, 0))


def test_without_a_way_to_other_networks_the_interfaces_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for own in addresses._interface_addresses():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((own, 0))
    monkeypatch.setattr(addresses, "_own_address", lambda family: "")
    monkeypatch.setattr(addresses, "_interface_addresses", lambda: ["10.0.0.2", "172.16.0.1"])
    monkeypatch.setattr(socket, "gethostname", lambda: "")
    assert reachable("tcp://0.0.0.0:7001") == ["tcp://10.0.0.2:7001", "tcp://172.16.0.1:7001"]


@pytest.mark.parametrize("bind", ["tcp://127.0.0.1:*", "tcp://localhost:0", "tcp://*:0", "tcp://eth93:7001"])
def test_an_address_where_a_socket_can_listen_is_fine(bind: str) -> None:
    check_bind(bind, keys=True)  # of an interface's name only libzmq knows


@pytest.mark.parametrize(
    ("bind", "keys", "told"),
    [
        ("tcp://0.0.0.0:7001", False, "without keys"),
        ("tcp://127.0.0.1", True, "an address is tcp://HOST:PORT"),
        ("tcp://192.0.2.1:*", True, "cannot bind tcp://192.0.2.1:*: Cannot assign"),  # RFC 5737: nobody's
    ],
)
def test_an_address_where_none_can_is_refused(bind: str, keys: bool, told: str) -> None:
    with pytest.raises(TransportError) as raised:
        check_bind(bind, keys=keys)
    assert told in str(raised.value)


def test_a_port_that_another_listens_at_is_refused_and_free_again_after_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for host in ("127.0.0.1", "0.0.0.0", "*"):
            with pytest.raises(AddressInUseError, match=rf"cannot bind .*:{port}: Address already in use"):
                check_bind(f"tcp://{host}:{port}", keys=True)
    check_bind(f"tcp://127.0.0.1:{port}", keys=False)
