"""What cameras gave at one moment, as it is stored and sent."""

from __future__ import annotations

from collections.abc import Mapping

Pictures = Mapping[str, bytes]
"""Camera -> its JPEG."""
NO_PICTURES: Pictures = {}

CAMERA_PX = 64
"""How wide and high a policy's pictures are unless it is said otherwise."""
SIZES_PX = (32, 256)
"""The smallest and the largest."""
