"""The cells of a sweep: every combination of the settings' values, with every seed. Nothing runs here."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from robot_rlhf.commands.arguments import Sweep
from robot_rlhf.commands.checking import valid_arm, valid_task
from robot_rlhf.commands.settings import laid_over, overlaid, settings_of
from robot_rlhf.commands.usage import UsageError, hint
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.presets import preset, with_cameras
from robot_rlhf.session.run_folder import load_config
from sim.task import BARE

_LONGEST = 120  # characters of a folder's name


@dataclass(frozen=True)
class Axis:
    """A setting by its dotted name, and the values to try, as they were written."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One run of a sweep. `said` is what tells its setting from the others', in words."""

    said: Mapping[str, str]
    settings: RunConfig

    @property
    def seed(self) -> int:
        return self.settings.seed

    @property
    def setting(self) -> str:
        """What is tried, for a person."""
        return ", ".join(f"{name}={value}" for name, value in self.said.items()) or "as it is"

    @property
    def name(self) -> str:
        return f"{self.setting}, seed {self.seed}"

    @property
    def folder(self) -> Path:
        """Where in the sweep's folder the run lies; the same whatever else the grid holds."""
        words = ",".join(f"{name}={value}" for name, value in self.said.items()) or "as-it-is"
        plain = re.sub(r"[^\w.,=+-]", "-", words)
        if plain != words or len(plain) > _LONGEST:
            plain = f"{plain[:_LONGEST]}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
        return Path(plain) / f"seed-{self.seed}"


def cells(asked: Sweep) -> list[Cell]:
    """The cells in their order: setting by setting, and of each seed by seed. Raises UsageError naming what
    is no setting, no value of one, or no run that a sweep can do, and RunError for a bad --config file."""
    axes = [axis(words) for occurrence in asked.set for words in occurrence]
    _refuse_twice("--set", [one.name for one in axes])
    _refuse_twice("--seeds", [str(seed) for seed in asked.seeds])
    if not asked.seeds:
        raise UsageError("--seeds names no seed")
    found = []
    for values in itertools.product(*(one.values for one in axes)):
        said = {one.name: value for one, value in zip(axes, values, strict=True)}
        settings = with_settings(_base(asked, said), said)
        found += [Cell(said, _seeded(settings, seed)) for seed in asked.seeds]
    return found


def axis(words: str) -> Axis:
    """From NAME=V1,V2 as it stands on the command line. Raises UsageError."""
    name, equals, text = words.partition("=")
    name = name.strip().removeprefix("--").replace("-", "_")
    if not equals:
        raise UsageError(f"--set {words}: it must be NAME=VALUE or NAME=VALUE,VALUE and so on")
    valid = settings_of(RunConfig())
    if name not in valid:
        raise UsageError(f"there is no setting {name!r}{hint(name, valid)}")
    if name == "seed":
        raise UsageError("the seeds are those of --seeds: leave seed out of --set")
    values = tuple(value.strip() for value in text.split(";" if ";" in text else ","))
    _refuse_twice(f"--set {name}", values)
    return Axis(name, values)


def with_settings(base: RunConfig, said: Mapping[str, str]) -> RunConfig:
    """`base` with settings by their dotted names, as somebody wrote them. Raises UsageError for a value that
    is none."""
    for name, value in said.items():
        choices = _choices(name)
        if choices and value not in choices:
            raise UsageError(f"--set {name}={value}: it must be one of {', '.join(choices)}")
    listed = {name for name, value in settings_of(base).items() if isinstance(value, tuple)}
    raw: dict[str, Any] = {}
    for name, value in said.items():
        *sections, last = name.split(".")
        table = raw
        for section in sections:
            table = table.setdefault(section, {})
        table[last] = value.split() if name in listed else value
    try:
        loaded = msgspec.convert(raw, RunConfig, strict=False)
        config: RunConfig = laid_over(base, loaded, raw)
    except (msgspec.ValidationError, ValueError) as error:
        words = ", ".join(f"{name}={value}" for name, value in said.items())
        raise UsageError(f"--set {words}: {error}") from error
    valid_arm(config.arm)
    if config.in_real_time:
        raise UsageError("a sweep has a simulated operator, in lockstep: leave operator and live as they are")
    return config


def _choices(name: str) -> list[str]:
    """The words that a setting can be; empty where it is no matter of choice."""
    kind: Any = RunConfig
    for word in name.split("."):
        kind = get_type_hints(kind)[word]
    return [repr(choice) if choice == "" else choice for choice in get_args(kind) if isinstance(choice, str)]


def _base(asked: Sweep, said: Mapping[str, str]) -> RunConfig:
    """What the settings are laid over: the task's own, and over those the --config file's."""
    if "task" in said and asked.task is not None:
        raise UsageError("the task is said twice, by --task and by --set: leave one of them out")
    loaded = RunConfig() if asked.config is None else load_config(asked.config)
    task = valid_task(said.get("task") or asked.task or loaded.task)
    config = preset(task)
    if said.get("cameras", loaded.cameras):
        config = with_cameras(config)
    if asked.config is not None:
        config = dataclasses.replace(overlaid(config, asked.config), task=task)
    if config.task == BARE:
        raise UsageError("there is nothing to learn at a bare table: it is for teleop")
    return config


def _seeded(settings: RunConfig, seed: int) -> RunConfig:
    try:
        return dataclasses.replace(settings, seed=seed)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _refuse_twice(where: str, values: Sequence[str] | Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise UsageError(f"{where} has {value!r} twice")
        seen.add(value)
