"""What can be said to each command, as typed arguments. Imports nothing heavy, so that --help is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg

from robot_rlhf.learning.device import Asked as Device
from robot_rlhf.runners.runner import Kind
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

    headless: _Switch = False
    """Without a window: a simulated operator teaches, as fast as the machine goes."""


@dataclass(frozen=True)
class RunnerOptions:
    """Where independent episodes or runs are done; the results are the same."""

    runner: Kind = "serial"
    """serial: one after the other; processes: several at a time, here; ray: on a Ray cluster."""
    workers: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: one a core)")] = None
    """So many at a time, each with one thread."""
    ray_address: Annotated[str, arg(metavar="HOST:PORT", help_behavior_hint="")] = ""
    """A cluster that runs, as `ray start --head` prints it; by default one is made on this machine."""


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
    json: _Switch = False
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
    spread: Annotated[RunnerOptions, arg(name="")] = field(default_factory=RunnerOptions)
    json: _Switch = False
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


@dataclass(frozen=True)
class Verify:
    """Check everything that a run's folder holds, and name what is not sound; nothing is changed.

    Exit code 0 where it is sound, 1 where not. It may be run beside a session that works on the run.
    """

    run: Positional[_Run]
    """Folder of the run."""
    json: _Switch = False
    """Print the findings as one line of JSON."""


@dataclass(frozen=True)
class Info:
    """Tell what a run is, how far it has come, what was said in it, and what can be done with it next."""

    run: Positional[_Run]
    """Folder of the run."""
    json: _Switch = False
    """Print it as one line of JSON."""


@dataclass(frozen=True)
class Said:
    """List what was said in a run, take some of it back, or bring back what was taken back.

    Nothing is ever deleted: an undo is an event of its own, and what is brought back is said anew.
    """

    what: Positional[Literal["list", "undo", "redo"]]
    """list: the newest that fit; undo, redo: those of the ids."""
    run: Positional[_Run]
    """Folder of the run."""
    ids: Annotated[Positional[tuple[str, ...]], arg(metavar="[ID ...]", help_behavior_hint="")] = ()
    """Ids of events, or how they begin, for undo and redo."""
    kind: Annotated[str | None, arg(metavar="KIND", help_behavior_hint="")] = None
    """Only demonstrations, takeovers, preferences, evaluations, outcomes, removal or undo."""
    operator: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None
    """Only theirs."""
    episode: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Only about that episode."""
    since: Annotated[str | None, arg(metavar="WHEN", help_behavior_hint="")] = None
    """Only from then on: 90s, 30m, 2h, 3d ago, or a time such as 2026-05-31T14:00."""
    search: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")] = None
    """Only with this text in the stored event."""
    undone: _Switch = False
    """Only what was taken back."""
    limit: int = 30
    """So many, the newest ones; 0 for all."""
    name: Annotated[str, arg(metavar="NAME", help_behavior_hint="(default: your login)")] = ""
    """Who takes back."""
    json: _Switch = False
    """Print the result as one line of JSON."""


@dataclass(frozen=True)
class Replay:
    """Play an episode of a run from any side, in a window or into a video."""

    run: Positional[_Run]
    """Folder of the run."""
    episode: Annotated[int, arg(metavar="N", help_behavior_hint="")]
    """Which one, by its number."""
    video: Annotated[Path | None, arg(metavar="FILE.mp4", help_behavior_hint="")] = None
    """Write it there instead of opening a window."""
    camera: Annotated[str, arg(metavar="NAME")] = "corner"
    """From where: corner, front, side, top, wrist, or YAW,PITCH or YAW,PITCH,METRES such as 90,-35,1.0."""
    speed: float = 1.0
    """So many times as fast as it was."""
    json: _Switch = False
    """Print the result as one line of JSON."""


@dataclass(frozen=True)
class View:
    """Look at a run in the Rerun viewer: the arm, the table, cameras, actions and what was said, in time."""

    run: Positional[_Run]
    """Folder of the run."""
    episodes: Annotated[tuple[int, ...], arg(metavar="N [N ...]", help_behavior_hint="")] = ()
    """Which ones; without, the newest 20."""
    save: Annotated[Path | None, arg(metavar="FILE.rrd", help_behavior_hint="")] = None
    """Write a file for the viewer instead of opening it."""
    json: _Switch = False
    """Print the result as one line of JSON."""


@dataclass(frozen=True)
class Backup:
    """Make a sound copy of a run, also while a session works on it."""

    run: Positional[_Run]
    """Folder of the run."""
    out: Annotated[Path, arg(metavar="FOLDER")]
    """The copy, a run's folder like any other; it must not exist, and appears whole or not at all."""
    json: _Switch = False
    """Print the result as one line of JSON."""


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
    role: Literal["observer", "policy", "operator", "maintainer", "session"] = "operator"
    """What it may do: observer looks on, operator drives and gives feedback, session has a learner on another
    machine learn from its run."""
    dir: Annotated[Path, arg(metavar="DIR")] = Path("keys")
    """Folder of the keys."""
    json: _Switch = False
    """Print the result as one line of JSON."""


@dataclass(frozen=True)
class Learner:
    """Learn on this machine for sessions elsewhere, which say `train --learner tcp://HOST:PORT`."""

    what: Positional[Literal["serve"]]
    """serve: until Ctrl-C."""
    bind: Annotated[str, arg(metavar="tcp://HOST:PORT")]
    """Where sessions connect."""
    keys: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """Folder of `robot-rlhf keys make NAME --role session`: needed for any address but this machine's own."""
    device: Device = "cpu"
    """What to learn on: cpu, cuda (a GPU), or auto for a GPU where there is one."""
    runs: Annotated[Path, arg(metavar="DIR")] = Path("learner")
    """Folder of what is learned from and made here; it can be thrown away, and is sent again then."""


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


@dataclass(frozen=True)
class Export:
    """Write what a run holds as a dataset that other tools read: LeRobot, robomimic or Minari."""

    run: Positional[_Run]
    """Folder of the run."""
    format: Literal["lerobot", "robomimic", "minari"]
    """lerobot: LeRobotDataset v3.0; robomimic: OUT/dataset.hdf5; minari: robot-rlhf/TASK-v0 in OUT."""
    out: Annotated[Path, arg(metavar="OUT", help_behavior_hint="")]
    """Folder of the dataset; it must not exist or be empty."""
    episodes: Literal["all", "successes", "demonstrations"] = "all"
    """all: demonstrations and the policy's episodes; successes: those of them that were marked so."""
    images: Annotated[tuple[str, ...], arg(metavar="CAMERA ...", help_behavior_hint="")] = ()
    """Pictures too: of these cameras, or drawn from corner, front, side, top or wrist."""
    pixels: int = 128
    """Height and width of a picture that is drawn."""
    json: _Switch = False
    """Print what was written as one line of JSON, all else on stderr."""


@dataclass(frozen=True)
class Import:
    """Begin a run with the demonstrations of a LeRobot, robomimic or Minari dataset."""

    path: Annotated[Positional[Path], arg(metavar="PATH", help_behavior_hint="")]
    """The dataset: its folder, or robomimic's file."""
    format: Literal["lerobot", "robomimic", "minari"]
    """What it is."""
    out: Annotated[Path, arg(metavar="RUN", help_behavior_hint="")]
    """Folder of the run, which must not exist or be empty; `robot-rlhf train --resume` learns from it."""
    task: Annotated[str | None, arg(metavar="TASK", help_behavior_hint="(default: as it says)")] = None
    """What it shows: reach, push, pick_cube, pick_place, stack, peg_insert or drawer_open."""
    seed: int = 0
    """Everything random in the run follows from it."""
    operator: Literal["simulated", "console"] = "simulated"
    """Who goes on teaching: a simulated person, or one at a console."""
    config: Annotated[Path | None, arg(metavar="FILE.toml", help_behavior_hint="")] = None
    """Settings of the run that differ from the task's own."""
    json: _Switch = False
    """Print what came in as one line of JSON, all else on stderr."""


@dataclass(frozen=True)
class ExportPolicy:
    """Write a run's policy for a machine that has torch and nothing of ours, with a model card."""

    run: Positional[_Run]
    """Folder of the run whose newest policy it is."""
    out: Annotated[Path, arg(metavar="OUT", help_behavior_hint="")]
    """Folder that is made: policy.pt2, run_policy.py, policy.safetensors and README.md."""
    license: str = "other"
    """The policy's licence, as the card shall name it."""
    json: _Switch = False
    """Print what was written as one line of JSON, all else on stderr."""


LookingBack: TypeAlias = Verify | Info | Said | Replay | View | Backup
Moving: TypeAlias = Export | Import | ExportPolicy
Command: TypeAlias = (
    Train
    | Demo
    | Evaluate
    | Sweep
    | Report
    | Doctor
    | Console
    | Teleop
    | Record
    | Label
    | Learner
    | Keys
    | Arm
    | LookingBack
    | Moving
)

COMMANDS: dict[str, type[Command]] = {
    "demo": Demo,
    "train": Train,
    "console": Console,
    "teleop": Teleop,
    "record": Record,
    "label": Label,
    "evaluate": Evaluate,
    "sweep": Sweep,
    "report": Report,
    "info": Info,
    "feedback": Said,
    "replay": Replay,
    "view": View,
    "verify": Verify,
    "backup": Backup,
    "export": Export,
    "import": Import,
    "export-policy": ExportPolicy,
    "learner": Learner,
    "robot": Arm,
    "keys": Keys,
    "doctor": Doctor,
}
