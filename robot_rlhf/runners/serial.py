"""One task after the other, here."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from robot_rlhf.runners.runner import AnyResult, AnyTask, Results, close, failed


class SerialRunner:
    """A runner that does each task when its result is asked for, in this process."""

    def map(self, function: Callable[[AnyTask], AnyResult], tasks: Iterable[AnyTask]) -> Results[AnyResult]:
        try:
            for task in tasks:
                try:
                    result = function(task)
                except Exception as error:
                    raise failed(task, error) from error
                yield result
        finally:
            close(function)
