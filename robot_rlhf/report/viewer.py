"""A run for the Rerun viewer: the arm, the things on the table, cameras, actions and what was said, in time.

Episodes follow each other on the timeline `time`, with a second between them; `step` counts within one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hardware.appearance import Link, SceneDescription
from hardware.scene import Scene
from robot_rlhf.feedback.episode import Episode
from robot_rlhf.feedback.store import StoredEvent
from robot_rlhf.feedback.types import Driver, Evaluation, Takeover

if TYPE_CHECKING:
    import rerun

Array = NDArray[np.float64]

_PAUSE_S = 1.0
_DRIVERS = {driver.value: driver.name.lower() for driver in Driver}


class RunLog:
    """Writes episodes, one after another, into a Rerun recording."""

    def __init__(self, recording: rerun.RecordingStream, description: SceneDescription, hz: float) -> None:
        self._out, self._description, self._hz = recording, description, hz
        self._began_s = 0.0
        self._paths = _paths(description.links)
        self._describe()

    def _describe(self) -> None:
        """What stays as it is: shapes, the table, the space that the tool may be in."""
        import rerun as rr

        what = self._description
        self._out.log("scene", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        for index, mesh in enumerate(what.meshes):
            shape = rr.Mesh3D(
                vertex_positions=mesh.vertices_m(),
                triangle_indices=mesh.corners().astype(np.uint32),
                albedo_factor=[*mesh.rgb, 1.0],
            )
            self._out.log(f"{self._paths[mesh.link]}/mesh_{index}", shape, static=True)
        for prop in what.props:
            boxes = rr.Boxes3D(
                half_sizes=[box.half_extents_m for box in prop.boxes],
                centers=[box.at_m for box in prop.boxes],
                colors=[prop.rgba] * len(prop.boxes),
                fill_mode="solid",
            )
            self._out.log(f"scene/things/{prop.name}", boxes, static=True)
        for name, low, high in (
            (
                "table",
                (*what.table.low_m, what.table.height_m - 0.02),
                (*what.table.high_m, what.table.height_m),
            ),
            ("workspace", what.workspace_low_m, what.workspace_high_m),
        ):
            low_m, high_m = np.array(low), np.array(high)
            box = rr.Boxes3D(
                half_sizes=[(high_m - low_m) / 2],
                centers=[(high_m + low_m) / 2],
                fill_mode="solid" if name == "table" else "majorwireframe",
            )
            self._out.log(f"scene/{name}", box, static=True)

    def add(
        self, episode: Episode, events: Iterable[StoredEvent], pictures: Mapping[str, Sequence[bytes]]
    ) -> None:
        """Write an episode, what was said of it, and what each camera saw."""
        import rerun as rr

        scene = Scene.unpack(episode.scenes, [prop.name for prop in self._description.props])
        for step in range(episode.length + 1):
            self._at(step)
            self._arm(scene, step)
            for name, poses in scene.objects.items():
                moved = rr.Transform3D(translation=poses[step, :3], quaternion=poses[step, 3:])
                self._out.log(f"scene/things/{name}", moved)
            for camera, frames in pictures.items():
                seen = rr.EncodedImage(contents=frames[step], media_type="image/jpeg")
                self._out.log(f"cameras/{camera}", seen)
            if step < episode.length:
                self._out.log("action/executed", rr.Scalars(episode.action[step]))
                self._out.log("action/proposed", rr.Scalars(episode.proposed[step]))
                self._out.log("driver", rr.Scalars(float(episode.driver[step])))
        self._at(0)
        self._say(f"episode {episode.id}, {episode.role.value}, seed {episode.seed}")
        for event in events:
            self._at(_when(event, episode.length))
            self._say(f"{event.operator}: {event}")
        self._began_s += (episode.length + 1) / self._hz + _PAUSE_S

    def _at(self, step: int) -> None:
        self._out.set_time("time", duration=self._began_s + step / self._hz)
        self._out.set_time("step", sequence=step)

    def _say(self, text: str) -> None:
        import rerun as rr

        self._out.log("said", rr.TextLog(text))

    def _arm(self, scene: Scene, step: int) -> None:
        """Each link in its parent's frame, and the tool in the room's."""
        import rerun as rr

        joints, gripper = scene.joint_pos_rad[step], float(np.asarray(scene.gripper)[step])
        for link, path in zip(self._description.links, self._paths, strict=True):
            position, turn = link_pose(link, joints, gripper)
            self._out.log(path, rr.Transform3D(translation=position, quaternion=turn))
        tool = rr.Transform3D(translation=scene.tool_pos_m[step], quaternion=scene.tool_quat_xyzw[step])
        self._out.log("scene/tool", tool)


def link_pose(link: Link, joint_pos_rad: Array, gripper: float) -> tuple[Array, Array]:
    """Where a link lies in its parent's frame: position (3,) in m and quaternion xyzw (4,)."""
    position, turn = np.array(link.origin_pos_m), np.array(link.origin_quat_xyzw)
    axis = np.array(link.axis)
    if link.slide_m:
        position = position + turned(turn, link.slide_m * float(np.clip(gripper, 0.0, 1.0)) * axis)
    if link.turned_by_joint is not None:
        turn = product(turn, _about(axis, float(joint_pos_rad[link.turned_by_joint])))
    return position, turn


def _paths(links: Sequence[Link]) -> list[str]:
    """Where each link hangs: below its parent, so that it goes along."""
    paths: list[str] = []
    for link in links:
        above = "scene/tool" if link.at_tool else "scene/arm" if link.parent < 0 else paths[link.parent]
        paths.append(f"{above}/{link.name}")
    return paths


def _when(event: StoredEvent, length: int) -> int:
    """The step of the episode that an event is about; its end where it is about all of it."""
    match event:
        case Evaluation(step=step):
            return step
        case Takeover(executed=executed):
            return executed.start
        case _:
            return length


def _about(axis: Array, angle_rad: float) -> Array:
    return np.append(axis * math.sin(angle_rad / 2), math.cos(angle_rad / 2))


def product(first: Array, second: Array) -> Array:
    """The quaternion xyzw of turning by `second`, seen from a frame that is turned by `first`."""
    a, b = first[:3], second[:3]
    return np.append(first[3] * b + second[3] * a + np.cross(a, b), first[3] * second[3] - a @ b)


def turned(quat_xyzw: Array, vector: Array) -> Array:
    """A vector (3,) that is turned by a unit quaternion."""
    across = 2.0 * np.cross(quat_xyzw[:3], vector)
    return np.asarray(vector + quat_xyzw[3] * across + np.cross(quat_xyzw[:3], across))
