"""What a command tells: a line on stderr, its result on stdout, or the one line of --json."""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console as Terminal
from rich.table import Table

from robot_rlhf.commands.parsing import PROGRAM


def show(result: msgspec.Struct, table: Table, as_json: bool, on_stdout: bool = False) -> None:
    """The one line of --json on stdout, or for a person a table, by default where the progress was."""
    if as_json:
        print(msgspec.json.encode(result).decode())
    else:
        Terminal(stderr=not on_stdout).print(table)


def say(line: str) -> None:
    """One line for a person, beside what stdout has for programs."""
    print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)
