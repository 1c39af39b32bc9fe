"""Reading HDF5 that may come from anywhere: only what lies in the file itself, and only of a sane size."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.data.errors import DataError
from robot_rlhf.data.shown import MAX_EPISODE_BYTES, Float32, Part

_FILTERS = (None, "gzip", "lzf")
_MAX_TEXT = 1 << 20
STATE = "state"
"""The observation's key where pictures stand beside it."""


def open_file(path: Path) -> h5py.File:
    """The file, for reading. DataError where it is none of HDF5's."""
    if not path.is_file():
        raise DataError(f"{path} is no file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        told = " ".join(str(error).split())
        raise DataError(f"{path} is no HDF5 file, or damaged ({told})") from error


def group(parent: h5py.Group, name: str) -> h5py.Group | None:
    """The group `name` (a path), None where there is none. DataError where it is something else, or leads
    out of the file."""
    found = _member(parent, name)
    if found is None or isinstance(found, h5py.Group):
        return found
    raise DataError(f"{parent.name}/{name} is no group")


def array(parent: h5py.Group, name: str, dimensions: int | None = None) -> NDArray[Any] | None:
    """The numbers under `name`, None where there are none. DataError for what is no array of numbers, of
    other than `dimensions`, or too large."""
    found = _member(parent, name)
    if found is None:
        return None
    where = f"{parent.name}/{name}"
    if not isinstance(found, h5py.Dataset):
        raise DataError(f"{where} is no array")
    if found.dtype.kind not in "fiub":
        raise DataError(f"{where} holds {found.dtype}, expected numbers")
    if dimensions is not None and found.ndim != dimensions:
        raise DataError(f"{where} has shape {found.shape}, expected {dimensions} dimensions")
    sizes = [math.prod(found.shape) * found.dtype.itemsize]
    if found.chunks is not None:
        sizes.append(math.prod(found.chunks) * found.dtype.itemsize)
    if max(sizes) > MAX_EPISODE_BYTES:
        raise DataError(
            f"{where} has {max(sizes) >> 20} MB, more than {MAX_EPISODE_BYTES >> 20} for an episode"
        )
    if found.is_virtual or found.external:
        raise DataError(f"{where} keeps its numbers in another file")
    if found.compression not in _FILTERS:
        raise DataError(f"{where} is compressed with {found.compression}, expected gzip or lzf")
    return np.asarray(found[()])


def is_numbers(parent: h5py.Group, name: str, dimensions: int) -> bool:
    """Whether `name` is an array of floating-point numbers with so many dimensions."""
    found = _member(parent, name)
    return isinstance(found, h5py.Dataset) and found.dtype.kind == "f" and found.ndim == dimensions


def width(parent: h5py.Group, name: str) -> int:
    """The size of a row of the array `name` (N, n), of which nothing is read."""
    found = _member(parent, name)
    if not isinstance(found, h5py.Dataset) or found.ndim != 2:
        raise DataError(f"{parent.name}/{name} is missing, or no table of numbers")
    return int(found.shape[1])


def parts(parent: h5py.Group, name: str) -> tuple[Part, ...]:
    """What an observation under `name` is made of: the array itself, as a part without a name, else its
    `state`, else every vector of it, in the order of their names. Pictures are none."""
    if is_numbers(parent, name, 2):
        return (Part("", width(parent, name)),)
    seen = group(parent, name)
    names = [] if seen is None else [one for one in sorted(seen) if is_numbers(seen, one, 2)]
    names = [STATE] if STATE in names else names
    if seen is None or not names:
        raise DataError(f"{parent.name}/{name} has no vectors: pictures alone do not make an observation")
    return tuple(Part(one, width(seen, one)) for one in names)


def joined(parent: h5py.Group, name: str, made_of: tuple[Part, ...]) -> Float32:
    """The parts of the observations under `name` side by side (N, n)."""
    arrays = []
    for part in made_of:
        where = f"{name}/{part.name}" if part.name else name
        found = array(parent, where, 2)
        if found is None or found.shape[1] != part.size:
            shape = "missing" if found is None else found.shape
            raise DataError(f"{parent.name}/{where} is {shape}, expected {part.size} numbers a step")
        arrays.append(found.astype(np.float32))
    if len({len(found) for found in arrays}) > 1:
        raise DataError(f"{parent.name}/{name}: its arrays are not equally long")
    return np.concatenate(arrays, axis=1)


def text(parent: h5py.Group, name: str) -> str | None:
    """A text attribute, None where there is none."""
    if name not in parent.attrs:
        return None
    found = parent.attrs[name]
    if isinstance(found, bytes):
        found = found.decode("utf-8", errors="replace")
    if not isinstance(found, str) or len(found) > _MAX_TEXT:
        raise DataError(f"{parent.name}: its attribute {name} is no text")
    return found


def json_object(parent: h5py.Group, name: str) -> dict[str, Any]:
    """A JSON object in a text attribute; empty where there is none."""
    found = text(parent, name)
    if found is None:
        return {}
    try:
        value = msgspec.json.decode(found)
    except msgspec.DecodeError as error:
        raise DataError(f"{parent.name}: its attribute {name} is no JSON: {error}") from error
    return value if isinstance(value, dict) else {}


def integer(parent: h5py.Group, name: str) -> int | None:
    """A whole number in an attribute, None where there is none."""
    if name not in parent.attrs:
        return None
    found = parent.attrs[name]
    if not isinstance(found, (int, np.integer, np.bool_)):
        raise DataError(f"{parent.name}: its attribute {name} is {found!r}, expected a whole number")
    return int(found)


def _member(parent: h5py.Group, name: str) -> Any:
    found: Any = parent
    for part in name.split("/"):
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise DataError(f"{found.name}/{part} leads elsewhere: only what lies in the file is read")
        found = found[part]
    return found
