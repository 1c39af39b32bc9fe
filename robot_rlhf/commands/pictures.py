"""The pictures that an export takes along: what cameras saw, or what is drawn of the scenes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from robot_rlhf.commands.extras import need
from robot_rlhf.data.errors import DataError
from robot_rlhf.data.pictures import StoredPictures, stored_cameras
from robot_rlhf.data.stream import Images, Picture
from robot_rlhf.feedback.episode import Episode
from robot_rlhf.session.run_folder import arm_of, read_config
from sim.arms.model import ARMS
from sim.task import Task, make_task
from sim.viewpoint import VIEWPOINTS


@contextlib.contextmanager
def images_of(
    run: Path, episodes: Sequence[int], cameras: Sequence[str], pixels: int
) -> Iterator[Images | None]:
    """Pictures of `cameras` for these episodes of a run, None where none are asked for.

    A camera whose pictures are stored keeps their size. Another is drawn from the episodes' scenes, `pixels`
    high and wide, if it is one of the simulation's viewpoints and the arm can be drawn. DataError names the
    cameras there are.
    """
    if not cameras:
        yield None
        return
    kept = stored_cameras(run, episodes)
    config = read_config(run)
    arm = arm_of(run, config).looks
    drawable = set(VIEWPOINTS) if arm in ARMS else set()
    for camera in cameras:
        if camera not in kept | drawable:
            there = ", ".join(sorted(kept | drawable)) or "none"
            raise DataError(f"{run} has no camera {camera!r} for all that goes out: there are {there}")
    stored = StoredPictures(run)
    with contextlib.ExitStack() as stack:
        drawn = set(cameras) - kept
        drawing = stack.enter_context(_Drawing(make_task(config.task), arm, pixels)) if drawn else None
        sizes = {
            camera: (pixels, pixels) if camera in drawn else stored.size(episodes[0], camera)
            for camera in dict.fromkeys(cameras)
        }

        def frames(episode: Episode, camera: str) -> Iterator[Picture]:
            if drawing is None or camera not in drawn:
                return stored.frames(episode, camera)
            return drawing.frames(episode, camera)

        yield Images(sizes, frames)


class _Drawing(contextlib.AbstractContextManager["_Drawing"]):
    """Draws scenes, from any viewpoint, in one world of its own."""

    def __init__(self, task: Task, arm: str, pixels: int) -> None:
        need("export of drawn pictures", "sim")
        from sim.camera import Camera

        try:
            self._camera = Camera(task, pixels, pixels, arm)
        except ValueError as error:
            raise DataError(str(error)) from error

    def frames(self, episode: Episode, camera: str) -> Iterator[Picture]:
        if not episode.has_scenes:
            raise DataError(
                f"episode {episode.id} came from elsewhere, without scenes: nothing can be drawn of it"
            )
        for row in episode.scenes:
            yield np.asarray(self._camera.picture(row, VIEWPOINTS[camera]))

    def __exit__(self, *_: object) -> None:
        self._camera.close()
