"""A camera before a simulated arm that is served: what one would see there, drawn of what the host says.

    robot-host --driver sim --option task=reach --bind tcp://127.0.0.1:5555 \\
        --camera front=sim.scene_camera:make,host=tcp://127.0.0.1:5555,task=reach
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from hardware.cameras import number_of
from hardware.clock import MonotonicClock, Ticker
from hardware.remote import RemoteRobot
from hardware.robot import StaleStateError
from hardware.scene import Scene
from hardware.security import ClientSecurity
from sim.arms.model import ArmModel, make_arm
from sim.description import describe
from sim.eyes import Eyes
from sim.jpeg import encode
from sim.pictures import CAMERA_PX, SIZES_PX
from sim.served import OUT_OF_SIGHT
from sim.task import Task, make_task

_HOST_COMES_S = 30.0
_AGAIN_S = 0.01


class SceneCamera:
    """`hz` pictures a second of `task` before the arm that `host` serves, from one of
    `sim.viewpoint.VIEWPOINTS`.

    A host listens once it has seen a picture of every camera, so the first one is of nothing, and grey.
    """

    def __init__(
        self,
        task: Task,
        model: ArmModel,
        host: str,
        view: str,
        size_px: int,
        hz: float,
        security: ClientSecurity | None,
    ) -> None:
        self._objects = [prop.name for prop in task.props]
        self._view, self._host, self._security = view, host, security
        self._eyes = Eyes(describe(task, model.spec), [view], size_px)
        self._first: bytes | None = encode(np.full((size_px, size_px, 3), 128, np.uint8))
        self._robot: RemoteRobot | None = None
        self._ticker = Ticker(MonotonicClock(), hz)

    def picture(self) -> bytes:
        """Waits while the host has nothing new to say: what is old is not shown. Raises RobotError where
        there is no host any more."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._robot is None:
            self._robot = RemoteRobot(
                self._host, name="camera", security=self._security, timeout_s=_HOST_COMES_S
            )
        self._ticker.wait()
        return self._eyes.look(self._scene(self._robot))[self._view]

    def _scene(self, robot: RemoteRobot) -> Scene:
        while True:
            try:
                state = robot.read()
                break
            except StaleStateError:
                time.sleep(_AGAIN_S)
        things = robot.objects
        return Scene.of(state, {name: things.get(name, OUT_OF_SIGHT) for name in self._objects})

    def close(self) -> None:
        self._eyes.close()
        if self._robot is not None:
            self._robot.close()


def make(
    host: str,
    task: str = "pick_cube",
    view: str = "front",
    size: str = str(CAMERA_PX),
    hz: str = "30",
    arm: str = "panda",
    key: str = "",
) -> SceneCamera:
    """`size` is the width and the height in pixels; `key` is a file, where the host wants one."""
    security = ClientSecurity(Path(key)) if key else None
    size_px, rate = round(number_of(size, "size", *SIZES_PX)), number_of(hz, "hz", 0.1, 100.0)
    return SceneCamera(make_task(task), make_arm(arm), host, view, size_px, rate, security)
