"""A KUKA LBR iiwa 14 with the Franka hand at its flange: PyBullet's own model of it has no hand that holds.

It stands 8 cm further back than the Panda, so that what the tasks lay out is neither too near for its elbow
nor out of its reach. Speeds and torques are those of the maker's data sheet.
"""

from __future__ import annotations

import numpy as np

from hardware.robot import RobotSpec, SafeState
from sim.arms.model import ArmModel

_JOINT, _HAND, _FINGER = (0.95, 0.55, 0.20), (0.42, 0.47, 0.55), (1.0, 0.78, 0.30)
_LIMIT_RAD = np.array([2.9671, 2.0944, 2.9671, 2.0944, 2.9671, 2.0944, 3.0543])

IIWA = ArmModel(
    spec=RobotSpec(
        name="iiwa",
        joint_names=tuple(f"iiwa_joint{i}" for i in range(1, 8)),
        joint_low_rad=-_LIMIT_RAD,
        joint_high_rad=_LIMIT_RAD,
        joint_speed_limit_rad_s=np.array([1.4835, 1.4835, 1.7453, 1.3090, 2.2689, 2.3562, 2.3562]),
        workspace_low_m=np.array([0.33, -0.24, 0.01]),
        workspace_high_m=np.array([0.69, 0.24, 0.40]),
        max_speed_m_s=0.25,
        max_turn_rad_s=1.0,
        max_acceleration_m_s2=3.0,
        control_hz=10.0,
        gripper=True,
        safe_state=SafeState.HOLD,
        simulated=True,
        home_m=np.array([0.45, 0.0, 0.22]),
        looks="iiwa",
    ),
    urdf="iiwa.urdf",
    tool="iiwa_tool",
    fingers=("iiwa_left_finger_joint", "iiwa_right_finger_joint"),
    finger_open_m=0.04,
    home_rad=(0.0, 0.573, 0.0, -1.712, 0.0, 0.857, 0.0),
    torque_nm=(320.0, 320.0, 176.0, 176.0, 110.0, 40.0, 40.0),
    base_m=(-0.08, 0.0, 0.0),
    colours={
        "iiwa_link2": _JOINT,
        "iiwa_link4": _JOINT,
        "iiwa_link6": _JOINT,
        "iiwa_hand": _HAND,
        "iiwa_left_finger": _FINGER,
        "iiwa_right_finger": _FINGER,
    },
)
