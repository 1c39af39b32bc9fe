"""Which packages each extra brings, and the one line that installs what a command lacks."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "sim": ("pybullet", "gymnasium", "pillow"),
    "learn": ("torch", "safetensors", "tensorboard", "matplotlib", "pillow"),
    "console": ("pygame",),
    "cluster": ("ray",),
    "export": ("pyarrow", "h5py", "minari", "av", "pillow"),
    "view": ("rerun-sdk",),
    "wandb": ("wandb",),
}
"""Extra -> its packages, by the names that they are installed by."""
_IMPORTED_AS = {"pillow": "PIL", "rerun-sdk": "rerun"}  # the others by those too


class MissingExtraError(Exception):
    """A command needs a package that is not installed; the message has the pip line that brings it."""


def missing(extra: str) -> tuple[str, ...]:
    """The packages of an extra that are not installed. Nothing is imported to find out."""
    return tuple(package for package in EXTRAS[extra] if not is_installed(package))


def bringing(module: str) -> list[str]:
    """The extras that bring what is imported as `module`."""
    return [
        extra
        for extra, packages in EXTRAS.items()
        if any(_IMPORTED_AS.get(package, package) == module for package in packages)
    ]


def is_installed(package: str) -> bool:
    """Whether `package` could be imported."""
    try:
        return importlib.util.find_spec(_IMPORTED_AS.get(package, package)) is not None
    except ModuleNotFoundError:
        return False


def pip_line(extras: Iterable[str]) -> str:
    """What to type for these extras."""
    return f'pip install "robot-rlhf[{",".join(extras)}]"'


def need(command: str, *extras: str) -> None:
    """Raises MissingExtraError naming what `command` lacks of these extras."""
    absent = [package for extra in extras for package in missing(extra)]
    if absent:
        raise MissingExtraError(
            f"{command} needs {' and '.join(absent)}, not installed here: {pip_line(extras)}"
        )
