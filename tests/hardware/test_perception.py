"""Where things are: what a source of poses may say, and whose error it is where it fails."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from hardware.cameras import CameraError
from hardware.perception import Perception, PerceptionError, make_perception

GOOD = [0.45, 0.0, 0.025, 0.0, 0.0, 0.0, 1.0]
NAN, INF = float("nan"), float("inf")


class Tracker:
    """Somebody's own: says `said`, or raises it."""

    said: ClassVar[Any] = {"cube": GOOD}

    def poses(self) -> Mapping[str, Any]:
        if isinstance(self.said, Exception):
            raise self.said
        said: Mapping[str, Any] = self.said
        return said

    def close(self) -> None:
        if isinstance(self.said, Exception):
            raise self.said


def needs_a_port(port: str) -> Tracker:
    return Tracker()


def without_a_device() -> Tracker:
    raise OSError(2, "No such file or directory", "/dev/video9")


def with_a_bug() -> Tracker:
    cameras: dict[str, Tracker] = {}
    return cameras["camera"]


def with_a_message_of_two_lines() -> Tracker:
    raise CameraError("no picture\nafter 5 s")


def made(name: str) -> Perception:
    nobody: Any = None  # the arm is for the source `host` alone
    return make_perception(f"{__name__}:{name}", nobody)


@pytest.fixture
def tracker() -> Iterator[Perception]:
    """One that says what `Tracker.said` is."""
    yield made("Tracker")
    Tracker.said = {"cube": GOOD}


def test_poses_of_ones_own_tracker_come_as_vectors(tracker: Perception) -> None:
    assert np.array_equal(tracker.poses()["cube"], GOOD)


def test_a_quaternion_that_is_a_little_off_is_made_of_unit_length(tracker: Perception) -> None:
    Tracker.said = {"cube": [0.4, 0.0, 0.0, 0.0, 0.0, 0.707, 0.707]}
    assert np.linalg.norm(tracker.poses()["cube"][3:]) == pytest.approx(1.0, abs=1e-12)


NONSENSE = [
    ([NAN, *GOOD[1:]], "cube is [nan, 0.0,"),
    ([*GOOD[:6], INF], "inf]: a pose is 7 finite numbers"),
    (GOOD[:3], "cube is [0.45, 0.0, 0.025]: a pose is 7 finite numbers"),
    ([GOOD], "cube is [[0.45"),
    ("there", "cube is there"),
    (None, "cube is None"),
    ([0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], "cube is [0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]: its quaternion"),
    ([0.4, 0.0, 0.0, 0.0, 0.0, 0.71, 0.71], "has length 1.004, it must be 1"),
]


@pytest.mark.parametrize(("pose", "told"), NONSENSE)
def test_a_pose_that_makes_no_sense_is_refused_with_the_things_name(
    tracker: Perception, pose: object, told: str
) -> None:
    Tracker.said = {"ball": GOOD, "cube": pose}
    with pytest.raises(PerceptionError) as raised:
        tracker.poses()
    assert f"perception {__name__}:Tracker: " in str(raised.value)
    assert told in str(raised.value)


@pytest.mark.parametrize(("pose", "told"), NONSENSE)
def test_so_it_is_in_a_file(tmp_path: Path, pose: object, told: str) -> None:
    path = tmp_path / "poses.json"
    nobody: Any = None
    path.write_text(json.dumps({"cube": pose}), encoding="utf-8")
    with pytest.raises(PerceptionError) as raised:
        make_perception(f"file:{path}", nobody)
    assert str(path) in str(raised.value)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (None, "poses() gave a NoneType, expected poses by name"),
        ([GOOD], "poses() gave a list"),
        (RuntimeError("no picture"), "RuntimeError: no picture (test_perception.py:"),
        (KeyError("cube"), "KeyError: 'cube' (test_perception.py:"),
        (TimeoutError(), "TimeoutError (test_perception.py:"),
        (OSError(5, os.strerror(5)), "Input/output error"),
        (PerceptionError("it is dark"), "it is dark"),
    ],
)
def test_whatever_a_tracker_raises_is_an_error_that_names_it(
    tracker: Perception, said: object, told: str
) -> None:
    Tracker.said = said
    calls = (tracker.poses, tracker.close) if isinstance(said, Exception) else (tracker.poses,)
    for call in calls:
        with pytest.raises(PerceptionError) as raised:
            call()
        assert str(raised.value).startswith(f"perception {__name__}:Tracker: ")
        assert told in str(raised.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("needs_a_port", "missing 1 required positional argument: 'port'"),
        ("without_a_device", "No such file or directory: '/dev/video9'"),
        ("with_a_bug", "KeyError: 'camera' (test_perception.py:"),
        ("with_a_message_of_two_lines", "no picture after 5 s"),
        ("GOOD", "is a list, which cannot be called"),
        ("Trakcer", "has no attribute 'Trakcer'"),
    ],
)
def test_a_factory_that_makes_no_tracker_is_told_in_one_line(name: str, told: str) -> None:
    with pytest.raises(PerceptionError) as raised:
        made(name)
    assert str(raised.value).startswith(f"perception {__name__}:{name}")
    assert told in str(raised.value) and "\n" not in str(raised.value)
