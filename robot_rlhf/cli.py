"""The command line: the only place where everything is wired together.

Nothing heavy is imported before a command runs, so that --help is instant and works where torch and
PyBullet are not installed. With --json a command prints exactly one line on stdout; whatever else is
printed meanwhile, by whomever, goes to stderr.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Sequence

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
    Mirror,
    Record,
    Replay,
    Report,
    Said,
    Sweep,
    Teleop,
    Train,
    Verify,
    View,
)
from robot_rlhf.commands.complaints import in_one_line
from robot_rlhf.commands.extras import need
from robot_rlhf.commands.parsing import parse
from robot_rlhf.commands.telling import say, show, stdout_kept_clean, tell
from robot_rlhf.commands.usage import PROGRAM, UsageError
from robot_rlhf.session.run_folder import RunFolder

_OK, _FAILED, _USAGE, _INTERRUPTED = 0, 1, 2, 130


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
        line = in_one_line(error, command)
        if line is None or debug:
            raise
        say(f"error: {' '.join(line.split())}")
        return _USAGE if isinstance(error, UsageError) else _FAILED


def _run(command: Command) -> int:
    match command:
        case Train():
            return _train(command)
        case Console():
            from robot_rlhf.commands.at_console import open_console

            return open_console(command)
        case Teleop() | Record() | Label():
            from robot_rlhf.commands.at_console import sit

            sit(command)
        case Keys():
            from robot_rlhf.commands.keys import keys

            result, lines = keys(command)
            tell(result, lines, command.json)
        case Learner():
            need("learner", "sim", "learn")
            from robot_rlhf.commands.learner import serve

            serve(command.bind, command.keys, command.runs, command.device)
        case Arm():
            from robot_rlhf.commands.robot import ask

            answer = ask(command.what, command.address, command.key)
            tell(answer, answer.lines(), command.json)
        case Evaluate():
            from robot_rlhf.commands.spreading import evaluate

            with stdout_kept_clean(command.json):
                result = evaluate(command)
            show(result, result.table(), command.json)
        case Sweep():
            from robot_rlhf.commands.spreading import sweep

            with stdout_kept_clean(command.json):
                swept = sweep(command)
            show(swept, swept.table(), command.json)
            for cell in swept.failed:
                say(f"{cell.setting}, seed {cell.seed}: {cell.error}")
            return _FAILED if swept.failed else _OK
        case Report():
            from robot_rlhf.commands.reporting import report

            print(report(command))
        case Verify():
            from robot_rlhf.commands.verify import verified

            with stdout_kept_clean(command.json):
                checked = verified(command.run)
            tell(checked, checked.lines(), command.json)
            return _OK if checked.sound else _FAILED
        case Info() | Said() | Replay() | View() | Mirror() | Backup():
            from robot_rlhf.commands.looking_back import look_back

            with stdout_kept_clean(command.json):
                found = look_back(command)
            tell(found, found.lines(), command.json)
        case Export() | Import() | ExportPolicy():
            from robot_rlhf.commands.datasets import move

            with stdout_kept_clean(command.json):
                moved = move(command)
            show(moved, moved.table(), command.json)
        case Doctor():
            from robot_rlhf.commands.doctor import diagnose

            with stdout_kept_clean(command.json):
                diagnosis = diagnose(command.out)
            show(diagnosis, diagnosis.table(), command.json, on_stdout=True)
            return _OK if diagnosis.healthy else _FAILED
    return _OK


def _train(command: Train) -> int:
    from robot_rlhf.commands.summaries import summary_table
    from robot_rlhf.commands.training import train

    with stdout_kept_clean(command.json):
        summary = train(command)
    if summary is None:
        say(_how_to_go_on(command))
        return _INTERRUPTED
    show(summary, summary_table(summary, command.out), command.json)
    return _OK


def _how_to_go_on(command: Command | None) -> str:
    if isinstance(command, Sweep):
        return "stopped; say the same again to go on"
    if isinstance(command, Train) and RunFolder.is_begun(command.out):
        name = ("demo --headless" if command.headless else "demo") if isinstance(command, Demo) else "train"
        return f"stopped and saved; to go on: {PROGRAM} {name} --resume --out {shlex.quote(str(command.out))}"
    return "stopped"


if __name__ == "__main__":
    sys.exit(main())
