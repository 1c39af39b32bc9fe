"""Every stored episode, what the simulation knew of it, and what was seen of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import numpy as np

from hardware.scene import Scene
from robot_rlhf.feedback import store_codec as codec
from robot_rlhf.feedback.episode import Episode
from robot_rlhf.feedback.store_file import StoreError
from robot_rlhf.feedback.types import Driver
from robot_rlhf.session.run_folder import DATABASE
from robot_rlhf.verify.finding import Finding
from sim.task import make_task

_DRIVERS = np.array([driver.value for driver in Driver])


def steps_by_episode(connection: sqlite3.Connection) -> dict[int, int]:
    """Episode id -> how many steps it is said to have."""
    return dict(connection.execute("SELECT id, steps FROM episodes"))


def episodes(connection: sqlite3.Connection) -> Iterator[Finding]:
    """That each can be read, is of the run's task, and is as wide as the first."""
    first: Episode | None = None
    ((task,),) = connection.execute("SELECT (SELECT value FROM meta WHERE key = 'task')").fetchall()
    for row in connection.execute(f"SELECT {codec.EPISODE_COLUMNS} FROM episodes ORDER BY id"):
        try:
            episode = codec.episode_from_row(row)
        except StoreError as error:
            yield Finding(DATABASE, str(error))
            continue
        first = first or episode
        for complaint in _complaints(episode, first, task):
            yield Finding(DATABASE, f"episode {episode.id}: {complaint}")


def _complaints(episode: Episode, first: Episode, task: str | None) -> Iterator[str]:
    if episode.task != task:
        yield f"it is of the task {episode.task!r}, the run of {task!r}"
    for name in ("obs", "action", "proposed", "scenes"):
        width, expected = getattr(episode, name).shape[1], getattr(first, name).shape[1]
        if width != expected:
            yield f"{name} is {width} numbers wide, in episode {first.id} it is {expected}"
    if episode.proposed.shape[1] != episode.action.shape[1]:
        yield f"proposed is {episode.proposed.shape[1]} numbers wide, action {episode.action.shape[1]}"
    if np.isinf(episode.proposed).any():
        yield "proposed holds an infinite number"
    if not np.isin(episode.driver, _DRIVERS).all():
        yield f"driver holds {sorted(set(episode.driver.tolist()) - set(_DRIVERS.tolist()))}, who is nobody"
    if not np.isfinite(episode.scenes).all():
        yield "scenes hold a number that is not finite"
    try:
        Scene.unpack(episode.scenes[:1], [prop.name for prop in make_task(episode.task).props])
    except ValueError as error:
        yield str(error)


def truths(connection: sqlite3.Connection, steps: dict[int, int]) -> Iterator[Finding]:
    """That the simulation's own judgement fits the episode."""
    for id, data, success in connection.execute("SELECT episode, task_reward, success FROM truth"):
        where = f"the task's own judgement of episode {id}"
        try:
            reward = codec.reward_from_bytes(data, id)
        except StoreError as error:
            yield Finding(DATABASE, str(error))
            continue
        if len(reward) != steps.get(id, len(reward)) or not np.isfinite(reward).all():
            yield Finding(DATABASE, f"{where} has {len(reward)} rewards, expected {steps[id]} finite ones")
        if success not in (0, 1):
            yield Finding(DATABASE, f"{where} has success {success!r}, expected 0 or 1")


def pictures(
    connection: sqlite3.Connection, steps: dict[int, int], cameras: tuple[str, ...]
) -> Iterator[Finding]:
    """That there is a whole picture for every observation, by each camera that there is one by, and of every
    episode by the `cameras` that the policy learns from."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'pictures'").fetchall():
        return  # a file of version 1
    for id, camera, data in connection.execute("SELECT episode, camera, frames FROM pictures"):
        if id not in steps:
            continue  # said already, as a row that points nowhere
        try:
            codec.pictures_from_bytes(data, id, str(camera), steps[id] + 1)
        except StoreError as error:
            yield Finding(DATABASE, str(error))
    for camera in cameras:
        lacking = connection.execute(
            "SELECT id FROM episodes WHERE id NOT IN (SELECT episode FROM pictures WHERE camera = ?)",
            (camera,),
        )
        for (id,) in lacking:
            yield Finding(DATABASE, f"episode {id} has no pictures by {camera!r}, which config.toml asks for")
