"""What cameras gave at one moment, as it is stored and sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hardware.scene import Scene
from sim.randomise import Variation

Pictures = Mapping[str, bytes]
"""Camera -> its JPEG."""
NO_PICTURES: Pictures = {}


class Seer(Protocol):
    """Cameras that look at an arm and its table."""

    def look(self, scene: Scene) -> Pictures:
        """What each of them sees of the present moment, which is `scene`."""
        ...

    def vary(self, variation: Variation) -> None:
        """See what one episode has."""
        ...

    def close(self) -> None:
        """See no more; twice is fine."""
        ...


CAMERA_PX = 64
"""How wide and high a policy's pictures are unless it is said otherwise."""
SIZES_PX = (32, 256)
"""The smallest and the largest."""
