"""A PyBullet world: bodies, time, and its state out and in.

Time moves only when somebody waits on the world's clock, so the same control loop runs here in lockstep
and on a real arm in real time. Nothing here opens a window or loads a renderer.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sim.bullet import BulletClient, pybullet, pybullet_data, quiet
from sim.task import Prop

Array = NDArray[np.float64]

_SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # PyBullet saves to files only
TIMESTEP_NS = 5_000_000  # 200 Hz; docs/simulation.md shows what others change


class SimState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything needed to go on from a moment, in this world or another one with the same bodies, also in
    another process."""

    bullet: bytes
    time_ns: int
    still: Mapping[str, tuple[float, ...]]
    controllers: tuple[bytes, ...]


class World:
    """One physics client with the table top at z = 0. It is also a `hardware.clock.Clock`."""

    def __init__(self, props: tuple[Prop, ...] = ()) -> None:
        with quiet(1):
            self.client: Any = BulletClient(connection_mode=pybullet.DIRECT)
        self.client.setPhysicsEngineParameter(
            fixedTimeStep=TIMESTEP_NS / 1e9, numSolverIterations=40, deterministicOverlappingPairs=1
        )
        self.client.setGravity(0, 0, -9.81)
        self.client.setAdditionalSearchPath(pybullet_data.getDataPath())
        # A solid box: a pushed cube sinks up to 15 mm into PyBullet's plane.
        table = self.client.createCollisionShape(pybullet.GEOM_BOX, halfExtents=[1.0, 1.0, 0.25])
        self.table = self.client.createMultiBody(
            baseCollisionShapeIndex=table, basePosition=[0.5, 0.0, -0.25]
        )
        self.client.changeDynamics(self.table, -1, lateralFriction=0.6)
        self.props = props
        self.bodies: dict[str, int] = {}
        self._slides: dict[str, tuple[int, int]] = {}  # name -> body, and link of it
        self._markers: dict[str, Array] = {}
        self._controllers: list[tuple[Callable[[], int], Callable[[], bytes], Callable[[bytes], None]]] = []
        self._time_ns = 0
        self.moment = 0
        """Another number whenever things may be elsewhere: what was measured in the same one still holds."""
        # bound once: a client looks every name up anew
        self._step, self._link_state = self.client.stepSimulation, self.client.getLinkState
        self._base_pose = self.client.getBasePositionAndOrientation
        for prop in props:
            self._add(prop)
        self._initial: int | None = None

    def _add(self, prop: Prop) -> None:
        if prop.is_marker:
            self._markers[prop.name] = np.array([0.0, 0, 0, 0, 0, 0, 1])
            return
        if prop.slides is not None:
            return  # it comes with what it slides in
        hung = [other for other in self.props if other.slides is not None and other.slides.on == prop.name]
        slides = [other.slides for other in hung if other.slides is not None]
        count, nowhere, straight = len(hung), [0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]
        body = self.client.createMultiBody(
            baseMass=prop.mass_kg,
            baseCollisionShapeIndex=self._shape(prop),
            basePosition=[0.5, 0.0, prop.half_extents_m[2]],
            linkMasses=[other.mass_kg for other in hung],
            linkCollisionShapeIndices=[self._shape(other) for other in hung],
            linkVisualShapeIndices=[-1] * count,
            linkPositions=[slide.at_m for slide in slides],
            linkOrientations=[straight] * count,
            linkInertialFramePositions=[nowhere] * count,
            linkInertialFrameOrientations=[straight] * count,
            linkParentIndices=[0] * count,
            linkJointTypes=[pybullet.JOINT_PRISMATIC] * count,
            linkJointAxis=[slide.axis for slide in slides],
        )
        for link, thing in enumerate((prop, *hung), start=-1):
            # no torsional friction: in it every corner on the table is three rows more for the solver
            self.client.changeDynamics(body, link, lateralFriction=thing.friction)
        for link, (other, slide) in enumerate(zip(hung, slides, strict=True)):
            self.client.changeDynamics(body, link, jointLowerLimit=0.0, jointUpperLimit=slide.reach_m)
            self.client.setJointMotorControl2(
                body, link, pybullet.VELOCITY_CONTROL, targetVelocity=0.0, force=slide.friction_n
            )
            self._slides[other.name] = body, link
        self.bodies[prop.name] = body

    def make_of(self, prop: Prop) -> None:
        """From now on `prop`, which has the name and the shape of one that is there, weighs what it says and
        is as rough as it says."""
        body, link = self._slides.get(prop.name) or (self.bodies[prop.name], -1)
        self.client.changeDynamics(body, link, mass=prop.mass_kg, lateralFriction=prop.friction)

    def _shape(self, prop: Prop) -> int:
        boxes = prop.boxes
        shape: int = self.client.createCollisionShapeArray(
            shapeTypes=[pybullet.GEOM_BOX] * len(boxes),
            halfExtents=[box.half_extents_m for box in boxes],
            collisionFramePositions=[box.at_m for box in boxes],
        )
        return shape

    def attach(
        self, control: Callable[[], int], save: Callable[[], bytes], restore: Callable[[bytes], None]
    ) -> None:
        """Have `control` called before physics steps: whenever somebody begins to wait, and again after as
        many steps as it returns, at the latest. `save` and `restore` carry what it remembers."""
        self._controllers.append((control, save, restore))

    # -- time ---------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """Simulated time in ns."""
        return self._time_ns

    def wait_until(self, deadline_ns: int) -> int:
        """Step physics up to `deadline_ns`; a simulation is never late, so it returns 0."""
        step, left = self._step, (deadline_ns - self._time_ns) // TIMESTEP_NS
        while left > 0:
            steps = min([left, *(control() for control, _, _ in self._controllers)])
            for _ in range(steps):
                step()
            self._time_ns += steps * TIMESTEP_NS
            self.moment += 1
            left -= steps
        return 0

    # -- things -------------------------------------------------------------------------------------

    def place(self, name: str, pose: Array) -> None:
        """Put a prop at rest at `pose` (7,): position in m, quaternion xyzw; one that slides, after what it
        slides in and as far out as is nearest to it."""
        if name in self._markers:
            self._markers[name] = np.array(pose, dtype=np.float64)
            return
        if name in self._slides:
            body, link = self._slides[name]
            slide = next(prop.slides for prop in self.props if prop.name == name)
            assert slide is not None
            self.client.resetJointState(body, link, 0.0)
            shut, turn = self.client.getLinkState(body, link, computeForwardKinematics=True)[4:6]
            turned = np.reshape(self.client.getMatrixFromQuaternion(turn), (3, 3)) @ np.array(slide.axis)
            out = float(np.clip((pose[:3] - np.array(shut)) @ turned, 0.0, slide.reach_m))
            self.client.resetJointState(body, link, out)
            return
        if name not in self.bodies:
            raise ValueError(f"no prop named {name!r}; there are {[prop.name for prop in self.props]}")
        body = self.bodies[name]
        self.client.resetBasePositionAndOrientation(body, pose[:3], pose[3:])
        self.client.resetBaseVelocity(body, [0, 0, 0], [0, 0, 0])

    def poses(self) -> dict[str, Array]:
        """name -> (7,) of every prop, in the order in which they were given."""
        found: dict[str, Array] = {}
        for prop in self.props:
            if prop.is_marker:
                found[prop.name] = self._markers[prop.name]
            elif prop.name in self._slides:
                body, link = self._slides[prop.name]
                state = self._link_state(body, link, computeForwardKinematics=True)
                found[prop.name] = np.array(state[4] + state[5])
            else:
                position, quaternion = self._base_pose(self.bodies[prop.name])
                found[prop.name] = np.array(position + quaternion)
        return found

    # -- state --------------------------------------------------------------------------------------

    def seal(self) -> None:
        """Call once all bodies are there: `rewind` comes back to this moment. A few steps come first, since
        PyBullet's very first ones leave caches behind that a saved state does not carry."""
        for _ in range(5):
            self.client.stepSimulation()
        self._initial = self.client.saveState()
        self.moment += 1

    def rewind(self) -> None:
        """Back to the sealed moment, time 0, so that an episode owes nothing to the ones before it."""
        if self._initial is None:
            raise ValueError("rewind() before seal(): seal the world once its bodies are there")
        self.client.restoreState(stateId=self._initial)
        self._time_ns = 0
        self.moment += 1

    def save(self) -> SimState:
        """The whole state, contacts included."""
        with tempfile.TemporaryDirectory(dir=_SCRATCH) as folder:
            path = Path(folder) / "state.bullet"
            self.client.saveBullet(str(path))
            blob = path.read_bytes()
        fixed = {
            prop.name: pose
            for prop, pose in zip(self.props, self.poses().values(), strict=True)
            if prop.mass_kg == 0.0
        }
        still = {name: tuple(pose.tolist()) for name, pose in fixed.items()}
        return SimState(blob, self._time_ns, still, tuple(save() for _, save, _ in self._controllers))

    def restore(self, state: SimState) -> None:
        """Go on from `state`, which may come from another world with the same bodies."""
        for name, pose in state.still.items():  # what has no mass, PyBullet's own state leaves out
            self.place(name, np.array(pose))
        with tempfile.TemporaryDirectory(dir=_SCRATCH) as folder:
            path = Path(folder) / "state.bullet"
            path.write_bytes(state.bullet)
            self.client.restoreState(fileName=str(path))
        self._time_ns = state.time_ns
        self.moment += 1
        for (_, _, restore), memory in zip(self._controllers, state.controllers, strict=True):
            restore(memory)

    def close(self) -> None:
        """Disconnect the physics client; twice is fine."""
        if self.client is not None and self.client.isConnected():
            self.client.disconnect()
