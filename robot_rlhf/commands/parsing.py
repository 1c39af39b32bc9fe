"""From words on the command line to typed arguments, and one clear line where they make no sense."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast, get_type_hints

import tyro
from tyro.conf import Positional

from robot_rlhf.commands.arguments import COMMANDS, Command, Train
from robot_rlhf.commands.checking import check, valid_task
from robot_rlhf.commands.display import has_display
from robot_rlhf.commands.settings import INLINED, contradictions, flag, overlaid
from robot_rlhf.commands.usage import PROGRAM, UsageError, hint
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.presets import live_preset, preset, with_cameras
from robot_rlhf.session.run_folder import RunFolder, load_config, read_config
from sim.task import BARE

_ABOUT = """Train a robot arm's policy from a person's feedback: five kinds of it, one reward function.

  robot-rlhf doctor                                   is everything here?
  robot-rlhf demo                                     teach the arm yourself, in a window, some ten minutes
  robot-rlhf demo --headless                          a simulated operator does; then open its report.html
  robot-rlhf train --task push --seed 1 --out mine    the same, your way; --resume goes on with it
  robot-rlhf evaluate mine --episodes 100             how often does it succeed alone?

COMMAND --help tells what a command takes. --debug shows where an error arose, --version what this is."""
_HELP, _HELP_ALL = ("-h", "--help"), "--help-all"
_FLAG, _NO = re.compile(r"--?[A-Za-z]"), re.compile(r"(--|\.)no-")


def parse(words: Sequence[str]) -> Command:
    """The command and its arguments. Raises UsageError, RunError for a --config file or a run folder
    that is not in order, and SystemExit(0) after a help text."""
    if not words:
        raise UsageError(f"say what to do: {', '.join(COMMANDS)} (--help tells more)")
    if words[0] not in COMMANDS and words[0] not in _HELP:
        raise UsageError(f"there is no command {words[0]!r}{hint(words[0], COMMANDS)}")
    first = _parse(words, _starting_point(words))
    check(first)
    if not isinstance(first, Train):
        return first
    if not (first.run.resume and RunFolder.is_begun(first.out)):
        return first
    stored = read_config(first.out)
    file = first.run.config
    resumed = cast(Train, _parse(words, stored if file is None else overlaid(stored, file)))
    _refuse_contradictions(stored, resumed.settings, first.out)
    return dataclasses.replace(resumed, run=dataclasses.replace(resumed.run, out=first.out))


def _starting_point(words: Sequence[str]) -> RunConfig:
    """The settings that flags are laid over: the task's own, and over those the --config file's."""
    scan = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("--task", "--config", "--operator", "--robot", "--cameras"):
        scan.add_argument(name, nargs="?")
    given, _ = scan.parse_known_args(list(words))
    file = None if given.config is None else Path(given.config)
    loaded = RunConfig() if file is None else load_config(file)
    window = words[0] == "demo" and "--headless" not in words and has_display()
    by_hand = (given.operator or ("console" if window or given.robot else loaded.operator)) == "console"
    base = (live_preset if by_hand else preset)(valid_task(given.task or loaded.task))
    if given.cameras or loaded.cameras:
        base = with_cameras(base)
    return base if file is None else overlaid(base, file)


def _parse(words: Sequence[str], settings: RunConfig) -> Command:
    """One pass of tyro, its boxed complaints turned into a UsageError of one line."""
    listing = words[0] in _HELP
    brief = _HELP_ALL not in words and any(word in _HELP for word in words)
    asked = ["--help" if word == _HELP_ALL else word for word in words]
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            command, unknown = tyro.cli(
                _union(settings, brief, listing),
                prog=PROGRAM,
                description=_ABOUT,
                args=asked,
                return_unknown_args=True,
            )
    except ValueError as error:
        raise UsageError(str(error)) from error
    except SystemExit as stop:
        if not stop.code:
            raise
        strange = _strange_flags(words)  # tyro may have stumbled over one, and name something else
        line = _about_unknown(strange, words[0]) if strange else _in_one_line(complaint.getvalue())
        raise UsageError(line) from None
    if unknown:
        raise UsageError(_about_unknown(unknown, words[0]))
    if isinstance(command, Train) and valid_task(command.settings.task) == BARE:
        raise UsageError("there is nothing to learn at a bare table: it is for teleop")
    return cast(Command, command)


def _union(settings: RunConfig, brief: bool, listing: bool) -> Any:
    """All commands as the union of types that tyro wants. `brief`: with no flags but the plain ones;
    `listing`: each with the first line of what it says about itself."""
    union: Any = None
    for name, kind in COMMANDS.items():
        about = (kind.__doc__ or "").partition("\n")[0] if listing else None
        marked = tyro.conf.subcommand(name, description=about)
        if issubclass(kind, Train):
            chosen = _brief(kind, settings) if brief else kind(settings)
            kind, marked = type(chosen), tyro.conf.subcommand(name, description=about, default=chosen)
        one: Any = Annotated[kind, marked]
        union = one if union is None else union | one
    return union


def _brief(kind: type[Train], settings: RunConfig) -> Train:
    """The command with its sections of settings left out, for a help text that one can read."""
    hints = get_type_hints(RunConfig)
    hidden = [
        (item.name, Annotated[hints[item.name], tyro.conf.Suppress], item)
        for item in dataclasses.fields(RunConfig)
        if dataclasses.is_dataclass(hints[item.name])
    ]
    plain = dataclasses.make_dataclass("RunConfig", hidden, bases=(RunConfig,), frozen=True)
    shown = Annotated[plain, tyro.conf.arg(name="")]  # type: ignore[valid-type]
    short = dataclasses.make_dataclass(kind.__name__, [("settings", shown)], bases=(kind,), frozen=True)
    short.__doc__ = kind.__doc__
    values = {item.name: getattr(settings, item.name) for item in dataclasses.fields(settings)}
    return cast(Train, short(plain(**values)))


def _in_one_line(box: str) -> str:
    """What tyro says in a box: the text below its title, up to the next rule."""
    said: list[str] = []
    for line in box.splitlines()[1:]:
        text = line.strip(" │╭╮╰╯")
        if set(text) <= set("─-"):
            if said:
                break
        else:
            said.append(text)
    text = re.sub(r"^Missing from ([\w -]+): (\S+) .*", r"\1 needs \2", " ".join(said))
    return re.sub(r"^Error parsing [^-]\S*: ", "", text)  # the name of a section's class says nothing


def _flags_of(kind: Any, prefix: str = "") -> list[str]:
    """The flags of a command, with those of its groups."""
    hints, marked, found = get_type_hints(kind), get_type_hints(kind, include_extras=True), []
    for item in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[item.name]):
            inner = prefix if item.name in INLINED else f"{prefix}{item.name}."
            found += _flags_of(hints[item.name], inner)
        elif Positional not in getattr(marked[item.name], "__metadata__", ()):
            found.append(flag(prefix + item.name))
    return found


def _strange_flags(words: Sequence[str]) -> list[str]:
    """The words that look like flags of the command `words[0]`, and are none."""
    known = {*_HELP, *_flags_of(COMMANDS[words[0]])} if words[0] in COMMANDS else set(words)
    names = {word: word.partition("=")[0].replace("_", "-") for word in words if _FLAG.match(word)}
    return [word for word, name in names.items() if not known & {name, _NO.sub(r"\1", name)}]


def _about_unknown(unknown: Sequence[str], command: str) -> str:
    """One line about words that no argument took, with the nearest flag that there is."""
    word = next((one for one in unknown if one.startswith("-")), unknown[0])
    if not word.startswith("-"):
        return f"nothing takes the word {word!r}: --help tells what there is"
    name = word.partition("=")[0]
    return f"there is no flag {name}{hint(name.replace('_', '-'), _flags_of(COMMANDS[command]))}"


def _refuse_contradictions(stored: RunConfig, asked: RunConfig, out: Path) -> None:
    """A run goes on with the settings that it was begun with, or not at all."""
    if said := contradictions(stored, asked):
        raise UsageError(
            f"--resume of {out} contradicts {', '.join(said)}: leave that out, or choose another --out"
        )
