"""`evaluate`: a policy alone, of a run that stays as it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from safetensors.numpy import load_file, save_file

from hardware.host.guard import Safety
from hardware.remote import RemoteRobot
from hardware.robot import Robot
from robot_rlhf import cli
from robot_rlhf.report.summary import read_summary
from sim.driver import make
from tests.hardware.host.served import Served, fake, fake_real, until

if TYPE_CHECKING:
    from tests.conftest import FinishedRun

Captured = pytest.CaptureFixture[str]
Refused = Callable[..., str]


def test_evaluate_repeats_the_final_evaluation(finished_run: FinishedRun, capsys: Captured) -> None:
    summary = read_summary(finished_run.folder)
    assert summary is not None
    words = ["--episodes", str(summary.episodes), "--seed", str(summary.seed), "--json"]
    assert cli.main(["evaluate", str(finished_run.folder), *words]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert set(result) == {"success_rate", "wilson_low", "wilson_high", "episodes", "mean_length"}
    for name in ("success_rate", "wilson_low", "wilson_high", "episodes"):
        assert result[name] == getattr(summary, name)


def test_the_expert_needs_no_run(capsys: Captured) -> None:
    words = ["evaluate", "--policy", "expert", "--task", "reach", "--episodes", "2"]
    assert cli.main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["success_rate"] == 1.0
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "100%" in err


def test_where_episodes_run_changes_nothing_and_a_served_arm_is_but_one(
    capsys: Captured, refused: Refused
) -> None:
    words = ("evaluate", "--policy", "expert", "--task", "reach", "--episodes", "3", "--json")
    said = []
    for runner in (("serial",), ("processes", "--workers", "1")):
        assert cli.main([*words, "--runner", *runner]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "one arm" in refused(*words, "--robot", "tcp://127.0.0.1:5555", "--runner", "processes")


def test_the_expert_drives_another_arm_by_its_name(capsys: Captured) -> None:
    words = ["evaluate", "--policy", "expert", "--task", "reach", "--arm", "iiwa", "--episodes", "2"]
    assert cli.main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["success_rate"] == 1.0


def test_a_served_arm_is_evaluated_on_in_real_time(capsys: Captured) -> None:
    words = ["evaluate", "--policy", "expert", "--task", "reach", "--episodes", "2", "--json"]
    with closing(Served(lambda: make("reach"))) as served:
        assert cli.main([*words, "--robot", served.address]) == 0
        assert json.loads(capsys.readouterr().out)["success_rate"] == 1.0
        assert served.host.guard.lease is None


def test_a_trained_policy_runs_on_a_served_arm_as_it_is(finished_run: FinishedRun, capsys: Captured) -> None:
    words = ["evaluate", str(finished_run.folder), "--episodes", "1", "--json"]
    with closing(Served(lambda: make("reach"))) as served:
        assert cli.main([*words, "--robot", served.address]) == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 1


def test_an_evaluation_ends_where_the_arm_is_stopped_or_gone(refused: Refused) -> None:
    words = ["evaluate", "--policy", "expert", "--task", "reach", "--episodes", "20"]
    for end, said in ((stopped, "panda: local pressed STOP"), (frozen, "panda: no fresh state")):
        with closing(Served(lambda: make("reach"))) as served:
            ending = threading.Thread(target=end, args=(served,))
            ending.start()
            assert said in refused(*words, "--robot", served.address)
            ending.join()


def stopped(served: Served) -> None:
    with closing(RemoteRobot(served.address)) as other:
        until(lambda: served.host.guard.safety is Safety.MOVING)
        other.stop()
        until(lambda: served.host.guard.safety is Safety.STOPPED)


def frozen(served: Served) -> None:
    until(lambda: served.host.guard.safety is Safety.MOVING)
    served.frozen = True


def test_an_arm_that_needs_a_person_is_not_evaluated_on_unattended(refused: Refused) -> None:
    with closing(Served(fake_real)) as served:
        line = refused("evaluate", "--policy", "expert", "--task", "reach", "--robot", served.address)
    assert "fake moves only beside a person" in line


@pytest.mark.parametrize("arm", [fake, lambda: make("reach")])
def test_an_arm_before_other_things_is_not_evaluated_on(arm: Callable[[], Robot], refused: Refused) -> None:
    with closing(Served(arm)) as served:
        line = refused("evaluate", "--policy", "expert", "--task", "push", "--robot", served.address)
    assert "push needs to know where 'cube' is" in line
    assert "robot-host --driver sim --option task=push" in line
    assert "--perception" not in line  # which `evaluate` does not take


def test_a_policy_with_a_nan_is_refused_by_the_tensors_name(run_copy: Path, refused: Refused) -> None:
    for path in (run_copy / "checkpoints").iterdir():
        tensors = load_file(path)
        name = next(name for name in sorted(tensors) if name.startswith("sac.actor.") and tensors[name].ndim)
        tensors[name][:] = float("nan")
        save_file(tensors, path, {"format": "robot-rlhf-checkpoint-2"})
    assert f"{name} has" in refused("evaluate", str(run_copy), "--episodes", "1")


def test_a_checkpoint_of_another_version_is_named(run_copy: Path, refused: Refused) -> None:
    for path in (run_copy / "checkpoints").iterdir():
        tensors = {name: tensor for name, tensor in load_file(path).items() if name != "reward.scale"}
        save_file(tensors, path, {"format": "robot-rlhf-checkpoint-2"})
    line = refused("evaluate", str(run_copy), "--episodes", "1")
    assert "does not fit this run" in line
    assert "scale" in line
