"""An arm behind a wire as the cell of an environment: in real time, things where a perception sees them.

A simulated arm lays its starts out itself, as the task draws them. Before a real one a person does: then only
what is no thing but a mark, such as the place to reach, is the task's.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hardware.leader import Leader
from hardware.perception import HOST, NONE, PerceptionError, make_perception
from hardware.remote import RemoteRobot
from hardware.robot import RobotError, RobotSpec, Source
from hardware.scene import JOINTS
from hardware.security import ClientSecurity
from sim.host_eyes import HostEyes
from sim.pictures import CAMERA_PX
from sim.task import Layout, Task
from sim.world import SimState

Array = NDArray[np.float64]

_SERVICE_S, _TELLS_S = 0.005, 0.1
OUT_OF_SIGHT = np.array([0.0, 0.0, -10.0, 0.0, 0.0, 0.0, 1.0])
"""Where a thing is said to be of which only cameras know."""
_STARTS = 100  # that are looked at to know how much room a task takes


class UnseenError(PerceptionError):
    """A source that does not know of a thing that the task needs."""


class ServedCell:
    """The arm that a host serves, and the things of `task` before it."""

    saves = follows_at_once = False

    def __init__(
        self,
        task: Task,
        address: str,
        *,
        perception: str = "",
        security: ClientSecurity | None = None,
        cameras: Sequence[str] = (),
        camera_px: int = CAMERA_PX,
    ) -> None:
        """`perception` as `hardware.perception.make_perception` takes it; empty: host where the arm is a
        simulated one. `cameras` of the host are what the policy sees with, as squares of `camera_px`; nobody
        needs to say where things are then. Raises RobotError where no host answers, for an arm that cannot do
        the task, for a camera that is not there, and for a source that does not see what the task needs:
        UnseenError, or what is wrong with it."""
        robot = RemoteRobot(address, name="session", security=security)
        with contextlib.ExitStack() as made:
            made.callback(robot.close)
            said = perception or (HOST if robot.welcome.lays_out else NONE)
            self._source = make_perception(said, robot)
            made.callback(self._source.close)
            self._robot, self.robot = robot, Leader(robot)
            self._task = task
            self.eyes: HostEyes | None = None
            if cameras:
                self.eyes = HostEyes(robot.cameras, cameras, camera_px, security)
                made.callback(self.eyes.close)
            self._marks: dict[str, Array] = {}
            self._blind = ""
            self._things = [prop.name for prop in task.props if not prop.is_marker]
            self._seen: dict[str, Array] = self._required(said)
            self._things = list(self._seen)
            made.pop_all()
        self.lays_out = robot.welcome.lays_out and said == HOST

    def _required(self, said: str) -> dict[str, Array]:
        """Where the things are, at an arm that can do the task."""
        task, spec, sees = self._task, self._robot.spec, self._source.poses()
        if len(spec.joint_names) > JOINTS:
            raise RobotError(
                f"{spec.name} has {len(spec.joint_names)} joints: a session is for {JOINTS} at most so far"
            )
        if task.props:
            _require_room(task, spec)
        if task.uses_gripper and not spec.gripper:
            raise RobotError(f"{task.name} needs a gripper, which {spec.name} has not")
        lacking = [name for name in self._things if name not in sees]
        if lacking and self.eyes is None:
            raise UnseenError(
                f"{task.name} needs to know where {lacking[0]!r} is, and the perception {said!r} does not say"
                f" (it knows {', '.join(sees) or 'nothing'})"
            )
        return {name: sees[name] for name in self._things if name in sees}

    @property
    def needs_a_person(self) -> bool:
        return self._robot.welcome.attended

    @property
    def stopped(self) -> str:
        return self.robot.stopped

    @property
    def armed(self) -> bool:
        return self.robot.armed

    @property
    def trouble(self) -> str:
        return self.robot.trouble or self._blind or ("" if self.eyes is None else self.eyes.trouble)

    @property
    def stop_address(self) -> str:
        return self._robot.stop_address

    @property
    def cameras(self) -> Mapping[str, str]:
        return self._robot.cameras

    def events(self) -> list[str]:
        return self.robot.events()

    def poses(self) -> Mapping[str, Array]:
        """As last seen; `trouble` says where the source does not see them any more."""
        try:
            sees = self._source.poses()
            self._seen = {name: sees[name] for name in self._things}
            self._blind = ""
        except (PerceptionError, KeyError) as error:
            self._blind = str(error) if isinstance(error, PerceptionError) else f"{error} is seen no more"
        known = {**self._marks, **self._seen}
        return {prop.name: known.get(prop.name, OUT_OF_SIGHT) for prop in self._task.props}

    def lay_out(self, layout: Layout, opening: float) -> None:
        self._marks = dict(layout.poses)
        if not self.lays_out or self.robot.stopped:
            return
        self._robot.take(self._robot.leading or Source.SCRIPT)  # one that is asked for may be on its way
        there = {name: pose for name, pose in layout.poses.items() if name in self._robot.objects}
        self._robot.lay_out(layout.tool_pos_m, opening, there)

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def advance(self, duration_ns: int) -> None:
        self._service()

    def _service(self) -> None:
        self.robot.service()
        if self.eyes is not None:
            self.eyes.service()

    def wait(self, duration_ns: int) -> None:
        until = time.monotonic() + duration_ns / 1e9
        while (left := until - time.monotonic()) > 0.0:
            self._service()
            time.sleep(min(left, _SERVICE_S))
        if self.trouble and not self.stopped:  # the state that tells of a stop may be on its way
            time.sleep(_TELLS_S)
            self.robot.service()
        if why := self.stopped or self.trouble:
            raise RobotError(f"{self._robot.spec.name}: {why}")

    def rest(self) -> None:
        self.robot.stop()

    def halt(self) -> None:
        self.robot.halt()

    def clear(self) -> None:
        self.robot.clear()

    def arm(self) -> None:
        self.robot.arm()

    def present(self) -> None:
        self.robot.present()

    def save(self) -> SimState:
        raise RobotError(f"{self._robot.spec.name} cannot go back to a moment")

    def restore(self, state: SimState) -> None:
        raise RobotError(f"{self._robot.spec.name} cannot go back to a moment")

    def close(self) -> None:
        with contextlib.ExitStack() as closing:
            closing.callback(self.robot.close)
            closing.callback(self._source.close)
            if self.eyes is not None:
                self.eyes.close()


def _require_room(task: Task, spec: RobotSpec) -> None:
    """Raises RobotError where starts of the task, or places to go to, lie outside of the workspace."""
    marks = [prop.name for prop in task.props if prop.is_marker]
    rng = np.random.default_rng(0)
    layouts = [task.layout(rng) for _ in range(_STARTS)]
    starts = np.array([layout.tool_pos_m for layout in layouts])
    goals = np.array([layout.poses[name][:3] for layout in layouts for name in marks]).reshape(-1, 3)
    goals[:, 2] = np.maximum(goals[:, 2], spec.workspace_low_m[2])  # marks on the table are seen from above
    low, high = (end(np.concatenate([starts, goals]), axis=0) for end in (np.min, np.max))
    if (low < spec.workspace_low_m).any() or (high > spec.workspace_high_m).any():
        needs, has = (
            f"{a.round(2).tolist()} to {b.round(2).tolist()} m"
            for a, b in ((low, high), (spec.workspace_low_m, spec.workspace_high_m))
        )
        raise RobotError(f"{task.name} takes place from {needs}, the workspace of {spec.name} is {has}")
