"""A camera that plays the JPEG files of a folder, round and round: to try things, and to show a recording."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

from hardware.cameras import CameraError, number_of
from hardware.clock import MonotonicClock, Ticker

_SUFFIXES = (".jpg", ".jpeg")


class FileCamera:
    """The files of `folder` in the order of their names, `hz` a second."""

    def __init__(self, folder: Path, hz: float) -> None:
        """Raises ValueError where there are none."""
        files = sorted(file for file in folder.glob("*") if file.suffix.lower() in _SUFFIXES)
        if not files:
            raise ValueError(f"{folder} has no .jpg or .jpeg files")
        self._files, self._ticker = cycle(files), Ticker(MonotonicClock(), hz)

    def picture(self) -> bytes:
        self._ticker.wait()
        file = next(self._files)
        try:
            return file.read_bytes()
        except OSError as error:
            raise CameraError(str(error)) from error

    def close(self) -> None:
        """Every file is closed already."""


def make(source: str, hz: str = "10") -> FileCamera:
    """`source` is the folder."""
    return FileCamera(Path(source), number_of(hz, "hz", 0.1, 100.0))
