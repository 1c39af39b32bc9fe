"""Pictures as JPEG and back, for all that sees."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Picture = NDArray[np.uint8]

_QUALITY = 95  # with colours at full resolution: a cube may be four pixels wide


def encode(picture: Picture) -> bytes:
    """(height, width, 3) RGB as a JPEG."""
    return _written(Image.fromarray(picture))


def decode(jpeg: bytes) -> Picture:
    """A JPEG as (height, width, 3) RGB. Raises ValueError where it is none."""
    return np.asarray(_read(jpeg))


def squared(jpeg: bytes, size_px: int) -> bytes:
    """The middle of a JPEG as one that is `size_px` wide and high. Raises ValueError where it is none."""
    return _written(ImageOps.fit(_read(jpeg, size_px), (size_px, size_px), Image.Resampling.BOX))


def _read(jpeg: bytes, least_px: int = 0) -> Image.Image:
    """In RGB; of a larger one no more is decoded than `least_px` each way need."""
    try:
        picture = Image.open(io.BytesIO(jpeg), formats=["JPEG"])
        if least_px:
            picture.draft("RGB", (least_px, least_px))
        return picture.convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"a picture cannot be read: {error}") from error


def _written(picture: Image.Image) -> bytes:
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=_QUALITY, subsampling=0)
    return written.getvalue()
