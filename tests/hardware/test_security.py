"""A key file is for its owner alone; the registry says who may come in, and a change counts at once."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from hardware.security import (
    ClientSecurity,
    Role,
    SecurityError,
    ServerSecurity,
    User,
    list_clients,
    make_client,
    make_server,
    revoke,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A server's keys, and one client: ann, operator."""
    keys = tmp_path / "keys"
    make_server(keys)
    make_client(keys, "ann", Role.OPERATOR)
    return keys


def test_one_file_holds_all_that_a_client_needs_and_the_server_knows_its_public_key(folder: Path) -> None:
    client, server = ClientSecurity(folder / "ann.key"), ServerSecurity(folder)
    assert (client.name, client.role) == ("ann", Role.OPERATOR)
    assert client.server_key == server.public_key
    assert server.user(client.public_key) == User("ann", Role.OPERATOR)
    assert server.user(server.public_key) is None
    assert client.secret_key not in (folder / "clients.json").read_text()


def test_the_server_needs_no_clients_file(folder: Path) -> None:
    key = ClientSecurity(folder / "ann.key").public_key
    (folder / "ann.key").unlink()
    assert ServerSecurity(folder).user(key) == User("ann", Role.OPERATOR)


def test_every_file_and_the_folder_are_for_their_owner_alone(folder: Path) -> None:
    revoke(folder, "ann")
    make_client(folder, "ann", Role.POLICY)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}
    assert modes == {"keys": 0o700, "server.key": 0o600, "clients.json": 0o600, "ann.key": 0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_secret_that_others_can_open_is_refused_with_the_chmod_that_helps(folder: Path, mode: int) -> None:
    for name in ("ann.key", "server.key", "clients.json"):
        (folder / name).chmod(mode)
    for name in ("server.key", "clients.json"):
        with pytest.raises(SecurityError, match=rf"0{mode:o}.*chmod 600 .*{name}"):
            ServerSecurity(folder)
        (folder / name).chmod(0o600)
    ServerSecurity(folder)
    with pytest.raises(SecurityError, match=r"chmod 600 .*ann\.key"):
        ClientSecurity(folder / "ann.key")


def test_a_folder_that_others_can_write_is_refused(folder: Path) -> None:
    folder.chmod(0o770)
    with pytest.raises(SecurityError, match="chmod 700"):
        ServerSecurity(folder)


def test_a_running_server_sees_a_new_a_revoked_and_a_renewed_key_at_once(folder: Path) -> None:
    server = ServerSecurity(folder)
    ben = ClientSecurity(make_client(folder, "ben", Role.OBSERVER))
    assert server.user(ben.public_key) == User("ben", Role.OBSERVER)
    assert server.evictions() == 0
    revoke(folder, "ben")
    assert server.user(ben.public_key) is None
    assert server.evictions() == 1
    again = ClientSecurity(make_client(folder, "ben", Role.MAINTAINER))
    assert server.user(again.public_key) == User("ben", Role.MAINTAINER)
    assert server.user(ben.public_key) is None
    assert server.user(ClientSecurity(folder / "ann.key").public_key) == User("ann", Role.OPERATOR)


def test_while_the_registry_cannot_be_read_nobody_is_a_user_and_the_problem_is_named(folder: Path) -> None:
    server, registry = ServerSecurity(folder), folder / "clients.json"
    key, sound = ClientSecurity(folder / "ann.key").public_key, registry.read_bytes()
    registry.chmod(0o644)
    assert server.user(key) is None
    assert server.problem is not None and "chmod 600" in server.problem
    registry.chmod(0o600)
    assert server.user(key) is not None
    registry.write_bytes(sound[:-20])
    assert server.user(key) is None
    assert server.problem is not None and "clients.json" in server.problem
    registry.unlink()
    assert server.user(key) is None
    assert server.problem is not None and "does not exist" in server.problem


def test_revoking_keeps_the_entry_and_deletes_the_secret(folder: Path) -> None:
    revoke(folder, "ann")
    (entry,) = list_clients(folder)
    assert entry.name == "ann"
    assert entry.revoked_at is not None and entry.revoked_at >= entry.made_at
    assert not (folder / "ann.key").exists()


@pytest.mark.parametrize("name", ["", "server", "local", "../ann", "a b", ".hidden", "a" * 65, "ann\n"])
def test_what_cannot_be_a_name_is_refused(folder: Path, name: str) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(SecurityError, match="the name is"):
        make_client(folder, name, Role.OPERATOR)
    assert sorted(folder.iterdir()) == before


def test_a_name_has_one_key_at_a_time(folder: Path) -> None:
    with pytest.raises(SecurityError, match="ann has a key"):
        make_client(folder, "ann", Role.OPERATOR)


def test_only_a_name_that_holds_a_key_can_be_revoked(folder: Path) -> None:
    with pytest.raises(SecurityError, match=r"'bob' holds no key in .*: ann does"):
        revoke(folder, "bob")
    revoke(folder, "ann")
    with pytest.raises(SecurityError, match=r"'ann' holds no key in .*: nobody does"):
        revoke(folder, "ann")


def test_no_key_is_written_over(folder: Path) -> None:
    with pytest.raises(SecurityError, match=r"server\.key exists"):
        make_server(folder)
    (folder / "ben.key").write_text("something of ben's")
    with pytest.raises(SecurityError, match=r"ben\.key exists"):
        make_client(folder, "ben", Role.POLICY)
    assert (folder / "ben.key").read_text() == "something of ben's"


def test_a_folder_without_keys_says_how_to_make_them(tmp_path: Path) -> None:
    for ask in (ServerSecurity, list_clients, lambda folder: revoke(folder, "ann")):
        with pytest.raises(SecurityError, match=r"does not exist: robot-rlhf keys make NAME"):
            ask(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"role": "king"},
        {"secret_key": "short"},
        {"secret_key": "~" * 40},
        {"secret_key": "é" * 40},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_damaged_client_file_is_refused(folder: Path, change: dict[str, object]) -> None:
    file = folder / "ann.key"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(SecurityError):
        ClientSecurity(file)
