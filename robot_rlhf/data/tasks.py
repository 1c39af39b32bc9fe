"""What a dataset has to know of a task: its sizes and the names of its numbers. No physics is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hardware.scene import JOINTS, Scene
from robot_rlhf import ENVIRONMENTS
from robot_rlhf.data.errors import DataError
from robot_rlhf.data.observations import blocks
from sim.task import Layout, Task, make_task, proprioception

_AXES = ("velocity_x", "velocity_y", "velocity_z", "gripper", "turning_rate")


@dataclass(frozen=True)
class TaskFacts:
    """A task as a dataset describes it: `obs_size` numbers an observation, `action_size` an action,
    `scene_size` a row of `hardware.scene.Scene`, and Gymnasium's name of its environment. Where it `sees`
    with cameras, an observation is what the arm knows of itself alone."""

    name: str
    goal: str
    obs_size: int
    action_size: int
    scene_size: int
    environment: str | None
    sees: bool = False

    @property
    def action_names(self) -> list[str]:
        """What the numbers of an action are."""
        known = _AXES[: self.action_size]
        return [*known, *(f"action_{index}" for index in range(len(known), self.action_size))]

    @property
    def obs_names(self) -> list[str]:
        """What the numbers of an observation are."""
        return [name for block in blocks(self.name, self.obs_size, self.sees) for name in block.names]


def task_facts(name: str, sees: bool = False) -> TaskFacts:
    """Of the task of that name, for a policy that is told where things are or that `sees` them. DataError
    names the valid ones."""
    try:
        task = make_task(name)
    except ValueError as error:
        raise DataError(str(error)) from error
    scene = _start(task, task.layout(np.random.default_rng(0)))
    plain = {task: environment for environment, task in ENVIRONMENTS.items()}
    return TaskFacts(
        name=task.name,
        goal=task.goal,
        obs_size=(proprioception(scene, task) if sees else task.observe(scene)).shape[-1],
        action_size=3 + task.uses_gripper + task.turns,
        scene_size=len(scene.pack()),
        environment=plain.get(task.name.partition("/")[0]),
        sees=sees,
    )


def scene_of(task: Task, rows: NDArray[np.float32]) -> Scene:
    """Scene rows (..., k) of a task, unpacked."""
    return Scene.unpack(rows, [prop.name for prop in task.props])


def _start(task: Task, layout: Layout) -> Scene:
    """The scene in which an episode of that layout begins, as far as its size goes."""
    return Scene(
        joint_pos_rad=np.zeros(JOINTS),
        gripper=np.asarray(1.0),
        gripper_target=np.asarray(1.0),
        tool_pos_m=np.asarray(layout.tool_pos_m, dtype=np.float64),
        tool_quat_xyzw=np.array([1.0, 0.0, 0.0, 0.0]),
        tool_vel_m_s=np.zeros(3),
        objects={prop.name: np.asarray(layout.poses[prop.name]) for prop in task.props},
    )


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names for a message, the first `most` of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
