"""Demonstrations out of a robomimic HDF5 file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from robot_rlhf.data import hdf5
from robot_rlhf.data.errors import DataError
from robot_rlhf.data.files import inside
from robot_rlhf.data.origin import known
from robot_rlhf.data.robomimic.export import FILE, LAST_SCENE, ORIGIN
from robot_rlhf.data.shown import Float32, Header, Message, Part, Shown
from robot_rlhf.feedback.episode import Role


def read_robomimic(path: Path) -> Iterator[Message]:
    """What the file PATH, or PATH/dataset.hdf5, holds: a header, then its demonstrations.

    An observation is obs/state where there is one, else every vector under obs side by side, in the order of
    their names. Of a demo without next_obs the last action is left out, since nothing is known of what
    followed it. Raises DataError.
    """
    with hdf5.open_file(inside(path, path / FILE) if path.is_dir() else path) as file:
        data = hdf5.group(file, "data")
        names = (
            [] if data is None else sorted((name for name in data if name.startswith("demo")), key=_number)
        )
        if data is None or not names:
            raise DataError(f"{path} is no robomimic dataset: it has no data/demo_0")
        demos = ((name, _demo(data, name)) for name in names)
        chosen = [name for name, demo in demos if hdf5.text(demo, "role") in (None, Role.DEMONSTRATION.value)]
        if not chosen:
            raise DataError(f"{path} holds no demonstrations: all of its {len(names)} demos a policy drove")
        first = _demo(data, chosen[0])
        parts = hdf5.parts(first, "obs")
        origin, arguments = known(hdf5.json_object(data, ORIGIN)), hdf5.json_object(data, "env_args")
        kwargs = arguments.get("env_kwargs")
        hz = origin.control_hz or (kwargs.get("control_freq") if isinstance(kwargs, dict) else None)
        yield Header(
            task=origin.task,
            robot=origin.robot,
            control_hz=float(hz) if isinstance(hz, (int, float)) else None,
            obs=parts,
            action_size=hdf5.width(first, "actions"),
            episodes=len(chosen),
        )
        for name in chosen:
            yield _shown(name, _demo(data, name), parts)


def _number(name: str) -> tuple[int, str]:
    digits = name.rpartition("_")[2]
    return (int(digits) if digits.isdecimal() and len(digits) < 10 else 1 << 40, name)


def _demo(data: h5py.Group, name: str) -> h5py.Group:
    demo = hdf5.group(data, name)
    if demo is None:
        raise DataError(f"data/{name} is missing")
    return demo


def _shown(name: str, demo: h5py.Group, parts: tuple[Part, ...]) -> Shown:
    actions = hdf5.array(demo, "actions", 2)
    if actions is None:
        raise DataError(f"{demo.name} has no actions")
    obs = hdf5.joined(demo, "obs", parts)
    if hdf5.group(demo, "next_obs") is None:
        actions = actions[:-1]
    else:
        after = hdf5.joined(demo, "next_obs", parts)
        if len(after) != len(obs):
            raise DataError(f"{demo.name} has {len(obs)} observations and {len(after)} next ones")
        obs = np.concatenate([obs, after[-1:]])
    success = hdf5.integer(demo, "success")
    return Shown.of(
        name,
        obs,
        actions.astype(np.float32),
        _scenes(demo),
        seed=hdf5.integer(demo, "seed"),
        operator=hdf5.text(demo, "operator") or "",
        success=None if success is None or success < 0 else bool(success),
        terminated=bool(hdf5.integer(demo, "terminated") or 0),
    )


def _scenes(demo: h5py.Group) -> Float32 | None:
    """Ours alone have them: the states of other simulators mean something else."""
    if LAST_SCENE not in demo.attrs:
        return None
    states, last = hdf5.array(demo, "states", 2), np.asarray(demo.attrs[LAST_SCENE])
    if states is None or last.shape != states.shape[1:] or last.dtype.kind != "f":
        raise DataError(f"{demo.name}: its states and {LAST_SCENE} do not agree")
    return np.concatenate([states, last[None]]).astype(np.float32)
