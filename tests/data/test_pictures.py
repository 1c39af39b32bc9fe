"""Pictures go out with the episodes, each beside what was seen at the same moment."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import h5py
import minari
import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_rlhf import cli
from robot_rlhf.commands.pictures import images_of
from robot_rlhf.data import foreign
from robot_rlhf.data.errors import DataError
from robot_rlhf.data.lerobot import videos
from robot_rlhf.data.lerobot.export import export_lerobot
from robot_rlhf.data.minari.export import export_minari
from robot_rlhf.data.robomimic.export import export_robomimic
from robot_rlhf.data.stream import Export, Images, Picture, Record
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import RunFolder
from tests.conftest import FinishedRun

Planned = Callable[..., Export]
Untold = Callable[[Record], None]
SIDE = 64


def grey(episode: Episode, step: int) -> int:
    """How bright the picture of a step is: another for each."""
    return (episode.id * 50 + step * 4) % 250


def frames(episode: Episode, camera: str) -> Iterator[Picture]:
    for step in range(episode.length + 1):
        yield np.full((SIDE, SIDE, 3), grey(episode, step), np.uint8)


IMAGES = Images({"front": (SIDE, SIDE)}, frames)
KEY = "observation.images.front"


def video(dataset: Path, file: int = 0) -> list[float]:
    """The mean of each frame."""
    with av.open(str(dataset / f"videos/{KEY}/chunk-000/file-{file:03d}.mp4")) as container:
        return [float(one.to_ndarray(format="rgb24").mean()) for one in container.decode(video=0)]


def test_a_video_has_a_frame_a_step_at_its_time(planned: Planned, untold: Untold, tmp_path: Path) -> None:
    export = planned(images=IMAGES)
    export_lerobot(export, tmp_path / "out", untold)
    seen = video(tmp_path / "out")
    rows = pq.read_table(tmp_path / "out/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    for row, record in zip(rows, export.records(), strict=True):
        begins, ends = row[f"videos/{KEY}/from_timestamp"], row[f"videos/{KEY}/to_timestamp"]
        assert ends - begins == pytest.approx(record.episode.length / 10)
        shown = seen[round(begins * 10) : round(ends * 10)]
        assert np.allclose(shown, [grey(record.episode, step) for step in range(len(shown))], atol=4)
    assert len(seen) == 44
    info = json.loads((tmp_path / "out/meta/info.json").read_text())
    assert info["video_path"] == "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    assert info["features"][KEY]["dtype"] == "video"
    assert info["features"][KEY]["info"]["video.fps"] == 10
    stats = json.loads((tmp_path / "out/meta/stats.json").read_text())[KEY]
    assert np.shape(stats["mean"]) == (3, 1, 1)
    assert 0 <= stats["min"][0][0][0] <= stats["max"][0][0][0] <= 1


def test_small_pictures_have_a_video_too(planned: Planned, untold: Untold, tmp_path: Path) -> None:
    def small(episode: Episode, camera: str) -> Iterator[Picture]:
        return (picture[:32, :32] for picture in frames(episode, camera))

    export_lerobot(planned(images=Images({"front": (32, 32)}, small)), tmp_path / "out", untold)
    assert len(video(tmp_path / "out")) == 44
    info = json.loads((tmp_path / "out/meta/info.json").read_text())
    assert info["features"][KEY]["info"]["video.codec"] == "h264"


def test_a_full_video_is_followed_by_another(
    planned: Planned, untold: Untold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos, "VIDEO_FILE_MB", 0)
    monkeypatch.setattr(videos, "_OPTIONS", {**videos._OPTIONS, "svtav1-params": "lookahead=0"})
    export_lerobot(planned(images=IMAGES), tmp_path / "out", untold)
    rows = pq.read_table(tmp_path / "out/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    files = [row[f"videos/{KEY}/file_index"] for row in rows]
    counts = [len(video(tmp_path / "out", file)) for file in sorted(set(files))]
    assert sum(counts) == 44
    assert len(counts) > 1
    assert rows[-1][f"videos/{KEY}/to_timestamp"] <= max(counts) / 10


def test_robomimic_has_them_beside_the_observation(planned: Planned, untold: Untold, tmp_path: Path) -> None:
    export_robomimic(planned(images=IMAGES), tmp_path / "out", untold)
    with h5py.File(tmp_path / "out/dataset.hdf5") as file:
        for record in planned().records():
            demo, steps = file[f"data/demo_{record.index}"], record.episode.length
            wanted = [grey(record.episode, step) for step in range(steps + 1)]
            assert demo["obs/front_image"].shape == (steps, SIDE, SIDE, 3)
            assert demo["obs/front_image"][:, 0, 0, 0].tolist() == wanted[:-1]
            assert demo["next_obs/front_image"][:, 0, 0, 0].tolist() == wanted[1:]


def test_minari_has_them_beside_the_observation(
    planned: Planned, untold: Untold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_minari(planned(images=IMAGES), tmp_path / "out", untold)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "out"))
    dataset = minari.load_dataset("robot-rlhf/reach-v0")
    for record, read in zip(planned().records(), dataset.iterate_episodes(), strict=True):
        wanted = [grey(record.episode, step) for step in range(record.episode.length + 1)]
        assert read.observations["front"][:, 0, 0, 0].tolist() == wanted
        assert (read.observations["state"] == record.episode.obs).all()
    with foreign.opened("minari", tmp_path / "out") as (header, shown):
        assert [part.name for part in header.obs] == ["state"]
        assert len(list(shown)) == 3


@pytest.mark.parametrize(("side", "count"), [(32, 0), (SIDE, 1), (SIDE, -1)])
def test_pictures_that_are_not_as_promised_are_refused(
    side: int, count: int, planned: Planned, untold: Untold, tmp_path: Path
) -> None:
    def wrong(episode: Episode, camera: str) -> Iterator[Picture]:
        for _ in range(episode.length + 1 + count):
            yield np.zeros((side, side, 3), np.uint8)

    images = Images({"front": (SIDE, SIDE)}, wrong)
    for export in (export_lerobot, export_robomimic, export_minari):
        with pytest.raises((DataError, IndexError)):
            export(planned(images=images), tmp_path / "out", untold)
        assert not (tmp_path / "out").exists()


def test_a_video_of_odd_or_tiny_pictures_is_refused(planned: Planned, untold: Untold, tmp_path: Path) -> None:
    for size in ((SIDE, SIDE + 1), (8, 8)):
        with pytest.raises(DataError, match="sides must be even and 16 pixels at least"):
            export_lerobot(planned(images=Images({"front": size}, frames)), tmp_path / "out", untold)


def test_of_a_run_whose_policy_sees_the_environment_is_made_anew_with_its_cameras(
    make_episode: Callable[..., Episode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.create(tmp_path / "run", RunConfig(task="reach", cameras="front"))
    blind = make_episode(0, Role.DEMONSTRATION, 5)
    seen = dataclasses.replace(blind, obs=blind.obs[:, :6].copy())
    run.store.add_episode(seen, pictures={"front": (jpeg(90, 64, 64),) * 6})
    run.close()
    words = ["--format", "minari", "--out", str(tmp_path / "out"), "--images", "front"]
    assert cli.main(["export", str(tmp_path / "run"), *words]) == 0
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "out"))
    dataset = minari.load_dataset("robot-rlhf/reach-v0")
    assert (dataset[0].observations["state"] == seen.obs).all()
    env = dataset.recover_environment()
    assert env.observation_space == dataset.observation_space
    env.close()


# -- where they come from ----------------------------------------------------------------------------------


def jpeg(brightness: int, height: int = 70, width: int = 90) -> bytes:
    done, data = cv2.imencode(".jpg", np.full((height, width, 3), brightness, np.uint8))
    assert done
    return bytes(data)


def test_what_a_camera_saw_is_taken_before_what_could_be_drawn(
    make_episode: Callable[..., Episode], tmp_path: Path
) -> None:
    run = RunFolder.create(tmp_path / "run", RunConfig(task="reach"))
    for id in (0, 1):
        seen = tuple(jpeg(10 * step) for step in range(6))
        run.store.add_episode(make_episode(id, Role.DEMONSTRATION, 5), pictures={"front": seen})
    episode = run.store.episode(1)
    run.close()
    with images_of(tmp_path / "run", (0, 1), ("front", "wrist"), 80) as images:
        assert images is not None
        assert images.sizes == {"front": (70, 90), "wrist": (80, 80)}
        means = [float(one.mean()) for one in images.checked(episode, "front")]
    assert np.allclose(means, [0, 10, 20, 30, 40, 50], atol=3)


def test_a_camera_that_is_not_there_is_named_with_those_that_are(
    finished_run: FinishedRun, tmp_path: Path, refused: Callable[..., str]
) -> None:
    words = ["--format", "lerobot", "--out", str(tmp_path / "out"), "--images", "back"]
    line = refused("export", str(finished_run.folder), *words)
    assert "has no camera 'back' for all that goes out: there are corner, front, side, top, wrist" in line


def test_pictures_are_drawn_where_none_are_kept(finished_run: FinishedRun, tmp_path: Path) -> None:
    words = ["--format", "minari", "--out", str(tmp_path / "out"), "--episodes", "demonstrations"]
    words += ["--images", "wrist", "--pixels", "16", "--json"]
    assert cli.main(["export", str(finished_run.folder), *words]) == 0
    with h5py.File(tmp_path / "out/robot-rlhf/reach-v0/data/main_data.hdf5") as file:
        pictures = file["episode_0/observations/wrist"][:]
    assert pictures.shape[1:] == (16, 16, 3)
    assert pictures.std() > 5


def test_a_stored_picture_that_is_none_is_named(make_episode: Callable[..., Episode], tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", RunConfig(task="reach"))
    torn = jpeg(7)[:200] + jpeg(7)[-2:]
    episode = make_episode(0, Role.DEMONSTRATION, 5)
    run.store.add_episode(episode, pictures={"front": (*(jpeg(7),) * 5, torn)})
    run.close()
    with (
        images_of(tmp_path / "run", (0,), ("front",), 80) as images,
        pytest.raises(DataError, match="episode 0, camera front: a picture of 202 bytes cannot be read"),
    ):
        assert images is not None
        list(images.frames(episode, "front"))
