"""Arms by name: those that come with the project, those that others install, and any `module:factory`.

A driver is a factory: called with its options, texts by name, it returns a `Robot`. A package offers one by
an entry point of the group `robot_rlhf.robots`.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points

from hardware.robot import Robot, RobotError

GROUP = "robot_rlhf.robots"
OURS = {
    "fake": "hardware.drivers.fake:make",
    "franka": "hardware.drivers.franka:make",
    "ur": "hardware.drivers.ur:make",
}

Factory = Callable[..., Robot]


def names() -> list[str]:
    """Every driver that has a name here."""
    return sorted({*OURS, *(point.name for point in entry_points(group=GROUP))})


def make_driver(name: str, options: Mapping[str, str]) -> Robot:
    """The arm of the driver `name`, or of `module:factory`. Raises RobotError for a driver that is not there,
    one whose library is not installed, and options that it does not take."""
    factory = _factory(name)
    takes = inspect.signature(factory).parameters
    unknown = [option for option in options if option not in takes]
    if unknown:
        valid = ", ".join(takes) or "none"
        raise RobotError(f"the driver {name} has no option {unknown[0]!r} (there are {valid})")
    lacking = [option for option, how in takes.items() if how.default is how.empty and option not in options]
    if lacking:
        raise RobotError(f"the driver {name} needs the option {lacking[0]}=...")
    try:
        robot = factory(**options)
    except (ValueError, ModuleNotFoundError) as error:
        raise RobotError(f"the driver {name}: {error}") from error
    if not isinstance(robot, Robot):
        raise RobotError(f"the driver {name} made a {type(robot).__name__}, which is no Robot")
    return robot


def options_of(words: list[str]) -> dict[str, str]:
    """['host=10.0.0.1', ...] -> by name. Raises RobotError for a word without '='."""
    pairs = [word.partition("=") for word in words]
    for word, (name, sign, _) in zip(words, pairs, strict=True):
        if not name or not sign:
            raise RobotError(f"the option {word!r} must be name=value")
    return {name: value for name, _, value in pairs}


def _factory(name: str) -> Factory:
    if ":" in name:
        return _loaded(name, name)
    if name in OURS:
        return _loaded(name, OURS[name])
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    if not found:
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise RobotError(f"no driver {name!r}{hint} (there are {', '.join(names())}, or module:factory)")
    return _loaded(name, found[0].value)


def _loaded(name: str, where: str) -> Factory:
    module, _, attribute = where.partition(":")
    try:
        importlib.import_module(module)
        loaded: object = EntryPoint(name, where, GROUP).load()
    except (ModuleNotFoundError, AttributeError) as error:
        raise RobotError(f"the driver {name} ({module}:{attribute}) cannot be loaded: {error}") from error
    if not callable(loaded):
        raise RobotError(f"the driver {name} ({where}) is a {type(loaded).__name__}, which cannot be called")
    return loaded
