"""The commands that a person sits at: free driving, recording, labelling, and the console alone."""

from __future__ import annotations

import getpass
import shlex
from typing import TYPE_CHECKING

from robot_rlhf.commands.arguments import Console, Label, LiveOptions, Record, Teleop
from robot_rlhf.commands.display import has_display
from robot_rlhf.commands.extras import need
from robot_rlhf.commands.telling import say
from robot_rlhf.commands.usage import PROGRAM, UsageError
from robot_rlhf.session.run_folder import RunFolder

if TYPE_CHECKING:
    from robot_rlhf.commands.live import Wire


def sit(command: Teleop | Record | Label) -> None:
    """Free driving, recording and labelling."""
    name = type(command).__name__.lower()
    extras = {"learn": not isinstance(command, Label), "console": not command.wire.no_window}
    need(name, "sim", *(extra for extra, needed in extras.items() if needed))
    from robot_rlhf.commands import live
    from robot_rlhf.commands.served import try_arm

    wire = wire_of(command.wire)
    match command:
        case Teleop():
            live.teleop(live.free(command), wire)
        case Record():
            folder, settings = command.folder, live.recording(command)
            try_arm(settings, command.wire.robot_key)
            if not RunFolder.is_begun(folder):
                RunFolder.create(folder, settings).close()
            live.record(folder, settings, wire)
            say(f"to learn from it: {PROGRAM} train --resume --out {shlex.quote(str(folder))}")
        case Label():
            live.label(command.run, command.pairs, wire)


def open_console(command: Console) -> int:
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


def wire_of(options: LiveOptions, *, guide: bool = False, opens: bool = True) -> Wire:
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
