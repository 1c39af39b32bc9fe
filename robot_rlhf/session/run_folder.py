"""A run is a folder: its config, its database, its checkpoints, its logs and its report."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from hardware.robot import RobotSpec
from hardware.wire import SpecMessage
from robot_rlhf.feedback.store import Store
from robot_rlhf.session.config import RunConfig
from sim.arms.model import make_arm

CONFIG, DATABASE, CHECKPOINTS, ARM = "config.toml", "run.db", "checkpoints", "arm.json"
BEGINNING = ".beginning"
"""Lies in a folder until all that makes it a run is there: first in, last out."""
GROUP = "group"
"""The store's note of the group of arms that the run is learned together with: its log and its summary are of
all of them."""
_KEPT = 2  # checkpoints
_RETIRED = ("clone.anew_at", "clone.drop_idle", "clone.idle_speed", "encoder.chunk", "encoder.horizons")
"""What the config of a run may still name, that an older version made: nothing is set by it any more."""


class RunError(Exception):
    """A run folder that cannot be used; the message says why in one line."""


class RunFolder:
    """A run's folder, open for writing. Use `create` or `open`."""

    def __init__(self, path: Path, config: RunConfig, store: Store) -> None:
        self.path, self.config, self.store = path, config, store

    @classmethod
    def create(cls, path: Path, config: RunConfig) -> RunFolder:
        """A new run at `path`, which must not exist, be an empty folder, or hold what is left of a
        beginning that was cut short. When this raises, the folder is empty or gone again."""
        if not _is_free(path):
            raise RunError(f"{path} exists and is not an empty folder: choose another --out, or --resume it")
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            path.mkdir(parents=True, exist_ok=True)
            _clear(path)
            return cls._begin(path, config)
        except BaseException as error:
            with contextlib.suppress(OSError):
                _clear(path)
                for folder in made:
                    folder.rmdir()
            if isinstance(error, OSError):
                raise RunError(f"cannot write to {path}: {error.strerror or error}") from error
            raise

    @classmethod
    def _begin(cls, path: Path, config: RunConfig) -> RunFolder:
        (path / BEGINNING).touch(exist_ok=False)
        (path / CHECKPOINTS).mkdir()
        (path / CONFIG).write_text(to_toml(config), encoding="utf-8")
        run = cls(path, config, Store.create(path / DATABASE))
        try:
            with run.store.transaction():
                run.store.set_meta("task", config.task)
                run.store.set_meta("seed", str(config.seed))
            (path / BEGINNING).unlink()
        except BaseException:
            run.close()
            raise
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The run at `path`, for going on with it. RunError or StoreError where that cannot be."""
        config = read_config(path)
        return cls(path, config, Store.open(path / DATABASE))

    @staticmethod
    def is_begun(path: Path) -> bool:
        """Whether there is a run at `path`, and not only what is left of a beginning that was cut short."""
        return (path / DATABASE).exists() and not (path / BEGINNING).exists()

    def close(self) -> None:
        self.store.close()

    def new_checkpoint(self, step: int) -> Path:
        """Where to write the checkpoint of environment step `step`."""
        return self.path / CHECKPOINTS / f"step-{step:08d}.safetensors"

    def keep(self, step: int, path: Path) -> None:
        """Enter a written checkpoint in the index, and drop those that nothing needs any more."""
        self.store.record_checkpoint(step, str(path.relative_to(self.path)), time.time_ns())
        recent = {self.path / saved.path for saved in self.store.latest_checkpoints(_KEPT)}
        written_ns = path.stat().st_mtime_ns
        for old in (self.path / CHECKPOINTS).glob("step-*.safetensors"):
            if old not in recent and old.stat().st_mtime_ns <= written_ns:  # a newer one is entered next
                old.unlink()

    def latest_checkpoint(self) -> Path | None:
        """The newest checkpoint that is there, or None."""
        for saved in self.store.latest_checkpoints(_KEPT):
            if (self.path / saved.path).exists():
                return self.path / saved.path
        return None


def write_arm(path: Path, spec: RobotSpec) -> None:
    """Keep in the run's folder what the served arm is that it was begun on."""
    (path / ARM).write_bytes(msgspec.json.encode(SpecMessage.of(spec)))


def read_arm(path: Path) -> RobotSpec | None:
    """What the served arm of the run at `path` is; None where it was simulated in it."""
    if not (path / ARM).exists():
        return None
    try:
        return msgspec.json.decode((path / ARM).read_bytes(), type=SpecMessage).spec()
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise RunError(f"{path / ARM} cannot be read: {error}") from error


def _is_free(path: Path) -> bool:
    """Whether a run can begin at `path`: nothing is there but what `create` left when it was killed."""
    if not path.is_dir():
        return not path.exists()
    there = list(path.iterdir())
    return not there or ((path / BEGINNING).exists() and all(map(_is_ours, there)))


def _is_ours(item: Path) -> bool:
    return item.name in (BEGINNING, CONFIG, CHECKPOINTS) or item.name.startswith(DATABASE)


def _clear(path: Path) -> None:
    """Take away what is left of a beginning, the mark that it is one last."""
    if not (path / BEGINNING).exists():
        return
    for item in sorted(filter(_is_ours, path.iterdir()), key=lambda item: item.name == BEGINNING):
        if item.is_dir():
            item.rmdir()
        else:
            item.unlink()


def read_config(path: Path) -> RunConfig:
    """The config of the run at `path`; RunError says what is wrong with it."""
    if (path / BEGINNING).exists():
        raise RunError(f"{path} is no run yet, its beginning was cut short: train --resume begins it anew")
    file = path / CONFIG
    if not file.is_file() or not (path / DATABASE).is_file():
        missing = CONFIG if not file.is_file() else DATABASE
        raise RunError(f"{path} is not a run folder: it has no {missing}")
    return _load(file, _RETIRED)


def arm_of(path: Path, config: RunConfig) -> RobotSpec:
    """The arm of the run at `path`: the one that was served to it, else the one that is simulated. RunError
    where neither is known."""
    try:
        return read_arm(path) or make_arm(config.arm).spec
    except ValueError as error:
        raise RunError(f"{path / CONFIG}: {error}") from error


def load_config(file: Path) -> RunConfig:
    """A run's config from a TOML file; RunError names an unknown key and the nearest valid one."""
    return _load(file, ())


def _load(file: Path, retired: Sequence[str]) -> RunConfig:
    try:
        return config_from(file.read_bytes(), str(file), retired)
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror or error}") from error


def config_from(text: bytes, where: str, retired: Sequence[str] = ()) -> RunConfig:
    """A run's config from TOML; RunError, which says `where` it was found, as `load_config`. Keys in
    `retired` say nothing."""
    try:
        raw = msgspec.toml.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RunError(f"{where} is not valid TOML: {error}") from error
    _refuse_unknown(raw, RunConfig, where, "", retired)
    try:
        config: RunConfig = msgspec.convert(raw, RunConfig, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        raise RunError(f"{where}: {error}") from error
    return config


def _refuse_unknown(raw: dict[str, Any], kind: Any, where: str, prefix: str, retired: Sequence[str]) -> None:
    fields = {item.name: item for item in dataclasses.fields(kind)}
    for key, value in raw.items():
        if f"{prefix}{key}" in retired:
            continue
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f", did you mean {prefix}{near[0]}?" if near else f" (valid: {', '.join(fields)})"
            raise RunError(f"{where}: unknown key {prefix}{key}{hint}")
        nested: Any = fields[key].default_factory
        if isinstance(value, dict) and dataclasses.is_dataclass(nested):
            _refuse_unknown(value, nested, where, f"{prefix}{key}.", retired)


def to_toml(config: Any) -> str:
    """A config dataclass as TOML, sections for nested dataclasses; what is None is left out."""
    lines: list[str] = []
    _section(config, "", lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _section(config: Any, name: str, lines: list[str]) -> None:
    if name:
        lines += ["", f"[{name}]"]
    nested = []
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            nested.append((item.name, value))
        elif value is not None:
            lines.append(f"{item.name} = {_value(value)}")
    for key, value in nested:
        _section(value, f"{name}.{key}" if name else key, lines)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(item) for item in value)}]"
    raise TypeError(f"no TOML for {value!r}")
