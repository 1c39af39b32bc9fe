"""What can be said to the commands that look at a run, and change nothing that was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from tyro.conf import Positional, arg

from robot_rlhf.commands.arguments.options import RunPath, Switch


@dataclass(frozen=True)
class Verify:
    """Check everything that a run's folder holds, and name what is not sound; nothing is changed.

    Exit code 0 where it is sound, 1 where not. It may be run beside a session that works on the run.
    """

    run: Positional[RunPath]
    """Folder of the run."""
    json: Switch = False
    """Print the findings as one line of JSON."""


@dataclass(frozen=True)
class Info:
    """Tell what a run is, how far it has come, what was said in it, and what can be done with it next."""

    run: Positional[RunPath]
    """Folder of the run."""
    json: Switch = False
    """Print it as one line of JSON."""


@dataclass(frozen=True)
class Said:
    """List what was said in a run, take some of it back, or bring back what was taken back.

    Nothing is ever deleted: an undo is an event of its own, and what is brought back is said anew.
    """

    what: Positional[Literal["list", "undo", "redo"]]
    """list: the newest that fit; undo, redo: those of the ids."""
    run: Positional[RunPath]
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
    undone: Switch = False
    """Only what was taken back."""
    limit: int = 30
    """So many, the newest ones; 0 for all."""
    name: Annotated[str, arg(metavar="NAME", help_behavior_hint="(default: your login)")] = ""
    """Who takes back."""
    json: Switch = False
    """Print the result as one line of JSON."""


@dataclass(frozen=True)
class Replay:
    """Play an episode of a run from any side, in a window or into a video."""

    run: Positional[RunPath]
    """Folder of the run."""
    episode: Annotated[int, arg(metavar="N", help_behavior_hint="")]
    """Which one, by its number."""
    video: Annotated[Path | None, arg(metavar="FILE.mp4", help_behavior_hint="")] = None
    """Write it there instead of opening a window."""
    camera: Annotated[str, arg(metavar="NAME")] = "corner"
    """From where: corner, front, side, top, wrist, or YAW,PITCH or YAW,PITCH,METRES such as 90,-35,1.0."""
    speed: float = 1.0
    """So many times as fast as it was."""
    json: Switch = False
    """Print the result as one line of JSON."""


@dataclass(frozen=True)
class View:
    """Look at a run in the Rerun viewer: the arm, the table, cameras, actions and what was said, in time."""

    run: Positional[RunPath]
    """Folder of the run."""
    episodes: Annotated[tuple[int, ...], arg(metavar="N [N ...]", help_behavior_hint="")] = ()
    """Which ones; without, the newest 20."""
    save: Annotated[Path | None, arg(metavar="FILE.rrd", help_behavior_hint="")] = None
    """Write a file for the viewer instead of opening it."""
    json: Switch = False
    """Print the result as one line of JSON."""


@dataclass(frozen=True)
class Mirror:
    """Show a run's metrics in Weights & Biases: those that it has, and those that come while it is trained.

    `train --wandb PROJECT` does the same while it trains. Settings, metrics and the summary go out, nothing
    else. Your key is what `wandb login` or WANDB_API_KEY left; with WANDB_MODE=offline nothing is sent.
    """

    run: Positional[RunPath]
    """Folder of the run."""
    project: Annotated[str, arg(metavar="PROJECT", help_behavior_hint="")]
    """The project, or ENTITY/PROJECT."""
    group: Annotated[str, arg(metavar="NAME", help_behavior_hint="")] = ""
    """The group of runs that it belongs to there."""
    json: Switch = False
    """Print the result as one line of JSON."""


@dataclass(frozen=True)
class Backup:
    """Make a sound copy of a run, also while a session works on it."""

    run: Positional[RunPath]
    """Folder of the run."""
    out: Annotated[Path, arg(metavar="FOLDER")]
    """The copy, a run's folder like any other; it must not exist, and appears whole or not at all."""
    json: Switch = False
    """Print the result as one line of JSON."""


LookingBack: TypeAlias = Info | Said | Replay | View | Mirror | Backup
