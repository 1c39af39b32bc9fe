"""Ray Core on a cluster of two nodes in this machine: as without it, and a node may go at any moment."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from robot_rlhf.commands.evaluate import Where, evaluate_expert
from robot_rlhf.commands.extras import is_installed
from robot_rlhf.runners.on_ray import ClusterError, RayRunner
from robot_rlhf.runners.runner import ATTEMPTS, TaskError
from robot_rlhf.runners.serial import SerialRunner
from tests.runners.walking import Doomed, Walker, walked_alone, walks
from tests.runners.work import Once, deadly, numbers, refused, threads

pytestmark = pytest.mark.skipif(not is_installed("ray"), reason="the extra 'cluster' is not installed")


def test_an_address_where_nothing_answers_is_named() -> None:
    """First in this file: whoever is connected already asks for no address."""
    with pytest.raises(ClusterError, match=r"127.0.0.1:1"):
        list(RayRunner(address="127.0.0.1:1").map(threads, numbers(1)))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two nodes of one CPU each, and this program connected to them."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    # nothing scales or reads logs, and a node that is gone is missed in a second
    missed = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 200,
        "health_check_failure_threshold": 5,
    }
    lean = {"num_cpus": 1, "include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    cluster = Cluster(initialize_head=True, head_node_args={**lean, "_system_config": missed})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_a_task_that_fails_is_named_and_a_killed_worker_costs_nothing(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"^number 3: three is not wanted$") as caught:
        list(RayRunner().map(refused, numbers(4)))  # others beside it would be killed with their workers
    assert type(caught.value.__cause__) is ValueError
    assert "work.py" in str(caught.value.__cause__.__cause__)
    assert list(RayRunner().map(Once(tmp_path, frozenset({1})), numbers(4))) == list(range(4))
    assert len(list(tmp_path.glob("killed-*"))) == 1
    assert list(RayRunner(workers=1).map(threads, numbers(1))) == ["1"]


@pytest.mark.slow  # its workers load all of torch
def test_an_evaluation_is_the_same_as_without_it(cluster: Any) -> None:
    alone, spread = (
        evaluate_expert("reach", 3, 1, Where(runner)) for runner in (SerialRunner(), RayRunner())
    )
    assert alone == spread


@pytest.mark.slow  # a new worker takes a second, four times
def test_a_task_that_kills_every_worker_is_given_up_by_its_name(cluster: Any) -> None:
    with pytest.raises(TaskError, match=f"^number 2: given up, {ATTEMPTS} workers"):
        list(RayRunner().map(deadly, numbers(3)))


def test_a_node_goes_in_mid_rollout_and_every_episode_comes_once_and_to_the_bit(
    cluster: Any, tmp_path: Path
) -> None:
    (worker,) = cluster.worker_nodes
    pipe = tmp_path / "stopped"
    os.mkfifo(pipe)

    def remove() -> None:
        pipe.read_text()  # a walk stands still on that node
        cluster.remove_node(worker, allow_graceful=False)

    removing = threading.Thread(target=remove)
    removing.start()
    walked = list(RayRunner().map(Doomed(worker.node_id, pipe), walks(2)))
    removing.join()
    assert walked == walked_alone(2)


@pytest.mark.slow  # a cluster more
def test_without_an_address_a_cluster_is_made_and_taken_away() -> None:
    import ray

    ray.shutdown()  # of the other tests' cluster: this one stands last
    before = set(Path("/tmp").glob("ray-*"))
    walked = list(RayRunner(workers=1).map(Walker(), walks(1)))
    assert walked == walked_alone(1)
    assert not ray.is_initialized()
    assert set(Path("/tmp").glob("ray-*")) <= before
