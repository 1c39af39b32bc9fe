"""What a runner promises, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Literal, Protocol, TypeAlias, TypeVar

Kind: TypeAlias = Literal["serial", "processes", "ray"]
"""The names of the runners."""

ATTEMPTS = 4
"""A task is given up once so many workers have died of it."""
AHEAD = 4
"""Tasks a worker that are handed out before the oldest one's result is taken: what bounds the memory."""


class Named(Protocol):
    """A task: whatever it is, a person can be told which one it was."""

    @property
    def name(self) -> str: ...


AnyTask = TypeVar("AnyTask", bound=Named)
AnyResult = TypeVar("AnyResult")
Results: TypeAlias = Generator[AnyResult, None, None]
"""Results one after the other; closing it stops the work."""


class Runner(Protocol):
    """Does tasks, somewhere."""

    def map(self, function: Callable[[AnyTask], AnyResult], tasks: Iterable[AnyTask]) -> Results[AnyResult]:
        """The result of `function` for each task, once each, in the order of the tasks.

        `function` and tasks can be pickled. Every worker has a copy of `function` of its own and asks it one
        task after another, so it may keep what it makes (a physics client, a policy); its `close`, where it
        has one, is called at the end, unless the worker's process ends anyway. The results do not depend on
        the runner as long as what it does follows from the task alone.

        Tasks are taken from `tasks` as results are consumed, at most `AHEAD` a worker ahead of them. A task
        whose worker died is done again by another. In the place of its result, TaskError names one that
        failed by an error of its own, or of which `ATTEMPTS` workers have died. Whoever stops consuming
        stops the work.
        """
        ...


class TaskError(Exception):
    """A task has failed. The message begins with the task's name; what it raised is the cause."""


class WorkerError(Exception):
    """Where in a worker an error arose, as text: the cause of an error that came from another process."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def failed(task: Named, error: BaseException) -> TaskError:
    """`task` has raised `error`."""
    said = " ".join(str(error).split())
    failure = TaskError(f"{task.name}: {said or type(error).__name__}")
    failure.__cause__ = error
    return failure


def given_up(task: Named, attempts: int, how: str) -> TaskError:
    """`attempts` workers have died of `task`, the last one as `how` says."""
    return TaskError(f"{task.name}: given up, {attempts} workers have died of it, the last one {how}")


def close(function: object) -> None:
    """Have a function let go of what it keeps, where it keeps anything."""
    closing = getattr(function, "close", None)
    if closing is not None:
        closing()
