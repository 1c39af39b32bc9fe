"""Starts that are nearer to where the task's expert would go first: an easier beginning, for whoever asks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hardware.scene import JOINTS, Scene
from sim.task import Layout, Task

_DOWN_XYZW = np.array([1.0, 0.0, 0.0, 0.0])


def nearer(layout: Layout, task: Task, spread: float) -> Layout:
    """`layout` with the tool at the share `spread` of its way from the expert's first waypoint: there at 0,
    where it was at 1. Raises ValueError for a share that is none."""
    if not 0.0 <= spread <= 1.0:
        raise ValueError(f"spread is {spread}: it must be from 0 to 1")
    opening = np.asarray(1.0 if task.uses_gripper else 0.0)
    scene = Scene(
        joint_pos_rad=np.zeros(JOINTS),
        gripper=opening,
        gripper_target=opening,
        tool_pos_m=layout.tool_pos_m,
        tool_quat_xyzw=_DOWN_XYZW,
        tool_vel_m_s=np.zeros(3),
        objects=layout.poses,
    )
    first_m = task.expert(scene).pos_m
    return replace(layout, tool_pos_m=first_m + spread * (layout.tool_pos_m - first_m))
