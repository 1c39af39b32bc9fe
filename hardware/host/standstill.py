"""Whether an arm stands still that is told to move: an encoder, or the way to it, is frozen."""

from __future__ import annotations

import math

from hardware.robot import RobotState, Vector

MOVES_M_S, MOVES_RAD_S = 0.01, 0.05
"""An arm that is told to move more slowly than both may well seem to stand."""
STANDS_S = 0.5
"""A reading that stays the same for so long is no reading."""


class Standstill:
    """Looks at what an arm reads, turn by turn.

    Joints or a tool that move, or merely tremble, differ in some bit, and a command that the limits cut to
    nothing, at the workspace's wall say, asks for no motion. Only an arm whose encoders are coarse and that
    is held fast reads the same again and again; that stops it too.
    """

    def __init__(self, control_hz: float) -> None:
        self._most = max(2, round(STANDS_S * control_hz))  # in turns: a loop that hangs is no arm that stands
        self._turns = 0
        self._read = b""

    def seen(self, reading: RobotState, told: Vector | None) -> bool:
        """Whether the arm has not moved for `STANDS_S` though it was told to. `told` is the twist (m/s,
        rad/s) that has been in force since the reading before this one, None for none."""
        vectors = (reading.joint_pos_rad, reading.tool_pos_m, reading.tool_quat_xyzw)
        before, self._read = self._read, b"".join(vector.tobytes() for vector in vectors)
        moves = told is not None and (
            math.hypot(*told[:3]) >= MOVES_M_S or math.hypot(*told[3:]) >= MOVES_RAD_S
        )
        self._turns = self._turns + 1 if moves and self._read == before else 0
        return self._turns >= self._most
