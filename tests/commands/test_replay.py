"""`replay`: an episode as a video that is whole or not there, or in a window."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from robot_rlhf import cli
from robot_rlhf.commands.replay import viewpoint
from robot_rlhf.commands.usage import UsageError
from robot_rlhf.feedback.store import Store
from robot_rlhf.report.video import write_video
from sim.viewpoint import VIEWPOINTS

if TYPE_CHECKING:
    from tests.conftest import FinishedRun

Captured = pytest.CaptureFixture[str]
av = pytest.importorskip("av")


def pictures(path: Path) -> tuple[list[np.ndarray], float]:
    """What a video shows, and how often a second."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)], float(
            stream.average_rate
        )


def test_a_video_shows_every_moment_at_the_speed_asked_for(
    finished_run: FinishedRun, tmp_path: Path, capsys: Captured
) -> None:
    video = tmp_path / "deep" / "out.mp4"
    words = ["--episode", "0", "--video", str(video), "--camera", "top", "--speed", "2", "--json"]
    assert cli.main(["replay", str(finished_run.folder), *words]) == 0
    told = json.loads(capsys.readouterr().out)
    with Store.open_untouched(finished_run.folder / "run.db") as store:
        rows = len(store.episode(0).scenes)
    shown, hz = pictures(video)
    assert (len(shown), hz) == (rows, 20.0)
    assert (told["frames"], told["seconds"], told["video"]) == (rows, rows / 20.0, str(video))
    assert np.abs(shown[0].astype(int) - shown[-1]).max() > 50, "the arm moves"
    assert [item.name for item in video.parent.iterdir()] == ["out.mp4"]


def test_a_video_that_breaks_off_leaves_what_was_there(tmp_path: Path) -> None:
    video = tmp_path / "out.mp4"
    video.write_bytes(b"older")

    def broken() -> object:
        yield from (np.zeros((32, 32, 3), np.uint8) for _ in range(3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(video, broken(), 10.0)  # type: ignore[arg-type]
    for frames in ([], [np.zeros((32, 33, 3), np.uint8)], [np.zeros((n, 32, 3), np.uint8) for n in (32, 64)]):
        with pytest.raises(ValueError, match=r"cannot be|must be alike"):
            write_video(video, frames, 10.0)
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == {"out.mp4": b"older"}


def test_a_viewpoint_is_a_name_or_angles() -> None:
    assert viewpoint("wrist") is VIEWPOINTS["wrist"]
    asked = viewpoint("90,-35,0.8")
    assert (asked.yaw_deg, asked.pitch_deg, asked.distance_m) == (90.0, -35.0, 0.8)
    assert viewpoint("10,-20").distance_m == VIEWPOINTS["corner"].distance_m
    for said in ("back", "1", "1,2,3,4", "0,-95", "nan,0"):
        with pytest.raises(UsageError, match="say corner, front, side, top, wrist, or YAW,PITCH"):
            viewpoint(said)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--episode", "0"], "there is no screen here to play it on: --video FILE.mp4"),
        (["--episode", "999", "--video", "x.mp4"], "there is no episode 999"),
        (["--episode", "0", "--video", "x.avi"], "a video's name ends in .mp4"),
        (["--episode", "0", "--video", "x.mp4", "--speed", "0"], "--speed is 0.0"),
        (["--episode", "0", "--video", "x.mp4", "--camera", "back"], "--camera is 'back'"),
        ([], "--episode"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: list[str], complaint: str, finished_run: FinishedRun, here: Path, refused: Callable[..., str]
) -> None:
    assert complaint in refused("replay", str(finished_run.folder), *words)
    assert list(here.iterdir()) == []
