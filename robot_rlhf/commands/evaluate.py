"""`evaluate`: a policy acts alone from fresh starts."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
from rich.table import Table

from hardware.robot import RobotError
from robot_rlhf.commands.served import served
from robot_rlhf.commands.trained import read_learner
from robot_rlhf.feedback.hands import Hands, HandsConfig
from robot_rlhf.learning.processor import compute_with
from robot_rlhf.report.statistics import wilson
from robot_rlhf.runners.runner import Runner
from robot_rlhf.runners.serial import SerialRunner
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.environment import environment
from robot_rlhf.session.evaluation import Actor, Float32, Played, Result, Start, evaluate, play, starts
from robot_rlhf.session.presets import preset
from robot_rlhf.session.rollout import hand_action
from robot_rlhf.session.run_folder import RunError
from sim.env import NEVER, SPEED_M_S, TaskEnv
from sim.pictures import NO_PICTURES, Pictures
from sim.randomise import RandomiseConfig


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """How often a policy succeeded over `episodes` fresh starts, with the 95% Wilson interval, and the
    mean length of an episode in steps."""

    success_rate: float
    wilson_low: float
    wilson_high: float
    episodes: int
    mean_length: float

    def table(self) -> Table:
        """The same for a person."""
        table = Table("success", "95% interval", "episodes", "mean length")
        interval = f"{self.wilson_low:.0%} to {self.wilson_high:.0%}"
        steps = f"{self.mean_length:.0f} steps"
        table.add_row(f"{self.success_rate:.0%}", interval, str(self.episodes), steps)
        return table


@dataclass(frozen=True)
class Where:
    """Where a policy acts: in simulations here, as `runner` spreads them, or on the arm served at `robot`."""

    runner: Runner = field(default_factory=SerialRunner)
    robot: str = ""
    key: Path | None = None


HERE = Where()
"""Simulated, one episode after the other."""


def evaluate_trained(
    run: Path, episodes: int, seed: int, where: Where = HERE, *, randomise: RandomiseConfig = NEVER
) -> Evaluation:
    """The newest policy of the run at `run`, which stays as it is; randomised as the run was unless
    `randomise` says otherwise. Raises RunError where there is none yet, what `read_learner` raises, and
    RobotError for an arm that cannot be evaluated on."""
    config, learner = read_learner(run)
    if learner is None:
        raise RunError(f"{run} has no checkpoint yet: let it train for longer, or --resume it")
    if not randomise.is_off:
        config = replace(config, randomise=randomise)
    return _evaluate(Stage(config, learner.policy(explore=False)), episodes, seed, where)


def evaluate_expert(
    task: str,
    episodes: int,
    seed: int,
    where: Where = HERE,
    *,
    arm: str = "panda",
    randomise: RandomiseConfig = NEVER,
) -> Evaluation:
    """The task's scripted expert, driven by ideal hands: what the task allows. The rest as
    `evaluate_trained`."""
    config = replace(preset(task), arm=arm, randomise=randomise)
    return _evaluate(Stage(config), episodes, seed, where)


class Stage:
    """A simulation and who acts in it, made where they are first needed: what the workers of a runner do."""

    def __init__(self, config: RunConfig, actor: Actor | None = None) -> None:
        """Without an `actor` the task's expert acts."""
        self.config, self._actor = config, actor
        self._env: TaskEnv | None = None

    def __call__(self, start: Start) -> Played:
        if self._env is None:
            self._env = environment(self.config, end_on_success=True)
        return play(self._env, self.actor(self._env), start)

    def actor(self, env: TaskEnv) -> Actor:
        """Who acts in `env`."""
        compute_with(self.config.threads)
        return self._actor or ExpertActor(env)

    def close(self) -> None:
        if self._env is not None:
            self._env.close()
            self._env = None


def _served_env(config: RunConfig, where: Where) -> TaskEnv:
    advice = (
        f"evaluate on a simulated arm before its things, robot-host --driver sim --option task={config.task}"
    )
    cell = served(config, where.robot, "", where.key, advice)
    assert cell is not None, "there is an address"
    if cell.needs_a_person or not cell.lays_out:
        cell.close()
        why = "moves only beside a person" if cell.needs_a_person else "lays out no starts by itself"
        raise RobotError(
            f"{cell.robot.spec.name} {why}: have the policy judged in a session, robot-rlhf train --robot"
        )
    cell.arm()
    return environment(config, end_on_success=True, cell=cell)


class ExpertActor:
    """Drives `env` as its task's expert would, looking at the scene instead of the observation."""

    def __init__(self, env: TaskEnv) -> None:
        self._env = env
        self._axes = env.axes
        self._hands = Hands(env.task.expert, HandsConfig(ideal=True), SPEED_M_S, env.control_hz)

    def reset(self) -> None:
        self._hands.begin(np.random.default_rng(0), may_botch=False)

    def act(self, obs: Float32, pictures: Pictures = NO_PICTURES) -> Float32:
        return hand_action(self._hands.drive(self._env.scene), self._axes)


def _evaluate(stage: Stage, episodes: int, seed: int, where: Where) -> Evaluation:
    if where.robot:
        with contextlib.closing(_served_env(stage.config, where)) as env:
            result = evaluate(env, stage.actor(env), episodes, seed)
    else:
        with contextlib.closing(where.runner.map(stage, starts(episodes, seed))) as played:
            result = Result.of(played)
    low, high = wilson(result.succeeded, episodes)
    return Evaluation(
        success_rate=result.success_rate,
        wilson_low=low,
        wilson_high=high,
        episodes=episodes,
        mean_length=result.mean_length,
    )
