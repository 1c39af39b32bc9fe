"""What can be said to each command, as typed arguments. Imports nothing heavy, so that --help is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from tyro.conf import FlagCreatePairsOff, Positional, arg

from robot_rlhf.session.config import RunConfig
from sim.randomise import RandomiseConfig

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


_ANY_PORT = "tcp://127.0.0.1:0"


@dataclass(frozen=True)
class ConsoleOptions:
    """How a console looks and feels."""

    name: Annotated[str, arg(metavar="NAME", help_behavior_hint="(default: your login)")] = ""
    """Who you are, as it will stand on your feedback."""
    scale: Annotated[float | None, arg(metavar="X", help_behavior_hint="(default: as the screen asks)")] = (
        None
    )
    """Size of text and buttons: 1 to 3."""
    latched: _Switch = False
    """Takeover stays on after a press instead of being held (simulation only)."""
    silent: _Switch = False
    """No sounds."""
    fullscreen: _Switch = False
    """Fill the screen."""


@dataclass(frozen=True)
class LiveOptions:
    """Where consoles connect to a session in real time, and whether one is opened here."""

    bind: Annotated[str, arg(metavar="tcp://HOST:PORT")] = _ANY_PORT
    """Where consoles connect; they use this port and the three above it."""
    keys: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """Folder of `robot-rlhf keys make`: needed for any address but this machine's own."""
    robot_key: Annotated[Path | None, arg(metavar="FILE.key", help_behavior_hint="")] = None
    """The operator's key with which the session leads a served arm, see --robot."""
    no_window: _Switch = False
    """Open no console here; the address to connect one to is printed."""
    console: Annotated[ConsoleOptions, arg(name="console")] = field(default_factory=ConsoleOptions)
    """The console that is opened here."""


@dataclass(frozen=True)
class Train:
    """Train a policy from an operator's feedback, evaluate it, and leave a folder with a report.

    Every task has settings that suit it; a --config file wins over them, and what you say here over both.
    --operator console opens a window and learns from you. Ctrl-C stops at any time: --resume goes on.
    """

    settings: Annotated[RunConfig, arg(name="")] = field(default_factory=RunConfig)
    run: Annotated[RunOptions, arg(name="")] = field(default_factory=RunOptions)
    wire: Annotated[LiveOptions, arg(name="")] = field(default_factory=LiveOptions)

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

    headless: _Switch = False
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


@dataclass(frozen=True)
class Console:
    """Open the operator's window on a session that runs here or on another machine."""

    connect: Annotated[str, arg(metavar="tcp://HOST:PORT")]
    """The session's address, as it prints it."""
    key: Annotated[Path | None, arg(metavar="FILE.key", help_behavior_hint="")] = None
    """The key that `robot-rlhf keys make` made for you."""
    watch: _Switch = False
    """Only look on: neither drive nor give feedback."""
    guide: _Switch = False
    """Lead a newcomer through it."""
    look: Annotated[ConsoleOptions, arg(name="")] = field(default_factory=ConsoleOptions)


@dataclass(frozen=True)
class Teleop:
    """Drive the arm freely with a gamepad or the keyboard; nothing is recorded."""

    task: str = "pick_cube"
    """What lies on the table: reach, push, pick_cube, pick_place, pick_place_vase, stack, peg_insert,
    place_bar, drawer_open, or bare for nothing at all."""
    arm: str = "panda"
    """The arm that is simulated: panda or iiwa."""
    seed: int = 0
    """How it lies there."""
    robot: Annotated[str, arg(metavar="tcp://HOST:PORT", help_behavior_hint="")] = ""
    """Drive the arm that `robot-host` serves there, instead of the one simulated here."""
    perception: Annotated[str, arg(metavar="SOURCE", help_behavior_hint="")] = ""
    """Where things are before it: host (what it simulates), file:PATH, MODULE:FACTORY or none."""
    wire: Annotated[LiveOptions, arg(name="")] = field(default_factory=LiveOptions)


@dataclass(frozen=True)
class Record:
    """Record demonstrations at a console, to train from later."""

    task: str = "pick_cube"
    """What to show: reach, push, pick_cube, pick_place, pick_place_vase, stack, peg_insert, place_bar or
    drawer_open."""
    arm: str = "panda"
    """The arm that is simulated: panda or iiwa."""
    seed: int = 0
    """Which starts."""
    demonstrations: int = 15
    """How many in all; those that are there already count."""
    out: Annotated[Path | None, arg(metavar="RUN", help_behavior_hint="(default: runs/TASK-SEED)")] = None
    """Folder of the run; one that is there is gone on with. `robot-rlhf train --resume` learns from it."""
    robot: Annotated[str, arg(metavar="tcp://HOST:PORT", help_behavior_hint="")] = ""
    """Record on the arm that `robot-host` serves there, instead of the one simulated here."""
    perception: Annotated[str, arg(metavar="SOURCE", help_behavior_hint="")] = ""
    """Where things are before it: host (what it simulates), file:PATH, MODULE:FACTORY or none."""
    wire: Annotated[LiveOptions, arg(name="")] = field(default_factory=LiveOptions)

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.out or Path("runs") / f"{self.task.replace('/', '-')}-{self.seed}"


@dataclass(frozen=True)
class Label:
    """Compare clips and mark episodes of a run that is over; no robot runs."""

    run: Positional[_Run]
    """Folder of the run."""
    pairs: int = 30
    """So many pairs are chosen, by disagreement where the run has a reward model."""
    wire: Annotated[LiveOptions, arg(name="")] = field(default_factory=LiveOptions)


@dataclass(frozen=True)
class Keys:
    """Make, list and revoke the keys that consoles on other machines need."""

    what: Positional[Literal["make", "list", "revoke"]]
    """make: a key file for somebody; list: who has one; revoke: refuse one from now on."""
    name: Annotated[Positional[str | None], arg(metavar="[NAME]", help_behavior_hint="")] = None
    """Whose key: letters, digits, dot, dash and underscore."""
    role: Literal["observer", "policy", "operator", "maintainer"] = "operator"
    """What it may do: observer looks on, operator drives and gives feedback."""
    dir: Annotated[Path, arg(metavar="DIR")] = Path("keys")
    """Folder of the keys."""
    json: _Switch = False
    """Print the result as one line of JSON."""


@dataclass(frozen=True)
class Arm:
    """Ask a served arm how it is, or stop it, clear a stop and let it move again."""

    what: Positional[Literal["ping", "status", "describe", "stop", "clear-fault", "arm", "home"]]
    """ping: does it answer, and how fast; status, describe: how and what it is; stop: at once, until
    clear-fault and then arm; home: to where it waits, a real arm only while you hold the space bar."""
    address: Annotated[Positional[str], arg(metavar="tcp://HOST:PORT")]
    """Where its `robot-host` listens."""
    key: Annotated[Path | None, arg(metavar="FILE.key", help_behavior_hint="")] = None
    """The key that `robot-rlhf keys make` made for you."""
    json: _Switch = False
    """Print the result as one line of JSON."""


Command: TypeAlias = (
    Train | Demo | Evaluate | Report | Doctor | Console | Teleop | Record | Label | Keys | Arm
)

COMMANDS: dict[str, type[Command]] = {
    "demo": Demo,
    "train": Train,
    "console": Console,
    "teleop": Teleop,
    "record": Record,
    "label": Label,
    "evaluate": Evaluate,
    "report": Report,
    "robot": Arm,
    "keys": Keys,
    "doctor": Doctor,
}
