"""Franka FR3 and Panda, by franky-control: `pip install "robot-rlhf[franka]"`, driver `franka`.

Safe state: brakes. Without power they engage and the arm stays where it is.

Velocities go to the arm's own Cartesian velocity controller, each as a motion that lasts as long as its
command and then comes to rest; the limits are the host's. Two watchdogs of the vendor's stand behind that.
Should the host hang, the motion under way ends by itself; should its process die, or its machine, the arm
misses its packets of every millisecond and stops with communication_constraints_violation.

A reflex (20 Nm at a joint or 30 N at the tool beyond what moving takes, set on connecting) and whatever else
ends a motion is a fault; `clear_fault` has the arm recover from it. `stop` stops fingers that are on their
way too; what they hold they go on holding.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np

from hardware.drivers.fake import FAKE_SPEC
from hardware.robot import (
    Applied,
    Command,
    FaultError,
    RobotError,
    RobotSpec,
    RobotState,
    SafeState,
    Vector,
)

# Of an arm that does not tell its joints' ranges and speeds: those of the Panda, as the fake arm has them.
FRANKA_SPEC = replace(
    FAKE_SPEC,
    name="franka",
    workspace_low_m=np.array([0.25, -0.40, 0.02]),
    workspace_high_m=np.array([0.75, 0.40, 0.75]),
    max_acceleration_m_s2=2.0,
    safe_state=SafeState.BRAKE,
    simulated=False,
    looks="panda",
)
_MOVES, _STOPS = 0.3, 0.6  # of the vendor's limits of acceleration and jerk
_REFLEX_NM, _REFLEX_N = 20.0, 30.0
_ENDS_S = 2.0  # whatever was told to end has ended by then
_RECOVERS_S, _TURN_S = 0.5, 0.001
_OPEN_M = 0.08
_GRIP_SPEED_M_S, _GRIP_N = 0.1, 30.0
_LOOK_S = 0.05  # between two looks at the hand, which answers slowly
_NS_PER_MS = 1_000_000


class FrankaArm:
    """A `Robot` at the Franka control interface of `host`. Not for use from several threads.

    The states' `time_ns` is the arm's own clock.
    """

    def __init__(self, host: str, *, realtime: bool, gripper: bool) -> None:
        """Raises RobotError where franky is not installed, no arm or no gripper answers, or with `realtime`
        this machine's kernel is no real-time one."""
        try:
            import franky
        except ImportError as error:
            raise RobotError(f'{error}: pip install "robot-rlhf[franka]"') from error
        self._franky = franky
        # libfranka's own, and those of franky around it, which have no base in common
        self._errors = (
            franky.Exception,
            franky.GripperException,
            franky.InvalidMotionTypeException,
            RuntimeError,
        )
        config = franky.RealtimeConfig.Enforce if realtime else franky.RealtimeConfig.Ignore
        try:
            self._arm: Any = franky.Robot(
                host,
                default_torque_threshold=_REFLEX_NM,
                default_force_threshold=_REFLEX_N,
                realtime_config=config,
            )
        except self._errors as error:
            raise RobotError(f"no Franka at {host}: {error}") from error
        self._hand: _Hand | None = None
        if gripper:
            try:
                self._hand = _Hand(franky.Gripper(host), self._errors)
            except self._errors as error:
                self._arm = None
                raise RobotError(f"no gripper at {host}: {error} (without one: gripper=no)") from error
        urdf = getattr(self._arm, "model_urdf", "<robot/>")  # arms before libfranka 0.15 do not tell it
        self._spec = _with_joints(replace(FRANKA_SPEC, gripper=gripper), urdf)
        self._seq = 0
        self._applied: Applied | None = None
        self._fault = ""

    @property
    def spec(self) -> RobotSpec:
        return self._spec

    def read(self) -> RobotState:
        """Raises RobotError once closed, and where the arm does not answer any more."""
        self._require_open()
        try:
            seen = self._arm.state
        except self._errors as error:
            raise RobotError(f"the arm does not answer: {error}") from error
        self._notice()
        self._seq += 1
        jacobian = self._arm.model.zero_jacobian(self._franky.Frame.EndEffector, seen)
        return RobotState(
            seq=self._seq,
            time_ns=seen.time.to_msec() * _NS_PER_MS,
            joint_pos_rad=np.array(seen.q),
            joint_vel_rad_s=np.array(seen.dq),
            tool_pos_m=np.array(seen.O_T_EE.translation),
            tool_quat_xyzw=np.array(seen.O_T_EE.quaternion),
            tool_twist=jacobian @ seen.dq,
            gripper=0.0 if self._hand is None else self._hand.opening,
            wrench=np.array(seen.O_F_ext_hat_K),
            faults=self._faults(seen),
            applied=self._applied,
        )

    def send(self, command: Command) -> Applied:
        state = self.read()
        if state.faults:
            raise FaultError(f"command {command.seq} refused: {', '.join(state.faults)}; clear_fault() first")
        self._move(command.twist, command.valid_for_s)
        if self._hand is not None:
            self._hand.wanted = command.gripper
        self._applied = Applied(command)
        return self._applied

    def stop(self) -> None:
        if self._arm is None:
            return
        if self._applied is not None:
            self._applied = Applied(replace(self._applied.command, twist=np.zeros(6)))
        if self._arm.is_in_control:
            self._begin(self._franky.CartesianVelocityStopMotion(_STOPS))
        if self._hand is not None:
            self._hand.halt()

    def clear_fault(self) -> None:
        """Recover from a reflex, or from what else ended a motion. Raises RobotError where the arm does not,
        while its button is pressed say."""
        self._require_open()
        self._notice()
        try:
            if self._fault or self._arm.has_errors:
                self._arm.recover_from_errors()
                self._see_it_recovered()
        except self._errors as error:
            raise RobotError(f"the arm does not recover: {error}") from error
        self._fault = ""
        if self._hand is not None:
            self._hand.fault = ""

    def _see_it_recovered(self) -> None:
        """The states say so a moment after the arm does. Raises RobotError where they do not."""
        until_s = time.monotonic() + _RECOVERS_S
        while (seen := self._arm.state).robot_mode in self._stopped(seen) or self._arm.has_errors:
            if time.monotonic() > until_s:
                what = self._stopped(seen).get(seen.robot_mode, str(seen.current_errors))
                raise RobotError(f"the arm does not recover from {what}: see Desk")
            time.sleep(_TURN_S)

    def close(self) -> None:
        if self._arm is None:
            return
        self.stop()
        with contextlib.suppress(*self._errors):  # what ended the motion matters no more
            self._arm.join_motion(_ENDS_S)
        if self._hand is not None:
            self._hand.close()
        self._arm = self._hand = None  # which lets go of the connections: the arm takes no second one

    def _require_open(self) -> None:
        if self._arm is None:
            raise RobotError(f"{self._spec.name} is closed; make a new one")

    def _move(self, twist: Vector, lasts_s: float) -> None:
        if not twist.any() and not self._arm.is_in_control:
            return
        franky = self._franky
        wanted = franky.RobotVelocity(franky.Twist(twist[:3], twist[3:]))
        lasts = franky.Duration(max(1, round(1e3 * lasts_s)))
        self._begin(franky.CartesianVelocityMotion(wanted, lasts, _MOVES))
        if self._fault:
            raise FaultError(f"the arm refused to move: {self._fault}; clear_fault() first")

    def _begin(self, motion: Any) -> None:
        """In place of the motion under way, from the velocity that there is."""
        try:
            self._arm.move(motion, asynchronous=True)
        except self._errors as error:
            self._fault = _words(error)

    def _notice(self) -> None:
        """Whatever has ended a motion comes out here."""
        try:
            self._arm.poll_motion()
        except self._errors as error:
            self._fault = _words(error)

    def _faults(self, seen: Any) -> tuple[str, ...]:
        hand = "" if self._hand is None else self._hand.fault
        return tuple(filter(None, (self._stopped(seen).get(seen.robot_mode), self._fault, hand)))

    def _stopped(self, seen: Any) -> dict[Any, str]:
        """The modes in which the arm follows nothing, in words."""
        mode = self._franky.RobotMode
        return {mode.Reflex: f"reflex {seen.current_errors}", mode.UserStopped: "its button is pressed"}


class _Hand:
    """The gripper, in threads of its own, since it answers slowly and a grasp only once it is over."""

    def __init__(self, gripper: Any, errors: tuple[type[Exception], ...]) -> None:
        self._gripper, self._errors = gripper, errors
        self.opening = self._look()
        self.wanted: float | None = None
        self.fault = ""
        self._told: float | None = None
        self._doing: threading.Thread | None = None
        self._halted, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def halt(self) -> None:
        """Stop fingers that move. Nothing is wanted of them from then on."""
        self.wanted = None
        self._halted.set()

    def close(self) -> None:
        self._over.set()
        self._thread.join(2 * _ENDS_S)

    def _serve(self) -> None:
        while not self._over.wait(_LOOK_S):
            try:
                self._attend()
                self.opening = self._look()
            except self._errors as error:
                self.fault = f"the gripper: {_words(error)}"
        with contextlib.suppress(*self._errors):  # it is let go of anyhow
            self._end()

    def _attend(self) -> None:
        """One motion at a time: a new one waits for the end of the one before, which takes 0.8 s at most."""
        if self._halted.is_set():
            self._halted.clear()
            self._end()
        wanted = self.wanted
        if wanted is None or (self._doing is not None and self._doing.is_alive()):
            return
        goal = round(wanted, 2) if wanted >= 0.5 else 0.0
        if goal != self._told:
            self._told = goal
            self._doing = threading.Thread(target=self._go, args=(goal,), daemon=True)
            self._doing.start()

    def _go(self, goal: float) -> None:
        """Open as far as that, or close: until it holds something, whatever its size."""
        doing = threading.current_thread()
        try:
            if goal > 0.0:
                self._gripper.move(goal * _OPEN_M, _GRIP_SPEED_M_S)
            else:
                self._gripper.grasp(0.0, _GRIP_SPEED_M_S, _GRIP_N, epsilon_outer=_OPEN_M)
        except self._errors as error:
            if self._doing is doing and self._told is not None:  # else it was told to end
                self.fault = f"the gripper: {_words(error)}"

    def _end(self) -> None:
        if self._doing is not None and self._doing.is_alive():
            self._told = None
            self._gripper.stop()
            self._doing.join(_ENDS_S)  # the hand answers a motion that was stopped; franky-sim does not
        self._doing = None

    def _look(self) -> float:
        return float(np.clip(self._gripper.width / _OPEN_M, 0.0, 1.0))


def _words(error: Exception) -> str:
    """What went wrong, without the figures that follow in lines of their own."""
    return str(error).partition("\n")[0]


def _with_joints(spec: RobotSpec, urdf: str) -> RobotSpec:
    """With its joints' ranges and speeds as the arm itself describes them, where it does."""
    limits = ElementTree.fromstring(urdf).findall("joint[@type='revolute']/limit")
    if len(limits) != len(spec.joint_names):
        return spec
    low, high, speed = (
        np.array([float(one.attrib[name]) for one in limits]) for name in ("lower", "upper", "velocity")
    )
    return replace(spec, joint_low_rad=low, joint_high_rad=high, joint_speed_limit_rad_s=speed)


def make(host: str, realtime: str = "enforce", gripper: str = "yes") -> FrankaArm:
    """The driver `franka`: at the address `host`; `realtime` is enforce or ignore, `gripper` yes or no."""
    if not host:
        raise ValueError("host is '': it must be the arm's address, 172.16.0.2 say")
    if realtime not in ("enforce", "ignore"):
        raise ValueError(f"realtime is {realtime!r}: it must be enforce or ignore")
    if gripper not in ("yes", "no"):
        raise ValueError(f"gripper is {gripper!r}: it must be yes or no")
    return FrankaArm(host, realtime=realtime == "enforce", gripper=gripper == "yes")
