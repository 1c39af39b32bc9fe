"""What can be said to the commands that train policies, try them, and write reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from robot_rlhf.commands.arguments.options import (
    LearnerOptions,
    LiveOptions,
    RunnerOptions,
    RunOptions,
    Switch,
)
from robot_rlhf.session.config import RunConfig
from sim.randomise import RandomiseConfig


@dataclass(frozen=True)
class Train:
    """Train a policy from an operator's feedback, evaluate it, and leave a folder with a report.

    Every task has settings that suit it; a --config file wins over them, and what you say here over both.
    --operator console opens a window and learns from you. Ctrl-C stops at any time: --resume goes on.
    """

    settings: Annotated[RunConfig, arg(name="")] = field(default_factory=RunConfig)
    run: Annotated[RunOptions, arg(name="")] = field(default_factory=RunOptions)
    wire: Annotated[LiveOptions, arg(name="")] = field(default_factory=LiveOptions)
    remote: Annotated[LearnerOptions, arg(name="")] = field(default_factory=LearnerOptions)

    @property
    def out(self) -> Path:
        """The folder of the run."""
        return self.run.out or Path("runs") / f"{self.settings.task.replace('/', '-')}-{self.settings.seed}"

    @property
    def json(self) -> bool:
        return self.run.json


@dataclass(frozen=True)
class Demo(Train):
    """Show the whole road: an arm that learns from nothing but feedback.

    With a screen, a window opens and leads you through teaching it, some ten minutes. Without one, or
    with --headless, a simulated operator teaches it in your place. Then open RUN/report.html.
    """

    headless: Switch = False
    """Without a window: a simulated operator teaches, as fast as the machine goes."""


@dataclass(frozen=True)
class Evaluate:
    """Let a policy act alone from fresh starts and count how often it succeeds."""

    run: Annotated[Positional[Path | None], arg(metavar="[RUN]", help_behavior_hint="")] = None
    """Folder of the run whose newest policy acts."""
    episodes: int = 100
    """Fresh starts."""
    seed: int = 0
    """Which starts; a run's own seed gives those of its final evaluation."""
    policy: Literal["trained", "expert"] = "trained"
    """trained: RUN's newest; expert: the task's scripted one, driven by ideal hands (say --task)."""
    task: Annotated[str | None, arg(metavar="TASK", help_behavior_hint="")] = None
    """What the expert shall do, instead of RUN: reach, push, pick_cube, pick_place, pick_place_vase, stack,
    peg_insert, place_bar or drawer_open."""
    arm: Annotated[str | None, arg(metavar="ARM", help_behavior_hint="(default: panda)")] = None
    """Which arm the expert drives: panda or iiwa; a run's policy drives that run's."""
    randomise: RandomiseConfig = field(default_factory=RandomiseConfig)
    """What differs from one episode to the next beyond where it starts; nothing said: as in the run."""
    robot: Annotated[str, arg(metavar="tcp://HOST:PORT", help_behavior_hint="")] = ""
    """Have it act on the simulated arm that `robot-host` serves there, in real time."""
    robot_key: Annotated[Path | None, arg(metavar="FILE.key", help_behavior_hint="")] = None
    """The operator's key to that arm."""
    spread: Annotated[RunnerOptions, arg(name="")] = field(default_factory=RunnerOptions)
    json: Switch = False
    """Print the result as one line of JSON, all else on stderr."""


@dataclass(frozen=True)
class Sweep:
    """Train with a grid of settings and several seeds, each in a run folder of its own, and compare them.

    The operator is simulated. Say the same again to go on: finished runs are kept, begun ones gone on with.
    """

    out: Annotated[Path, arg(metavar="FOLDER", help_behavior_hint="")]
    """Folder of the runs, the results (results.jsonl) and the report (report.html)."""
    task: Annotated[str | None, arg(metavar="TASK", help_behavior_hint="(default: pick_cube)")] = None
    """What to learn: reach, push, pick_cube, pick_place, stack, peg_insert or drawer_open."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Each setting is tried with each of these."""
    set: Annotated[
        UseAppendAction[tuple[tuple[str, ...], ...]], arg(metavar="NAME=V1,V2...", help_behavior_hint="")
    ] = ()
    """A setting, named as in --help-all of train or in config.toml, and the values to try, all with all.
    Where a value has a comma itself, part them by semicolons."""
    config: Annotated[Path | None, arg(metavar="FILE.toml", help_behavior_hint="")] = None
    """Settings that all of them start from, over the task's own."""
    wandb: Annotated[str, arg(metavar="PROJECT", help_behavior_hint="")] = ""
    """Show each run in that project of Weights & Biases, or ENTITY/PROJECT, in a group named as FOLDER."""
    spread: Annotated[RunnerOptions, arg(name="")] = field(default_factory=RunnerOptions)
    json: Switch = False
    """Print the results as one line of JSON, all else on stderr."""


@dataclass(frozen=True)
class Report:
    """Write RUN/report.html anew from what the run's folder holds, finished or not, and print its path.

    Of several runs a page of their own: success with bands over the seeds, and runs against runs.
    """

    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN [RUN ...]", help_behavior_hint="")]
    """Folders of the runs. Those that differ in nothing but the seed are taken together."""
    out: Annotated[Path, arg(metavar="FILE.html")] = Path("comparison.html")
    """Where the page of several runs goes."""
