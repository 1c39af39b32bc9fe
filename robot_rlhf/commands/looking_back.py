"""The commands that look at what a run holds: each is handed to its own module, loaded only then."""

from __future__ import annotations

import getpass

from robot_rlhf.commands.answer import Answer
from robot_rlhf.commands.arguments import Backup, Info, LookingBack, Mirror, Replay, Said, View


def look_back(command: LookingBack) -> Answer:
    """Do what is asked, and return what there is to tell."""
    match command:
        case Info():
            from robot_rlhf.commands.info import describe

            return describe(command.run)
        case Said():
            from robot_rlhf.commands import said

            if command.what == "list":
                return said.listed(command)
            who = command.name or getpass.getuser()
            return (said.undo if command.what == "undo" else said.redo)(command.run, command.ids, who)
        case Replay():
            from robot_rlhf.commands.replay import replay

            return replay(command)
        case View():
            from robot_rlhf.commands.view import view

            return view(command)
        case Mirror():
            from robot_rlhf.commands.mirror import mirror

            return mirror(command)
        case Backup():
            from robot_rlhf.commands.backup import back_up

            return back_up(command.run, command.out)
