"""A runner by its name, as the command line knows it."""

from __future__ import annotations

import os

from robot_rlhf.runners.on_ray import RayRunner
from robot_rlhf.runners.processes import ProcessRunner
from robot_rlhf.runners.runner import Kind, Runner
from robot_rlhf.runners.serial import SerialRunner


def make_runner(kind: Kind, workers: int | None = None, ray_address: str = "") -> Runner:
    """The runner `kind`; without `workers` as many as this machine has cores, or the cluster CPUs.

    Raises ValueError for workers or an address that it cannot have.
    """
    if kind != "ray" and ray_address:
        raise ValueError(f"{ray_address!r} is an address for the runner 'ray', and not for {kind!r}")
    match kind:
        case "serial":
            if workers not in (None, 1):
                raise ValueError(f"workers is {workers}: 'serial' has 1, 'processes' and 'ray' have more")
            return SerialRunner()
        case "processes":
            return ProcessRunner(len(os.sched_getaffinity(0)) if workers is None else workers)
        case "ray":
            return RayRunner(workers, ray_address)
