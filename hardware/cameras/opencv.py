"""Any camera that OpenCV opens: `pip install "robot-rlhf[camera]"`, camera `opencv`.

A number is a device of the machine (`opencv:0` is /dev/video0 on Linux), anything else a video file or the
address of a network camera.
"""

from __future__ import annotations

from pathlib import Path

from hardware.cameras import CameraError, number_of, size_of
from hardware.cameras.jpeg import cv2, encoded
from hardware.clock import MonotonicClock, Ticker


class OpenCVCamera:
    """Pictures at the device's own rate, the newest; of a file at the file's."""

    def __init__(self, source: str, pixels: tuple[int, int] | None, hz: float | None, quality: int) -> None:
        """Raises CameraError for one that cannot be opened."""
        cv2.setNumThreads(1)
        logging = cv2.utils.logging
        logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # it tells of a device that is not there, as we do
        self._source, self._quality = source, quality
        self._device = cv2.VideoCapture(int(source) if source.isdecimal() else source)
        if not self._device.isOpened():
            self._device.release()
            raise CameraError(f"the camera opencv:{source} cannot be opened")
        self._device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if pixels is not None:
            self._device.set(cv2.CAP_PROP_FRAME_WIDTH, pixels[0])
            self._device.set(cv2.CAP_PROP_FRAME_HEIGHT, pixels[1])
        if hz is not None:
            self._device.set(cv2.CAP_PROP_FPS, hz)
        self._ticker: Ticker | None = None
        if Path(source).is_file():  # which is read as fast as one likes
            self._ticker = Ticker(MonotonicClock(), hz or self._device.get(cv2.CAP_PROP_FPS) or 10.0)

    def picture(self) -> bytes:
        if self._ticker is not None:
            self._ticker.wait()
        is_there, pixels = self._device.read()
        if not is_there:
            raise CameraError(f"the camera opencv:{self._source} gives no picture any more")
        return encoded(pixels, self._quality)

    def close(self) -> None:
        self._device.release()


def make(source: str, size: str = "", hz: str = "", quality: str = "80") -> OpenCVCamera:
    """`size` as '640x480' and `hz` are asked of the device, which may choose others; `quality` is that of the
    JPEG, 1 to 100."""
    pixels = size_of(size) if size else None
    rate = number_of(hz, "hz", 0.1, 1000.0) if hz else None
    return OpenCVCamera(source, pixels, rate, int(number_of(quality, "quality", 1, 100)))
