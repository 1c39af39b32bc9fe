"""An arm to be simulated: its URDF, which of its joints are what, and how hard they may push.

Everything else about it (`sim.arm`, the tasks, the console's drawing, the camera) is the same for all. An
arm is a file of its own under sim/arms/ and a line in ARMS.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardware.robot import RobotSpec

Rgb = tuple[float, float, float]
Place = tuple[tuple[float, ...], tuple[float, ...]]
"""Position in m and quaternion xyzw."""

ARMS: Mapping[str, str] = {"panda": "sim.arms.panda:PANDA", "iiwa": "sim.arms.iiwa:IIWA"}

_HERE = Path(__file__).parent


@dataclass(frozen=True, eq=False)
class ArmModel:
    """What is particular to one arm. Its name is `spec.name`; `spec.joint_names` are those of the URDF, where
    they come before the fingers'."""

    spec: RobotSpec
    urdf: str
    """A file in pybullet_data, or one beside this, whose package:// is pybullet_data."""
    tool: str
    """The link that is driven, whose z axis looks out of the hand and whose y axis the fingers move along."""
    fingers: tuple[str, str]
    """The joints of the fingers."""
    finger_open_m: float
    """How far each goes."""
    home_rad: tuple[float, ...]
    """The posture that it rests in, and that spare joints are drawn towards."""
    torque_nm: tuple[float, ...]
    """The greatest of each joint's motor."""
    base_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where it stands in the frame of all poses, whose z = 0 is the table."""
    colours: Mapping[str, Rgb] = field(default_factory=dict)
    """How links are drawn, by name, where not in the light grey of the others."""

    def load(self, client: Any, flags: int = 0) -> LoadedArm:
        """Put it into a physics client, link by link. Raises ValueError where the URDF has not what is named
        here."""
        body, infos = self._put(client, flags)
        joints = {info[1].decode(): index for index, info in enumerate(infos)}
        links = {info[12].decode(): index for index, info in enumerate(infos)}
        if lacking := {*self.spec.joint_names, *self.fingers} - set(joints) or {self.tool} - set(links):
            raise ValueError(f"{self.urdf} has no {sorted(lacking)[0]!r}")
        expected = [joints[name] for name in (*self.spec.joint_names, *self.fingers)]
        if [index for index, info in enumerate(infos) if info[2] != client.JOINT_FIXED] != expected:
            raise ValueError(
                f"{self.urdf}: the joints that move must be {[*self.spec.joint_names, *self.fingers]}"
            )
        return LoadedArm(body, tuple(expected[:-2]), (expected[-2], expected[-1]), links[self.tool])

    def load_merged(self, client: Any, flags: int = 0) -> LoadedArm:
        """Put the same arm there with a link a joint: what is fixed to a link is a part of it, its `tool` is
        the last joint's, and a physics step takes an eighth less. Raises as `load` does."""
        from sim.bullet import quiet

        assert self._tool_on_last_link  # whatever is wrong with the URDF is said first
        with quiet(1):  # PyBullet tells of every link
            body, _ = self._put(client, flags | client.URDF_MERGE_FIXED_LINKS)
        count = len(self.spec.joint_names)
        return LoadedArm(
            body, tuple(range(count)), (count, count + 1), count - 1, tool_on_link=self._tool_on_last_link
        )

    def _put(self, client: Any, flags: int) -> tuple[int, list[Any]]:
        with _readable(self.urdf) as path:
            body = client.loadURDF(str(path), basePosition=self.base_m, useFixedBase=True, flags=flags)
        return body, [client.getJointInfo(body, index) for index in range(client.getNumJoints(body))]

    @functools.cached_property
    def _tool_on_last_link(self) -> Place:
        """Where the tool is in the frame of the last joint's link, to which it must be fixed."""
        from sim.bullet import BulletClient, pybullet, pybullet_data, quiet

        with quiet(1):
            client: Any = BulletClient(connection_mode=pybullet.DIRECT)
        try:
            client.setAdditionalSearchPath(pybullet_data.getDataPath())
            arm = self.load(
                client, pybullet.URDF_IGNORE_VISUAL_SHAPES | pybullet.URDF_IGNORE_COLLISION_SHAPES
            )
            above = arm.tool
            while above != arm.joints[-1]:
                info = client.getJointInfo(arm.body, above)
                if info[2] != pybullet.JOINT_FIXED:
                    raise ValueError(f"{self.urdf}: {self.tool!r} must be fixed to the last joint's link")
                above = info[16]
            link, tool = (
                client.getLinkState(arm.body, index, computeForwardKinematics=True)[4:6]
                for index in (above, arm.tool)
            )
            return pybullet.multiplyTransforms(*pybullet.invertTransform(*link), *tool)
        finally:
            client.disconnect()


@dataclass(frozen=True)
class LoadedArm:
    """Where an arm is in a physics client: its body, the indices of its joints, fingers and the link that the
    tool is a part of, and where on that link it is."""

    body: int
    joints: tuple[int, ...]
    fingers: tuple[int, int]
    tool: int
    tool_on_link: Place = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def make_arm(name: str) -> ArmModel:
    """The arm of that name; ValueError names those that there are."""
    if name not in ARMS:
        near = difflib.get_close_matches(name, ARMS, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"no arm named {name!r}{hint} (there are {', '.join(ARMS)})")
    module, attribute = ARMS[name].split(":")
    model: ArmModel = getattr(importlib.import_module(module), attribute)
    return model


@contextlib.contextmanager
def _readable(urdf: str) -> Iterator[Path]:
    """A file that PyBullet finds the meshes of; it looks for them nowhere but around the URDF."""
    from sim.bullet import pybullet_data  # an arm has a name and a spec without PyBullet too

    data = Path(pybullet_data.getDataPath())
    if not (_HERE / urdf).exists():
        yield data / urdf
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / urdf
        path.write_text(
            (_HERE / urdf).read_text(encoding="utf-8").replace("package:/", str(data)), encoding="utf-8"
        )
        yield path
