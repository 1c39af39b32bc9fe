"""A run's episodes on their way out, one at a time, whatever the format.

Demonstrations and the policy's episodes go out; what was rolled out beside them to be compared with never
does, nor an episode that was taken out of learning. The reward is the learned one of the exporting
checkpoint; the task's own is not even read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.data.errors import DataError
from robot_rlhf.data.tasks import TaskFacts, task_facts
from robot_rlhf.feedback.episode import Episode, Float32, Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Demonstration, Kind, Outcome, Takeover

Which = Literal["all", "successes", "demonstrations"]
Picture = NDArray[np.uint8]
Frames = Callable[[Episode, str], Iterator[Picture]]
"""(episode, camera) -> its T + 1 pictures (height, width, 3) RGB."""
Rewarder = Callable[[Episode], Float32]
"""A stored episode -> the rewards of its steps (T,)."""


@dataclass(frozen=True)
class RewardFacts:
    """Which reward an export holds: the reward model's `version`-th fit, as it is in the file `checkpoint`
    of the run, whose SHA-256 that is. `version` 0: none was fitted, and every reward is 0."""

    version: int
    checkpoint: str | None
    sha256: str | None

    @property
    def name(self) -> str:
        """In words, for people and metadata."""
        if self.version == 0:
            return "none: no reward model was fitted, every reward is 0"
        return f"learned from feedback: fit {self.version}, of {self.checkpoint}"


NO_REWARD = RewardFacts(0, None, None)


@dataclass(frozen=True, eq=False)
class Reward:
    """The learned reward and which it is."""

    facts: RewardFacts = NO_REWARD
    score: Rewarder | None = None

    def of(self, episode: Episode) -> Float32:
        """The rewards of its steps (T,). DataError where one is not finite."""
        if self.score is None:
            return np.zeros(episode.length, np.float32)
        reward = np.asarray(self.score(episode), dtype=np.float32)
        if reward.shape != (episode.length,) or not np.isfinite(reward).all():
            raise DataError(
                f"the learned reward of episode {episode.id} is not {episode.length} finite numbers"
            )
        return reward


@dataclass(frozen=True, eq=False)
class Images:
    """Pictures that go out too: camera -> (height, width) in pixels, and who has them."""

    sizes: Mapping[str, tuple[int, int]]
    frames: Frames

    @property
    def cameras(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.sizes)

    def shape(self, camera: str) -> tuple[int, int, int]:
        """Of a camera's pictures."""
        return (*self.sizes[camera], 3)

    def checked(self, episode: Episode, camera: str) -> Iterator[Picture]:
        """An episode's T + 1 pictures, each of the size that was promised; DataError otherwise."""
        expected, count = self.shape(camera), 0
        for picture in self.frames(episode, camera):
            count += 1
            if picture.shape != expected:
                raise DataError(
                    f"episode {episode.id}: a picture of {camera} is {picture.shape}, the others {expected}"
                )
            yield picture
        if count != episode.length + 1:
            raise DataError(
                f"episode {episode.id} has {count} pictures of {camera}, expected {episode.length + 1}"
            )


@dataclass(frozen=True, eq=False)
class Record:
    """One episode as it goes out, number `index` of the export.

    reward (T,) float32; `success` is the operator's mark, None without one; `operator` drove or marked it,
    empty where nobody is known to have.
    """

    index: int
    episode: Episode
    reward: Float32
    success: bool | None
    operator: str

    @property
    def done(self) -> NDArray[np.bool_]:
        """(T,) True at the last step."""
        return _last(self.episode.length, True)

    @property
    def terminated(self) -> NDArray[np.bool_]:
        """(T,) True at a last step that ended the task."""
        return _last(self.episode.length, self.episode.terminated)

    @property
    def truncated(self) -> NDArray[np.bool_]:
        """(T,) True at a last step at which time ran out, or the recording was stopped."""
        return _last(self.episode.length, not self.episode.terminated)

    @property
    def succeeded(self) -> NDArray[np.bool_]:
        """(T,) True at the last step of an episode that was marked a success."""
        return _last(self.episode.length, self.success is True)

    @property
    def is_demonstration(self) -> bool:
        return self.episode.role is Role.DEMONSTRATION

    @property
    def is_intervened(self) -> bool:
        """Whether the policy drove, and the operator took over."""
        return not self.is_demonstration and bool(self.episode.operator_steps.any())


@dataclass(frozen=True, eq=False)
class Export:
    """What is exported of the run at `path`: episodes `ids`, in this order.

    `marks` and `operators` are by episode id; `robot` is the arm's name, which may be `simulated` here, and
    `cameras` what its policy sees with.
    """

    path: Path
    task: TaskFacts
    control_hz: float
    robot: str
    seed: int
    software: str
    ids: tuple[int, ...]
    marks: Mapping[int, bool]
    operators: Mapping[int, str]
    reward: Reward = field(default_factory=Reward)
    images: Images | None = None
    cameras: tuple[str, ...] = ()
    simulated: bool = True

    @property
    def environment(self) -> tuple[str, dict[str, Any]]:
        """What makes the environment anew whose observations these are: an entry point and its arguments."""
        arguments: dict[str, Any] = {"task": self.task.name, "control_hz": self.control_hz}
        if self.simulated:
            arguments["arm"] = self.robot
        if self.cameras:
            arguments["cameras"] = list(self.cameras)
        if self.images is None or set(self.images.cameras) != set(self.cameras):
            return "sim.env:TaskEnv", arguments
        (pixels, *_), *_ = self.images.sizes.values()
        return "sim.pictured:make_env", {**arguments, "camera_px": pixels}

    def records(self) -> Iterator[Record]:
        """The episodes, each read when its turn comes. StoreError for one that is damaged."""
        with Store.open_readonly(self.path / "run.db") as store:
            for index, id in enumerate(self.ids):
                episode = store.episode(id)
                self._check(episode)
                yield Record(
                    index, episode, self.reward.of(episode), self.marks.get(id), self.operators.get(id, "")
                )

    def _check(self, episode: Episode) -> None:
        got = (episode.obs.shape[1], episode.action.shape[1])
        expected = (self.task.obs_size, self.task.action_size)
        if got != expected:
            raise DataError(
                f"episode {episode.id} has {got[0]} numbers an observation and {got[1]} an action, and "
                f"{self.task.name} has {expected[0]} and {expected[1]}"
            )


def plan(
    path: Path,
    *,
    control_hz: float,
    robot: str,
    software: str,
    which: Which = "all",
    reward: Reward | None = None,
    images: Images | None = None,
    cameras: tuple[str, ...] = (),
    simulated: bool = True,
) -> Export:
    """What goes out of the run at `path`, as one moment's view of it, also while it is written to. With
    `cameras` to its policy, its observations are what the arm knows of itself.

    DataError where that is nothing, StoreError where the store is not in order.
    """
    with Store.open_readonly(path / "run.db") as store, store.transaction():
        task, seed = store.meta("task"), store.meta("seed")
        removed = store.removed()
        marks, operators = _said(store)
        demonstrations = [id for id in store.episode_steps(Role.DEMONSTRATION) if id not in removed]
        online = [id for id in store.episode_steps(Role.ONLINE) if id not in removed]
    match which:
        case "all":
            ids = sorted(demonstrations + online)
        case "demonstrations":
            ids = demonstrations
        case "successes":
            ids = [id for id in sorted(demonstrations + online) if marks.get(id) is True]
    if not ids:
        there = f"{len(demonstrations)} demonstrations and {len(online)} policy episodes"
        raise DataError(f"{path} has no episodes to export with --episodes {which}: it holds {there}")
    return Export(
        path=path,
        task=task_facts(task or "", bool(cameras)),
        control_hz=control_hz,
        robot=robot,
        seed=int(seed or 0),
        software=software,
        ids=tuple(ids),
        marks=marks,
        operators=operators,
        reward=reward or Reward(),
        images=images,
        cameras=cameras,
        simulated=simulated,
    )


def _said(store: Store) -> tuple[dict[int, bool], dict[int, str]]:
    """Episode id -> its mark, and -> who drove it, took over in it or marked it, in this order."""
    events = store.feedback({Kind.DEMONSTRATIONS, Kind.TAKEOVERS, Kind.OUTCOMES})
    marks: dict[int, bool] = {}
    drove: dict[int, str] = {}
    marked: dict[int, str] = {}
    for event in events:
        match event:
            case Outcome(episode=id, success=success):
                marks[id] = success
                marked[id] = event.operator
            case Demonstration(episode=id):
                drove[id] = event.operator
            case Takeover(executed=executed):
                drove.setdefault(executed.episode, event.operator)
            case _:
                pass
    return marks, marked | drove


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _last(steps: int, value: bool) -> NDArray[np.bool_]:
    flags = np.zeros(steps, np.bool_)
    flags[-1] = value
    return flags
