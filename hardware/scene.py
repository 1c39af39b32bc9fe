"""What can be drawn and judged of a moment: the arm's posture and where things are.

A few hundred bytes a step. Arrays may carry leading dimensions, so one `Scene` is a moment or a whole
episode, and everything computed from it (observations, success, an operator's opinion) is one
vectorised function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hardware.robot import RobotState

Array = NDArray[np.float64]
Number = Array | float
"""(...) numbers; that of a moment is a float, with which numpy is many times as fast as with a 0-d array."""

JOINTS = 7
_FIXED = JOINTS + 1 + 1 + 3 + 4 + 3


@dataclass(frozen=True, eq=False)
class Scene:
    """A moment (no leading dimension) or a run of T moments (leading dimension T).

    joint_pos_rad (..., 7), 0 for joints that the arm has not; gripper and gripper_target (...): opening and
    commanded opening, 0 closed to 1 open; tool_pos_m (..., 3); tool_quat_xyzw (..., 4);
    tool_vel_m_s (..., 3); objects: name -> (..., 7) position in m and quaternion xyzw.
    """

    joint_pos_rad: Array
    gripper: Number
    gripper_target: Number
    tool_pos_m: Array
    tool_quat_xyzw: Array
    tool_vel_m_s: Array
    objects: Mapping[str, Array]

    @staticmethod
    def of(state: RobotState, objects: Mapping[str, Array], gripper_target: float | None = None) -> Scene:
        """The moment of an arm's `state` with things at `objects`; whoever does not know which opening is
        wanted takes it to be the one that is."""
        joints = np.zeros(JOINTS)
        joints[: len(state.joint_pos_rad)] = state.joint_pos_rad
        return Scene(
            joint_pos_rad=joints,
            gripper=state.gripper,
            gripper_target=state.gripper if gripper_target is None else gripper_target,
            tool_pos_m=state.tool_pos_m,
            tool_quat_xyzw=state.tool_quat_xyzw,
            tool_vel_m_s=state.tool_twist[:3],
            objects=objects,
        )

    def pack(self) -> NDArray[np.float32]:
        """One flat row a moment, (..., 19 + 7 * objects) float32, objects in their mapping's order."""
        parts = [
            self.joint_pos_rad,
            np.asarray(self.gripper)[..., None],
            np.asarray(self.gripper_target)[..., None],
            self.tool_pos_m,
            self.tool_quat_xyzw,
            self.tool_vel_m_s,
            *self.objects.values(),
        ]
        return np.concatenate(parts, axis=-1).astype(np.float32)

    @staticmethod
    def unpack(rows: NDArray[np.float32], objects: Sequence[str]) -> Scene:
        """The inverse of `pack`, given the objects' names in order."""
        expected = _FIXED + 7 * len(objects)
        if rows.shape[-1] != expected:
            raise ValueError(
                f"a scene row has {rows.shape[-1]} numbers, expected {expected} for objects {list(objects)}"
            )
        wide = rows.astype(np.float64)
        return Scene(
            joint_pos_rad=wide[..., :7],
            gripper=wide[..., 7],
            gripper_target=wide[..., 8],
            tool_pos_m=wide[..., 9:12],
            tool_quat_xyzw=wide[..., 12:16],
            tool_vel_m_s=wide[..., 16:19],
            objects={name: wide[..., 19 + 7 * i : 26 + 7 * i] for i, name in enumerate(objects)},
        )
