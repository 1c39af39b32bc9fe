"""The way of a tool to where an episode starts: up first, then over, slowly. Somebody holds the dead-man."""

from __future__ import annotations

import numpy as np

from hardware.robot import Vector

SPEED_M_S = 0.08
_NEAR_M = 0.03  # sideways, within which it may also come down
_GAIN = 2.0  # 1/s: slower where it is near


def towards(tool_pos_m: Vector, start_m: Vector) -> Vector:
    """The velocity (3,) in m/s from the tool's position to the start, both (3,) in m; zero once it is
    within 2 mm."""
    way = np.asarray(start_m - tool_pos_m)
    if float(np.linalg.norm(way)) < 0.002:
        return np.zeros(3)
    if float(np.linalg.norm(way[:2])) > _NEAR_M:
        if way[2] > 0.01:
            way[:2] = 0.0  # up before over: things stand there
        else:
            way[2] = max(way[2], 0.0)  # and over before down
    velocity = _GAIN * way
    speed = float(np.linalg.norm(velocity))
    return np.asarray(velocity * min(1.0, SPEED_M_S / speed))
