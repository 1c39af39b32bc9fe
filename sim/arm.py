"""A simulated arm in a `World`, driven by tool velocities: one more `Robot`.

Resolved-rate control: at 50 Hz, and at once when the command changes, the commanded twist plus a
correction towards the integrated tool pose, which looks down unless it is tilted, goes through the damped
pseudo-inverse of the Jacobian (Nakamura and Hanafusa 1986) with the null space pulled to the home
posture, into PyBullet's joint velocity motors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hardware.limits import limit
from hardware.robot import Applied, Command, Limit, RobotError, RobotSpec, RobotState
from sim.arm_memory import InForce, Memory
from sim.arms.model import ArmModel
from sim.arms.panda import PANDA
from sim.bullet import pybullet
from sim.world import TIMESTEP_NS, World

Array = NDArray[np.float64]

_GRIP_N = 30.0
_GRIP_SPEED_M_S = 0.1
_EVERY = 4  # physics steps between two control updates
_PULL = 10.0  # 1/s, correction towards the integrated pose
_HOMING = 0.5  # 1/s, of the null space towards the home posture
_DAMPING = 1e-4 * np.eye(6)
_AT_REST = [0.0] * 6
_SLACK_RAD = 0.1  # nor the integrated yaw
_SLACK_M = 0.01  # the integrated pose never runs further ahead than this (a push against a wall)


class _Moment(NamedTuple):
    """What PyBullet says of the arm at a moment."""

    joints: Any
    """(position, speed, ...) of each, the fingers last."""
    tool_pos_m: tuple[float, ...]
    tool_quat_xyzw: tuple[float, ...]
    velocity_m_s: tuple[float, ...]
    turning_rad_s: tuple[float, ...]


class SimArm:
    """One of `sim.arms`. Construct it before `World.seal`."""

    def __init__(self, world: World, model: ArmModel = PANDA) -> None:
        self._world = world
        self._client: Any = world.client
        self._model, self._spec = model, model.spec
        self._home = np.array(model.home_rad)
        self._fastest = model.spec.joint_speed_limit_rad_s.tolist()
        loaded = model.load_merged(self._client, pybullet.URDF_ENABLE_CACHED_GRAPHICS_SHAPES)
        self.body, self._link, self._on_link = loaded.body, loaded.tool, loaded.tool_on_link
        self._joints, self._fingers = loaded.joints, loaded.fingers
        self._all_joints = (*self._joints, *self._fingers)
        for finger in self._fingers:
            self._client.changeDynamics(
                self.body,
                finger,
                lateralFriction=1.5,
                spinningFriction=0.0275,
                rollingFriction=0.00075,
                frictionAnchor=1,
            )
        first, second = self._fingers
        gear = self._client.createConstraint(
            self.body, first, self.body, second, pybullet.JOINT_GEAR, [1, 0, 0], [0] * 3, [0] * 3
        )
        self._client.changeConstraint(gear, gearRatio=-1, erp=0.1, maxForce=200)
        self._seq = 0
        self._updated_ns = 0  # the last control update
        self._changed = True  # the next physics step has one in any case
        self._gripper_target = 1.0
        self._applied: Applied | None = None
        self._twist = _AT_REST  # its, as floats
        self._before: Applied | None = None  # in force when this instant began
        self._sent_ns = -1
        self._expires_ns = 0
        self._closed = False
        # where the tool should have been at the last control update
        self._goal_pos: Sequence[float] = (0.0, 0.0, 0.0)
        self._goal_velocity: Sequence[float] = (0.0, 0.0, 0.0)
        self._goal_yaw = self._goal_turn = 0.0  # about the vertical, and how fast that goes on
        self._measured = _Moment((), (), (), (), ())
        self._state: RobotState | None = None
        self._moment = -1  # of the world, in which those were measured
        # bound once: a client looks every name up anew
        self._joint_states, self._link_state = self._client.getJointStates, self._client.getLinkState
        self._bullet_jacobian = self._client.calculateJacobian
        self._drive_joints = self._client.setJointMotorControlArray
        world.attach(self._control, self._memory, self._recall)
        self.reset(None)

    @property
    def spec(self) -> RobotSpec:
        return self._spec

    def reset(self, tool_pos_m: Array | None) -> None:
        """Put the arm at rest, gripper open, tool looking down at `tool_pos_m` (None: the home posture)."""
        joints = self._home.copy()
        self._set_joints(joints)
        if tool_pos_m is not None:
            for _ in range(20):
                here = self._measure()
                error = np.array([*(tool_pos_m - here.tool_pos_m), *_turn_to_down(here.tool_quat_xyzw)])
                joints = joints + _damped(self._jacobian(joints.tolist()), error, np.zeros(len(joints)))
                self._set_joints(joints)
                if np.abs(error).max() < 1e-5:
                    break
            else:
                raise ValueError(f"no posture reaches {tool_pos_m.tolist()} m within 1e-5")
        self._seq, self._updated_ns, self._changed = 0, self._world.now_ns(), True
        self._put_in_force(None)
        self._before = None
        self._sent_ns, self._expires_ns = -1, 0
        self._goal_yaw = 0.0
        self._grip(1.0)
        self._rest_here()

    def _set_joints(self, joints: Array) -> None:
        for index, value in zip(self._joints, joints.tolist(), strict=True):
            self._client.resetJointState(self.body, index, value, 0.0)
        for finger in self._fingers:
            self._client.resetJointState(self.body, finger, self._model.finger_open_m, 0.0)
        self._moment = -1

    # -- Robot --------------------------------------------------------------------------------------

    def read(self) -> RobotState:
        """The state at this moment; the same object until time moves or something else is applied."""
        here = self._measure()
        if self._state is None:
            self._seq += 1
            *arm, left, right = here.joints
            opening = (left[0] + right[0]) / (2 * self._model.finger_open_m)
            self._state = RobotState(
                seq=self._seq,
                time_ns=self._world.now_ns(),
                joint_pos_rad=np.array([state[0] for state in arm]),
                joint_vel_rad_s=np.array([state[1] for state in arm]),
                tool_pos_m=np.array(here.tool_pos_m),
                tool_quat_xyzw=np.array(here.tool_quat_xyzw),
                tool_twist=np.array(here.velocity_m_s + here.turning_rad_s),
                gripper=min(max(opening, 0.0), 1.0),
                applied=self._applied,
            )
        elif self._state.applied is not self._applied:
            self._seq += 1
            self._state = replace(self._state, seq=self._seq, applied=self._applied)
        return self._state

    def _measure(self) -> _Moment:
        """Asked of PyBullet once a moment."""
        if self._moment != self._world.moment:
            centre, _, _, _, *link, (vx, vy, vz), turning = self._link_state(
                self.body, self._link, computeLinkVelocity=True, computeForwardKinematics=True
            )
            tool, quaternion = pybullet.multiplyTransforms(*link, *self._on_link)
            (wx, wy, wz), (x, y, z) = turning, [a - b for a, b in zip(tool, centre, strict=True)]
            velocity = vx + wy * z - wz * y, vy + wz * x - wx * z, vz + wx * y - wy * x
            joints = self._joint_states(self.body, self._all_joints)
            self._measured = _Moment(joints, tool, quaternion, velocity, turning)
            self._moment, self._state = self._world.moment, None
        return self._measured

    def send(self, command: Command) -> Applied:
        if self._closed:
            raise RobotError(f"the simulated {self._spec.name} is closed; make a new one")
        now = self._world.now_ns()
        if now > self._sent_ns:  # several commands in one instant earn one period's acceleration
            self._before, self._sent_ns = self._applied, now
        applied = limit(command, self.read(), self._before, self._spec, 1.0 / self._spec.control_hz)
        first, twist = self._applied is None, self._twist
        self._put_in_force(applied)
        if first or self._twist != twist:
            self._changed = True
        if applied.command.gripper != self._gripper_target:
            self._grip(applied.command.gripper)
        self._expires_ns = now + round(applied.command.valid_for_s * 1e9)
        return applied

    def stop(self) -> None:
        if self._applied is not None:
            self._halt(self._applied)
        self._rest_here()

    def _rest_here(self) -> None:
        self._goal_pos, self._goal_velocity = self._measure().tool_pos_m, (0.0, 0.0, 0.0)
        self._goal_turn = 0.0
        self._changed = True

    def _halt(self, applied: Applied, *limits: Limit) -> None:
        self._put_in_force(Applied(replace(applied.command, twist=np.zeros(6)), limits))

    def _put_in_force(self, applied: Applied | None) -> None:
        self._applied = applied
        self._twist = _AT_REST if applied is None else applied.command.twist.tolist()

    def close(self) -> None:
        if not self._closed:
            self.stop()
            self._closed = True

    # -- control ------------------------------------------------------------------------------------

    def _jacobian(self, joints: list[float]) -> Array:
        """(6, joints), of the tool's velocity and turning rate."""
        posture, still = [*joints, 0.0, 0.0], [0.0] * len(self._all_joints)
        linear, angular = self._bullet_jacobian(
            self.body, self._link, self._on_link[0], posture, still, still
        )
        return np.array(linear + angular)[:, :-2]

    def _control(self) -> int:
        """Update where one is due; in how many physics steps the next is."""
        now, period = self._world.now_ns(), _EVERY * TIMESTEP_NS
        passed = now - self._updated_ns
        if self._changed or passed >= period:
            self._update(now, passed / 1e9)
            self._updated_ns, self._changed, passed = now, False, 0
        return (period - passed) // TIMESTEP_NS

    def _update(self, now: int, passed_s: float) -> None:
        """Set the joints' speeds anew, `passed_s` after the last time."""
        states, position, quaternion, _, _ = self._measure()
        if self._applied is not None and self._twist != _AT_REST and now >= self._expires_ns:
            self._halt(self._applied, Limit.EXPIRED)
        twist = self._twist
        due = [
            place + speed * passed_s for place, speed in zip(self._goal_pos, self._goal_velocity, strict=True)
        ]
        goal = [min(max(a, b - _SLACK_M), b + _SLACK_M) for a, b in zip(due, position, strict=True)]
        self._goal_pos, self._goal_velocity = goal, twist[:3]
        tilts = bool(twist[3] or twist[4])
        if self._goal_turn or twist[5]:
            here = _yaw(quaternion)
            due_yaw = self._goal_yaw + self._goal_turn * passed_s
            self._goal_yaw = min(max(due_yaw, here - _SLACK_RAD), here + _SLACK_RAD)
        self._goal_turn = 0.0 if tilts else twist[5]
        turn = (0.0, 0.0, 0.0) if tilts else _turn_to_down(quaternion, self._goal_yaw)
        error = [*[a - b for a, b in zip(goal, position, strict=True)], *turn]
        wanted = [speed + _PULL * off for speed, off in zip(twist, error, strict=True)]
        joints = [state[0] for state in states[:-2]]
        towards_home = [
            _HOMING * (home - joint) for home, joint in zip(self._model.home_rad, joints, strict=True)
        ]
        speeds = _damped(self._jacobian(joints), np.array(wanted), np.array(towards_home))
        bounded = [min(max(a, -b), b) for a, b in zip(speeds.tolist(), self._fastest, strict=True)]
        self._drive_joints(
            self.body,
            self._joints,
            pybullet.VELOCITY_CONTROL,
            targetVelocities=bounded,
            forces=self._model.torque_nm,
        )

    def _grip(self, opening: float) -> None:
        self._gripper_target = opening
        for finger in self._fingers:
            self._client.setJointMotorControl2(
                self.body,
                finger,
                pybullet.POSITION_CONTROL,
                targetPosition=opening * self._model.finger_open_m,
                force=_GRIP_N,
                maxVelocity=_GRIP_SPEED_M_S,
            )

    def _memory(self) -> bytes:
        return Memory(
            seq=self._seq,
            waited=(self._world.now_ns() - self._updated_ns) // TIMESTEP_NS,
            changed=self._changed,
            gripper_target=self._gripper_target,
            applied=InForce.of(self._applied),
            before=InForce.of(self._before),
            sent_ns=self._sent_ns,
            expires_ns=self._expires_ns,
            goal_pos=tuple(self._goal_pos),
            goal_velocity=tuple(self._goal_velocity),
            goal_yaw=self._goal_yaw,
            goal_turn=self._goal_turn,
        ).to_bytes()

    def _recall(self, saved: bytes) -> None:
        memory = Memory.from_bytes(saved)
        self._moment = -1
        self._seq, self._changed = memory.seq, memory.changed
        self._updated_ns = self._world.now_ns() - memory.waited * TIMESTEP_NS
        self._put_in_force(None if memory.applied is None else memory.applied.applied())
        self._before = None if memory.before is None else memory.before.applied()
        self._sent_ns, self._expires_ns = memory.sent_ns, memory.expires_ns
        self._goal_pos, self._goal_velocity = memory.goal_pos, memory.goal_velocity
        self._goal_yaw, self._goal_turn = memory.goal_yaw, memory.goal_turn
        self._grip(memory.gripper_target)


def _turn_to_down(quaternion: Sequence[float], yaw: float = 0.0) -> tuple[float, float, float]:
    """Rotation vector (rad, base frame) from the tool's orientation to looking straight down, turned by `yaw`
    about the vertical."""
    x, y, z, w = quaternion
    a, b = math.cos(yaw / 2), math.sin(yaw / 2)
    # (a, b, 0, 0) times the conjugate of q
    twice = 2.0 if a * x + b * y >= 0 else -2.0
    return twice * (a * w - b * z), twice * (b * w + a * z), twice * (b * x - a * y)


def _yaw(quaternion: Sequence[float]) -> float:
    """How far the tool is turned about the vertical, rad, while it looks down."""
    x, y, _, _ = quaternion
    return 2.0 * math.atan2(y if x >= 0 else -y, abs(x))


def _damped(jacobian: Array, wanted: Array, spare: Array) -> Array:
    """Joint speeds for a wanted twist: damped least squares, `spare` in what is left of the null space."""
    rest = wanted - jacobian.dot(spare)  # `dot` is quicker than `@` for so few numbers
    return spare + np.linalg.solve(jacobian.dot(jacobian.T) + _DAMPING, rest).dot(jacobian)
