"""Pictures that a run keeps, as JPEGs, for an export to go through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from robot_rlhf.data.errors import DataError
from robot_rlhf.data.stream import Picture
from robot_rlhf.feedback.episode import Episode
from robot_rlhf.feedback.store import Store
from sim.jpeg import decode


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
        first = next(self._decoded(episode, camera))
        return first.shape[0], first.shape[1]

    def frames(self, episode: Episode, camera: str) -> Iterator[Picture]:
        """An episode's T + 1 pictures. DataError names one that cannot be read."""
        return self._decoded(episode.id, camera)

    def _decoded(self, episode: int, camera: str) -> Iterator[Picture]:
        with Store.open_readonly(self._run / "run.db") as store:
            jpegs = store.pictures(episode, camera)
        for jpeg in jpegs:
            try:
                picture = decode(jpeg)
            except ValueError as error:
                raise DataError(f"episode {episode}, camera {camera}: {error}") from error
            yield picture
