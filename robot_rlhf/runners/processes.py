"""Worker processes on this machine.

Spawned and never forked, since a fork copies the locks of torch's threads. Each has a pipe of its own, so
that it is known which task a worker died of, and the other workers go on.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic

from robot_rlhf.runners.runner import (
    AHEAD,
    ATTEMPTS,
    AnyResult,
    AnyTask,
    Named,
    Results,
    TaskError,
    WorkerError,
    close,
    failed,
    given_up,
)

_SPAWN = multiprocessing.get_context("spawn")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class ProcessRunner:
    """A runner with `workers` processes, each with one thread for its mathematics."""

    workers: int

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers is {self.workers}: there must be at least 1")

    def map(self, function: Callable[[AnyTask], AnyResult], tasks: Iterable[AnyTask]) -> Results[AnyResult]:
        round_: _Round[AnyTask, AnyResult] = _Round(self.workers, function, tasks)
        try:
            yield from round_.results()
        finally:
            round_.end()


@dataclass(eq=False)
class _Attempt(Generic[AnyTask]):
    """A task that has been handed out, and how many workers have died of it."""

    index: int
    task: AnyTask
    deaths: int = 0


@dataclass(eq=False)
class _Worker(Generic[AnyTask]):
    """A process, this side of its pipe, and what it is about."""

    process: BaseProcess
    pipe: Connection
    attempt: _Attempt[AnyTask] | None = None


class _Round(Generic[AnyTask, AnyResult]):
    """One call of `map`."""

    def __init__(
        self, workers: int, function: Callable[[AnyTask], AnyResult], tasks: Iterable[AnyTask]
    ) -> None:
        self._most = workers
        self._function = pickle.dumps(function)
        self._fresh = enumerate(tasks)
        self._again: deque[_Attempt[AnyTask]] = deque()
        self._workers: list[_Worker[AnyTask]] = []
        self._done: dict[int, AnyResult | TaskError] = {}
        self._next = 0  # index of the result that is due

    def results(self) -> Results[AnyResult]:
        while True:
            self._hand_out()
            if self._next in self._done:
                result = self._done.pop(self._next)
                self._next += 1
                if isinstance(result, TaskError):
                    raise result
                yield result
            elif not any(worker.attempt for worker in self._workers):
                return
            else:
                self._listen()

    def end(self) -> None:
        """Let the idle workers close what they keep, and end those that are at work."""
        for worker in self._workers:
            worker.pipe.close()  # an idle one reads the end of the file
            if worker.attempt is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(timeout=5.0)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _hand_out(self) -> None:
        """Give every worker something to do, as far as there is something and it is not too far ahead."""
        while True:
            worker = next((one for one in self._workers if one.attempt is None), None)
            if worker is None and len(self._workers) == self._most:
                return
            attempt = self._another()
            if attempt is None:
                return
            if worker is None:
                worker = _Worker(*_started(self._function))
                self._workers.append(worker)
            worker.attempt = attempt
            try:
                worker.pipe.send_bytes(_packed(attempt.task))
            except (BrokenPipeError, ConnectionResetError):
                self._bury(worker)

    def _another(self) -> _Attempt[AnyTask] | None:
        if self._again:
            return self._again.popleft()
        handed_out = sum(worker.attempt is not None for worker in self._workers) + len(self._done)
        if handed_out >= AHEAD * self._most:
            return None
        for index, task in self._fresh:
            return _Attempt(index, task)
        return None

    def _listen(self) -> None:
        """Wait until a worker has something to say, or is no more."""
        speaking = wait([worker.pipe for worker in self._workers])
        for worker in [one for one in self._workers if one.pipe in speaking]:
            try:
                answer = pickle.loads(worker.pipe.recv_bytes())
            except (EOFError, ConnectionResetError):  # also where it died in the middle of a word
                self._bury(worker)
                continue
            attempt, worker.attempt = worker.attempt, None
            assert attempt is not None, "a worker speaks only of the task that it was given"
            if isinstance(answer, _Failure):
                answer.error.__cause__ = WorkerError(answer.where)
                self._done[attempt.index] = failed(attempt.task, answer.error)
            else:
                self._done[attempt.index] = answer

    def _bury(self, worker: _Worker[AnyTask]) -> None:
        """A worker has died: its task is for another one."""
        worker.pipe.close()
        worker.process.join()
        self._workers.remove(worker)
        attempt = worker.attempt
        if attempt is None:
            return
        attempt.deaths += 1
        if attempt.deaths == ATTEMPTS:
            self._done[attempt.index] = given_up(attempt.task, ATTEMPTS, _how(worker.process.exitcode))
        else:
            self._again.append(attempt)


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"by {signal.Signals(-exit_code).name}"
    return f"with exit code {exit_code}"


def _started(function: bytes) -> tuple[BaseProcess, Connection]:
    """A worker that Ctrl-C does not reach: whoever started it ends it."""
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_work, args=(theirs, function), daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _one_thread():
            process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return process, ours


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """The environment in which a process begins: libraries read it when they are first loaded."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@dataclass(frozen=True)
class _Failure:
    """What a task raised, and where, as text."""

    error: Exception
    where: str


def _packed(task: Named) -> bytes:
    try:
        return pickle.dumps(task)
    except Exception as error:  # pickle raises what it likes
        raise failed(task, error) from error


def _work(pipe: Connection, function: bytes) -> None:
    """A worker's life: answer one task after the other, until nobody asks any more."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    asked: Callable[[Any], Any] | None = None
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            task = pipe.recv_bytes()
            try:
                if asked is None:
                    asked = pickle.loads(function)
                answer = pickle.dumps(asked(pickle.loads(task)))
            except Exception as error:
                answer = pickle.dumps(_Failure(_portable(error), traceback.format_exc()))
            pipe.send_bytes(answer)
    close(asked)


def _end_with_the_parent() -> None:
    """A parent that was killed cannot end its workers, and nobody may go on where another takes over."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _portable(error: Exception) -> Exception:
    """The error, or where it cannot be sent one that says the same."""
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    except Exception:  # not every error can be made again from its arguments
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")
