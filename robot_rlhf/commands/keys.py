"""`keys make`, `keys list` and `keys revoke`: who may connect to this machine's servers, and as what.

All raise SecurityError, whose one line names the value and what is valid.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from hardware.security import (
    SERVER_FILE,
    ClientKey,
    Role,
    SecurityError,
    check_name,
    list_clients,
    make_client,
    make_server,
    revoke,
)
from robot_rlhf.commands.arguments import Keys


class MadeKey(msgspec.Struct, frozen=True):
    """`file` is for the client alone: hand it over and delete it here. `made_server` says that the
    folder had no server key yet."""

    name: str
    role: Role
    file: str
    made_server: bool


def keys(asked: Keys) -> tuple[msgspec.Struct | tuple[msgspec.Struct, ...] | None, list[str]]:
    """Do what was asked; returns what --json prints, and the same for a person."""
    match asked.what:
        case "make":
            made = make_key(asked.dir, str(asked.name), asked.role)
            return made, [f"{made.file}: hand this file to {made.name}, by scp say, and delete it here"]
        case "list":
            listed = list_clients(asked.dir)
            return listed, [_described(key) for key in listed] or [f"no keys in {asked.dir}"]
        case "revoke":
            revoke(asked.dir, str(asked.name))
            return None, [f"{asked.name} is refused from now on"]


def make_key(folder: Path, name: str, role: Role | str) -> MadeKey:
    """A key for the client `name`; the first one in a folder makes the server's key too."""
    chosen = _role(role)
    check_name(name)
    made_server = not (folder / SERVER_FILE).exists()
    if made_server:
        make_server(folder)
    return MadeKey(name, chosen, str(make_client(folder, name, chosen)), made_server)


def _described(key: ClientKey) -> str:
    """A key's line in a list."""
    revoked = "" if key.revoked_at is None else f", refused since {key.revoked_at:%Y-%m-%d %H:%M}"
    return f"{key.name}: {key.role.value}, made {key.made_at:%Y-%m-%d %H:%M}{revoked}"


def _role(role: Role | str) -> Role:
    try:
        return Role(role)
    except ValueError as error:
        valid = [one.value for one in Role]
        raise SecurityError(
            f"the role is {role!r}: it must be {', '.join(valid[:-1])} or {valid[-1]}"
        ) from error
