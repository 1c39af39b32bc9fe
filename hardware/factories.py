"""What others bring along by name: a factory `module:factory`, called with its options, texts by name."""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hardware.robot import RobotError

Factory = Callable[..., Any]

_EXPLAINS_ITSELF = (RobotError, OSError, ValueError, ImportError, SyntaxError)


def load(where: str, what: str) -> Factory:
    """The factory that is `module:factory`. Raises RobotError, which calls it `what`, where it is not there
    or cannot be called."""
    named = what if what.endswith(where) else f"{what} ({where})"
    module, _, attribute = where.partition(":")
    try:
        loaded: object = importlib.import_module(module)
        for name in attribute.split("."):
            loaded = getattr(loaded, name)
    except Exception as error:
        raise RobotError(f"{named} cannot be loaded: {in_words(error)}") from error
    if not callable(loaded):
        raise RobotError(f"{named} is a {type(loaded).__name__}, which cannot be called")
    return loaded


def make(factory: Factory, options: Mapping[str, str], what: str) -> Any:
    """What it makes. Raises RobotError, which calls it `what`, for options that it does not take, and for
    whatever it raises: values that it refuses, a library or a device that is not there."""
    try:
        takes = inspect.signature(factory).parameters
    except ValueError as error:  # one that is written in C
        raise RobotError(f"{what}: {error}") from error
    unknown = [option for option in options if option not in takes]
    if unknown:
        valid = ", ".join(takes) or "none"
        raise RobotError(f"{what} has no option {unknown[0]!r} (there are {valid})")
    lacking = [option for option, how in takes.items() if how.default is how.empty and option not in options]
    if lacking:
        raise RobotError(f"{what} needs the option {lacking[0]}=...")
    try:
        return factory(**options)
    except RobotError:
        raise
    except Exception as error:
        raise RobotError(f"{what}: {in_words(error)}") from error


def in_words(error: Exception) -> str:
    """What came out of a call of somebody else's code, in one line. An error that arose further inside, and
    is not of those that explain themselves, is told with its kind and place."""
    said = " ".join(str(error).split())
    inside = traceback.extract_tb(error.__traceback__)[1:]
    if said and (not inside or isinstance(error, _EXPLAINS_ITSELF)):
        return said
    kind = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return f"{kind} ({Path(inside[-1].filename).name}:{inside[-1].lineno})" if inside else kind
