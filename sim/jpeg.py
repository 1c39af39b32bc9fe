"""JPEGs as pixels, decoded in one place: what goes out in a dataset is to the bit what the policy saw."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

_MAX_PIXELS = 1 << 24


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    """A JPEG as (height, width, 3) RGB. Raises ValueError where it is none, or too large to be a camera's."""
    try:
        picture = Image.open(io.BytesIO(jpeg), formats=["JPEG"])
        if picture.width * picture.height > _MAX_PIXELS:
            raise ValueError(f"a picture of {picture.width} x {picture.height} pixels is too large")
        return np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"a picture of {len(jpeg)} bytes cannot be read: {error}") from error
