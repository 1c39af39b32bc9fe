"""What every runner promises, over each of them; what a killed worker costs: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from robot_rlhf.runners.choice import make_runner
from robot_rlhf.runners.processes import ProcessRunner
from robot_rlhf.runners.runner import AHEAD, ATTEMPTS, Kind, Runner, TaskError, WorkerError
from robot_rlhf.runners.serial import SerialRunner
from tests.conftest import ROOT
from tests.runners.walking import Walker, walked_alone, walks
from tests.runners.work import (
    Counter,
    Once,
    Watched,
    deadly,
    numbers,
    oddly_refused,
    refused,
    squared,
    threads,
    unsendable,
)

RUNNERS: dict[str, Callable[[], Runner]] = {"serial": SerialRunner, "processes": lambda: ProcessRunner(2)}


@pytest.fixture(params=RUNNERS)
def runner(request: pytest.FixtureRequest) -> Runner:
    return RUNNERS[request.param]()


def test_results_come_once_each_and_in_the_order_of_the_tasks(runner: Runner) -> None:
    assert list(runner.map(squared, numbers(20))) == [value**2 for value in range(20)]


def test_there_may_be_nothing_to_do(runner: Runner) -> None:
    assert list(runner.map(squared, [])) == []


def test_a_task_that_fails_by_its_own_error_is_named(runner: Runner) -> None:
    results = runner.map(refused, numbers(9))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(TaskError, match=r"^number 3: three is not wanted$") as caught:
        next(results)
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_error_from_a_worker_says_where_it_arose() -> None:
    with pytest.raises(TaskError) as caught:
        list(ProcessRunner(1).map(refused, numbers(9)))
    cause = caught.value.__cause__
    assert cause is not None
    assert isinstance(cause.__cause__, WorkerError)
    assert "work.py" in str(cause.__cause__)


def test_errors_and_results_that_cannot_be_sent_are_named_too() -> None:
    with pytest.raises(TaskError, match=r"^number 0: OddError: 0 and 7$"):
        list(ProcessRunner(1).map(oddly_refused, numbers(2)))
    with pytest.raises(TaskError, match=r"^number 0: "):
        list(ProcessRunner(1).map(unsendable, numbers(2)))


def test_tasks_are_taken_as_results_are_consumed(runner: Runner) -> None:
    tasks = Watched(1000)
    with closing(runner.map(squared, tasks)) as results:
        for taken in range(1, 6):
            next(results)
            assert tasks.taken < taken + 2 * AHEAD


def test_a_worker_keeps_its_function_and_closes_it_at_the_end(runner: Runner, tmp_path: Path) -> None:
    asked = list(runner.map(Counter(tmp_path), numbers(12)))
    kept = [int(path.read_text()) for path in tmp_path.glob("closed-*")]
    assert sum(kept) == 12
    assert max(asked) == max(kept)


def test_whoever_stops_consuming_stops_the_work(runner: Runner) -> None:
    results = runner.map(squared, numbers(100))
    assert next(results) == 0
    results.close()
    with pytest.raises(StopIteration):
        next(results)


def test_a_worker_has_one_thread_and_the_parent_what_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    assert list(ProcessRunner(1).map(threads, numbers(1))) == ["1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_the_task_of_a_worker_that_was_killed_is_done_again(tmp_path: Path) -> None:
    function = Once(tmp_path, frozenset({0, 4, 5}))
    assert list(ProcessRunner(2).map(function, numbers(6))) == list(range(6))
    assert len(list(tmp_path.glob("killed-*"))) == 3


def test_a_task_that_kills_every_worker_is_given_up_by_its_name() -> None:
    results = ProcessRunner(2).map(deadly, numbers(9))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(TaskError, match=f"^number 2: given up, {ATTEMPTS} workers .* by SIGKILL$"):
        next(results)


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = (
        "from robot_rlhf.runners.processes import ProcessRunner\n"
        "from tests.runners.work import Resting, numbers\n"
        "if __name__ == '__main__': list(ProcessRunner(1).map(Resting(), numbers(2)))\n"
    )
    (tmp_path / "parent.py").write_text(program)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    parent.stdout.readline()  # a worker is at work, and has this pipe too
    parent.send_signal(signal.SIGKILL)
    assert parent.stdout.read() == b""  # nobody holds its other end any more
    parent.wait()


def test_serial_and_processes_walk_the_same_way_to_the_bit() -> None:
    assert list(ProcessRunner(2).map(Walker(), walks(2))) == walked_alone(2)
    assert len(set(walked_alone(2))) == len(walks(2))


@pytest.mark.parametrize(
    ("kind", "workers", "address", "complaint"),
    [
        ("serial", 2, "", "workers is 2"),
        ("processes", 0, "", "workers is 0"),
        ("ray", 0, "", "workers is 0"),
        ("processes", 1, "here:6379", "'here:6379'"),
    ],
)
def test_a_runner_that_cannot_be_is_refused(kind: Kind, workers: int, address: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        make_runner(kind, workers, address)
