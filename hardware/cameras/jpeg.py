"""JPEG by OpenCV, which only the cameras that make pictures of their own need."""

from __future__ import annotations

import importlib

import numpy as np
from numpy.typing import NDArray

from hardware.cameras import CameraError

try:
    cv2 = importlib.import_module("cv2")
except ModuleNotFoundError as error:
    raise ModuleNotFoundError('it needs OpenCV: pip install "robot-rlhf[camera]"', name="cv2") from error


def encoded(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """The JPEG of a picture (height, width, 3), blue first."""
    done, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise CameraError(f"a picture of shape {pixels.shape} could not be made a JPEG")
    return bytes(jpeg)
