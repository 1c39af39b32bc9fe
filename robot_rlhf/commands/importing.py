"""`import`: demonstrations out of somebody else's dataset, as a run to learn from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
from rich.table import Table
from rich.text import Text

from robot_rlhf.commands.arguments import Import
from robot_rlhf.commands.extras import missing
from robot_rlhf.commands.settings import overlaid
from robot_rlhf.commands.telling import progress
from robot_rlhf.data import foreign
from robot_rlhf.data.errors import DataError
from robot_rlhf.data.folders import new_folder, refuse_taken
from robot_rlhf.data.shown import Header, Shown
from robot_rlhf.data.tasks import TaskFacts, listed, task_facts
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import Demonstration, Driver, EventFields, Kind, Outcome, derived_id
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.environment import environment
from robot_rlhf.session.presets import live_preset, preset
from robot_rlhf.session.rollout import noised_replay
from robot_rlhf.session.run_folder import RunFolder
from robot_rlhf.session.seeds import Purpose, generator
from sim.arms.model import ARMS

_NOBODY = "imported"  # who drove, where the dataset does not say


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What came in. `visible` of the demonstrations have scenes, so that they can be looked at and asked
    about; `compared` have worse ways of doing the same beside them, which the reward learns from."""

    path: str
    format: str
    task: str
    control_hz: float
    demonstrations: int
    steps: int
    visible: int
    compared: int

    def table(self) -> Table:
        """The same for a person."""
        table = Table(show_header=False, show_edge=False, box=None)
        table.add_row("run", Text(self.path))
        table.add_row("demonstrations", f"{self.demonstrations} of {self.task}, {self.steps:,} steps")
        table.add_row("with scenes", f"{self.visible}: these can be looked at")
        table.add_row("with alternatives", f"{self.compared}: from these the reward learns at once")
        return table


def import_demonstrations(asked: Import) -> Imported:
    """Make the run that was asked for. Raises DataError, RunError or StoreError naming what is not in order;
    then nothing is left behind."""
    refuse_taken(asked.out)
    with foreign.opened(asked.format, asked.path) as (header, shown):
        task = _task(asked, header)
        config = _settings(asked, header, task)
        with new_folder(asked.out) as draft, progress("importing", header.episodes) as told:
            run = RunFolder.create(draft, config)
            try:
                filling = _Filling(run, asked.out.name, task)
                with (
                    run.store.transaction()
                ):  # one wait for the disk: nothing of a draft is kept before its end
                    for one in shown:
                        filling.add(one)
                        told()
            finally:
                run.close()
            filling.close()
    return Imported(
        path=str(asked.out),
        format=asked.format,
        task=config.task,
        control_hz=config.control_hz,
        demonstrations=filling.count,
        steps=filling.steps,
        visible=filling.visible,
        compared=filling.compared,
    )


def _task(asked: Import, header: Header) -> TaskFacts:
    name = asked.task or header.task
    if name is None:
        raise DataError(f"{asked.path} does not say which task it is of: say --task")
    task = task_facts(name)
    if (header.obs_size, header.action_size) != (task.obs_size, task.action_size):
        parts = listed([f"{part.name or 'observation'} {part.size}" for part in header.obs])
        raise DataError(
            f"{asked.path} has {header.obs_size} numbers an observation ({parts}) and {header.action_size} "
            f"an action, and {task.name} has {task.obs_size} and {task.action_size}"
        )
    return task


def _settings(asked: Import, header: Header, task: TaskFacts) -> RunConfig:
    base = (live_preset if asked.operator == "console" else preset)(task.name)
    if asked.config is not None:
        base = overlaid(base, asked.config)
    hz = header.control_hz or base.control_hz
    try:
        return replace(
            base,
            task=task.name,
            seed=asked.seed,
            operator=asked.operator,
            arm=header.robot if header.robot and header.robot in ARMS else base.arm,
            control_hz=hz,
            reward_model=replace(base.reward_model, control_hz=hz),
            schedule=replace(base.schedule, demonstrations=header.episodes),
        )
    except ValueError as error:
        raise DataError(f"{asked.path} makes no run: {error}") from error


class _Filling:
    """A new run's store, as demonstrations come in."""

    def __init__(self, run: RunFolder, session: str, task: TaskFacts) -> None:
        self.count = self.steps = self.visible = self.compared = 0
        self._next_id = 0  # the store would go through all that was said to find it
        self._run, self._session, self._task = run, session, task
        config = run.config
        wants = config.reward == "learned" and config.policy == "rl" and not missing("sim")
        self._env = environment(config) if wants else None

    def add(self, shown: Shown) -> None:
        """A demonstration with its events, in one transaction."""
        store, config = self._run.store, self._run.config
        episode = self._episode(self._next_id, shown)
        operator, id = shown.operator or _NOBODY, episode.id
        worse = self._alternatives(episode, shown)
        seconds = episode.length / config.control_hz
        with store.transaction():
            store.add_episode(episode)
            for one, truth in worse:
                store.add_episode(one, truth)
            store.book("demonstration", seconds, seconds, id)
            if Kind.DEMONSTRATIONS in config.kinds:
                beside = tuple(one.id for one, _ in worse)
                said = self._said(operator, id, "demonstration")
                store.add_feedback(Demonstration(**said, episode=id, alternatives=beside))
            if shown.success is not None and Kind.OUTCOMES in config.kinds:
                said = self._said(operator, id, "mark")
                store.add_feedback(Outcome(**said, episode=id, success=shown.success))
        self._next_id += 1 + len(worse)
        self.count, self.steps = self.count + 1, self.steps + episode.length
        self.visible += episode.has_scenes
        self.compared += bool(worse)

    def _episode(self, id: int, shown: Shown) -> Episode:
        obs, action, scenes = shown.arrays()
        if scenes is None or scenes.shape[1] != self._task.scene_size:
            scenes = np.full((len(obs), self._task.scene_size), np.nan, np.float32)
        try:
            return Episode(
                id=id,
                role=Role.DEMONSTRATION,
                task=self._task.name,
                seed=shown.seed or 0,
                policy_version=0,
                obs=obs,
                action=action,
                proposed=np.full_like(action, np.nan),
                driver=np.full(len(action), Driver.OPERATOR, np.uint8),
                scenes=scenes,
                terminated=shown.terminated,
                truncated=not shown.terminated,
            )
        except ValueError as error:
            raise DataError(f"{shown.name}: {error}") from error

    def _alternatives(
        self, episode: Episode, shown: Shown
    ) -> Sequence[tuple[Episode, tuple[np.ndarray, bool]]]:
        """Worse ways of doing the same, rolled out from the same start; none where the start is not known, or
        is another here."""
        config, env = self._run.config, self._env
        if env is None or shown.seed is None or shown.seed < 0:
            return ()
        start, _ = env.reset(seed=shown.seed)
        if not np.array_equal(start, episode.obs[0]):
            return ()
        made = []
        for index in range(config.schedule.alternatives):
            rng = generator(config.seed, Purpose.NOISE, episode.id, index)
            noise = 0.25 + 0.75 * index / max(1, config.schedule.alternatives - 1)
            recorder = noised_replay(env, episode.action, shown.seed, noise, rng)
            id = episode.id + 1 + index
            beside = recorder.episode(id, Role.COUNTERFACTUAL, config.task, shown.seed, 0)
            made.append((beside, (np.array(recorder.reward, np.float32), recorder.success)))
        return made

    def _said(self, operator: str, id: int, what: str) -> EventFields:
        name = derived_id(self._run.config.seed, id, what)
        return {"id": name, "operator": operator, "session": self._session, "time_ns": time.time_ns()}

    def close(self) -> None:
        """Let go of the physics."""
        if self._env is not None:
            self._env.close()
