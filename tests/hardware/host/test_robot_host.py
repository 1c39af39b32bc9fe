"""The program on the robot's PC, as a process of its own, and what the person beside it asks."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from hardware.drivers import make_driver, names, options_of
from hardware.drivers.fake import FakeArm
from hardware.host.guard import Safety
from hardware.remote import RemoteRobot
from hardware.robot import RobotError, Source
from robot_rlhf import cli
from tests.hardware.host.served import Hand, moved, until

Captured = pytest.CaptureFixture[str]


def started(*words: str) -> tuple[subprocess.Popen[str], str]:
    """A host, and where it is asked."""
    host = subprocess.Popen(
        [sys.executable, "-m", "hardware.host", "--driver", "fake", "--bind", "tcp://127.0.0.1:*", *words],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert host.stdout is not None
    return host, host.stdout.readline().split()[2]


@pytest.fixture
def host() -> Iterator[tuple[subprocess.Popen[str], str]]:
    process, address = started()
    yield process, address
    process.kill()
    process.communicate()


def asked(what: str, address: str, captured: Captured) -> dict[str, object]:
    assert cli.main(["robot", what, address, "--json"]) == 0
    answer: dict[str, object] = json.loads(captured.readouterr().out)
    return answer


def test_the_person_beside_it_asks_and_commands(host: tuple[object, str], capsys: Captured) -> None:
    address = host[1]
    assert 0.0 < float(str(asked("ping", address, capsys)["round_trip_ms"])) < 1000.0
    status = asked("status", address, capsys)
    assert {"joints_rad", "safety_state", "last_command_seq", "lease_holder"} <= status.keys()
    assert (status["safety_state"], status["lease_holder"]) == ("disarmed", "")
    for what, then in (
        ("arm", "holding"),
        ("stop", "stopped"),
        ("clear-fault", "disarmed"),
        ("arm", "holding"),
    ):
        assert asked(what, address, capsys) == {"safety_state": then}
    spec = asked("describe", address, capsys)["spec"]
    assert isinstance(spec, dict) and spec["name"] == "fake"
    assert cli.main(["robot", "status", address]) == 0
    assert "fake is holding" in capsys.readouterr().out


def test_a_real_arm_is_armed_beside_a_person_alone(capsys: Captured) -> None:
    process, address = started("--option", "simulated=no")
    try:
        asked("arm", address, capsys)
        assert asked("describe", address, capsys)["attended"] is True
        assert asked("status", address, capsys)["safety_state"] in ("holding", "stopped")
    finally:
        process.kill()
        process.communicate()


def test_a_simulated_arm_goes_home_when_asked(host: tuple[object, str], capsys: Captured) -> None:
    address = host[1]
    with closing(Hand(address)) as hand:
        hand.lead()
        hand.drive(0.1, lambda state: state.tool_pos_m[0] > 0.53)
    assert asked("home", address, capsys)["safety_state"] in ("moving", "holding")
    tool = asked("status", address, capsys)["tool_pos_m"]
    assert tool == pytest.approx([0.5, 0.0, 0.35], abs=5e-3)  # the middle of its workspace
    asked("stop", address, capsys)
    asked("home", address, capsys)  # it is there already
    asked("clear-fault", address, capsys)
    with closing(Hand(address)) as hand:
        hand.lead()
        hand.drive(0.1, lambda state: state.tool_pos_m[0] > 0.53)
    asked("stop", address, capsys)
    assert cli.main(["robot", "home", address]) == 1
    assert "clear-fault first" in capsys.readouterr().err


def test_a_real_arm_goes_home_while_the_space_bar_is_held_in_a_terminal(capsys: Captured) -> None:
    process, address = started("--option", "simulated=no")
    ours, theirs = pty.openpty()
    try:
        with closing(Hand(address, Source.OPERATOR)) as hand:
            hand.lead()
            hand.drive(0.1, lambda state: state.tool_pos_m[0] > 0.56)
        asked("clear-fault", address, capsys)
        asked("stop", address, capsys)
        asked("clear-fault", address, capsys)
        assert cli.main(["robot", "home", address]) == 1  # pytest has no terminal
        assert "takes a terminal" in capsys.readouterr().err
        words = [sys.executable, "-m", "robot_rlhf.cli", "robot", "home", address]
        home = subprocess.Popen(words, stdin=theirs, stderr=subprocess.PIPE, text=True)
        assert home.stderr is not None and "hold the space bar" in home.stderr.readline()
        with closing(RemoteRobot(address)) as looker:

            def x() -> float:
                return float(looker.read().tool_pos_m[0])

            began = x()
            os.write(ours, b" ")
            until(lambda: x() < began - 0.01)  # it goes for as long as one key counts,
            until(lambda: looker.now().safety is Safety.HOLDING)
            assert x() > 0.505  # and no further
            while home.poll() is None:
                os.write(ours, b" ")
                time.sleep(0.05)  # as a keyboard repeats
        assert home.returncode == 0
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
        os.close(theirs)


def test_no_host_is_one_clear_line(capsys: Captured) -> None:
    assert cli.main(["robot", "ping", "tcp://127.0.0.1:1"]) == 1
    assert "no host at tcp://127.0.0.1:1" in capsys.readouterr().err


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_by_a_signal_and_stops_the_arm(host: tuple[subprocess.Popen[str], str], by: int) -> None:
    process, address = host
    hand = Hand(address)
    hand.lead()
    hand.drive(0.2, moved)
    hand.close()
    process.send_signal(by)
    assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--driver", "fak"], "no driver 'fak', did you mean 'fake'?"),
        (["--driver", "fake", "--option", "host=1"], "no option 'host' (there are simulated, hz)"),
        (["--driver", "fake", "--option", "simulated=maybe"], "it must be yes or no"),
        (["--driver", "fake", "--option", "simulated"], "must be name=value"),
        (["--driver", "fake", "--option", "hz=0"], "from 1 to 1000"),
        (["--driver", "nowhere:make"], "No module named 'nowhere'"),
        (["--driver", "hardware.robot:Robott"], "has no attribute 'Robott'"),
        (["--driver", "hardware.host.guard:LEASE_S"], "which cannot be called"),
        (["--driver", "hardware.drivers:names"], "which is no Robot"),
        (["--driver", "fake", "--bind", "tcp://0.0.0.0:*"], "without keys"),
        (["--driver", "fake", "--keys", "/nowhere"], "/nowhere"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(words: list[str], line: str, capsys: Captured) -> None:
    from hardware.host.__main__ import main

    assert main(words) == 1
    said = capsys.readouterr().err
    assert said.startswith("robot-host: error: ") and line in said
    assert said.count("\n") == 1


def test_a_driver_is_made_by_name_or_by_its_factory() -> None:
    assert "fake" in names()
    for name in ("fake", "hardware.drivers.fake:make"):
        arm = make_driver(name, options_of(["simulated=no"]))
        assert isinstance(arm, FakeArm) and not arm.spec.simulated
        assert np.array_equal(arm.read().tool_twist, np.zeros(6))
    with pytest.raises(RobotError, match="must be name=value"):
        options_of(["=3"])
