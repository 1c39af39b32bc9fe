"""Checkpoints: named tensors in a safetensors file, written whole or not at all, never holding a NaN."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from robot_rlhf.learning.checkpoint_format import FORMAT, FORMAT_KEY


class CheckpointError(Exception):
    """A checkpoint that cannot be written, read or used; the message says which tensor or file and why."""


class Checkpoint(NamedTuple):
    """What `load` returns."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write `tensors` and `metadata` to `path`.

    Whatever moment the process or the machine stops at, `path` holds the old file or the new one.
    Raises CheckpointError when a tensor is not finite or the file cannot be written; then `path` is
    what it was.
    """
    if FORMAT_KEY in metadata:
        raise CheckpointError(f"the metadata key {FORMAT_KEY!r} is the checkpoint's own")
    _require_finite(tensors, path)
    own = {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)  # views may share memory
        for name, tensor in tensors.items()
    }
    blob = safetensors.torch.save(own, {**metadata, FORMAT_KEY: FORMAT})
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CheckpointError(f"cannot write checkpoint {path}: {error.strerror}") from error


def load(path: Path) -> Checkpoint:
    """Read what `save` wrote. Raises CheckpointError for a file that is missing, damaged, of another
    format, or holds a tensor that is not finite."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            found = metadata.pop(FORMAT_KEY, "unknown")
            if found != FORMAT:
                raise CheckpointError(f"checkpoint {path} has format {found!r}, expected {FORMAT!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read checkpoint {path}: {error}") from error
    _require_finite(tensors, path)
    return Checkpoint(tensors, metadata)


def _require_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise CheckpointError(
                f"checkpoint {path}: {name} has {bad} non-finite numbers of {tensor.numel()}"
            )


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
