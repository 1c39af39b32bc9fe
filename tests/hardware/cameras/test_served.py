"""Cameras beside a served arm: processes of their own, which hold no arm up and come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from hardware.cameras import CameraError
from hardware.cameras.remote import RemoteCamera
from hardware.cameras.server import CameraServer, served
from hardware.host.host import Host
from hardware.remote import RemoteRobot
from hardware.robot import RobotError
from hardware.security import ClientSecurity, Role, make_client, make_server, revoke
from hardware.transport import TransportError
from tests.hardware.host.served import LOOPBACK, children, fake, until
from tests.hardware.host.test_robot_host import started

PATTERN = "pattern,size=64x48,hz=50"
PATIENCE_S = 10.0


@contextmanager
def watched(name: str, address: str, security: ClientSecurity | None = None) -> Iterator[RemoteCamera]:
    with closing(RemoteCamera(name, address, security=security)) as camera:
        yield camera


@contextmanager
def host(*cameras: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process, address = started(*(word for camera in cameras for word in ("--camera", camera)))
    try:
        yield process, address
    finally:
        process.kill()
        process.communicate()


@contextmanager
def looked_at(camera: str) -> Iterator[tuple[subprocess.Popen[str], RemoteRobot, RemoteCamera]]:
    """A host with one camera called front, the arm, and its camera once it is seen."""
    with (
        host(f"front={camera}") as (process, address),
        closing(RemoteRobot(address)) as robot,
        watched("front", robot.cameras["front"]) as front,
    ):
        front.wait(PATIENCE_S)
        yield process, robot, front


def gone(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def comes_to(camera: RemoteCamera, holds: Callable[[], bool]) -> None:
    def is_so() -> bool:
        camera.service()
        return holds()

    until(is_so)


def test_whoever_looks_sees_the_newest_picture_and_on_the_clock_of_the_states() -> None:
    with host(f"front={PATTERN}", "wrist=pattern,size=32x32,hz=20") as (_, address), ExitStack() as stack:
        robot = stack.enter_context(closing(RemoteRobot(address)))
        assert list(robot.cameras) == ["front", "wrist"]
        for name, where in robot.cameras.items():
            camera = stack.enter_context(watched(name, where))
            assert camera.trouble == "no picture has come yet"
            first, second = camera.wait(PATIENCE_S), camera.wait(PATIENCE_S)
            assert (first.camera, camera.trouble) == (name, "")
            assert second.seq > first.seq and second.taken_ns > first.taken_ns
            assert abs(second.taken_ns - robot.now().host_ns) < 5e9  # one machine, one clock


def test_a_camera_that_dies_is_told_of_and_comes_back_where_it_was() -> None:
    with looked_at(PATTERN) as (process, robot, camera):
        (pid,) = children(process.pid)
        os.kill(pid, signal.SIGKILL)
        until(lambda: robot.read() and any("camera front has ended" in text for text in robot.events))
        last = camera.picture
        comes_to(camera, lambda: camera.picture is not last and not camera.trouble)
        assert children(process.pid) not in ([], [pid])


def test_a_camera_that_hangs_is_seen_to_and_holds_no_arm_up() -> None:
    with looked_at(PATTERN) as (process, robot, camera):
        (pid,) = children(process.pid)
        os.kill(pid, signal.SIGSTOP)
        began = robot.now()
        comes_to(camera, lambda: "s old" in camera.trouble)
        state = robot.now()
        assert state.seq - began.seq > 0.5 * 100.0 * (state.host_ns - began.host_ns) / 1e9
        os.kill(pid, signal.SIGCONT)
        comes_to(camera, lambda: not camera.trouble)


def test_a_camera_without_pictures_says_why_and_tries_again(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    jpeg = b"\xff\xd8 a picture \xff\xd9"
    (folder / "0.jpg").write_bytes(jpeg)
    with looked_at(f"file:{folder},hz=50") as (_, _, camera):
        assert camera.wait(PATIENCE_S).jpeg == jpeg
        (folder / "0.jpg").unlink()
        comes_to(camera, lambda: "0.jpg" in camera.trouble or "has no .jpg" in camera.trouble)
        (folder / "0.jpg").write_bytes(jpeg)
        comes_to(camera, lambda: not camera.trouble)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_no_camera_outlives_its_host(by: signal.Signals) -> None:
    with host(f"front={PATTERN}", "other=tests.hardware.cameras.test_served:Hanging") as (process, _):
        pids = children(process.pid)
        assert len(pids) == 2
        process.send_signal(by)
        process.wait()
        until(lambda: all(gone(pid) for pid in pids))


class Hanging:
    """A device that gives one picture and then nothing any more."""

    def __init__(self) -> None:
        self._given = False

    def picture(self) -> bytes:
        if self._given:
            time.sleep(3_600.0)
        self._given = True
        return b"\xff\xd8\xff\xd9"

    def close(self) -> None:
        pass


def test_nobody_looks_on_without_a_key_or_with_one_that_is_revoked(tmp_path: Path) -> None:
    keys, stranger = tmp_path / "keys", tmp_path / "stranger"
    for folder, name in ((keys, "anna"), (stranger, "eve")):
        make_server(folder)
        make_client(folder, name, Role.OPERATOR)
    with ExitStack() as stack:
        server = stack.enter_context(closing(CameraServer(f"front={PATTERN}", LOOPBACK, keys)))
        one = stack.enter_context(watched("front", server.address, ClientSecurity(keys / "anna.key")))
        one.wait(PATIENCE_S)
        for security in (ClientSecurity(stranger / "eve.key"), None):
            other = stack.enter_context(watched("front", server.address, security))
            with pytest.raises(CameraError, match="no picture has come"):
                other.wait(1.5)
        revoke(keys, "anna")
        comes_to(one, lambda: "s old" in one.trouble)


def test_without_keys_cameras_are_for_this_machine_alone() -> None:
    with pytest.raises(RobotError, match="without keys"):
        CameraServer(f"front={PATTERN}", "tcp://0.0.0.0:*", None)
    with pytest.raises(TransportError, match="without keys"):
        RemoteCamera("front", "tcp://192.0.2.1:5000")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("front", "the camera 'front' must be NAME=WORDS such as front=opencv:0"),
        ("my camera=pattern", "1 to 32 letters"),
        ("front=patern", "camera front: no camera 'patern', did you mean 'pattern'?"),
        ("front=tests.hardware.cameras.test_served:Broken", "camera front: a picture is no JPEG"),
    ],
)
def test_a_camera_that_is_not_there_ends_the_host_before_anything_moves(said: str, told: str) -> None:
    words = [sys.executable, "-m", "hardware.host", "--driver", "fake", "--bind", LOOPBACK, "--camera", said]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("robot-host: error: ") and told in done.stderr
    assert done.stderr.count("\n") == 1


class Broken(Hanging):
    """One that gives something else."""

    def picture(self) -> bytes:
        return b"a picture"


def test_two_cameras_of_one_name_are_refused_and_none_is_left_running() -> None:
    before = children()
    with pytest.raises(RobotError, match="two cameras are called 'front'"):
        served([f"front={PATTERN}", f"front={PATTERN}"], LOOPBACK, None)
    assert {pid for pid in children() if not gone(pid)} <= set(before)


def test_a_host_closes_its_cameras() -> None:
    server = CameraServer(f"front={PATTERN}", LOOPBACK, None)
    with closing(Host(fake(), LOOPBACK, security=None, cameras=[server])):
        pid = server.pid
        assert not gone(pid)
    assert gone(pid)
