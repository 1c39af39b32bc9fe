"""Writing a file so that a reader finds the old one or the new one, never half of one."""

from __future__ import annotations

import os
from pathlib import Path

REPORT = "report.html"
"""The page of a run, in its folder."""


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: written beside it, synced, then renamed. On an error `path` is as it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
