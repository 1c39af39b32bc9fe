"""The program on the robot's PC, as a process of its own, and what the person beside it asks."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from hardware.drivers import make_driver, names, options_of
from hardware.drivers.fake import FakeArm
from hardware.host.guard import Safety
from hardware.remote import RemoteRobot
from hardware.robot import RobotError, Source
from hardware.security import ClientSecurity, Role, make_client, make_server
from hardware.transport.addresses import reachable
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


def until_stopped(address: str) -> None:
    """Until the host's loop has told that it is stopped, and has gone round once more."""
    with closing(RemoteRobot(address)) as robot:
        until(lambda: robot.now().safety is Safety.STOPPED)
        seq = robot.read().seq
        until(lambda: robot.read().seq > seq + 1)


def test_the_last_minute_of_a_real_arm_is_recorded_without_being_asked_for(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for words, count in ((["simulated=no"], 1), (["simulated=no", "--record", "none"], 1), ([], 1)):
        process, address = started(*(["--option", *words] if words else []))
        try:
            asked("stop", address, capsys)
            until_stopped(address)  # it is recorded by the turn after the one that heard of it
        finally:
            process.terminate()
            process.communicate()  # which waits for what is due to be written
        assert len(list((tmp_path / "robot-host" / "fake").glob("*"))) == count


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


def without_its_port() -> FakeArm:
    raise FileNotFoundError(2, "No such file or directory", "/dev/ttyUSB0")


def refused() -> FakeArm:
    raise ConnectionRefusedError(111, "Connection refused")


def with_a_bug() -> FakeArm:
    arms: list[FakeArm] = []
    return arms[3]


def that_says_much() -> FakeArm:
    raise RobotError("no arm:\nits cable\nis out")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("without_its_port", "the driver {}: [Errno 2] No such file or directory: '/dev/ttyUSB0'"),
        ("refused", "the driver {}: [Errno 111] Connection refused"),
        ("with_a_bug", "the driver {}: IndexError: list index out of range (test_robot_host.py:"),
        ("that_says_much", "no arm: its cable is out"),
        ("nothing_of_this_name", "the driver {} cannot be loaded: module"),
        ("LINE", "the driver {} is a str, which cannot be called"),
    ],
)
def test_a_driver_that_fails_is_one_clear_line(name: str, line: str, capsys: Captured) -> None:
    from hardware.host.__main__ import main

    assert main(["--driver", f"{__name__}:{name}", "--bind", "tcp://127.0.0.1:*"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"robot-host: error: {line.format(f'{__name__}:{name}')}")
    assert said.count("\n") == 1


LINE = "no factory"
CONNECTED: list[str] = []


def connected() -> FakeArm:
    CONNECTED.append("an arm")
    raise RobotError("it is connected")


@pytest.mark.parametrize(
    ("bind", "line"),
    [
        ("tcp://0.0.0.0:*", "without keys"),
        ("127.0.0.1:5555", "an address is tcp://HOST:PORT"),
        ("tcp://127.0.0.1:70000", "the port at most 65535"),
        ("tcp://127.0.0.1:{taken}", "Address already in use"),
        ("tcp://127.0.0.1:*", "it is connected"),
    ],
)
def test_no_arm_is_touched_for_an_address_where_nothing_can_listen(
    bind: str, line: str, capsys: Captured
) -> None:
    from hardware.host.__main__ import main

    CONNECTED.clear()
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        bind = bind.format(taken=taken.getsockname()[1])
        assert main(["--driver", f"{__name__}:connected", "--bind", bind]) == 1
    assert line in capsys.readouterr().err
    assert bool(CONNECTED) == (line == "it is connected")


def test_a_host_that_listens_everywhere_tells_an_address_to_connect_to(tmp_path: Path) -> None:
    make_server(tmp_path)
    make_client(tmp_path, "ada", Role.OPERATOR)
    process, address = started("--bind", "tcp://0.0.0.0:*", "--keys", str(tmp_path))
    try:
        assert process.stdout is not None
        assert "0.0.0.0" not in address + process.stdout.readline()
        port = address.rpartition(":")[2]
        assert address == reachable(f"tcp://0.0.0.0:{port}")[0]
        ada = ClientSecurity(tmp_path / "ada.key")
        with closing(RemoteRobot(f"tcp://127.0.0.1:{port}", security=ada)) as robot:
            assert robot.spec.name == "fake"
    finally:
        process.kill()
        process.communicate()


def test_a_driver_is_made_by_name_or_by_its_factory() -> None:
    assert "fake" in names()
    for name in ("fake", "hardware.drivers.fake:make"):
        arm = make_driver(name, options_of(["simulated=no"]))
        assert isinstance(arm, FakeArm) and not arm.spec.simulated
        assert np.array_equal(arm.read().tool_twist, np.zeros(6))
    with pytest.raises(RobotError, match="must be name=value"):
        options_of(["=3"])
