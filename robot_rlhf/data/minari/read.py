"""Demonstrations out of a Minari dataset. Minari itself reads the same files, but follows whatever they say;
here only plain HDF5 is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np

from robot_rlhf.data import hdf5
from robot_rlhf.data.errors import DataError
from robot_rlhf.data.files import inside, json_file
from robot_rlhf.data.minari.export import FILE, ORIGIN, SCENE
from robot_rlhf.data.origin import known, parsed
from robot_rlhf.data.shown import Float32, Header, Message, Part, Shown
from robot_rlhf.feedback.episode import Role

_METADATA = "metadata.json"


def read_minari(path: Path) -> Iterator[Message]:
    """What the dataset at PATH holds: a header, then its demonstrations. PATH is the folder that
    MINARI_DATASETS_PATH names, if there is one dataset in it, or a dataset's own.

    An observation is the array itself or its `state`, else every vector of it side by side, in the order of
    their names. Raises DataError.
    """
    folder = _folder(path)
    metadata = json_file(inside(path, folder / _METADATA))
    if metadata.get("data_format", "hdf5") != "hdf5":
        raise DataError(f"{folder} is stored as {metadata.get('data_format')!r}: only hdf5 is read here")
    count = metadata.get("total_episodes")
    if not isinstance(count, int) or not 0 < count <= 10**7:
        raise DataError(f"{folder / _METADATA}: total_episodes is {count!r}, expected a number of episodes")
    with hdf5.open_file(inside(path, folder / FILE)) as file:
        names = [f"episode_{index}" for index in range(count)]
        if len(file) != count:
            raise DataError(f"{folder}: metadata.json says {count} episodes, and there are {len(file)}")
        ours = [name for name in names if _role(_episode(file, name)) in (None, Role.DEMONSTRATION.value)]
        if not ours:
            raise DataError(f"{path} holds no demonstrations: all of its {count} episodes a policy drove")
        first = _episode(file, ours[0])
        parts = hdf5.parts(first, "observations")
        origin = known(parsed(metadata.get(ORIGIN)))
        yield Header(
            task=origin.task,
            robot=origin.robot,
            control_hz=origin.control_hz or _rate(metadata),
            obs=parts,
            action_size=hdf5.width(first, "actions"),
            episodes=len(ours),
        )
        for name in ours:
            yield _shown(name, _episode(file, name), parts)


def _folder(path: Path) -> Path:
    for folder in (path, path / "data"):
        if (folder / _METADATA).is_file():
            return folder
    found = sorted(folder for folder in path.glob("*/*/data") if (folder / _METADATA).is_file())
    found = found or sorted(folder for folder in path.glob("*/data") if (folder / _METADATA).is_file())
    if len(found) == 1:
        return found[0]
    if not found:
        raise DataError(f"{path} is no Minari dataset: it has no {_METADATA}")
    names = ", ".join(str(folder.parent.relative_to(path)) for folder in found[:5])
    raise DataError(f"{path} holds {len(found)} datasets, name the folder of one of them: {names}")


def _rate(metadata: dict[str, Any]) -> float | None:
    """The control rate that the environment was made with, where it is one of ours."""
    try:
        spec = msgspec.json.decode(str(metadata.get("env_spec")))
        hz = spec["kwargs"]["control_hz"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return None
    return float(hz) if isinstance(hz, (int, float)) else None


def _episode(file: h5py.File, name: str) -> h5py.Group:
    found = hdf5.group(file, name)
    if found is None:
        raise DataError(f"{name} is missing")
    return found


def _role(episode: h5py.Group) -> str | None:
    return hdf5.text(episode, "role")


def _shown(name: str, episode: h5py.Group, parts: tuple[Part, ...]) -> Shown:
    actions = hdf5.array(episode, "actions", 2)
    if actions is None:
        raise DataError(f"{name} has no actions")
    ended = hdf5.array(episode, "terminations", 1)
    success = hdf5.integer(episode, "success")
    return Shown.of(
        name,
        hdf5.joined(episode, "observations", parts),
        actions.astype(np.float32),
        _scenes(episode),
        seed=hdf5.integer(episode, "seed"),
        operator=hdf5.text(episode, "operator") or "",
        success=None if success is None or success < 0 else bool(success),
        terminated=_role(episode) is not None and ended is not None and len(ended) > 0 and bool(ended[-1]),
    )


def _scenes(episode: h5py.Group) -> Float32 | None:
    if _role(episode) is None:  # somebody else's infos
        return None
    found = hdf5.array(episode, f"infos/{SCENE}", 2)
    return None if found is None else found.astype(np.float32)
