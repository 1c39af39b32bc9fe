"""What can be said to each command, as typed arguments. Imports nothing heavy, so that --help is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from tyro.conf import FlagCreatePairsOff, Positional, arg

from robot_rlhf.session.config import RunConfig

_Switch = Annotated[FlagCreatePairsOff[bool], arg(help_behavior_hint="")]
_Run = Annotated[Path, arg(metavar="RUN", help_behavior_hint="")]


@dataclass(frozen=True)
class RunOptions:
    """Where a run goes and how it is told of."""

    out: Annotated[Path | None, arg(metavar="RUN", help_behavior_hint="(default: runs/TASK-SEED)")] = None
    """Folder of the run; it must not exist or be empty, unless you resume."""
    resume: _Switch = False
    """Go on with the run in that folder from where it stands, or begin it."""
    config: Annotated[Path | None, arg(metavar="FILE.toml", help_behavior_hint="")] = None
    """Settings to start from, such as another run's config.toml; what you say here wins over them."""
    json: _Switch = False
    """Print the run's summary as one line of JSON, all else on stderr."""
    help_all: _Switch = False
    """Show the settings of schedule, operator, queries, reward model, policy and cloning too."""


@dataclass(frozen=True)
class Train:
    """Train a policy from an operator's feedback, evaluate it, and leave a folder with a report.

    Every task has settings that suit it; a --config file wins over them, and what you say here over both.
    Ctrl-C stops at any time: --resume goes on.
    """

    settings: Annotated[RunConfig, arg(name="")] = field(default_factory=RunConfig)
    run: Annotated[RunOptions, arg(name="")] = field(default_factory=RunOptions)

    @property
    def out(self) -> Path:
        """The folder of the run."""
        return self.run.out or Path("runs") / f"{self.settings.task}-{self.settings.seed}"

    @property
    def json(self) -> bool:
        return self.run.json


@dataclass(frozen=True)
class Demo(Train):
    """Show the whole road: an arm that learns to pick up a cube from nothing but feedback.

    A simulated operator demonstrates, takes over, compares clips, presses good or bad and marks
    outcomes. Minutes on two cores; then open RUN/report.html.
    """

    headless: _Switch = False
    """Without a window (the console with a window is still to come)."""


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
    """What the expert shall do, instead of RUN: reach, push or pick_cube."""
    json: _Switch = False
    """Print the result as one line of JSON, all else on stderr."""


@dataclass(frozen=True)
class Report:
    """Write RUN/report.html anew from what the run's folder holds, finished or not, and print its path."""

    run: Positional[_Run]
    """Folder of the run."""


@dataclass(frozen=True)
class Doctor:
    """Check that this machine has what is needed, and say what to do where it has not."""

    out: Annotated[Path, arg(metavar="DIR")] = Path("runs")
    """Folder whose disk is tried; nothing stays there."""
    json: _Switch = False
    """Print the findings as one line of JSON, all else on stderr."""


Command: TypeAlias = Train | Demo | Evaluate | Report | Doctor

COMMANDS: dict[str, type[Command]] = {
    "demo": Demo,
    "train": Train,
    "evaluate": Evaluate,
    "report": Report,
    "doctor": Doctor,
}
