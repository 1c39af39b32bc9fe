"""Pictures inside the page: frames as PNG data URIs, without an image library."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def png(picture: Picture) -> bytes:
    """A (height, width, 3) uint8 RGB picture as a PNG file (W3C PNG, 8 bits, no interlace, Up filter)."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise ValueError(
            f"a picture of {picture.dtype} {picture.shape} cannot be shown: expected uint8 (height, width, 3)"
        )
    height, width, _ = picture.shape
    rows = picture.reshape(height, width * 3)
    lines = np.full((height, 1 + width * 3), 2, dtype=np.uint8)
    lines[0, 1:] = rows[0]
    lines[1:, 1:] = rows[1:] - rows[:-1]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def data_uri(picture: Picture) -> str:
    """`png` as an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode("ascii")


def film_indices(frames: int, most: int = 8) -> Sequence[int]:
    """Up to `most` indices spread evenly over a clip of `frames`, the first and the last among them."""
    if frames < 1 or most < 2:
        raise ValueError(f"{most} pictures of {frames} frames: expected at least 2 of at least 1")
    return [int(i) for i in np.linspace(0, frames - 1, min(frames, most)).round()]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
