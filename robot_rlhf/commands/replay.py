"""`replay`: an episode played from the scenes that were stored, into a video or a window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from hardware.appearance import View
from hardware.robot import RobotSpec
from robot_rlhf.commands.arguments import Replay
from robot_rlhf.commands.display import has_display
from robot_rlhf.commands.extras import need
from robot_rlhf.commands.telling import progress
from robot_rlhf.commands.usage import UsageError
from robot_rlhf.feedback.episode import Episode
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Driver
from robot_rlhf.session.run_folder import DATABASE, RunError, arm_of, read_config
from sim.arms.model import ARMS
from sim.task import make_task
from sim.viewpoint import CORNER, VIEWPOINTS, Viewpoint

_WIDTH, _HEIGHT = 480, 360


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """The episode that was played, and the video that there is now; None where it was a window."""

    run: str
    episode: int
    frames: int
    seconds: float
    video: str | None

    def lines(self) -> list[str]:
        if self.video is None:
            return [f"episode {self.episode} was played"]
        return [f"{self.video}: episode {self.episode}, {self.frames} pictures, {self.seconds:.1f} s"]


def replay(asked: Replay) -> Replayed:
    """Play an episode. RunError or StoreError where there is none, UsageError for a camera that cannot be."""
    view = viewpoint(asked.camera)
    need("replay", "sim", "console" if asked.video is None else "export")
    if asked.video is None and not has_display():
        raise UsageError("there is no screen here to play it on: --video FILE.mp4 writes it instead")
    config = read_config(asked.run)
    arm = arm_of(asked.run, config)
    with Store.open_untouched(asked.run / DATABASE) as store:
        episode = store.episode(asked.episode)
    hz = config.control_hz * asked.speed
    if asked.video is None:
        _play(asked.run, episode, hz, view, arm)
    else:
        _film(asked.run, episode, hz, view, arm, asked.video)
    frames = len(episode.scenes)
    return Replayed(
        run=str(asked.run),
        episode=episode.id,
        frames=frames,
        seconds=frames / hz,
        video=None if asked.video is None else str(asked.video),
    )


def viewpoint(said: str) -> Viewpoint:
    """A viewpoint by its name, or by YAW,PITCH or YAW,PITCH,DISTANCE around the middle of the scene."""
    if said in VIEWPOINTS:
        return VIEWPOINTS[said]
    try:
        numbers = [float(word) for word in said.split(",")]
        yaw, pitch, distance = numbers if len(numbers) == 3 else (*numbers, CORNER.distance_m)
        return replace(CORNER, name="asked", yaw_deg=yaw, pitch_deg=pitch, distance_m=distance)
    except ValueError as error:
        why = f" ({error})" if str(error).startswith("viewpoint") else ""
        raise UsageError(
            f"--camera is {said!r}{why}: say {', '.join(VIEWPOINTS)}, or YAW,PITCH or YAW,PITCH,METRES "
            "such as 90,-35,1.0"
        ) from None


def _film(run: Path, episode: Episode, hz: float, view: Viewpoint, arm: RobotSpec, video: Path) -> None:
    from robot_rlhf.report.video import write_video
    from sim.camera import Camera

    if arm.looks not in ARMS:
        raise RunError(f"{run} was recorded on {arm.name}, which is not drawn for a video: leave --video out")
    video.parent.mkdir(parents=True, exist_ok=True)
    with (
        Camera(make_task(episode.task), _WIDTH, _HEIGHT, arm.looks) as camera,
        progress("drawing", len(episode.scenes)) as told,
    ):

        def drawn() -> Iterator[np.ndarray]:
            for row in episode.scenes:
                yield camera.picture(row, view)
                told()

        write_video(video, drawn(), hz)


def _play(run: Path, episode: Episode, hz: float, seen: Viewpoint, arm: RobotSpec) -> None:
    from robot_rlhf.console.player import play
    from sim.description import describe

    description = describe(make_task(episode.task), arm)
    view = next(one for one in description.views if one.follows_tool)
    if not seen.on_tool:
        view = View(
            name=seen.name,
            target_m=seen.look_at_m,
            distance_m=seen.distance_m,
            azimuth_deg=(seen.yaw_deg + 90.0) % 360.0 - 180.0,
            elevation_deg=float(np.clip(-seen.pitch_deg, -89.0, 89.0)),
            field_deg=seen.field_deg,
        )
    title = f"{run.name}, episode {episode.id} ({episode.role.value})"
    play(title, description, episode.scenes, hz, np.asarray(episode.driver == Driver.OPERATOR), view)
