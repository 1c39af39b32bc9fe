"""The command line: the only place where everything is wired together.

Nothing heavy is imported before a command runs, so that --help is instant and works where torch and
PyBullet are not installed. With --json a command prints exactly one line on stdout; whatever else is
printed meanwhile, by whomever, goes to stderr.
"""

from __future__ import annotations

import contextlib
import ctypes
import getpass
import io
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console as Terminal
from rich.table import Table
from rich.text import Text

from robot_rlhf import __version__
from robot_rlhf.commands.arguments import (
    Arm,
    Backup,
    Command,
    Console,
    Demo,
    Doctor,
    Evaluate,
    Export,
    ExportPolicy,
    Import,
    Info,
    Keys,
    Label,
    Learner,
    LiveOptions,
    Record,
    Replay,
    Report,
    RunnerOptions,
    Said,
    Sweep,
    Teleop,
    Train,
    Verify,
    View,
)
from robot_rlhf.commands.display import has_display
from robot_rlhf.commands.extras import EXTRAS, MissingExtraError, missing, need, pip_line
from robot_rlhf.commands.parsing import PROGRAM, UsageError, parse
from robot_rlhf.commands.telling import say, show
from robot_rlhf.feedback.store import StoreError
from robot_rlhf.learning.device import device
from robot_rlhf.report.files import REPORT
from robot_rlhf.report.summary import Summary, read_summary
from robot_rlhf.runners.choice import make_runner
from robot_rlhf.runners.runner import Runner, TaskError
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import RunError, RunFolder, read_config

if TYPE_CHECKING:
    from robot_rlhf.commands.evaluate import Evaluation
    from robot_rlhf.commands.live import Wire
    from robot_rlhf.commands.sweep import SweepResult

_OK, _FAILED, _USAGE, _INTERRUPTED = 0, 1, 2, 130
_LATER_ERRORS = {  # where they are defined, since importing them here would load torch, or zmq
    "hardware.robot": "RobotError",
    "hardware.security": "SecurityError",
    "hardware.transport": "TransportError",
    "robot_rlhf.data.errors": "DataError",
    "robot_rlhf.learning.checkpoint": "CheckpointError",
    "robot_rlhf.learning.device": "DeviceError",
    "robot_rlhf.learning.reward_fit": "FitError",
    "robot_rlhf.runners.on_ray": "ClusterError",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Do what `argv` (by default the process's own arguments) says; returns the exit code.

    What a person can put right is said in one line on stderr: exit code 2 for words that make no sense,
    1 for all else. A defect of the program shows its traceback, and with --debug everything does.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without our characters gets the text
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if words == ["--version"]:
        print(f"{PROGRAM} {__version__}")
        return _OK
    command: Command | None = None
    try:
        command = parse(words)
        return _run(command)
    except SystemExit as stop:  # a help text was shown
        return _OK if stop.code is None else int(stop.code)
    except KeyboardInterrupt:
        say(_how_to_go_on(command))
        return _INTERRUPTED
    except BrokenPipeError:  # whoever read stdout has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _FAILED
    except Exception as error:
        line = _in_one_line(error, command)
        if line is None or debug:
            raise
        say(f"error: {' '.join(line.split())}")
        return _USAGE if isinstance(error, UsageError) else _FAILED


def _run(command: Command) -> int:
    match command:
        case Train():
            with _stdout_kept_clean(command.json):
                summary = _train(command)
            if summary is None:
                say(_how_to_go_on(command))
                return _INTERRUPTED
            show(summary, _summary_table(summary, command.out), command.json)
        case Console():
            return _console(command)
        case Teleop() | Record() | Label():
            _live(command)
        case Keys():
            _keys(command)
        case Learner():
            need("learner", "sim", "learn")
            from robot_rlhf.commands.learner import serve

            serve(command.bind, command.keys, command.runs, command.device)
        case Arm():
            from robot_rlhf.commands.robot import ask

            answer = ask(command.what, command.address, command.key)
            print(msgspec.json.encode(answer).decode() if command.json else "\n".join(answer.lines()))
        case Evaluate():
            with _stdout_kept_clean(command.json):
                result = _evaluate(command)
            show(result, result.table(), command.json)
        case Sweep():
            with _stdout_kept_clean(command.json):
                swept = _sweep(command)
            show(swept, swept.table(), command.json)
            for cell in swept.failed:
                say(f"{cell.setting}, seed {cell.seed}: {cell.error}")
            return _FAILED if swept.failed else _OK
        case Report():
            print(_report(command.runs[0]) if len(command.runs) == 1 else _compare(command))
        case Verify() | Info() | Said() | Replay() | View() | Backup():
            from robot_rlhf.commands.looking_back import look_back

            with _stdout_kept_clean(command.json):
                found = look_back(command)
            print(msgspec.json.encode(found).decode() if command.json else "\n".join(found.lines()))
            return _OK if found.good else _FAILED
        case Export() | Import() | ExportPolicy():
            from robot_rlhf.commands.datasets import move

            with _stdout_kept_clean(command.json):
                moved = move(command)
            show(moved, moved.table(), command.json)
        case Doctor():
            from robot_rlhf.commands.doctor import diagnose

            with _stdout_kept_clean(command.json):
                diagnosis = diagnose(command.out)
            show(diagnosis, diagnosis.table(), command.json, on_stdout=True)
            return _OK if diagnosis.healthy else _FAILED
    return _OK


def _train(command: Train) -> Summary | None:
    """Begin a run, go on with it, or say that it has ended; None where its operator left before its end."""
    out = command.out
    resumes = command.run.resume and RunFolder.is_begun(out)
    if resumes and (summary := _summary_of(out)) is not None:
        if not (out / REPORT).exists():  # it was killed after its last word
            say(f"writing {_report(out)}")
        say(f"{out} is finished: there is nothing to resume")
        return summary
    name = "demo" if isinstance(command, Demo) else "train"
    need(name, "sim", "learn")
    settings = read_config(out) if resumes else command.settings
    if settings.operator == "console" and isinstance(command, Demo) and command.headless:
        raise UsageError(_why_not_headless(settings, out if resumes else None))
    if settings.operator == "console" and not command.wire.no_window:
        need(name, "console")
    elif isinstance(command, Demo) and not command.headless and not has_display():
        say("there is no screen here, so a simulated operator teaches in your place (--headless says so)")
    wire = None
    if settings.in_real_time:
        wire = _wire(command.wire, guide=isinstance(command, Demo), opens=settings.operator == "console")
    if command.remote.is_elsewhere:
        wire = _with_learner(command, settings, wire)
    on = device(command.remote.device)
    if settings.robot:
        from robot_rlhf.commands.served import try_arm

        try_arm(settings.task, settings.robot, settings.perception, command.wire.robot_key)
    run = RunFolder.open(out) if resumes else RunFolder.create(out, command.settings)
    with contextlib.closing(run):
        begins = "going on with" if resumes else "beginning"
        where = "" if on == "cpu" else f", learning on {on}"
        say(f"{begins} {out}: {settings.task}, seed {settings.seed}{where}")
        if wire is None:
            from robot_rlhf.commands.train import train

            return train(run, device=on)
    from robot_rlhf.commands.live import train_live

    return _summary_of(out) if train_live(out, settings, wire, on) else None


def _why_not_headless(settings: RunConfig, begun: Path | None) -> str:
    """Why nobody but a person at a console can teach here; `begun`: the run that is gone on with."""
    if begun is not None:
        return (
            f"{begun} was begun by a person at a console, and --headless has a simulated operator teach: "
            "leave it out, or use --no-window for a console elsewhere"
        )
    if settings.robot:
        return (
            f"a demo on the arm at {settings.robot} is taught by a person at a console: leave --headless out "
            "(--no-window is for a console elsewhere), or have a simulated operator teach in real time, "
            f"{PROGRAM} train --operator simulated --live --robot {settings.robot}"
        )
    return "--operator console is a person, and --headless has a simulated one teach: leave one of them out"


def _wire(options: LiveOptions, *, guide: bool = False, opens: bool = True) -> Wire:
    """What was said about consoles, and the words for the one that is opened here, where one `opens`."""
    from robot_rlhf.commands.live import Wire

    look = options.console
    words = ["--name", look.name] if look.name else []
    words += ["--scale", str(look.scale)] if look.scale is not None else []
    switches = {"guide": guide, "latched": look.latched, "silent": look.silent, "fullscreen": look.fullscreen}
    words += [f"--{name}" for name, on in switches.items() if on]
    window = opens and not options.no_window
    if window and not has_display():
        raise UsageError("there is no screen here for the console: --no-window waits for one elsewhere")
    return Wire(options.bind, options.keys, window, tuple(words), options.robot_key)


def _with_learner(command: Train, settings: RunConfig, wire: Wire | None) -> Wire | None:
    """The wire, with the learner on another machine that was asked for."""
    from robot_rlhf.commands.learner import elsewhere

    learner = elsewhere(command.remote, settings)
    return wire and replace(wire, learner=learner)


def _live(command: Teleop | Record | Label) -> None:
    """Free driving, recording and labelling."""
    name = type(command).__name__.lower()
    extras = {"learn": not isinstance(command, Label), "console": not command.wire.no_window}
    need(name, "sim", *(extra for extra, needed in extras.items() if needed))
    from robot_rlhf.commands import live
    from robot_rlhf.commands.served import try_arm

    wire = _wire(command.wire)
    match command:
        case Teleop():
            live.teleop(live.free(command), wire)
        case Record():
            folder, settings = command.folder, live.recording(command)
            try_arm(settings.task, settings.robot, settings.perception, command.wire.robot_key)
            if not RunFolder.is_begun(folder):
                RunFolder.create(folder, settings).close()
            live.record(folder, settings, wire)
            say(f"to learn from it: {PROGRAM} train --resume --out {shlex.quote(str(folder))}")
        case Label():
            live.label(command.run, command.pairs, wire)


def _console(command: Console) -> int:
    need("console", "console")
    from hardware.security import ClientSecurity, Role
    from robot_rlhf.console.app import WindowOptions, run_console

    look = command.look
    options = WindowOptions(
        scale=look.scale,
        fullscreen=look.fullscreen,
        guide=command.guide,
        latched=look.latched,
        sound=not look.silent,
    )
    security = None if command.key is None else ClientSecurity(command.key)
    name = look.name or getpass.getuser()
    watches = command.watch or (security is not None and security.role in (Role.OBSERVER, Role.POLICY))
    return run_console(command.connect, name, security=security, watches=watches, options=options)


def _keys(command: Keys) -> None:
    from robot_rlhf.commands import keys

    result: msgspec.Struct | tuple[msgspec.Struct, ...] | None = None
    match command.what:
        case "make":
            result = made = keys.make_key(command.dir, str(command.name), command.role)
            lines = [f"{made.file}: hand this file to {made.name}, by scp say, and delete it here"]
        case "list":
            result = listed = keys.list_keys(command.dir)
            lines = [keys.described(key) for key in listed] or [f"no keys in {command.dir}"]
        case "revoke":
            keys.revoke_key(command.dir, str(command.name))
            lines = [f"{command.name} is refused from now on"]
    if command.json:
        print(msgspec.json.encode(result).decode())
    else:
        print("\n".join(lines))


def _evaluate(command: Evaluate) -> Evaluation:
    runner = _runner("evaluate", command.spread)
    from robot_rlhf.commands.evaluate import Where, evaluate_expert, evaluate_trained

    where = Where(runner, command.robot, command.robot_key)
    with Terminal(stderr=True).status(f"{command.episodes} episodes"):
        if command.run is not None:
            return evaluate_trained(
                command.run, command.episodes, command.seed, where, randomise=command.randomise
            )
        return evaluate_expert(
            str(command.task),
            command.episodes,
            command.seed,
            where,
            arm=command.arm or "panda",
            randomise=command.randomise,
        )


def _sweep(command: Sweep) -> SweepResult:
    runner = _runner("sweep", command.spread)
    from robot_rlhf.commands.grid import cells
    from robot_rlhf.commands.sweep import sweep

    quiet = command.spread.runner != "serial"
    result = sweep(cells(command), command.out, runner, say, quiet)
    say(f"wrote {command.out / REPORT}")
    return result


def _runner(name: str, options: RunnerOptions) -> Runner:
    """What spreads the episodes or runs of the command `name`."""
    need(name, "sim", "learn", *(["cluster"] if options.runner == "ray" else []))
    return make_runner(options.runner, options.workers, options.ray_address)


def _report(run: Path) -> Path:
    need("report", "learn")
    from robot_rlhf.commands.report import write_run_report

    if missing("sim"):
        say(f"the report has no clips, since nothing here draws them: {pip_line(['sim'])}")
    return write_run_report(run)


def _compare(command: Report) -> Path:
    need("report", "learn")
    from robot_rlhf.report.comparison_page import write_comparison

    try:
        return write_comparison(command.runs, command.out)
    except ValueError as error:
        raise RunError(str(error)) from error


def _summary_of(run: Path) -> Summary | None:
    try:
        return read_summary(run)
    except ValueError as error:
        raise RunError(str(error)) from error


def _summary_table(summary: Summary, out: Path) -> Table:
    """How a run ended, for a person."""
    table = Table(show_header=False, show_edge=False, box=None)
    low, high, episodes = summary.wilson_low, summary.wilson_high, summary.episodes
    what = "fresh starts" if summary.judged_by == "task" else "marked episodes that it drove alone"
    table.add_row("success", f"{summary.success_rate:.0%} of {episodes} {what} ({low:.0%} to {high:.0%})")
    table.add_row("operator", f"{summary.operator_seconds / 60:.1f} min active")
    table.add_row("wall time", f"{summary.wall_seconds / 60:.1f} min, {summary.environment_steps:,} steps")
    table.add_row("report", Text(str(out / REPORT)))
    return table


def _how_to_go_on(command: Command | None) -> str:
    if isinstance(command, Sweep):
        return "stopped; say the same again to go on"
    if isinstance(command, Train) and RunFolder.is_begun(command.out):
        name = ("demo --headless" if command.headless else "demo") if isinstance(command, Demo) else "train"
        return f"stopped and saved; to go on: {PROGRAM} {name} --resume --out {shlex.quote(str(command.out))}"
    return "stopped"


@contextlib.contextmanager
def _stdout_kept_clean(on: bool) -> Iterator[None]:
    """Sends to stderr whatever is printed meanwhile, also by libraries that are written in C."""
    if not on:
        yield
        return
    libc = ctypes.CDLL(None)
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        libc.fflush(None)
        os.dup2(kept, 1)
        os.close(kept)


def _in_one_line(error: Exception, command: Command | None) -> str | None:
    """What to tell a person about an error that they can put right; None for a defect of ours."""
    if isinstance(error, TaskError):  # as its cause, where it has one
        cause = error.__cause__
        fixable = not isinstance(cause, Exception) or _in_one_line(cause, command) is not None
        return str(error) if fixable else None
    loaded = [getattr(sys.modules[m], name) for m, name in _LATER_ERRORS.items() if m in sys.modules]
    if isinstance(error, (UsageError, RunError, StoreError, MissingExtraError, FloatingPointError, *loaded)):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        extras = [extra for extra, packages in EXTRAS.items() if package in packages]
        return f"{package} is not installed: {pip_line(extras)}" if extras else None
    if isinstance(error, OSError) and error.strerror is not None:
        where = error.filename or (command.out if isinstance(command, (Train, Sweep)) else None)
        return f"{where}: {error.strerror}" if where else error.strerror
    return None


if __name__ == "__main__":
    sys.exit(main())
