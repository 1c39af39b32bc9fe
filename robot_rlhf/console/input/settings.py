"""Where a person's own settings lie, and files there that are whole or not there at all."""

from __future__ import annotations

import os
from pathlib import Path


def config_folder() -> Path:
    """`robot-rlhf` in the user's folder for settings, as the XDG base directory specification has it
    (a relative XDG_CONFIG_HOME is ignored). Not created."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".config") / "robot-rlhf"


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text`, making its folder. On an OSError `path` is as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def keep_aside(path: Path) -> str:
    """Rename a file that cannot be used so that the next save does not overwrite it, and say in words
    where it is; also where the renaming failed. Never raises OSError."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        path.rename(aside)
    except OSError as error:
        return f"it could not be put aside ({error.strerror})"
    return f"it is kept as {aside.name}"
