"""A run's settings as flags name them: laid over one another, and compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from robot_rlhf.commands.usage import UsageError
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import load_config

INLINED = ("settings", "run", "wire", "remote", "look", "spread")
"""Groups of arguments whose flags have no prefix."""


def settings_of(value: Any, prefix: str = "") -> dict[str, Any]:
    """A dataclass's settings by their dotted names, those of nested ones included."""
    found: dict[str, Any] = {}
    for item in dataclasses.fields(value):
        inner = getattr(value, item.name)
        if dataclasses.is_dataclass(inner):
            found |= settings_of(inner, prefix if item.name in INLINED else f"{prefix}{item.name}.")
        else:
            found[prefix + item.name] = inner
    return found


def flag(name: str) -> str:
    """The flag of a setting: 'schedule.final_episodes' -> '--schedule.final-episodes'."""
    return "--" + name.replace("_", "-")


def overlaid(base: RunConfig, file: Path) -> RunConfig:
    """`base` with what the TOML `file` says laid over it. RunError or UsageError for one that is not in
    order."""
    loaded = load_config(file)
    try:
        return cast(RunConfig, laid_over(base, loaded, msgspec.toml.decode(file.read_bytes())))
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from error


def laid_over(base: Any, loaded: Any, said: Mapping[str, Any]) -> Any:
    """`base` with the fields of `loaded` that `said` names."""
    fields = {
        name: laid_over(getattr(base, name), getattr(loaded, name), value)
        if isinstance(value, dict)
        else getattr(loaded, name)
        for name, value in said.items()
    }
    return dataclasses.replace(base, **fields)


def contradictions(stored: RunConfig, asked: RunConfig) -> list[str]:
    """The settings in which a run that was begun differs from what is asked for, as a person reads them."""
    then, now = settings_of(stored), settings_of(asked)
    return [
        f"{flag(name)} {now[name]} (it was begun with {then[name]})"
        for name in then
        if then[name] != now[name]
    ]
