"""What a command tells: a line on stderr, its result on stdout, or the one line of --json."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from rich.console import Console as Terminal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from robot_rlhf.commands.usage import PROGRAM


def show(result: msgspec.Struct, table: Table, as_json: bool, on_stdout: bool = False) -> None:
    """The one line of --json on stdout, or for a person a table, by default where the progress was."""
    if as_json:
        print(msgspec.json.encode(result).decode())
    else:
        Terminal(stderr=not on_stdout).print(table)


def tell(result: Any, lines: Iterable[str], as_json: bool) -> None:
    """The same for what needs no table, on stdout."""
    print(msgspec.json.encode(result).decode() if as_json else "\n".join(map(printable, lines)))


def say(line: str) -> None:
    """One line for a person, beside what stdout has for programs."""
    print(f"{PROGRAM}: {printable(line)}", file=sys.stderr, flush=True)


def printable(line: str) -> str:
    """What a terminal shows as it is: a name in somebody else's run may hold its control characters."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)


@contextlib.contextmanager
def stdout_kept_clean(on: bool) -> Iterator[None]:
    """Send to stderr whatever is printed meanwhile, also by libraries that are written in C."""
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


@contextlib.contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """A bar on the terminal that grows by one with each call of what is handed out."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    terminal = Terminal(stderr=True)
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
