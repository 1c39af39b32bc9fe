"""Cameras by name, as a host serves them: those that come with the project, and any `module:factory`.

Words for one: `opencv:0,size=640x480`, `file:FOLDER,hz=10`, `pattern`, `module:factory,option=value`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from hardware import factories
from hardware.robot import RobotError

OURS: Mapping[str, str] = {
    "file": "hardware.cameras.file:make",
    "opencv": "hardware.cameras.opencv:make",
    "pattern": "hardware.cameras.pattern:make",
}
NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
"""What a camera may be called: safe in a file's name."""
_START, _END = b"\xff\xd8", b"\xff\xd9"  # of every JPEG: ITU-T T.81, table B.1


class CameraError(RobotError):
    """A camera that is not there, or gives no picture."""


@runtime_checkable
class Camera(Protocol):
    """Something that gives one picture after another. A camera of your own is a factory that makes one."""

    def picture(self) -> bytes:
        """The next picture, a JPEG; returns at the camera's own rate. Raises CameraError where none comes."""
        ...

    def close(self) -> None:
        """Let go of the device. Calling it twice is fine."""
        ...


def make_camera(words: str) -> Camera:
    """The camera of these words. Raises RobotError for one that is not there, whose library is not installed,
    and options that it does not take."""
    named, *said = words.split(",")
    options = {}
    for word in said:
        name, sign, value = word.partition("=")
        if not name or not sign:
            raise RobotError(f"the option {word!r} of the camera {words} must be name=value")
        options[name] = value
    kind, colon, source = named.partition(":")
    what = f"the camera {named}"
    if kind in OURS:
        if colon:
            options["source"] = source
        factory = factories.load(OURS[kind], what)
    elif colon:
        factory = factories.load(named, what)
    else:
        near = difflib.get_close_matches(kind, OURS, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise RobotError(f"no camera {kind!r}{hint} (there are {', '.join(OURS)}, or module:factory)")
    camera = factories.make(factory, options, what)
    if not isinstance(camera, Camera):
        raise RobotError(f"{what} made a {type(camera).__name__}, which is no Camera")
    return camera


def checked(jpeg: bytes, most: int, whence: str) -> bytes:
    """The same. Raises CameraError for bytes that are no whole JPEG, or more than `most`."""
    if not (jpeg.startswith(_START) and jpeg.rstrip(b"\0").endswith(_END)):
        raise CameraError(f"{whence} is no JPEG picture, or not a whole one")
    if len(jpeg) > most:
        raise CameraError(f"{whence} has {len(jpeg)} bytes, at most {most} are sent: choose a smaller size")
    return jpeg


def number_of(text: str, name: str, low: float, high: float) -> float:
    """An option that is a number. Raises ValueError."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise ValueError(f"{name} is {text!r}: it must be a number from {low:g} to {high:g}")
    return value


def size_of(text: str) -> tuple[int, int]:
    """An option that is a size such as '640x480', in pixels. Raises ValueError."""
    width, _, height = text.partition("x")
    try:
        pixels = int(width), int(height)
    except ValueError:
        pixels = 0, 0
    if not all(16 <= each <= 4096 for each in pixels):
        raise ValueError(f"size is {text!r}: it must be WIDTHxHEIGHT in pixels, each from 16 to 4096")
    return pixels
