"""Pictures as JPEG and back, for all that sees."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

Picture = NDArray[np.uint8]

_QUALITY = 95  # with colours at full resolution: a cube may be four pixels wide


def encode(picture: Picture) -> bytes:
    """(height, width, 3) RGB as a JPEG."""
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=_QUALITY, subsampling=0)
    return written.getvalue()


def decode(jpeg: bytes) -> Picture:
    """A JPEG as (height, width, 3) RGB. Raises ValueError where it is none."""
    try:
        picture = Image.open(io.BytesIO(jpeg), formats=["JPEG"]).convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"a picture cannot be read: {error}") from error
    return np.asarray(picture)
