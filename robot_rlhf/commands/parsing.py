"""From words on the command line to typed arguments, and one clear line where they make no sense."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast, get_type_hints

import msgspec
import tyro
from tyro.conf import Positional

from robot_rlhf.commands.arguments import (
    COMMANDS,
    Command,
    Evaluate,
    Keys,
    Label,
    Record,
    Replay,
    Report,
    RunnerOptions,
    Said,
    Sweep,
    Teleop,
    Train,
)
from robot_rlhf.commands.display import has_display
from robot_rlhf.feedback.types import Kind
from robot_rlhf.runners.choice import make_runner
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.presets import live_preset, preset, with_cameras
from robot_rlhf.session.run_folder import RunFolder, load_config, read_config
from sim.arms.model import make_arm
from sim.task import BARE, make_task

PROGRAM = "robot-rlhf"
_ABOUT = """Train a robot arm's policy from a person's feedback: five kinds of it, one reward function.

  robot-rlhf doctor                                   is everything here?
  robot-rlhf demo                                     teach the arm yourself, in a window, some ten minutes
  robot-rlhf demo --headless                          a simulated operator does; then open its report.html
  robot-rlhf train --task push --seed 1 --out mine    the same, your way; --resume goes on with it
  robot-rlhf evaluate mine --episodes 100             how often does it succeed alone?

COMMAND --help tells what a command takes. --debug shows where an error arose, --version what this is."""
_HELP, _HELP_ALL = ("-h", "--help"), "--help-all"
_INLINED = ("settings", "run", "wire", "remote", "look", "spread")  # groups whose flags have no prefix
_FLAG, _NO = re.compile(r"--?[A-Za-z]"), re.compile(r"(--|\.)no-")


class UsageError(Exception):
    """What was asked for makes no sense; one line says why and what would."""


def parse(words: Sequence[str]) -> Command:
    """The command and its arguments. Raises UsageError, RunError for a --config file or a run folder
    that is not in order, and SystemExit(0) after a help text."""
    if not words:
        raise UsageError(f"say what to do: {', '.join(COMMANDS)} (--help tells more)")
    if words[0] not in COMMANDS and words[0] not in _HELP:
        raise UsageError(f"there is no command {words[0]!r}{hint(words[0], COMMANDS)}")
    first = _parse(words, _starting_point(words))
    _check(first)
    if not isinstance(first, Train):
        return first
    if not (first.run.resume and RunFolder.is_begun(first.out)):
        return first
    stored = read_config(first.out)
    file = first.run.config
    resumed = cast(Train, _parse(words, stored if file is None else overlaid(stored, file)))
    _refuse_contradictions(stored, resumed.settings, first.out)
    return dataclasses.replace(resumed, run=dataclasses.replace(resumed.run, out=first.out))


def settings_of(value: Any, prefix: str = "") -> dict[str, Any]:
    """A dataclass's settings by their dotted names, those of nested ones included."""
    found: dict[str, Any] = {}
    for item in dataclasses.fields(value):
        inner = getattr(value, item.name)
        if dataclasses.is_dataclass(inner):
            found |= settings_of(inner, prefix if item.name in _INLINED else f"{prefix}{item.name}.")
        else:
            found[prefix + item.name] = inner
    return found


def flag(name: str) -> str:
    """The flag of a setting: 'schedule.final_episodes' -> '--schedule.final-episodes'."""
    return "--" + name.replace("_", "-")


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


def valid_task(name: str) -> str:
    """The name of a task; UsageError for what is none."""
    try:
        return make_task(name).name
    except ValueError as error:
        raise UsageError(str(error)) from error


def valid_arm(name: str) -> str:
    """The name of an arm that can be simulated; UsageError for what is none."""
    try:
        return make_arm(name).spec.name
    except ValueError as error:
        raise UsageError(str(error)) from error


def overlaid(base: RunConfig, file: Path) -> RunConfig:
    """`base` with what the TOML `file` says laid over it. RunError or UsageError for one that is not in
    order."""
    loaded = load_config(file)
    try:
        return cast(RunConfig, laid_over(base, loaded, msgspec.toml.decode(file.read_bytes())))
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from error


def laid_over(base: Any, loaded: Any, said: Mapping[str, Any]) -> Any:
    """`base` with the fields of `loaded` that `said` names."""
    fields = {
        name: laid_over(getattr(base, name), getattr(loaded, name), value)
        if isinstance(value, dict)
        else getattr(loaded, name)
        for name, value in said.items()
    }
    return dataclasses.replace(base, **fields)


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
            inner = prefix if item.name in _INLINED else f"{prefix}{item.name}."
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


def hint(word: str, valid: Sequence[str] | Mapping[str, Any]) -> str:
    """What to add to a complaint about `word`: the nearest that there is, or all if they are few."""
    near = difflib.get_close_matches(word, valid, n=1)
    if near:
        return f", did you mean {near[0]}?"
    plain = [name for name in valid if "." not in name]
    return f" (there are {', '.join(plain)})" if len(plain) < 13 else ": --help-all tells what there is"


def _check(asked: Command) -> None:
    """Raises UsageError for what no type can say."""
    match asked:
        case Evaluate():
            _check_evaluate(asked)
        case Sweep():
            _check_spread(asked.spread)
        case Teleop() | Record():
            valid_task(asked.task)
            valid_arm(asked.arm)
            if asked.seed < 0:
                raise UsageError(f"--seed is {asked.seed}: it must not be negative")
            if isinstance(asked, Record) and asked.demonstrations < 1:
                raise UsageError(f"--demonstrations is {asked.demonstrations}: it must be at least 1")
        case Train():
            valid_arm(asked.settings.arm)
        case Label():
            if asked.pairs < 0:
                raise UsageError(f"--pairs is {asked.pairs}: it must not be negative")
        case Keys():
            if (asked.name is None) != (asked.what == "list"):
                raise UsageError("say whose key: keys make NAME, keys revoke NAME (keys list needs none)")
        case Said():
            _check_said(asked)
        case Report():
            if not asked.runs:
                raise UsageError("say which: report RUN, or report RUN RUN ... to compare several")
        case Replay():
            if not 0.05 <= asked.speed <= 20.0:
                raise UsageError(f"--speed is {asked.speed}: it must be from 0.05 to 20")
            if asked.video is not None and asked.video.suffix != ".mp4":
                raise UsageError(f"--video is {asked.video}: a video's name ends in .mp4")
        case _:
            pass


def _check_said(asked: Said) -> None:
    if (asked.what == "list") == bool(asked.ids):
        raise UsageError(
            "say which: feedback undo RUN ID, feedback redo RUN ID; feedback list RUN takes none"
        )
    kinds = [*(kind.value for kind in Kind), "removal", "undo"]
    if asked.kind is not None and asked.kind not in kinds:
        raise UsageError(f"there is no kind {asked.kind!r}{hint(asked.kind, kinds)}")
    if asked.limit < 0:
        raise UsageError(f"--limit is {asked.limit}: it must not be negative")


def _check_evaluate(asked: Evaluate) -> None:
    if asked.episodes < 1:
        raise UsageError(f"--episodes is {asked.episodes}: it must be at least 1")
    if asked.seed < 0:
        raise UsageError(f"--seed is {asked.seed}: it must not be negative")
    if asked.policy == "trained" and (asked.run is None or asked.task is not None):
        raise UsageError("a trained policy comes from a run: robot-rlhf evaluate RUN, without --task")
    if asked.policy == "expert" and (asked.run is not None or asked.task is None):
        raise UsageError("the expert needs no run but a task: --policy expert --task TASK, without RUN")
    if asked.arm is not None and (asked.policy == "trained" or asked.robot):
        raise UsageError("--arm is for the expert, on an arm that is simulated here: leave it out")
    if asked.robot and not asked.randomise.is_off:
        raise UsageError("--randomise is for an arm that is simulated here: leave it out")
    if asked.task is not None:
        valid_task(asked.task)
    valid_arm(asked.arm or "panda")
    if asked.robot and asked.spread.runner != "serial":
        raise UsageError(f"--robot is one arm, and --runner {asked.spread.runner} wants many: leave one out")
    _check_spread(asked.spread)


def _check_spread(asked: RunnerOptions) -> None:
    try:
        make_runner(asked.runner, asked.workers, asked.ray_address)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _refuse_contradictions(stored: RunConfig, asked: RunConfig, out: Path) -> None:
    """A run goes on with the settings that it was begun with, or not at all."""
    if said := contradictions(stored, asked):
        raise UsageError(
            f"--resume of {out} contradicts {', '.join(said)}: leave that out, or choose another --out"
        )


def contradictions(stored: RunConfig, asked: RunConfig) -> list[str]:
    """The settings in which a run that was begun differs from what is asked for, as a person reads them."""
    then, now = settings_of(stored), settings_of(asked)
    return [
        f"{flag(name)} {now[name]} (it was begun with {then[name]})"
        for name in then
        if then[name] != now[name]
    ]
