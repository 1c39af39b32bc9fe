"""Pictures as JPEG and back, for all that sees, so that a dataset holds to the bit what the policy saw."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Picture = NDArray[np.uint8]

_MAX_PIXELS = 1 << 24
_QUALITY = 95  # with colours at full resolution: a cube may be four pixels wide


def encode(picture: Picture) -> bytes:
    """(height, width, 3) RGB as a JPEG."""
    return _written(Image.fromarray(picture))


def decode(jpeg: bytes) -> Picture:
    """A JPEG as (height, width, 3) RGB. Raises ValueError where it is none, or too large to be a camera's."""
    return np.asarray(_read(jpeg))


def squared(jpeg: bytes, size_px: int) -> bytes:
    """The middle of a JPEG as one that is `size_px` wide and high. Raises ValueError where it is none."""
    return _written(ImageOps.fit(_read(jpeg, size_px), (size_px, size_px), Image.Resampling.BOX))


def _read(jpeg: bytes, least_px: int = 0) -> Image.Image:
    """In RGB; of a larger one no more is decoded than `least_px` each way need."""
    try:
        picture = Image.open(io.BytesIO(jpeg), formats=["JPEG"])
        if picture.width * picture.height > _MAX_PIXELS:
            raise ValueError(f"a picture of {picture.width} x {picture.height} pixels is too large")
        if least_px:
            picture.draft("RGB", (least_px, least_px))
        return picture.convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"a picture of {len(jpeg)} bytes cannot be read: {error}") from error


def _written(picture: Image.Image) -> bytes:
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=_QUALITY, subsampling=0)
    return written.getvalue()
