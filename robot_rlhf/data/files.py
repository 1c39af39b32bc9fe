"""Reading a dataset's small files, and making sure that none of its files lies elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from robot_rlhf.data.errors import DataError

_MAX_JSON = 32 << 20


def inside(root: Path, path: Path) -> Path:
    """`path`, which must lie in the folder `root` wherever links lead. DataError otherwise."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError(f"{path} leads out of {root}: only what lies in it is read")
    return path


def json_file(path: Path) -> dict[str, Any]:
    """The object in a JSON file. DataError where there is none."""
    try:
        size = path.stat().st_size
        if size > _MAX_JSON:
            raise DataError(f"{path} has {size >> 20} MB, more than {_MAX_JSON >> 20}")
        found = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} holds no JSON object")
    return found
