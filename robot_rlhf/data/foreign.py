"""Somebody else's dataset, read by a process of its own that may come to grief: see `reader`."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO

import msgspec

from robot_rlhf.data.errors import DataError
from robot_rlhf.data.shown import MAX_EPISODE_BYTES, End, Header, Message, Refused, Shown

_MOST = 4 * MAX_EPISODE_BYTES
_messages: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


@contextlib.contextmanager
def opened(format: str, path: Path) -> Generator[tuple[Header, Iterator[Shown]], None, None]:
    """What the dataset says of itself, and its demonstrations one after the other.

    Raises DataError, here or in the midst of them: one line that says why `path` is not in order.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist: name the folder of a {format} dataset")
    words = [sys.executable, "-B", "-m", "robot_rlhf.data.reader", format, str(path.absolute())]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PATH": "/nowhere"}
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **threads, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout is not None
    try:
        messages = _received(process, process.stdout, format, path)
        header = next(messages, None)
        if not isinstance(header, Header):
            raise DataError(f"{path} says nothing of itself: it is no {format} dataset")
        yield header, (message for message in messages if isinstance(message, Shown))
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def _received(
    process: subprocess.Popen[bytes], pipe: IO[bytes], format: str, path: Path
) -> Iterator[Message]:
    while True:
        size = pipe.read(4)
        if len(size) < 4:
            raise DataError(f"{path} cannot be read as {format}: {_end(process.wait())}")
        (count,) = struct.unpack("<I", size)
        data = pipe.read(count) if count <= _MOST else b""
        try:
            message = _messages.decode(data)
        except msgspec.MsgspecError as error:
            raise DataError(f"{path} cannot be read as {format}: its reader was cut off") from error
        match message:
            case End():
                return
            case Refused(why=why):
                raise DataError(why)
            case _:
                yield message


def _end(code: int) -> str:
    if code >= 0:
        return f"its reader ended with {code}"
    return f"it brought its reader down ({signal.Signals(-code).name}), so it is damaged, or worse"
