"""What can be said to the commands about machines, keys and arms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from robot_rlhf.commands.arguments.options import Switch
from robot_rlhf.learning.device import Asked as Device


@dataclass(frozen=True)
class Doctor:
    """Check that this machine has what is needed, and say what to do where it has not."""

    out: Annotated[Path, arg(metavar="DIR")] = Path("runs")
    """Folder whose disk is tried; nothing stays there."""
    json: Switch = False
    """Print the findings as one line of JSON, all else on stderr."""


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
    json: Switch = False
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
    json: Switch = False
    """Print the result as one line of JSON."""
