"""`doctor`: what this machine has of what is needed, measured where that says more than asking."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from rich.table import Table
from rich.text import Text

from robot_rlhf.commands.extras import EXTRAS, missing, pip_line
from robot_rlhf.feedback.store import Store, StoreError

State: TypeAlias = Literal["ok", "note", "bad"]
"""note: worth knowing, stops nothing; bad: a headless run cannot be, or cannot be trusted."""

_OLDEST_PYTHON, _NEWEST_PYBULLET = (3, 10), (3, 11)
_NEEDED = ("sim", "learn")  # what a headless run takes
_ROOM_MB = 500.0
_SLOW_COMMIT_MS, _COMMITS = 100.0, 20
_STRAY_MM = 5.0
_STYLE: dict[State, str] = {"ok": "green", "note": "yellow", "bad": "red"}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one look found; `advice` is empty where nothing is to be done."""

    name: str
    state: State
    found: str
    advice: str = ""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """All findings. `healthy`: a headless run can go ahead."""

    healthy: bool
    findings: tuple[Finding, ...]

    def table(self) -> Table:
        """The same for a person."""
        table = Table("", "what", "found", "to do", show_edge=False)
        for one in self.findings:
            cells = (Text(cell) for cell in (one.name, one.found, one.advice))  # brackets are no markup here
            table.add_row(Text(one.state, style=_STYLE[one.state]), *cells)
        return table


def diagnose(folder: Path) -> Diagnosis:
    """Look at everything; the disk is tried where `folder` is or would be, and left as it was."""
    findings = [_python(), *(_extra(extra) for extra in EXTRAS), _cores(), *_disk(folder), _seat()]
    trials: dict[str, tuple[str, Callable[[], Finding]]] = {
        "sim": ("physics", _physics),
        "learn": ("torch", _torch),
    }
    for extra, (name, trial) in trials.items():
        if not missing(extra):
            findings.append(_tried(name, extra, trial))
    return Diagnosis(healthy=all(one.state != "bad" for one in findings), findings=tuple(findings))


def _tried(name: str, extra: str, trial: Callable[[], Finding]) -> Finding:
    """A package that is there but does not load is a finding, not a crash."""
    try:
        return trial()
    except ImportError as error:
        return Finding(
            name=name,
            state="bad",
            found=f"does not load: {error}",
            advice=f"{pip_line([extra])} --force-reinstall",
        )


def _python() -> Finding:
    version, found = sys.version_info[:2], f"{platform.python_version()} on {platform.machine()}"
    if version < _OLDEST_PYTHON:
        return Finding(name="python", state="bad", found=found, advice="Python 3.10 or 3.11")
    if version > _NEWEST_PYBULLET:
        advice = "PyBullet has wheels up to Python 3.11; pip builds it from source here"
        return Finding(name="python", state="note", found=found, advice=advice)
    return Finding(name="python", state="ok", found=found)


def _extra(extra: str) -> Finding:
    """The packages of an extra with their versions."""
    absent = missing(extra)
    parts = [
        f"no {package}" if package in absent else f"{package} {_version(package)}"
        for package in EXTRAS[extra]
    ]
    if not absent:
        return Finding(name=f"extra {extra}", state="ok", found=", ".join(parts))
    needed = extra in _NEEDED
    why = "" if needed else " (only if wanted)"
    return Finding(
        name=f"extra {extra}",
        state="bad" if needed else "note",
        found=", ".join(parts),
        advice=pip_line([extra]) + why,
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS")
    found = f"{cores} usable, load {os.getloadavg()[0]:.1f}"
    found += f", OMP_NUM_THREADS={threads}" if threads else ""
    if cores < 2:
        return Finding(name="cores", state="note", found=found, advice="two halve the time")
    return Finding(name="cores", state="ok", found=found)


def _disk(folder: Path) -> list[Finding]:
    """Room, and what a durable commit costs, on the disk that holds `folder` or its nearest parent."""
    place = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.is_dir())
    try:
        room_mb = shutil.disk_usage(place).free / 2**20
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as scratch:
            commit_ms = _commit_ms(Path(scratch) / "run.db")
    except (OSError, StoreError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        return [
            Finding(
                name="disk", state="bad", found=f"cannot write to {place}: {said}", advice="another --out"
            )
        ]
    room = Finding(
        name="room",
        state="ok" if room_mb >= _ROOM_MB else "bad",
        found=f"{room_mb / 1024:.1f} GB free at {place}",
        advice="" if room_mb >= _ROOM_MB else f"free {_ROOM_MB:.0f} MB or choose another --out",
    )
    slow = commit_ms > _SLOW_COMMIT_MS
    commit = Finding(
        name="durable commit",
        state="note" if slow else "ok",
        found=f"{commit_ms:.2f} ms",
        advice="slow: a local disk is better than a network folder" if slow else "",
    )
    return [room, commit]


def _commit_ms(path: Path) -> float:
    """The median time of a commit of the run's own store, which waits for the disk."""
    times = []
    with Store.create(path) as store:
        for index in range(_COMMITS):
            began = time.perf_counter()
            store.set_meta("doctor", str(index))
            times.append((time.perf_counter() - began) * 1e3)
    return median(times)


def _seat() -> Finding:
    """Display and gamepad: what a person in front of the machine would use."""
    display = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
    pads = sorted(Path("/dev/input").glob("js*")) if Path("/dev/input").is_dir() else []
    found = f"{f'display {display}' if display else 'no display'}, {len(pads) or 'no'} gamepad"
    return Finding(
        name="seat", state="ok", found=f"{found}{'s' if len(pads) > 1 else ''}; a headless run needs neither"
    )


def _physics() -> Finding:
    """One simulated second at a constant velocity: the tool must end where the commands lead."""
    from sim.env import SPEED_M_S, TaskEnv

    env = TaskEnv("reach")
    try:
        env.reset(seed=0)
        start, steps = env.scene.tool_pos_m, round(env.control_hz)
        moved = [env.step(np.array([0.6, 0.4, -0.3], np.float32))[4]["executed"] for _ in range(steps)]
        wanted = np.sum(moved, axis=0) * SPEED_M_S / env.control_hz
        stray_mm = float(np.linalg.norm(env.scene.tool_pos_m - start - wanted)) * 1e3
    finally:
        env.close()
    found = f"the tool follows a velocity to {stray_mm:.1f} mm in a second"
    if stray_mm > _STRAY_MM:
        advice = f"expected at most {_STRAY_MM:.0f} mm: {pip_line(['sim'])} --force-reinstall"
        return Finding(name="physics", state="bad", found=found, advice=advice)
    return Finding(name="physics", state="ok", found=found)


def _torch() -> Finding:
    """How fast matrices are multiplied, which is what learning is made of."""
    import torch

    size, repeats = 512, 10
    matrix = torch.rand(size, size)
    torch.mm(matrix, matrix)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        torch.mm(matrix, matrix)
        times.append(time.perf_counter() - began)
    gigaflops = 2 * size**3 / median(times) / 1e9
    found = f"{gigaflops:.0f} GFLOP/s with {torch.get_num_threads()} threads"
    return Finding(name="torch", state="ok", found=found)
