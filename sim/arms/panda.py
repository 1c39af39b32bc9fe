"""A Franka Panda, as PyBullet has it."""

from __future__ import annotations

import numpy as np

from hardware.robot import RobotSpec, SafeState
from sim.arms.model import ArmModel

_JOINT, _HAND, _FINGER = (0.80, 0.83, 0.87), (0.42, 0.47, 0.55), (1.0, 0.78, 0.30)

PANDA_SPEC = RobotSpec(
    name="panda",
    joint_names=tuple(f"panda_joint{i}" for i in range(1, 8)),
    joint_low_rad=np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]),
    joint_high_rad=np.array([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973]),
    joint_speed_limit_rad_s=np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61]),
    workspace_low_m=np.array([0.25, -0.35, 0.01]),  # lower, the fingertips press on the table and jam
    workspace_high_m=np.array([0.75, 0.35, 0.50]),
    max_speed_m_s=0.25,
    max_turn_rad_s=1.0,
    max_acceleration_m_s2=3.0,
    control_hz=10.0,
    gripper=True,
    safe_state=SafeState.HOLD,
    simulated=True,
    home_m=np.array([0.45, 0.0, 0.22]),
    looks="panda",
)

PANDA = ArmModel(
    spec=PANDA_SPEC,
    urdf="franka_panda/panda.urdf",
    tool="panda_grasptarget",
    fingers=("panda_finger_joint1", "panda_finger_joint2"),
    finger_open_m=0.04,
    home_rad=(0.0, -0.30, 0.0, -2.40, 0.0, 2.10, 0.785398),
    torque_nm=(87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0),
    colours={
        "panda_link2": _JOINT,
        "panda_link4": _JOINT,
        "panda_link6": _JOINT,
        "panda_link7": _HAND,
        "panda_hand": _HAND,
        "panda_leftfinger": _FINGER,
        "panda_rightfinger": _FINGER,
    },
)
