"""A person's own bindings on disk: `bindings.toml` in their settings folder.

    version = 1
    [pad]
    takeover = ["rightshoulder"]
    [keys]
    takeover = ["space"]

Actions that the file does not name have their defaults.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import msgspec

from robot_rlhf.console.input.bindings import DEFAULT_BINDINGS, BindingError, Bindings, Table
from robot_rlhf.console.input.settings import config_folder, keep_aside, write_text
from robot_rlhf.console.input.snapshot import Device

VERSION = 1


class LoadedBindings(NamedTuple):
    """What counts now, and in one line what was wrong with the file (None: nothing)."""

    bindings: Bindings
    complaint: str | None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    pad: dict[str, tuple[str, ...]] = {}
    keys: dict[str, tuple[str, ...]] = {}


def bindings_path() -> Path:
    return config_folder() / "bindings.toml"


def save_bindings(bindings: Bindings, path: Path | None = None) -> None:
    """Write the bindings so that a reader finds the old file or the new one. Raises OSError."""
    write_text(path or bindings_path(), _to_toml(bindings))


def load_bindings(path: Path | None = None) -> LoadedBindings:
    """The saved bindings, or the defaults where there are none. A file that cannot be used is put aside
    and named in the complaint; the defaults count then. Raises nothing for what a file may hold."""
    path = path or bindings_path()
    try:
        return LoadedBindings(_from_toml(path.read_bytes()), None)
    except FileNotFoundError:
        return LoadedBindings(DEFAULT_BINDINGS, None)
    except OSError as error:
        return LoadedBindings(DEFAULT_BINDINGS, f"{path} cannot be read ({error.strerror}): default bindings")
    except ValueError as error:  # TOML, its shape (msgspec's errors are ValueErrors), or a binding
        why = " ".join(str(error).split())
        complaint = f"{path} cannot be used ({why}): default bindings; {keep_aside(path)}"
        return LoadedBindings(DEFAULT_BINDINGS, complaint)


def _to_toml(bindings: Bindings) -> str:
    lines = [f"version = {VERSION}"]
    for device in Device:
        lines += ["", f"[{device.value}]"]
        for action, names in bindings.table(device).items():
            quoted = ", ".join(json.dumps(name, ensure_ascii=False) for name in names)
            lines.append(f"{action.value} = [{quoted}]")
    return "\n".join(lines) + "\n"


def _from_toml(data: bytes) -> Bindings:
    file = msgspec.toml.decode(data, type=_File)
    if file.version != VERSION:
        raise BindingError(f"version is {file.version}, this program knows {VERSION}")
    return Bindings(
        pad=_over_defaults(file.pad, DEFAULT_BINDINGS.pad),
        keys=_over_defaults(file.keys, DEFAULT_BINDINGS.keys),
    )


def _over_defaults(saved: dict[str, tuple[str, ...]], defaults: Table) -> Table:
    names = {action.value for action in defaults}
    if unknown := sorted(set(saved) - names):
        raise BindingError(f"there is no action {', '.join(unknown)}")
    return {action: saved.get(action.value, default) for action, default in defaults.items()}
