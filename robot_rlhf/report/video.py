"""An mp4 of pictures, written whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from robot_rlhf.report.pictures import Picture

_QUALITY = "20"  # x264's constant rate factor: 18 is as good as lossless to look at, 28 shows


def write_video(path: Path, frames: Iterable[Picture], hz: float) -> int:
    """Write `frames` (height, width, 3) uint8 RGB, even sides, as H.264 at `hz` a second; returns how many.

    Frames are taken one by one. The file is there under its name when it is whole and on the disk; what was
    there under that name is replaced then. ValueError for no frames, or of different sizes.
    """
    import av

    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    count = 0
    try:
        with av.open(str(draft), "w", format="mp4", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(hz).limit_denominator(1000))
            stream.pix_fmt, stream.options = "yuv420p", {"crf": _QUALITY}
            for frame in frames:
                height, width = frame.shape[:2]
                if not count:
                    stream.width, stream.height = width, height
                if (stream.width, stream.height) != (width, height) or width % 2 or height % 2:
                    raise ValueError(
                        f"frame {count} is {width} x {height}: all must be alike, with even sides"
                    )
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
                count += 1
            if not count:
                raise ValueError("a video of no frames cannot be")
            container.mux(stream.encode())
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return count
