"""Looking at a scene from where one wants: the eye follows a stick and a mouse that drags."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pygame

from hardware.appearance import SceneDescription
from robot_rlhf.console.scene.camera import Viewpoint

AZIMUTH_DEG_S, ELEVATION_DEG_S = 110.0, 60.0
"""At a full stick."""
DRAG_DEG_PX = 0.3
_LONGEST_S = 0.1  # after a longer pause the stick counts from now on


class Pointer(NamedTuple):
    """The mouse: whether its left button is down, and where it is in the window."""

    down: bool
    x: int
    y: int


def pointer() -> Pointer:
    """The mouse now; at rest without a window. For the main thread."""
    if not pygame.display.get_init():
        return Pointer(False, 0, 0)
    return Pointer(bool(pygame.mouse.get_pressed()[0]), *pygame.mouse.get_pos())


class Orbit:
    """An eye that starts at the description's first view. `update` is called while its screen is shown."""

    def __init__(self, look: Callable[[], Pointer] = pointer) -> None:
        self._look = look
        self._description: SceneDescription | None = None
        self._view: Viewpoint | None = None
        self._dragged: Pointer | None = None
        self._last_ns = 0

    def update(
        self, description: SceneDescription, stick: tuple[float, float], focus: bool, now_ns: int
    ) -> Viewpoint:
        """The eye after what stick and mouse did since the last call. A stick to the right moves the eye
        to the right; a drag pulls the scene along."""
        if self._view is None or description is not self._description:
            self._description, self._view = description, Viewpoint.of(description.views[0])
        passed_s = min(max(now_ns - self._last_ns, 0) / 1e9, _LONGEST_S)
        self._last_ns = now_ns
        azimuth = stick[0] * AZIMUTH_DEG_S * passed_s
        elevation = stick[1] * ELEVATION_DEG_S * passed_s
        seen = self._look()
        if focus and seen.down and self._dragged is not None:
            azimuth -= (seen.x - self._dragged.x) * DRAG_DEG_PX
            elevation += (seen.y - self._dragged.y) * DRAG_DEG_PX
        self._dragged = seen if seen.down and focus else None
        if azimuth or elevation:
            self._view = self._view.orbited(azimuth, elevation)
        return self._view
