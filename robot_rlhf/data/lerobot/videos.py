"""The videos of a LeRobotDataset: the pictures of many episodes, one after the other, in mp4 files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from robot_rlhf.data.errors import DataError
from robot_rlhf.data.lerobot import stats
from robot_rlhf.data.lerobot.layout import VIDEO, VIDEO_FILE_MB, Place, image_key
from robot_rlhf.data.lerobot.stats import Statistics
from robot_rlhf.data.stream import Images, Picture
from robot_rlhf.feedback.episode import Episode

CODEC, PIXELS = "libsvtav1", "yuv420p"  # LeRobot's own, with its settings
_OPTIONS = {"g": "2", "crf": "30", "preset": "12"}
SMALL_CODEC, _SMALL_OPTIONS = "libx264", {"g": "2", "crf": "20"}
"""For pictures that the other does not take."""
_LEAST_PIXELS, _AV1_PIXELS = 16, 64
os.environ.setdefault("SVT_LOG", "1")  # the encoder speaks of errors alone
_SEEN_EVERY, _PIXEL_EVERY = 10, 4  # of pictures and of their pixels, for the statistics


class _Video:
    """One camera's files."""

    def __init__(self, folder: Path, camera: str, hz: Fraction, size: tuple[int, int]) -> None:
        self.camera, self.key, self.place, self.frames = camera, image_key(camera), Place(), 0
        self.running = stats.Running(3)
        self.seen = 0
        self._folder, self._hz = folder, hz
        self.height, self.width = size
        self.is_small = min(size) < _AV1_PIXELS
        if min(size) < _LEAST_PIXELS or self.height % 2 or self.width % 2:
            raise DataError(
                f"pictures of {camera} are {self.width} x {self.height}: a video's sides must be even and "
                f"{_LEAST_PIXELS} pixels at least"
            )
        self._container: Any = None
        self._stream: Any = None
        self._bytes = 0

    def open(self) -> None:
        if self._container is not None:
            return
        path = self._folder / self.place.of(VIDEO, video_key=self.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(path), "w")
        self._stream = self._container.add_stream(
            SMALL_CODEC if self.is_small else CODEC,
            rate=self._hz,
            options=_SMALL_OPTIONS if self.is_small else _OPTIONS,
        )
        self._stream.height, self._stream.width = self.height, self.width
        self._stream.pix_fmt = PIXELS
        self.frames = self._bytes = 0

    def write(self, picture: Picture) -> None:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self.frames, 1 / self._hz
        self._mux(self._stream.encode(frame))
        self.frames += 1

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self._bytes += packet.size
            self._container.mux(packet)

    def turn(self) -> None:
        """Go on with a new file where this one is full."""
        if self._bytes >= VIDEO_FILE_MB << 20:
            self.close()
            self.place.advance()

    def close(self) -> None:
        if self._container is not None:
            self._mux(self._stream.encode(None))
            self._container.close()
            self._container = self._stream = None


class Videos:
    """The videos of every camera; none where no pictures go out."""

    def __init__(self, images: Images | None, folder: Path, hz: float) -> None:
        self._images = images
        self._rate = Fraction(hz).limit_denominator(1000)
        sizes = {} if images is None else images.sizes
        self._videos = [_Video(folder, camera, self._rate, size) for camera, size in sizes.items()]

    @property
    def keys(self) -> list[str]:
        """The features that are videos."""
        return [video.key for video in self._videos]

    def add(self, episode: Episode) -> tuple[dict[str, Any], dict[str, Statistics]]:
        """Write an episode's pictures, the one after its last step left out. Returns its columns in
        meta/episodes that say where they are, and its statistics by feature."""
        places: dict[str, Any] = {}
        described: dict[str, Statistics] = {}
        for video in self._videos:
            video.open()
            began = video.frames
            own = stats.Running(3)
            seen = 0
            assert self._images is not None
            for step, picture in enumerate(self._images.checked(episode, video.camera)):
                if step == episode.length:  # what was seen after the last step is no frame
                    continue
                video.write(picture)
                if step % _SEEN_EVERY == 0:
                    pixels = picture[::_PIXEL_EVERY, ::_PIXEL_EVERY].reshape(-1, 3) / 255.0
                    own.add(pixels)
                    video.running.add(pixels)
                    seen += 1
            video.seen += seen
            described[video.key] = stats.of_pictures(own.result(), seen)
            where = {
                "chunk_index": video.place.chunk,
                "file_index": video.place.file,
                "from_timestamp": float(began / self._rate),
                "to_timestamp": float(video.frames / self._rate),
            }
            places |= {f"videos/{video.key}/{name}": value for name, value in where.items()}
            video.turn()
        return places, described

    def statistics(self) -> dict[str, Statistics]:
        """Over all episodes, by feature."""
        return {video.key: stats.of_pictures(video.running.result(), video.seen) for video in self._videos}

    def features(self, declared: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """The features that are videos, with what LeRobot keeps of how they are encoded."""
        rate = float(self._rate)
        return {
            video.key: {
                **declared[video.key],
                "info": {
                    "video.height": video.height,
                    "video.width": video.width,
                    "video.codec": "h264" if video.is_small else "av1",
                    "video.pix_fmt": PIXELS,
                    "video.fps": int(rate) if rate == int(rate) else rate,
                    "video.channels": 3,
                    "has_audio": False,
                    "is_depth_map": False,
                },
            }
            for video in self._videos
        }

    def close(self) -> None:
        """Finish all files; twice is fine."""
        for video in self._videos:
            video.close()
