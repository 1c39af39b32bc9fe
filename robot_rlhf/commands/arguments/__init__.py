"""What can be said to each command, as typed arguments. Imports nothing heavy, so that --help is instant."""

from __future__ import annotations

from typing import TypeAlias

from robot_rlhf.commands.arguments.at_console import Console, Label, Record, Teleop
from robot_rlhf.commands.arguments.looking_back import (
    Backup,
    Info,
    LookingBack,
    Mirror,
    Replay,
    Said,
    Verify,
    View,
)
from robot_rlhf.commands.arguments.machines import Arm, Doctor, Keys, Learner
from robot_rlhf.commands.arguments.moving import Export, ExportPolicy, Import, Moving
from robot_rlhf.commands.arguments.options import (
    ConsoleOptions,
    LearnerOptions,
    LiveOptions,
    RunnerOptions,
    RunOptions,
)
from robot_rlhf.commands.arguments.training import Demo, Evaluate, Report, Sweep, Train

__all__ = [
    "COMMANDS",
    "Arm",
    "Backup",
    "Command",
    "Console",
    "ConsoleOptions",
    "Demo",
    "Doctor",
    "Evaluate",
    "Export",
    "ExportPolicy",
    "Import",
    "Info",
    "Keys",
    "Label",
    "Learner",
    "LearnerOptions",
    "LiveOptions",
    "LookingBack",
    "Mirror",
    "Moving",
    "Record",
    "Replay",
    "Report",
    "RunOptions",
    "RunnerOptions",
    "Said",
    "Sweep",
    "Teleop",
    "Train",
    "Verify",
    "View",
]

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
    | Verify
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
    "wandb": Mirror,
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
