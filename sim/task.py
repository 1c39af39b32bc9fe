"""What a task is: how a scene is laid out, what is seen of it, what success is, how it is done.

Everything but the layout is a pure function of `hardware.scene.Scene` with any leading dimensions, so
a moment and a whole stored episode are judged by the same line of code. No physics is imported here.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.geometry import columns

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """A box that a prop is made of: half its sides, and its middle in the prop's frame."""

    half_extents_m: tuple[float, float, float]
    at_m: tuple[float, float, float]


@dataclass(frozen=True)
class Slide:
    """How a prop hangs in a fixed one: `at_m` in its frame when it is shut, from there up to `reach_m` along
    `axis`, a unit vector in that frame, against `friction_n`."""

    on: str
    at_m: tuple[float, float, float]
    axis: tuple[float, float, float]
    reach_m: float
    friction_n: float


@dataclass(frozen=True)
class Prop:
    """A thing on the table: a box that physics moves, one that is `fixed` where it was put, one that `slides`
    in a fixed one that is named before it, or a marker (mass 0) that is only seen.

    `half_extents_m` are half the box's sides; where it is made of `parts`, half the sides of the whole.
    """

    name: str
    half_extents_m: tuple[float, float, float]
    rgba: tuple[float, float, float, float]
    mass_kg: float = 0.0
    friction: float = 1.0
    fixed: bool = False
    slides: Slide | None = None
    parts: tuple[Part, ...] = ()

    @property
    def is_marker(self) -> bool:
        return self.mass_kg == 0.0 and not self.fixed

    @property
    def boxes(self) -> tuple[Part, ...]:
        """What it is made of, itself where it is one box."""
        return self.parts or (Part(self.half_extents_m, (0.0, 0.0, 0.0)),)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where an episode starts: the tool (m) and every prop's pose (7,), m and xyzw."""

    tool_pos_m: Array
    poses: Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Waypoint:
    """Where the hand should go next. `gripper` is 0 to close, 1 to open; `precise` asks for slow, exact
    motion; `stage` counts up as the task gets on, for those who watch; `yaw_rad` is how far the hand should
    be turned, as `tool_yaw` has it, None where it may stay as it is."""

    pos_m: Array
    gripper: float
    precise: bool
    stage: int
    yaw_rad: float | None = None


class Task(Protocol):
    """A task; each lives in a file of its own under sim/tasks/."""

    @property
    def name(self) -> str: ...
    @property
    def goal(self) -> str: ...
    @property
    def horizon_s(self) -> float: ...
    @property
    def props(self) -> tuple[Prop, ...]: ...
    @property
    def uses_gripper(self) -> bool: ...
    @property
    def turns(self) -> bool:
        """Whether the action has a fifth number, which turns the tool about the vertical; such a task uses
        the gripper."""
        ...

    def layout(self, rng: np.random.Generator) -> Layout:
        """A random start."""
        ...

    def observe(self, scene: Scene) -> NDArray[np.float32]:
        """What a policy sees, (..., n) float32, roughly of unit size."""
        ...

    def utility(self, scene: Scene) -> Array:
        """How good a moment is, (...), 0 to 1: the task's own reward and an operator's hidden opinion.
        A learner never sees it unless told to learn from the task's reward."""
        ...

    def success(self, scene: Scene) -> NDArray[np.bool_]:
        """Whether the goal holds at a moment, (...). An episode succeeds when it has held for 0.5 s."""
        ...

    def expert(self, scene: Scene) -> Waypoint:
        """The scripted way from a single moment on; it recovers from anything within reach."""
        ...


def proprioception(scene: Scene, task: Task) -> NDArray[np.float32]:
    """What an arm knows of itself at a moment, (..., 6), (..., 8) or (..., 9) float32 of about unit size: its
    tool's place and velocity, with a gripper its opening and the one that is wanted, and where it turns, how
    far. What a policy with cameras gets beside their pictures."""
    columns = [(scene.tool_pos_m - np.array([0.5, 0.0, 0.15])) * 5, scene.tool_vel_m_s * 5]
    if task.uses_gripper:
        columns.append(np.stack([scene.gripper * 2 - 1, scene.gripper_target * 2 - 1], axis=-1))
    if task.turns:
        columns.append(tool_yaw(scene)[..., None])
    return np.concatenate(columns, axis=-1).astype(np.float32)


SUCCESS_HOLD_S = 0.5
FULL_TURN_RAD_S = 0.8
"""What a full turn of the stick means, for the policy as for a person."""

BARE = "bare"
"""No task at all: an empty table, for driving freely."""
TASKS: Mapping[str, str] = {
    "reach": "sim.tasks.reach:Reach",
    "push": "sim.tasks.push:Push",
    "pick_cube": "sim.tasks.pick_cube:PickCube",
    "pick_place": "sim.tasks.pick_place:PickPlace",
    "pick_place_vase": "sim.tasks.pick_place_vase:PickPlaceVase",
    "stack": "sim.tasks.stack:Stack",
    "peg_insert": "sim.tasks.peg_insert:PegInsert",
    "place_bar": "sim.tasks.place_bar:PlaceBar",
    "drawer_open": "sim.tasks.drawer_open:DrawerOpen",
}


def make_task(name: str) -> Task:
    """The task of that name, or of that name and style (as `pick_cube/low`, see `sim.styles`); ValueError
    names the valid ones."""
    if name == BARE:
        return _loaded("sim.tasks.bare:Bare")
    styles = importlib.import_module("sim.styles")
    plain, slash, _ = name.partition("/")
    if plain not in TASKS or (slash and name not in styles.STYLES):
        valid = [*TASKS, *styles.STYLES]
        near = difflib.get_close_matches(name, valid, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"no task named {name!r}{hint} (there are {', '.join(valid)})")
    task = _loaded(TASKS[plain])
    return styles.Styled(task, name) if slash else task


def _loaded(where: str) -> Task:
    module, attribute = where.split(":")
    task: Task = getattr(importlib.import_module(module), attribute)()
    return task


def tool_yaw(scene: Scene) -> Array:
    """(...) rad that the tool is turned about the vertical, counterclockwise from above, while it looks
    down."""
    x, y, _, _ = columns(scene.tool_quat_xyzw)
    return np.asarray(2 * np.arctan2(y * np.sign(x), np.abs(x)))


def pose(x: float, y: float, z: float, yaw: float = 0.0) -> Array:
    """A (7,) pose in m and xyzw, turned by `yaw` rad about the vertical."""
    return np.array([x, y, z, 0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)])
