"""Who may connect, and as what: CURVE keys on disk, one per client, each with a role.

`robot-rlhf keys` looks after a folder on the server's machine:

    server.key     the server's secret
    clients.json   the registry: every client's name, role and public key, and when it was revoked
    NAME.key       all that one client needs: its name, role and secret, and the server's public key

Hand NAME.key to its client (by scp, say) and delete it here: the server reads only the first two. Every
file is for its owner alone (mode 0600) and refused otherwise. Keys are Z85 text of 40 characters, as in
ZeroMQ RFC 32; CURVE is RFC 25 and 26.
"""

from __future__ import annotations

import re
import stat
import threading
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Annotated

import msgspec
import zmq

from hardware.private_files import SecurityError, create, fingerprint, io_errors, locked, read, replace

__all__ = [
    "SERVER_FILE",
    "ClientKey",
    "ClientSecurity",
    "Role",
    "SecurityError",
    "ServerSecurity",
    "User",
    "check_name",
    "list_clients",
    "make_client",
    "make_server",
    "revoke",
]

SERVER_FILE, REGISTRY_FILE = "server.key", "clients.json"
_RESERVED = ("server", "local")  # the server's own file, and who connects without keys
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

Key = Annotated[str, msgspec.Meta(min_length=40, max_length=40)]


class Role(str, Enum):
    """What a client may do; whoever serves a message decides what each role is allowed."""

    OBSERVER = "observer"
    POLICY = "policy"
    OPERATOR = "operator"
    MAINTAINER = "maintainer"
    SESSION = "session"  # a session whose run a learner on another machine learns from


class ClientKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the server knows of a client. A revoked entry stays, so that old records keep their name."""

    name: str
    role: Role
    public_key: Key
    made_at: datetime
    revoked_at: datetime | None = None


class _Registry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    clients: tuple[ClientKey, ...] = ()


class _ServerFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    secret_key: Key


class _ClientFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    role: Role
    secret_key: Key
    server_key: Key


@dataclass(frozen=True)
class User:
    """Who holds a key."""

    name: str
    role: Role


def make_server(folder: Path) -> str:
    """Make the server's key pair and an empty registry; the result is the public key.

    The folder is made where there is none, for its owner alone. Raises SecurityError where it has a
    server key already: a new one would cut off every client.
    """
    with io_errors():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        public_key, secret_key = zmq.curve_keypair()
        with locked(folder):
            create(folder / SERVER_FILE, _ServerFile(secret_key.decode()))
            if not (folder / REGISTRY_FILE).exists():
                create(folder / REGISTRY_FILE, _Registry())
    return public_key.decode()


def check_name(name: str) -> None:
    """Raises SecurityError for what cannot be a client's name."""
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise SecurityError(
            f"the name is {name!r}: it must be 1 to 64 letters, digits, '_', '.' and '-', beginning with a "
            f"letter or a digit, and not {' or '.join(_RESERVED)}"
        )


def make_client(folder: Path, name: str, role: Role) -> Path:
    """Make a key for the client `name` and enter it; the result is the file to hand over, NAME.key.

    A name whose key was revoked may be given a new one. Raises SecurityError for a name that has a key,
    or cannot be one, and for a folder without a server key.
    """
    check_name(name)
    with io_errors(), locked(folder):
        server_key = _public_key(read(folder / SERVER_FILE, _ServerFile).secret_key)
        known = _registry(folder)
        if any(key.name == name and key.revoked_at is None for key in known):
            raise SecurityError(f"{name} has a key in {folder}: revoke it first, or choose another name")
        public_key, secret_key = zmq.curve_keypair()
        file = folder / f"{name}.key"
        create(file, _ClientFile(name, role, secret_key.decode(), server_key))
        replace(
            folder / REGISTRY_FILE,
            _Registry((*known, ClientKey(name, role, public_key.decode(), _now()))),
        )
    return file


def list_clients(folder: Path) -> tuple[ClientKey, ...]:
    """Every client that was ever entered, oldest first. Raises SecurityError."""
    with io_errors():
        return _registry(folder)


def revoke(folder: Path, name: str) -> None:
    """Take the key of `name` out of use, and delete NAME.key if it still lies here.

    A running server refuses that key from its next message on. Raises SecurityError for a name that
    holds no key.
    """
    with io_errors(), locked(folder):
        known = _registry(folder)
        holders = [key.name for key in known if key.revoked_at is None]
        if name not in holders:
            raise SecurityError(f"{name!r} holds no key in {folder}: {', '.join(holders) or 'nobody'} does")
        now = _now()
        changed = tuple(
            msgspec.structs.replace(key, revoked_at=now)
            if key.name == name and key.revoked_at is None
            else key
            for key in known
        )
        replace(folder / REGISTRY_FILE, _Registry(changed))
        (folder / f"{name}.key").unlink(missing_ok=True)


class ServerSecurity:
    """A server's secret, and who its clients are at this moment. May be asked from several threads.

    Raises SecurityError when made from a folder that is not in order. Later the registry is read again
    whenever its file has changed; while it cannot be read nobody is a user, and `problem` says why.
    """

    def __init__(self, folder: Path) -> None:
        with io_errors():
            mode = stat.S_IMODE(folder.stat().st_mode)
            if mode & 0o022:
                raise SecurityError(
                    f"{folder} can be written by others (mode {mode:04o}): chmod 700 {folder}"
                )
            self.secret_key = read(folder / SERVER_FILE, _ServerFile).secret_key
        self.public_key = _public_key(self.secret_key)
        self.problem: str | None = None
        self._registry_file = folder / REGISTRY_FILE
        self._version: tuple[int, ...] | None = None
        self._users: dict[str, User] = {}
        self._evictions = 0
        self._lock = threading.Lock()
        self._refresh()
        if self.problem is not None:
            raise SecurityError(self.problem)

    def user(self, public_key: str) -> User | None:
        """Whose key this is, or None if it is unknown or revoked. Costs one stat of a file."""
        with self._lock:
            self._refresh()
            return self._users.get(public_key)

    def evictions(self) -> int:
        """How often so far a key that was good has ceased to be. Costs one stat of a file."""
        with self._lock:
            self._refresh()
            return self._evictions

    def _refresh(self) -> None:
        try:
            with io_errors():
                found = fingerprint(self._registry_file.stat())
                if found == self._version:
                    return
                registry = read(self._registry_file, _Registry)
            users = {k.public_key: User(k.name, k.role) for k in registry.clients if k.revoked_at is None}
            self._version, self.problem = found, None
        except SecurityError as error:
            users, self._version, self.problem = {}, None, str(error)
        self._evictions += not self._users.keys() <= users.keys()
        self._users = users


class ClientSecurity:
    """One client's secret and the server key that it insists on, from its NAME.key file.

    Raises SecurityError for a file that cannot be read, that others can read, or that is no such file.
    """

    def __init__(self, file: Path) -> None:
        with io_errors():
            stored = read(file, _ClientFile)
        self.name, self.role = stored.name, stored.role
        self.secret_key, self.public_key = stored.secret_key, _public_key(stored.secret_key)
        self.server_key = stored.server_key


def _registry(folder: Path) -> tuple[ClientKey, ...]:
    return read(folder / REGISTRY_FILE, _Registry).clients


def _public_key(secret_key: str) -> str:
    try:
        return zmq.curve_public(secret_key.encode()).decode()
    except (ValueError, zmq.ZMQError) as error:
        raise SecurityError("a secret key is damaged: 40 characters of Z85 are expected") from error


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)
