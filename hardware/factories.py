"""What others bring along by name: a factory `module:factory`, called with its options, texts by name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from hardware.robot import RobotError

Factory = Callable[..., Any]


def load(where: str, what: str) -> Factory:
    """The factory that is `module:factory`. Raises RobotError, which calls it `what`, where it is not there
    or cannot be called."""
    module, _, attribute = where.partition(":")
    try:
        loaded: object = importlib.import_module(module)
        for name in attribute.split("."):
            loaded = getattr(loaded, name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise RobotError(f"{what} ({where}) cannot be loaded: {error}") from error
    if not callable(loaded):
        raise RobotError(f"{what} ({where}) is a {type(loaded).__name__}, which cannot be called")
    return loaded


def make(factory: Factory, options: Mapping[str, str], what: str) -> Any:
    """What it makes. Raises RobotError, which calls it `what`, for options that it does not take, values that
    it refuses, and a library that is not installed."""
    takes = inspect.signature(factory).parameters
    unknown = [option for option in options if option not in takes]
    if unknown:
        valid = ", ".join(takes) or "none"
        raise RobotError(f"{what} has no option {unknown[0]!r} (there are {valid})")
    lacking = [option for option, how in takes.items() if how.default is how.empty and option not in options]
    if lacking:
        raise RobotError(f"{what} needs the option {lacking[0]}=...")
    try:
        return factory(**options)
    except (ValueError, ModuleNotFoundError) as error:
        raise RobotError(f"{what}: {error}") from error
