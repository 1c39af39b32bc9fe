"""Episodes in the store: what happened, what cameras saw, and what only the simulation knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.feedback import store_codec as codec
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store_codec import Row
from robot_rlhf.feedback.store_database import Database
from robot_rlhf.feedback.store_file import StoreError


class Truth(NamedTuple):
    """The simulation's own judgement of an episode: task reward (T,) float32, and success."""

    task_reward: NDArray[np.float32]
    success: bool


class EpisodeTables(Database):
    """Episodes and their pictures."""

    def add_episode(
        self,
        episode: Episode,
        truth: tuple[NDArray[np.float32], bool] | None = None,
        pictures: Mapping[str, Sequence[bytes]] | None = None,
    ) -> None:
        """Store an episode, and where it was simulated the task's own (reward (T,), success), which
        only a report may read. `pictures` are JPEGs by camera, the i-th seen together with obs[i], T+1 of
        each. StoreError when its id is taken, and for pictures that are not as said."""
        row = codec.episode_row(episode)
        seen = {
            camera: codec.pictures_bytes(frames, episode.id, camera, episode.length + 1)
            for camera, frames in (pictures or {}).items()
        }
        with self.transaction():
            if self._run("SELECT 1 FROM episodes WHERE id = ?", (episode.id,)):
                raise StoreError(f"episode {episode.id} is stored already, use {self.next_episode_id()}")
            marks = ", ".join("?" * len(row))
            self._run(f"INSERT INTO episodes ({codec.EPISODE_COLUMNS}) VALUES ({marks})", row)
            if truth is not None:
                reward, success = truth
                data = codec.reward_bytes(reward, episode)
                self._run("INSERT INTO truth VALUES (?, ?, ?)", (episode.id, data, bool(success)))
            for camera, blob in seen.items():
                self._run("INSERT INTO pictures VALUES (?, ?, ?)", (episode.id, camera, blob))

    def add_packed_episode(
        self, row: Row, judged: tuple[bytes, bool] | None, pictures: Mapping[str, bytes]
    ) -> None:
        """Store the values of `store_codec.EPISODE_COLUMNS`, with the task's own judgement and what cameras
        saw, all as they are stored and found to be sound. An episode that is there stays as it is."""
        with self.transaction():
            marks = ", ".join("?" * len(row))
            self._run(f"INSERT OR IGNORE INTO episodes ({codec.EPISODE_COLUMNS}) VALUES ({marks})", row)
            if judged is not None:
                self._run("INSERT OR IGNORE INTO truth VALUES (?, ?, ?)", (row[0], *judged))
            for camera, data in pictures.items():
                self._run("INSERT OR IGNORE INTO pictures VALUES (?, ?, ?)", (row[0], camera, data))

    def next_episode_id(self) -> int:
        """The id for the next episode. Never one that feedback or booked time already speaks about:
        both may be older than their episode, which is lost when the process dies while it runs."""
        ((highest,),) = self._run(
            "SELECT MAX(id) FROM (SELECT MAX(id) AS id FROM episodes UNION ALL "
            "SELECT MAX(last_episode) FROM feedback UNION ALL SELECT MAX(episode) FROM operator_time)"
        )
        return 0 if highest is None else int(highest) + 1

    def episode(self, id: int) -> Episode:
        """The episode of that id."""
        rows = self._run(f"SELECT {codec.EPISODE_COLUMNS} FROM episodes WHERE id = ?", (id,))
        if not rows:
            raise StoreError(f"there is no episode {id} in {self.path}")
        return codec.episode_from_row(rows[0])

    def episodes(self, ids: Iterable[int] | None = None, role: Role | None = None) -> list[Episode]:
        """Episodes in the order of their ids: all, those of `ids` (each must exist), those of `role`."""
        chosen = self.episode_steps(role).keys() if ids is None else sorted(set(ids))
        found = [self.episode(id) for id in chosen]
        return [episode for episode in found if role is None or episode.role is role]

    def each_episode(self, ids: Iterable[int] | None = None) -> Iterator[Episode]:
        """Episodes one after another, so that a run of any length can be gone through: all in the order of
        their ids, or those of `ids` in theirs."""
        for id in self.episode_steps() if ids is None else ids:
            yield self.episode(id)

    def episode_steps(self, role: Role | None = None) -> dict[int, int]:
        """Episode id -> number of steps, in the order of ids, without loading any arrays."""
        value = None if role is None else role.value
        rows = self._run("SELECT id, steps FROM episodes WHERE ?1 IS NULL OR role = ?1 ORDER BY id", (value,))
        return {int(id): int(steps) for id, steps in rows}

    def cameras(self, episode: int) -> tuple[str, ...]:
        """The names of the cameras whose pictures of this episode are stored, in alphabetical order."""
        if not self._has_pictures():
            return ()
        rows = self._run("SELECT camera FROM pictures WHERE episode = ? ORDER BY camera", (episode,))
        return tuple(camera for (camera,) in rows)

    def all_cameras(self) -> tuple[str, ...]:
        """The names of the cameras whose pictures of any episode are stored, in alphabetical order."""
        if not self._has_pictures():
            return ()
        return tuple(name for (name,) in self._run("SELECT DISTINCT camera FROM pictures ORDER BY camera"))

    def pictures(self, episode: int, camera: str) -> tuple[bytes, ...]:
        """What a camera saw of an episode: T+1 JPEGs, the i-th together with obs[i]."""
        rows = self._has_pictures() and self._run(
            "SELECT frames, steps FROM pictures JOIN episodes ON id = episode "
            "WHERE episode = ? AND camera = ?",
            (episode, camera),
        )
        if not rows:
            there = ", ".join(self.cameras(episode)) or "none"
            raise StoreError(
                f"camera {camera!r} has no pictures of episode {episode}, those that have: {there}"
            )
        ((blob, steps),) = rows
        return codec.pictures_from_bytes(blob, episode, camera, steps + 1)

    def _has_pictures(self) -> bool:
        """False in a file of version 1, which a reader leaves as it is."""
        return bool(self._run("SELECT 1 FROM sqlite_master WHERE name = 'pictures'"))

    def truth(self) -> dict[int, Truth]:
        """Episode id -> the simulation's own judgement. For the report; learning must never see it."""
        rows = self._run("SELECT episode, task_reward, success FROM truth ORDER BY episode")
        return {id: Truth(codec.reward_from_bytes(data, id), bool(success)) for id, data, success in rows}
