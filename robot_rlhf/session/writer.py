"""The thread that owns a run's store, so that no fsync ever waits on the control thread.

Work is a function of the `Store`, done in the order it was handed in; what comes of it is handed back on
the thread that asked, when that calls `settle`. While the disk fails, the work that met it is tried again
and all behind it waits, so nothing that was handed in is lost as long as the process lives.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from robot_rlhf.feedback.store import Store, StoreError
from robot_rlhf.feedback.store_file import DiskError

T = TypeVar("T")

_RETRY_S = 0.5


@dataclass(frozen=True)
class _Job(Generic[T]):
    work: Callable[[Store], T]
    then: Callable[[T], None]
    failed: Callable[[StoreError], None] | None


class Writer:
    """Opens the store at `path` in a thread of its own. Used from one other thread."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError where the store cannot be opened."""
        self.trouble = ""
        """What keeps the disk from taking anything at the moment, in words; empty while all is well."""
        self._path = path
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._waiting = 0
        self._giving_up = threading.Event()
        self._ready: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()
        error = self._ready.get()
        if error is not None:
            raise error

    @property
    def waiting(self) -> int:
        """Work handed in whose outcome was not handed back yet."""
        return self._waiting

    def submit(
        self,
        work: Callable[[Store], T],
        then: Callable[[T], None] = lambda _: None,
        failed: Callable[[StoreError], None] | None = None,
    ) -> None:
        """Have `work` done on the store. `then` gets what it returned, `failed` the StoreError where the
        data were at fault; without `failed` such an error is raised by `settle`. Not after `close`."""
        self._waiting += 1
        self._jobs.put(_Job(work, then, failed))

    def settle(self) -> None:
        """Hand back what is done. Never blocks."""
        while True:
            try:
                outcome = self._done.get_nowait()
            except queue.Empty:
                return
            self._hand_back(outcome)

    def _hand_back(self, outcome: Callable[[], None]) -> None:
        self._waiting -= 1
        outcome()

    def close(self) -> None:
        """Finish what was handed in, hand it back, also what is handed in for it, and close the store. While
        the disk fails, what cannot be stored is given up. Twice is fine."""
        self._giving_up.set()
        errors: list[BaseException] = []
        while self._waiting:
            try:
                self._hand_back(self._done.get())
            except Exception as error:  # what comes after it is handed back all the same
                errors.append(error)
        self._jobs.put(None)
        self._thread.join()
        if errors:
            raise errors[0]

    def _run(self) -> None:
        try:
            store = Store.open(self._path)
        except BaseException as error:
            self._ready.put(error)
            return
        self._ready.put(None)
        with store:
            while (job := self._jobs.get()) is not None:
                self._done.put(self._outcome(job, store))

    def _outcome(self, job: _Job[Any], store: Store) -> Callable[[], None]:
        while True:
            try:
                result = job.work(store)
            except DiskError as error:
                self.trouble = str(error)
                if self._giving_up.wait(_RETRY_S):
                    return _failure(job, error)
            except StoreError as error:
                self.trouble = ""
                return _failure(job, error)
            except BaseException as error:  # a defect: it belongs on the thread that asked
                return _raising(error)
            else:
                self.trouble = ""
                return lambda: job.then(result)


def _failure(job: _Job[Any], error: StoreError) -> Callable[[], None]:
    failed = job.failed
    return _raising(error) if failed is None else lambda: failed(error)


def _raising(error: BaseException) -> Callable[[], None]:
    def outcome() -> None:
        raise error

    return outcome
