"""Pictures that a run keeps, as JPEGs, for an export to go through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np

from robot_rlhf.data.errors import DataError
from robot_rlhf.data.stream import Picture
from robot_rlhf.feedback.episode import Episode
from robot_rlhf.feedback.store import Store

_MAX_PIXELS = 1 << 24


def stored_cameras(run: Path, episodes: Sequence[int]) -> set[str]:
    """The cameras whose pictures of every one of these episodes are stored."""
    with Store.open_readonly(run / "run.db") as store:
        each = (set(store.cameras(id)) for id in episodes)
        return set.intersection(*each) if episodes else set()


class StoredPictures:
    """What cameras saw of a run's episodes."""

    def __init__(self, run: Path) -> None:
        self._run = run

    def size(self, episode: int, camera: str) -> tuple[int, int]:
        """(height, width) of its pictures."""
        with Store.open_readonly(self._run / "run.db") as store:
            first = decoded(store.pictures(episode, camera)[0])
        return first.shape[0], first.shape[1]

    def frames(self, episode: Episode, camera: str) -> Iterator[Picture]:
        """An episode's T + 1 pictures."""
        with Store.open_readonly(self._run / "run.db") as store:
            jpegs = store.pictures(episode.id, camera)
        for jpeg in jpegs:
            yield decoded(jpeg)


def decoded(jpeg: bytes) -> Picture:
    """A JPEG as (height, width, 3) RGB. DataError where it is none."""
    try:
        context = av.CodecContext.create("mjpeg", "r")
        frames = [*context.decode(av.Packet(jpeg)), *context.decode(None)]
    except (av.error.FFmpegError, ValueError) as error:
        raise DataError(f"a stored picture of {len(jpeg)} bytes is no JPEG: {error}") from error
    if len(frames) != 1 or frames[0].width * frames[0].height > _MAX_PIXELS:
        raise DataError(f"a stored picture of {len(jpeg)} bytes is not one JPEG of a sane size")
    return np.asarray(frames[0].to_ndarray(format="rgb24"), dtype=np.uint8)
