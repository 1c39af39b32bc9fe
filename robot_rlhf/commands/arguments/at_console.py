"""What can be said to the commands that a person sits at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from robot_rlhf.commands.arguments.options import ConsoleOptions, LiveOptions, RunPath, Switch
from sim.pictures import CAMERA_PX


@dataclass(frozen=True)
class Console:
    """Open the operator's window on a session that runs here or on another machine."""

    connect: Annotated[str, arg(metavar="tcp://HOST:PORT")]
    """The session's address, as it prints it."""
    key: Annotated[Path | None, arg(metavar="FILE.key", help_behavior_hint="")] = None
    """The key that `robot-rlhf keys make` made for you."""
    watch: Switch = False
    """Only look on: neither drive nor give feedback."""
    guide: Switch = False
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
    cameras: Annotated[str, arg(metavar="NAME,...", help_behavior_hint="")] = ""
    """What the policy shall see with, instead of being told where things are: front, side, top, wrist or
    corner; on a served arm those that its host has."""
    camera_px: int = CAMERA_PX
    """How wide and high their pictures are."""
    wire: Annotated[LiveOptions, arg(name="")] = field(default_factory=LiveOptions)

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.out or Path("runs") / f"{self.task.replace('/', '-')}-{self.seed}"


@dataclass(frozen=True)
class Label:
    """Compare clips and mark episodes of a run that is over; no robot runs."""

    run: Positional[RunPath]
    """Folder of the run."""
    pairs: int = 30
    """So many pairs are chosen, by disagreement where the run has a reward model."""
    wire: Annotated[LiveOptions, arg(name="")] = field(default_factory=LiveOptions)
