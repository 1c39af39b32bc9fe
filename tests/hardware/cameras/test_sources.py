"""Cameras by name: what each gives, and what is said of words that make no sense."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pygame
import pytest

from hardware.cameras import OURS, Camera, CameraError, checked, make_camera
from hardware.cameras.jpeg import encoded
from hardware.robot import RobotError

SIZE = (64, 48)


def pixels(jpeg: bytes) -> np.ndarray:
    """(width, height, 3), decoded by another library than the one that made it."""
    return pygame.surfarray.array3d(pygame.image.load(io.BytesIO(jpeg), ".jpg"))


def grey(level: int) -> np.ndarray:
    return np.full((SIZE[1], SIZE[0], 3), level, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, each brighter than the one before."""
    for i, level in enumerate((20, 120, 220)):
        (tmp_path / f"{i}.jpg").write_bytes(encoded(grey(level), 90))
    return tmp_path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """The same three as a film."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50.0, SIZE)
    for level in (20, 120, 220):
        writer.write(grey(level))
    writer.release()
    return path


@pytest.fixture(params=sorted(OURS))
def camera(request: pytest.FixtureRequest, folder: Path, video: Path) -> Camera:
    words = {
        "file": f"file:{folder},hz=100",
        "opencv": f"opencv:{video}",
        "pattern": "pattern,size=64x48,hz=100",
    }
    return make_camera(words[request.param])


def test_every_camera_gives_one_picture_after_another_and_may_be_closed_twice(camera: Camera) -> None:
    with closing(camera):
        seen = [pixels(checked(camera.picture(), 1 << 20, "it")) for _ in range(3)]
    camera.close()
    assert all(each.shape == (*SIZE, 3) for each in seen)
    assert len({each.tobytes() for each in seen}) == 3


def test_files_are_played_in_their_order_round_and_round(folder: Path) -> None:
    with closing(make_camera(f"file:{folder},hz=100")) as camera:
        levels = [round(float(pixels(camera.picture()).mean()), -1) for _ in range(5)]
    assert levels == [20, 120, 220, 20, 120]


def test_a_film_that_is_over_is_a_camera_that_gives_no_picture(video: Path) -> None:
    with closing(make_camera(f"opencv:{video}")) as camera:
        for _ in range(3):
            camera.picture()
        with pytest.raises(CameraError, match="gives no picture any more"):
            camera.picture()


def test_a_file_that_is_taken_away_is_a_camera_that_gives_no_picture(folder: Path) -> None:
    with closing(make_camera(f"file:{folder},hz=100")) as camera:
        for file in folder.glob("*.jpg"):
            file.unlink()
        with pytest.raises(CameraError, match=r"0\.jpg"):
            camera.picture()


@pytest.mark.parametrize(
    ("jpeg", "told"),
    [
        (b"", "no JPEG"),
        (b"\x89PNG\r\n", "no JPEG"),
        (b"\xff\xd8 half of one", "not a whole one"),
        (b"\xff\xd8" + bytes(100) + b"\xff\xd9", "has 104 bytes, at most 100"),
    ],
)
def test_what_is_no_picture_is_not_sent(jpeg: bytes, told: str) -> None:
    with pytest.raises(CameraError, match=told):
        checked(jpeg, 100, "it")


class Blank:
    """One of somebody's own."""

    def __init__(self, level: str = "0") -> None:
        self.level = int(level)

    def picture(self) -> bytes:
        return encoded(grey(self.level), 90)

    def close(self) -> None:
        pass


def unplugged() -> Blank:
    raise OSError(19, "No such device")


def test_a_camera_of_ones_own_is_made_by_its_factory_with_its_options() -> None:
    camera = make_camera(f"{__name__}:Blank,level=200")
    assert pixels(camera.picture()).mean() == pytest.approx(200, abs=3)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("patern", "no camera 'patern', did you mean 'pattern'?"),
        ("", "no camera ''"),
        ("file", "needs the option source"),
        ("file:/nowhere", "/nowhere has no .jpg"),
        ("file:/nowhere,hz=0", "hz is '0': it must be a number from 0.1 to 100"),
        ("pattern,size=64", "size is '64': it must be WIDTHxHEIGHT"),
        ("pattern,size=64x9999", "each from 16 to 4096"),
        ("pattern,hz=fast", "hz is 'fast'"),
        ("pattern,hz", "the option 'hz' of the camera pattern,hz must be name=value"),
        ("pattern,colour=red", "no option 'colour' (there are size, hz)"),
        ("opencv:/nowhere.avi", "opencv:/nowhere.avi cannot be opened"),
        ("opencv:93", "opencv:93 cannot be opened"),
        ("opencv:0,quality=101", "quality is '101'"),
        ("nowhere:make", "No module named 'nowhere'"),
        ("hardware.robot:Source", "needs the option"),
        ("hardware.drivers.fake:make", "which is no Camera"),
        (f"{__name__}:unplugged", f"the camera {__name__}:unplugged: [Errno 19] No such device"),
        (f"{__name__}:Blnk", f"the camera {__name__}:Blnk cannot be loaded"),
    ],
)
def test_words_that_make_no_sense_are_told_in_one_line(words: str, told: str) -> None:
    with pytest.raises(RobotError) as raised:
        make_camera(words)
    assert told in str(raised.value) and "\n" not in str(raised.value)
