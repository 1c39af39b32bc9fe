"""What the commands share that have another project read our export in an environment of its own."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.commands.export import learned_reward
from robot_rlhf.data import stream
from robot_rlhf.session.run_folder import read_config

Arrays = dict[str, NDArray[Any]]


def parser(about: str | None, peer: str) -> argparse.ArgumentParser:
    """RUN, DATASET and --peer, the Python that has `peer`."""
    made = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    made.add_argument("run", type=Path)
    made.add_argument("dataset", type=Path)
    made.add_argument("--peer", type=Path, required=True, help=f"the Python that has {peer}")
    return made


def expected(run: Path) -> stream.Export:
    """What an export of the run at `run` holds, as it is asked of the run itself."""
    config = read_config(run)
    return stream.plan(
        run,
        control_hz=config.control_hz,
        robot="",
        software="",
        reward=learned_reward(run),
        cameras=config.camera_names,
    )


def joined(parts: Mapping[str, list[NDArray[Any]]]) -> Arrays:
    """The parts of each array, one after another."""
    return {name: np.concatenate(values) for name, values in parts.items()}


def there(python: Path, *words: str, **environment: str) -> str:
    """What the peer's Python prints, run beside these commands and with nothing of ours on its path."""
    done = subprocess.run(
        [str(python), *words],
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": "", **environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def read_there(
    python: Path, reader: str, dataset: Path, out: Path, **environment: str
) -> tuple[Arrays, dict[str, Any]]:
    """The arrays that `reader`, MODULE.FUNCTION of these commands, reads in the peer's Python and writes to
    `out`, and the facts among them."""
    module, _, _ = reader.partition(".")
    paths = ", ".join(f"pathlib.Path({str(path.absolute())!r})" for path in (dataset, out))
    there(python, "-c", f"import pathlib, {module}; {reader}({paths})", **environment)
    with np.load(out) as archive:
        got = {name: archive[name] for name in archive.files}
    return got, json.loads(str(got.pop("facts")))
