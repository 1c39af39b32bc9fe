"""Arms by name: those that come with the project, those that others install, and any `module:factory`.

A driver is a factory: called with its options, texts by name, it returns a `Robot`. A package offers one by
an entry point of the group `robot_rlhf.robots`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib.metadata import entry_points

from hardware import factories
from hardware.robot import Robot, RobotError

GROUP = "robot_rlhf.robots"
OURS = {
    "fake": "hardware.drivers.fake:make",
    "franka": "hardware.drivers.franka:make",
    "ur": "hardware.drivers.ur:make",
}


def names() -> list[str]:
    """Every driver that has a name here."""
    return sorted({*OURS, *(point.name for point in entry_points(group=GROUP))})


def make_driver(name: str, options: Mapping[str, str]) -> Robot:
    """The arm of the driver `name`, or of `module:factory`. Raises RobotError for a driver that is not there,
    one whose library is not installed, and options that it does not take."""
    what = f"the driver {name}"
    robot = factories.make(factories.load(_where(name), what), options, what)
    if not isinstance(robot, Robot):
        raise RobotError(f"{what} made a {type(robot).__name__}, which is no Robot")
    return robot


def options_of(words: list[str]) -> dict[str, str]:
    """['host=10.0.0.1', ...] -> by name. Raises RobotError for a word without '='."""
    pairs = [word.partition("=") for word in words]
    for word, (name, sign, _) in zip(words, pairs, strict=True):
        if not name or not sign:
            raise RobotError(f"the option {word!r} must be name=value")
    return {name: value for name, _, value in pairs}


def _where(name: str) -> str:
    """`module:factory` of a driver."""
    if ":" in name:
        return name
    if name in OURS:
        return OURS[name]
    for point in entry_points(group=GROUP):
        if point.name == name:
            return point.value
    near = difflib.get_close_matches(name, names(), n=1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    raise RobotError(f"no driver {name!r}{hint} (there are {', '.join(names())}, or module:factory)")
