"""What can be said to the commands that move data and policies in and out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from tyro.conf import Positional, arg

from robot_rlhf.commands.arguments.options import RunPath, Switch


@dataclass(frozen=True)
class Export:
    """Write what a run holds as a dataset that other tools read: LeRobot, robomimic or Minari."""

    run: Positional[RunPath]
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
    json: Switch = False
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
    json: Switch = False
    """Print what came in as one line of JSON, all else on stderr."""


@dataclass(frozen=True)
class ExportPolicy:
    """Write a run's policy for a machine that has torch and nothing of ours, with a model card."""

    run: Positional[RunPath]
    """Folder of the run whose newest policy it is."""
    out: Annotated[Path, arg(metavar="OUT", help_behavior_hint="")]
    """Folder that is made: policy.pt2, run_policy.py, policy.safetensors and README.md."""
    license: str = "other"
    """The policy's licence, as the card shall name it."""
    json: Switch = False
    """Print what was written as one line of JSON, all else on stderr."""


Moving: TypeAlias = Export | Import | ExportPolicy
