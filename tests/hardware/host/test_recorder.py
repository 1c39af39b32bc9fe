"""When the arm is stopped, its last minute is in a file; and no disk holds the loop up."""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
import sys
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardware import wire
from hardware.drivers.fake import FakeArm
from hardware.host import recorder
from hardware.host.host import Host
from hardware.host.recorder import FILES, KEEPS_S, Recorder
from hardware.robot import RobotError
from tests.hardware.host.served import LOOPBACK, Hand, fake, moved, serving, until

SPEED_M_S = 0.2


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.open(path, "rt")]


def file_in(folder: Path) -> Path:
    """The first one that is there."""
    path: Path = until(lambda: next(folder.glob("*.jsonl.gz"), None))
    return path


def is_handed_over(host: Host, number: int) -> bool:
    """Whether the host has written, or given up, so many minutes."""
    return host._recorder is not None and host._recorder._number == number


def said(hand: Hand, words: str) -> bool:
    hand.robot.now()
    return any(words in text for text in hand.robot.events)


def test_a_stop_writes_what_led_to_it_and_what_followed(tmp_path: Path) -> None:
    with serving(record=tmp_path / "records") as (served, hand):
        one, other = hand(), hand()
        one.lead()
        one.drive(SPEED_M_S, moved)
        stale = one.robot.move(10**6, np.full(6, SPEED_M_S), 1.0, 5.0, dead_man=True)
        one.robot.exchange(stale)
        other.robot.stop_and_wait()
        path = file_in(tmp_path / "records")
        until(lambda: said(other, f"the last minute is in {path}"))
        first, *rest = lines(path)
        assert (first["kind"], first["reason"]) == ("stopped", "local pressed STOP")
        assert (first["robot"], first["session"]) == ("fake", served.host.session)
        assert [line["host_ns"] for line in rest] == sorted(line["host_ns"] for line in rest)
        commands = [line for line in rest if line["kind"] == "command"]
        followed = [line for line in commands if line["followed"]]
        assert followed and all(line["move"]["twist"][0] == SPEED_M_S for line in followed)
        assert followed[0]["answer"]["limits"] == ["acceleration"] and followed[0]["peer"] == "local"
        refused = [line["answer"] for line in commands if not line["followed"]]
        assert [(answer["seq"], answer["why"]) for answer in refused] == [(10**6, "long")]
        states = [line["state"] for line in rest if line["kind"] == "state"]
        assert len(states[0]["joint_pos_rad"]) == 7
        assert states[-1]["safety"] == "stopped" and states[-1]["tool_twist"] == [0.0] * 6
        assert rest[-1]["host_ns"] - first["host_ns"] > 0.8e9
        events = [line["event"]["text"] for line in rest if line["kind"] == "event"]
        assert "stopped: local pressed STOP" in events and "armed by local" in events


def test_a_fault_is_recorded_once_and_the_next_again(tmp_path: Path) -> None:
    with serving(record=tmp_path) as (served, hand):
        one = hand()
        assert isinstance(served.arm, FakeArm)
        for _ in range(2):
            one.lead()
            one.robot.events.clear()
            served.arm.fail("reflex")
            until(lambda: said(one, "the last minute is in"))
            one.robot.clear_fault()
        one.lead()
    assert [lines(path)[0]["reason"] for path in tmp_path.iterdir()] == ["fault: reflex"] * 2


def test_what_ends_the_loop_is_recorded(tmp_path: Path) -> None:
    class Broken(FakeArm):
        def read(self) -> Any:
            raise ZeroDivisionError("a driver with a mistake in it")

    arm = Broken(fake()._clock)
    with (
        closing(Host(arm, LOOPBACK, security=None, record=tmp_path)) as host,
        pytest.raises(ZeroDivisionError),
    ):
        host.turn_until(2**62)
    assert lines(file_in(tmp_path))[0]["reason"] == "ZeroDivisionError: a driver with a mistake in it"


def test_nothing_is_written_where_nobody_asked_or_nothing_stopped(tmp_path: Path) -> None:
    with serving(record=tmp_path) as (_, hand):
        one = hand()
        one.lead()
        one.drive(SPEED_M_S, moved)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_hangs_holds_neither_the_loop_nor_a_stop_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    write = Recorder._write
    monkeypatch.setattr(Recorder, "_write", lambda *given: release.wait(30.0) and write(*given))
    monkeypatch.setattr(recorder, "AFTER_S", 0.05)
    with serving(record=tmp_path) as (served, hand):
        one = hand()
        for number in range(1, 5):
            one.lead()
            began = one.robot.read()
            one.drive(SPEED_M_S, moved)
            one.drive(0.0, lambda state: not moved(state))
            one.robot.stop_and_wait()
            state = one.robot.read()
            assert state.seq - began.seq > 0.5 * 100.0 * (state.time_ns - began.time_ns) / 1e9
            until(partial(is_handed_over, served.host, number))
            one.robot.clear_fault()
        assert until(lambda: said(one, "is not recorded: those before it are still being written"))
        assert not list(tmp_path.iterdir())
        release.set()
    assert len(list(tmp_path.iterdir())) == 3


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))

    words = ["--driver", "fake", "--bind", LOOPBACK, "--record", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "hardware.host", *words], stdout=subprocess.PIPE, text=True, preexec_fn=full
    )
    try:
        assert process.stdout is not None
        with closing(Hand(process.stdout.readline().split()[2])) as one:
            one.robot.stop_and_wait()
            until(lambda: said(one, "the last minute is not recorded in"))
            one.robot.clear_fault()
            one.lead()
            one.drive(SPEED_M_S, moved)
        assert not list(tmp_path.iterdir())
    finally:
        process.kill()
        process.communicate()


def test_only_the_newest_files_are_kept_and_nobody_elses_are_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    for number in range(FILES + 5):
        (tmp_path / f"stop-20200101T000000Z-x-{number:03}.jsonl.gz").touch()
    made = Recorder(tmp_path, "fake", "session", 100.0)
    made.turn(0, "a fault")
    made.close()
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert len(kept) == FILES + 1 and kept[0] == "notes.txt"
    assert "stop-20200101T000000Z-x-006.jsonl.gz" in kept and "session" in kept[-1]


def test_what_is_kept_is_bounded_in_time_and_number(tmp_path: Path) -> None:
    made = Recorder(tmp_path, "fake", "session", 100.0)
    happened = wire.Happened(number=1, stops=0, wall_ns=0, text="x")
    move = wire.Move(
        session="", lease="", seq=1, twist=b"odd", gripper=1.0, lasts_s=0.1, based_on=1, dead_man=True
    )
    for number in range(100_000):
        now_ns = number * 10_000_000
        made.event(now_ns, happened)
        made.command(now_ns, "local", move, wire.NotFollowed(seq=1, why=None, text="x"))
    assert len(made._commands) == 12_000 and len(made._events) == 2_000
    made.turn(now_ns, "a fault")
    assert len(made._commands) == 6_101
    made.close()
    _, *rest = lines(file_in(tmp_path))
    assert rest[-1]["host_ns"] - rest[0]["host_ns"] <= (KEEPS_S + 1.0) * 1e9
    assert rest[0]["move"]["twist"] == b"odd".hex()


def test_a_folder_that_cannot_be_made_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RobotError, match="cannot record in"):
        Recorder(tmp_path / "file" / "records", "fake", "session", 100.0)
