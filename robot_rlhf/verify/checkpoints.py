"""The learner's saved state: that the newest one can be gone on with. Needs safetensors, not torch."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from robot_rlhf.feedback.store_ledger import is_inside
from robot_rlhf.learning.checkpoint_format import FORMAT, FORMAT_KEY
from robot_rlhf.session.config import RunConfig
from robot_rlhf.verify.finding import Finding


def checkpoints(run: Path, connection: sqlite3.Connection, config: RunConfig | None) -> Iterator[Finding]:
    """That the two newest of the index are there, and the newest is whole, finite and of this task."""
    rows = connection.execute("SELECT path FROM checkpoints ORDER BY seq DESC LIMIT 2").fetchall()
    names = list(dict.fromkeys(str(path) for (path,) in rows if is_inside(str(path))))
    there = [name for name in names if (run / name).is_file()]
    for name in names:
        if name in there:
            continue
        if names[0] in there:  # as where a backup was made while it was dropped
            yield Finding(name, "it is not there, nor needed: there is a newer one", harmless=True)
        else:
            what = "it is not there"
            yield Finding(name, f"{what}, an older one is gone on with" if there else what)
    for name in there:
        found = list(_state(run, name, config))
        yield from found
        if not found:
            break  # older ones only matter where this one cannot be used


def _state(run: Path, name: str, config: RunConfig | None) -> Iterator[Finding]:
    try:
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError:
        yield Finding(name, "it was not looked into: safetensors is not installed here", harmless=True)
        return
    try:
        with safe_open(run / name, framework="np") as file:
            metadata = file.metadata() or {}
            if metadata.get(FORMAT_KEY) != FORMAT:
                yield Finding(name, f"its format is {metadata.get(FORMAT_KEY)!r}, expected {FORMAT!r}")
            if config is not None and metadata.get("task") != config.task:
                yield Finding(name, f"it is of the task {metadata.get('task')!r}, the run of {config.task!r}")
            for key in file.keys():  # noqa: SIM118 (no mapping)
                tensor = file.get_tensor(key)
                if np.issubdtype(tensor.dtype, np.floating) and not np.isfinite(tensor).all():
                    yield Finding(name, f"{key} holds numbers that are not finite")
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        yield Finding(name, f"it cannot be read: {' '.join(str(error).split())}")
