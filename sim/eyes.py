"""What a policy sees through cameras: small pictures of the scene as it is, drawn within the control step.

They show the low-polygon look that consoles draw, not the arm's own meshes: at 64 pixels a picture takes 2 ms
instead of 50 and shows the same. `sim.camera` draws fine ones of stored scenes, for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hardware.appearance import Kinematics, Mesh, PartLook, PropLook, SceneDescription, quaternion
from hardware.scene import Scene
from sim.bullet import BulletClient, pybullet, quiet
from sim.jpeg import encode
from sim.pictures import SIZES_PX, Pictures
from sim.randomise import NOMINAL, Variation, scaled
from sim.viewpoint import Viewpoint, viewpoint_named

_NEAR_M, _FAR_M = 0.02, 5.0
_LIGHT: dict[str, Any] = {
    "lightDirection": (0.5, 0.6, 1.6),
    "lightAmbientCoeff": 0.6,
    "lightDiffuseCoeff": 0.5,
    "lightSpecularCoeff": 0.0,
    "shadow": 0,
}
_TABLE_HALF_DEPTH_M = 0.02


class Eyes:
    """Cameras that look at one task's scenes; `cameras` are names of `sim.viewpoint.VIEWPOINTS`."""

    def __init__(self, description: SceneDescription, cameras: Sequence[str], size_px: int) -> None:
        """Raises ValueError for an unknown camera, for one named twice, for none, and for a size that is not
        from 32 to 256 pixels."""
        if not cameras or len(set(cameras)) < len(cameras):
            raise ValueError(f"cameras are {', '.join(cameras) or 'none'}: name at least one, and each once")
        if not SIZES_PX[0] <= size_px <= SIZES_PX[1]:
            raise ValueError(f"pictures of {size_px} pixels: expected {SIZES_PX[0]} to {SIZES_PX[1]}")
        self.cameras, self.size_px = tuple(cameras), size_px
        self._nominal = self._viewpoints = [viewpoint_named(name) for name in cameras]
        self._variation, self._light = NOMINAL, _LIGHT
        self._objects = [prop.name for prop in description.props]
        self._kinematics = Kinematics(description.links)
        with quiet(1):
            self._client: Any = BulletClient(connection_mode=pybullet.DIRECT)
        self._links = [(mesh.link, self._mesh(mesh)) for mesh in description.meshes]
        self._looks = {prop.name: prop for prop in description.props}
        self._props = {name: self._prop(prop) for name, prop in self._looks.items()}
        table = description.table
        low, high = np.array(table.low_m), np.array(table.high_m)
        half = (*((high - low) / 2), _TABLE_HALF_DEPTH_M)
        box = self._client.createVisualShape(pybullet.GEOM_BOX, halfExtents=half, rgbaColor=(*table.rgb, 1.0))
        centre = (*((high + low) / 2), table.height_m - _TABLE_HALF_DEPTH_M)
        self._client.createMultiBody(baseVisualShapeIndex=box, basePosition=centre)

    def _mesh(self, mesh: Mesh) -> int:
        corners = mesh.vertices_m()[mesh.corners()]  # each triangle has corners of its own, to look flat
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
        shape = self._client.createVisualShape(
            pybullet.GEOM_MESH,
            vertices=corners.reshape(-1, 3).tolist(),
            indices=list(range(corners.shape[0] * 3)),
            normals=normals.repeat(3, axis=0).tolist(),
            rgbaColor=(*mesh.rgb, 1.0),
        )
        return int(self._client.createMultiBody(baseVisualShapeIndex=shape))

    def _prop(self, prop: PropLook) -> int:
        boxes = prop.boxes
        shape = self._client.createVisualShapeArray(
            shapeTypes=[pybullet.GEOM_BOX] * len(boxes),
            halfExtents=[box.half_extents_m for box in boxes],
            visualFramePositions=[box.at_m for box in boxes],
            rgbaColors=[prop.rgba] * len(boxes),
        )
        body = int(self._client.createMultiBody(baseVisualShapeIndex=shape))
        self._client.changeVisualShape(body, -1, rgbaColor=prop.rgba)
        return body

    def vary(self, variation: Variation) -> None:
        """See the things, and with the cameras and the light, that one episode has."""
        before, self._variation = self._variation, variation
        if variation.look != before.look:
            look = variation.look
            self._viewpoints = [
                look.cameras[view.name].viewpoint(view) if look.cameras else view for view in self._nominal
            ]
            self._light = {
                **_LIGHT,
                "lightAmbientCoeff": _LIGHT["lightAmbientCoeff"] * look.ambient,
                "lightDiffuseCoeff": _LIGHT["lightDiffuseCoeff"] * look.diffuse,
            }
        if (variation.size, variation.look.colour) != (before.size, before.look.colour):
            for body in self._props.values():
                self._client.removeBody(body)
            self._props = {name: self._prop(self._varied(prop)) for name, prop in self._looks.items()}

    def _varied(self, prop: PropLook) -> PropLook:
        """How a thing looks in this episode."""
        factor = self._variation.size.get(prop.name, 1.0)
        tint = (*self._variation.look.colour.get(prop.name, (1.0, 1.0, 1.0)), 1.0)
        parts = tuple(
            PartLook(half_extents_m=scaled(part.half_extents_m, factor), at_m=scaled(part.at_m, factor))
            for part in prop.parts
        )
        r, g, b, a = (min(1.0, shade * by) for shade, by in zip(prop.rgba, tint, strict=True))
        half_m = scaled(prop.half_extents_m, factor)
        return msgspec.structs.replace(prop, half_extents_m=half_m, rgba=(r, g, b, a), parts=parts)

    def look(self, scene: Scene) -> Pictures:
        """What each camera sees of a single moment, as a JPEG."""
        self._arrange(scene)
        return {view.name: encode(self._picture(view, scene)) for view in self._viewpoints}

    def _arrange(self, scene: Scene) -> None:
        client = self._client
        tool = np.concatenate([scene.tool_pos_m, scene.tool_quat_xyzw])
        poses = self._kinematics.poses(scene.joint_pos_rad, float(scene.gripper), tool)
        for link, body in self._links:
            client.resetBasePositionAndOrientation(body, poses[link, :3, 3], quaternion(poses[link, :3, :3]))
        for name, body in self._props.items():
            pose = scene.objects[name]
            client.resetBasePositionAndOrientation(body, pose[:3], pose[3:])

    def _picture(self, view: Viewpoint, scene: Scene) -> NDArray[np.uint8]:
        client, size = self._client, self.size_px
        placed = client.computeViewMatrix(*view.placed(scene.tool_pos_m, scene.tool_quat_xyzw))
        projection = client.computeProjectionMatrixFOV(view.field_deg, 1.0, _NEAR_M, _FAR_M)
        _, _, colours, _, _ = client.getCameraImage(
            size,
            size,
            placed,
            projection,
            renderer=pybullet.ER_TINY_RENDERER,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            **self._light,
        )
        return np.reshape(np.asarray(colours, np.uint8), (size, size, 4))[..., :3]

    def close(self) -> None:
        """Disconnect the world that is drawn from; twice is fine."""
        if self._client.isConnected():
            self._client.disconnect()
