"""Train a robot arm's policy from a person's feedback.

Importing this registers the tasks with Gymnasium, where that is installed, so that
`gymnasium.make("robot_rlhf:RobotRlhf/PickCube-v0")` works. Nothing heavier is loaded: the environments
are named by strings and imported when one is made.
"""

from __future__ import annotations

from collections.abc import Mapping

__version__ = "0.1.0"

ENVIRONMENTS: Mapping[str, str] = {
    "RobotRlhf/Reach-v0": "reach",
    "RobotRlhf/Push-v0": "push",
    "RobotRlhf/PickCube-v0": "pick_cube",
    "RobotRlhf/PickPlace-v0": "pick_place",
    "RobotRlhf/PickPlaceVase-v0": "pick_place_vase",
    "RobotRlhf/Stack-v0": "stack",
    "RobotRlhf/PegInsert-v0": "peg_insert",
    "RobotRlhf/PlaceBar-v0": "place_bar",
    "RobotRlhf/DrawerOpen-v0": "drawer_open",
}
"""Gymnasium's name of an environment -> the task in it."""


def _register() -> None:
    """The environments end their episodes themselves, so Gymnasium is given no step limit."""
    try:
        import gymnasium
    except ModuleNotFoundError as error:
        if error.name != "gymnasium":
            raise
        return
    for name, task in ENVIRONMENTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point="sim.pictured:make_env", kwargs={"task": task})


_register()
