"""The process that parses somebody else's files: python -m robot_rlhf.data.reader FORMAT PATH.

The libraries that read HDF5 and Parquet are large programs in C++, and a file may come from anywhere. So it
is parsed here, with bounded memory and processor time and no right to write a file; whatever happens, the
process that asked is left as it was. What is found goes to standard output, each message as its length (4
bytes, little-endian) and msgpack.
"""

from __future__ import annotations

import resource
import signal
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from robot_rlhf.data.errors import DataError
from robot_rlhf.data.shown import End, Message, Refused

MEMORY_BYTES = 6 << 30  # of address space, most of which the libraries only reserve
PROCESSOR_S = 3600


def main(format: str, path: Path, out: IO[bytes]) -> None:
    """Read the dataset at `path` and send what it holds to `out`."""
    try:
        for message in _messages(format, path):
            _send(out, message)
        _send(out, End())
    except DataError as error:
        _send(out, Refused(one_line(str(error))))
    except MemoryError:
        _send(out, Refused(f"{path} needs more memory than a dataset should: it is damaged, or worse"))
    except Exception as error:  # a library's word that the file is not in order: no defect of ours
        told = one_line(str(error))[:300] or "it says no more"
        _send(out, Refused(f"{path} is no {format} dataset, or damaged ({type(error).__name__}: {told})"))


def one_line(text: str) -> str:
    """Without what a name in a file may have a terminal do."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def _messages(format: str, path: Path) -> Iterator[Message]:
    match format:
        case "lerobot":
            from robot_rlhf.data.lerobot.read import read_lerobot

            return read_lerobot(path)
        case "robomimic":
            from robot_rlhf.data.robomimic.read import read_robomimic

            return read_robomimic(path)
        case "minari":
            from robot_rlhf.data.minari.read import read_minari

            return read_minari(path)
        case _:
            raise DataError(f"there is no format {format!r}: it is lerobot, robomimic or minari")


def _send(out: IO[bytes], message: Message) -> None:
    data = msgspec.msgpack.encode(message)
    out.write(struct.pack("<I", len(data)))
    out.write(data)
    out.flush()


def confine() -> None:
    """From now on this process has little memory, and writes no files."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, PROCESSOR_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, hard))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


if __name__ == "__main__":
    confine()
    main(sys.argv[1], Path(sys.argv[2]), sys.stdout.buffer)
