"""A Ray cluster: Ray Core's tasks, which a node's or a worker's death does not lose.

Every machine of the cluster has this distribution, at the same version, and the same Python and Ray.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from robot_rlhf.runners.runner import (
    AHEAD,
    ATTEMPTS,
    AnyResult,
    AnyTask,
    Results,
    TaskError,
    WorkerError,
    close,
    failed,
    given_up,
)

_STORE_BYTES = 128 * 1024 * 1024  # shared memory of a cluster started here: tasks and results are small


class ClusterError(Exception):
    """There is no cluster to be had; the message says why in one line."""


@dataclass(frozen=True)
class RayRunner:
    """A runner on the cluster at `address`, as `ray start` prints it, or on one that is started here for as
    long as it is used, and leaves nothing behind. A program that has called `ray.init` stays connected as it
    is.

    `workers`: tasks at the same time, each on one CPU; None: as many as the cluster has CPUs, as they come
    and go.
    """

    workers: int | None = None
    address: str = ""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers is {self.workers}: there must be at least 1")

    def map(self, function: Callable[[AnyTask], AnyResult], tasks: Iterable[AnyTask]) -> Results[AnyResult]:
        with _connected(self.workers, self.address) as ray:
            yield from self._results(ray, function, tasks)

    def _results(
        self, ray: Any, function: Callable[[AnyTask], AnyResult], tasks: Iterable[AnyTask]
    ) -> Results[AnyResult]:
        held = [ray.put(function)]  # inside a list it stays a reference, so that a worker reads it once
        key = uuid.uuid4().hex
        retries = {"max_retries": ATTEMPTS - 1, "retry_exceptions": False}
        remote = ray.remote(num_cpus=1, scheduling_strategy="SPREAD", **retries)(_work)
        fresh = enumerate(tasks)
        running: dict[Any, tuple[int, AnyTask]] = {}
        done: dict[int, AnyResult | TaskError] = {}
        due = 0
        try:
            while True:
                most = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
                while len(running) < most and len(running) + len(done) < AHEAD * most:
                    index, task = next(fresh, (-1, None))
                    if task is None:
                        break
                    running[remote.remote(key, held, task)] = (index, task)
                if due in done:
                    result = done.pop(due)
                    due += 1
                    if isinstance(result, TaskError):
                        raise result
                    yield result
                elif running:
                    for reference in ray.wait(list(running), num_returns=1)[0]:
                        index, task = running.pop(reference)
                        done[index] = _result(ray, reference, task)
                else:
                    return
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _result(ray: Any, reference: Any, task: Any) -> Any:
    """What a finished task came to: its result, or its TaskError."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        cause.__cause__ = WorkerError(str(error))
        return failed(task, cause)
    except ray.exceptions.RayError as error:  # a worker's death, more often than it is tried again
        return given_up(task, ATTEMPTS, f"with {type(error).__name__}")


_kept: dict[str, Callable[[Any], Any]] = {}
"""In a worker: the function that it was asked for last, by its round."""


def _work(key: str, held: list[Any], task: Any) -> Any:
    """What a worker does."""
    import ray

    if key not in _kept:
        for old in _kept.values():
            close(old)
        _kept.clear()
        _kept[key] = ray.get(held[0])
    return _kept[key](task)


@contextlib.contextmanager
def _connected(workers: int | None, address: str) -> Iterator[Any]:
    """Ray, connected, without a dashboard, usage statistics, and lines of its own on the terminal."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it reads these when it is loaded
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    if not address:  # the secret of a cluster started here, which Ray would leave in the home folder
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray

    if ray.is_initialized():
        yield ray
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    folder = None if address else tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # its sockets want short names
    try:
        if folder is not None:
            own: dict[str, Any] = {
                "num_cpus": workers,
                "object_store_memory": _STORE_BYTES,
                "include_dashboard": False,
            }
            ray.init(address="local", _temp_dir=folder, **own, **quiet)
        else:
            _try(address)
            ray.init(address=address, **quiet)
        try:
            yield ray
        finally:
            ray.shutdown()
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _try(address: str) -> None:
    """Ray itself would go on asking for minutes. Raises ClusterError where nobody listens."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ClusterError(f"{address!r} is no address of a Ray cluster: it must be HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=5.0).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"no Ray cluster answers at {address}: {error}") from error
