"""What several commands can be told alike: groups of flags, and types of single ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, arg

from robot_rlhf.learning.device import Asked as Device
from robot_rlhf.runners.runner import Kind

Switch = Annotated[FlagCreatePairsOff[bool], arg(help_behavior_hint="")]
RunPath = Annotated[Path, arg(metavar="RUN", help_behavior_hint="")]


@dataclass(frozen=True)
class RunOptions:
    """Where a run goes and how it is told of."""

    out: Annotated[Path | None, arg(metavar="RUN", help_behavior_hint="(default: runs/TASK-SEED)")] = None
    """Folder of the run; it must not exist or be empty, unless you resume."""
    resume: Switch = False
    """Go on with the run in that folder from where it stands, or begin it."""
    config: Annotated[Path | None, arg(metavar="FILE.toml", help_behavior_hint="")] = None
    """Settings to start from, such as another run's config.toml; what you say here wins over them."""
    wandb: Annotated[str, arg(metavar="PROJECT", help_behavior_hint="")] = ""
    """Show its metrics in that project of Weights & Biases, or ENTITY/PROJECT, while it trains."""
    json: Switch = False
    """Print the run's summary as one line of JSON, all else on stderr."""
    help_all: Switch = False
    """Show the settings of schedule, operator, queries, reward model, policy and cloning too."""


@dataclass(frozen=True)
class ConsoleOptions:
    """How a console looks and feels."""

    name: Annotated[str, arg(metavar="NAME", help_behavior_hint="(default: your login)")] = ""
    """Who you are, as it will stand on your feedback."""
    scale: Annotated[float | None, arg(metavar="X", help_behavior_hint="(default: as the screen asks)")] = (
        None
    )
    """Size of text and buttons: 1 to 3."""
    latched: Switch = False
    """Takeover stays on after a press instead of being held (simulation only)."""
    silent: Switch = False
    """No sounds."""
    fullscreen: Switch = False
    """Fill the screen."""


_ANY_PORT = "tcp://127.0.0.1:0"


@dataclass(frozen=True)
class LiveOptions:
    """Where consoles connect to a session in real time, and whether one is opened here."""

    bind: Annotated[str, arg(metavar="tcp://HOST:PORT")] = _ANY_PORT
    """Where consoles connect; they use this port and the three above it."""
    keys: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """Folder of `robot-rlhf keys make`: needed for any address but this machine's own."""
    robot_key: Annotated[Path | None, arg(metavar="FILE.key", help_behavior_hint="")] = None
    """The operator's key with which the session leads a served arm, see --robot."""
    no_window: Switch = False
    """Open no console here; the address to connect one to is printed."""
    console: Annotated[ConsoleOptions, arg(name="console")] = field(default_factory=ConsoleOptions)
    """The console that is opened here."""


@dataclass(frozen=True)
class LearnerOptions:
    """What is learned on, and where the learner of a session in real time runs: beside it, unless you say
    so."""

    device: Device = "cpu"
    """What to learn on here: cpu, cuda (a GPU), or auto for a GPU where there is one. Not the run's: it may
    go on on another."""
    learner: Annotated[str, arg(metavar="tcp://HOST:PORT", help_behavior_hint="")] = ""
    """Have `robot-rlhf learner serve` learn there, on another machine say, instead of a process beside."""
    learner_key: Annotated[Path | None, arg(metavar="FILE.key", help_behavior_hint="")] = None
    """The session's key to that learner."""
    group: Annotated[str, arg(metavar="NAME", help_behavior_hint="")] = ""
    """With --learner: learn together with all sessions, each with its own --out, that say the same NAME."""

    @property
    def is_elsewhere(self) -> bool:
        """Whether anything was said of a learner on another machine."""
        return bool(self.learner or self.group or self.learner_key)


@dataclass(frozen=True)
class RunnerOptions:
    """Where independent episodes or runs are done; the results are the same."""

    runner: Kind = "serial"
    """serial: one after the other; processes: several at a time, here; ray: on a Ray cluster."""
    workers: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: one a core)")] = None
    """So many at a time, each with one thread."""
    ray_address: Annotated[str, arg(metavar="HOST:PORT", help_behavior_hint="")] = ""
    """A cluster that runs, as `ray start --head` prints it; by default one is made on this machine."""
