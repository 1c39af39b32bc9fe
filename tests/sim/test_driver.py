"""The simulated arm behind a host: in real time, and like any other arm."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from hardware.drivers import make_driver, names
from hardware.remote import RemoteRobot
from hardware.robot import Command, Robot, RobotError, Source
from sim.driver import RealTimeArm, make
from tests.hardware.host.served import Hand, Served, travelled_m


@pytest.fixture
def arm() -> Iterator[RealTimeArm]:
    with closing(make()) as made:
        yield made


def test_it_is_a_robot_and_has_a_name(arm: RealTimeArm) -> None:
    assert isinstance(arm, Robot)
    assert "sim" in names()
    assert arm.spec.simulated and arm.spec.control_hz == 100.0
    assert set(arm.objects()) == {"cube"}


def test_its_time_is_the_machines(arm: RealTimeArm) -> None:
    began, first = time.monotonic_ns(), arm.read()
    while time.monotonic_ns() - began < 80_000_000:
        arm.read()
    last, passed_ns = arm.read(), time.monotonic_ns() - began
    assert last.time_ns - first.time_ns == pytest.approx(passed_ns, abs=20_000_000)


def test_what_was_slept_through_is_left_out(arm: RealTimeArm) -> None:
    twist = np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0])
    before = arm.read()
    arm.send(Command(1, twist, 1.0, 10.0, Source.SCRIPT))
    arm._zero_ns -= 3_000_000_000  # as if three seconds had gone by
    assert travelled_m(before, arm.read()) < 0.02


def test_the_same_seed_is_the_same_start_and_another_is_not() -> None:
    places = []
    for seed in ("3", "3", "4"):
        with closing(make("push", seed)) as arm:
            places.append(arm.objects()["cube"])
    assert (places[0] == places[1]).all() and not (places[0] == places[2]).all()


def test_another_arm_is_asked_for_by_its_name() -> None:
    with closing(make("reach", "0", "iiwa")) as arm:
        assert arm.spec.name == "iiwa" and arm.spec.control_hz == 100.0


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"task": "fly"}, "no task named 'fly'"),
        ({"seed": "x"}, "whole number"),
        ({"arm": "x"}, "no arm named 'x'"),
    ],
)
def test_options_that_make_no_sense_are_named(options: dict[str, str], line: str) -> None:
    with pytest.raises(RobotError, match=line):
        make_driver("sim", options)


@pytest.mark.parametrize("quaternion", [(0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.1)])
def test_a_start_without_a_direction_is_refused_and_nothing_moves(quaternion: tuple[float, ...]) -> None:
    start_m = np.array([0.45, 0.0, 0.2])
    with closing(Served(make)) as served, closing(RemoteRobot(served.address)) as robot:
        robot.take(Source.SCRIPT)
        before = robot.objects["cube"]
        with pytest.raises(RobotError, match=r"cube is \[0.45, .*: its quaternion has length"):
            robot.lay_out(start_m, 1.0, {"cube": np.array([0.45, 0.0, 0.025, *quaternion])})
        robot.now()
        assert np.allclose(robot.objects["cube"], before, atol=1e-3)


def test_it_is_driven_over_the_wire_and_stops_when_its_client_falls_silent() -> None:
    with closing(Served(make)) as served, closing(Hand(served.address)) as hand:
        hand.lead()
        start = hand.robot.read()
        moved = hand.drive(0.1, lambda state: travelled_m(start, state) > 0.03)
        assert moved.tool_pos_m[0] > start.tool_pos_m[0]
        rest = hand.at_rest()
        assert travelled_m(moved, rest) < 0.05
