"""Pictures of stored scenes, drawn by PyBullet's own software renderer: no GL, no window.

The camera has a world of its own that holds only what is seen: the arm with its meshes, a table and the
task's props in their colours. Import it where pictures are asked for; nothing else needs it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.arms.model import make_arm
from sim.bullet import BulletClient, pybullet, quiet
from sim.task import Part, Task, make_task
from sim.viewpoint import CORNER, Viewpoint

Picture = NDArray[np.uint8]
Array = NDArray[np.float64]

_TABLE_HALF_M = (0.55, 0.55, 0.02)
_TABLE_CENTRE_M = (0.40, 0.0, -0.02)  # its top is at z = 0
_TABLE_RGBA = (0.86, 0.80, 0.71, 1.0)
_SKY_RGB = ((222, 230, 238), (247, 248, 250))  # top and bottom of the background
_NEAR_M, _NEAR_THE_TOOL_M, _FAR_M = 0.1, 0.02, 5.0
_LIGHT = {
    "lightDirection": (0.5, 0.6, 1.6),
    "lightColor": (1.0, 0.98, 0.95),
    "lightDistance": 3.0,
    "lightAmbientCoeff": 0.6,
    "lightDiffuseCoeff": 0.5,
    "lightSpecularCoeff": 0.1,
    "shadow": 1,
}
_OVERSAMPLING = 2  # the renderer does not smooth edges


def render(
    task_name: str,
    scenes: NDArray[np.float32],
    width: int = 480,
    height: int = 360,
    viewpoint: Viewpoint = CORNER,
    arm: str = "panda",
) -> Picture:
    """The pictures (F, height, width, 3) uint8 RGB of F scene rows (F, k) of a task's episode by `arm`.

    Raises ValueError for an unknown task or arm, rows that are not of that task or not finite, and a picture
    smaller than 16 pixels.
    """
    if scenes.ndim != 2:
        raise ValueError(f"scenes has shape {scenes.shape}, expected (frames, numbers in a scene row)")
    if not np.isfinite(scenes).all():
        raise ValueError("scenes hold numbers that are not finite: there is nothing to draw")
    with Camera(make_task(task_name), width, height, arm) as camera:
        pictures = [camera.picture(row, viewpoint) for row in scenes]
    return np.stack(pictures) if pictures else np.empty((0, height, width, 3), dtype=np.uint8)


class Camera:
    """Looks at one task's scenes, from wherever it is asked to. Pictures are (height, width, 3) uint8 RGB."""

    def __init__(self, task: Task, width: int, height: int, arm: str = "panda") -> None:
        if width < 16 or height < 16:
            raise ValueError(f"a picture of {width} x {height} pixels is too small: at least 16 x 16")
        self._width, self._height = width, height
        self._objects = [prop.name for prop in task.props]
        with quiet(1):
            self._client: Any = BulletClient(connection_mode=pybullet.DIRECT)
        self._model = make_arm(arm)
        self._arm = self._model.load(self._client)
        self._boxes((Part(_TABLE_HALF_M, (0.0, 0.0, 0.0)),), _TABLE_RGBA, _TABLE_CENTRE_M)
        self._bodies = {prop.name: self._boxes(prop.boxes, prop.rgba) for prop in task.props}
        fade = np.linspace(0.0, 1.0, height * _OVERSAMPLING)[:, None, None]
        top, bottom = (np.array(colour, dtype=np.float64) for colour in _SKY_RGB)
        self._sky = np.broadcast_to(top + fade * (bottom - top), (*self._fine, 3))

    def __enter__(self) -> Camera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _fine(self) -> tuple[int, int]:
        return self._height * _OVERSAMPLING, self._width * _OVERSAMPLING

    def _boxes(
        self,
        boxes: tuple[Part, ...],
        rgba: tuple[float, float, float, float],
        at_m: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> int:
        shape = self._client.createVisualShapeArray(
            shapeTypes=[pybullet.GEOM_BOX] * len(boxes),
            halfExtents=[box.half_extents_m for box in boxes],
            visualFramePositions=[box.at_m for box in boxes],
            rgbaColors=[rgba] * len(boxes),
        )
        body: int = self._client.createMultiBody(baseVisualShapeIndex=shape, basePosition=at_m)
        self._client.changeVisualShape(body, -1, rgbaColor=rgba, specularColor=(0.1, 0.1, 0.1))
        return body

    def picture(self, row: NDArray[np.float32], viewpoint: Viewpoint = CORNER) -> Picture:
        """The picture of one scene row (k,). Raises ValueError where it is no row of this task."""
        scene = Scene.unpack(row, self._objects)
        self._arrange(scene)
        rows, columns = self._fine
        view = self._client.computeViewMatrix(*viewpoint.placed(scene.tool_pos_m, scene.tool_quat_xyzw))
        near = _NEAR_THE_TOOL_M if viewpoint.on_tool else _NEAR_M
        shape = self._width / self._height
        projection = self._client.computeProjectionMatrixFOV(viewpoint.field_deg, shape, near, _FAR_M)
        _, _, colours, _, bodies = self._client.getCameraImage(
            columns, rows, view, projection, renderer=pybullet.ER_TINY_RENDERER, **_LIGHT
        )
        seen = np.reshape(np.asarray(colours), (rows, columns, 4))[..., :3]
        empty = np.reshape(np.asarray(bodies), (rows, columns, 1)) < 0
        whole = np.where(empty, self._sky, seen)
        blocks = whole.reshape(self._height, _OVERSAMPLING, self._width, _OVERSAMPLING, 3)
        return np.asarray(blocks.mean(axis=(1, 3)).round(), dtype=np.uint8)

    def _arrange(self, scene: Scene) -> None:
        arm, opening_m = self._arm, float(scene.gripper) * self._model.finger_open_m
        for joint, angle in zip(arm.joints, scene.joint_pos_rad, strict=False):  # a scene has room for more
            self._client.resetJointState(arm.body, joint, angle)
        for finger in arm.fingers:
            self._client.resetJointState(arm.body, finger, opening_m)
        for name, body in self._bodies.items():
            pose = scene.objects[name]
            self._client.resetBasePositionAndOrientation(body, pose[:3], pose[3:])

    def close(self) -> None:
        """Disconnect the camera's world; twice is fine."""
        if self._client.isConnected():
            self._client.disconnect()
