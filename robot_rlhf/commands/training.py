"""`train` and `demo`: in lockstep or in real time, begun or gone on with, and what each of these needs."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from robot_rlhf.commands.arguments import Demo, Train
from robot_rlhf.commands.at_console import wire_of
from robot_rlhf.commands.display import has_display
from robot_rlhf.commands.extras import need
from robot_rlhf.commands.mirror import mirrored
from robot_rlhf.commands.reporting import report_run
from robot_rlhf.commands.summaries import summary_of
from robot_rlhf.commands.telling import say
from robot_rlhf.commands.usage import PROGRAM, UsageError
from robot_rlhf.learning.device import device
from robot_rlhf.report.files import REPORT
from robot_rlhf.report.summary import Summary
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import RunFolder, read_config

if TYPE_CHECKING:
    from robot_rlhf.commands.live import Wire
    from robot_rlhf.learning.device import Device


def train(command: Train) -> Summary | None:
    """Begin a run, go on with it, or say that it has ended; None where its operator left before its end."""
    out = command.out
    resumes = command.run.resume and RunFolder.is_begun(out)
    if resumes and (summary := summary_of(out)) is not None:
        if not (out / REPORT).exists():  # it was killed after its last word
            say(f"writing {report_run(out)}")
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
        wire = wire_of(command.wire, guide=isinstance(command, Demo), opens=settings.operator == "console")
    if command.remote.is_elsewhere:
        wire = _with_learner(command, settings, wire)
    on = device(command.remote.device)
    if settings.robot:
        from robot_rlhf.commands.served import try_arm

        try_arm(settings, command.wire.robot_key)
    with mirrored(out, command.run.wandb):
        return _from_where_it_stands(command, settings, wire, on, resumes)


def _from_where_it_stands(
    command: Train, settings: RunConfig, wire: Wire | None, on: Device, resumes: bool
) -> Summary | None:
    out = command.out
    run = RunFolder.open(out) if resumes else RunFolder.create(out, command.settings)
    with contextlib.closing(run):
        begins = "going on with" if resumes else "beginning"
        where = "" if on == "cpu" else f", learning on {on}"
        say(f"{begins} {out}: {settings.task}, seed {settings.seed}{where}")
        if wire is None:
            from robot_rlhf.commands.train import train as train_in_lockstep

            return train_in_lockstep(run, device=on)
    from robot_rlhf.commands.live import train_live

    return summary_of(out) if train_live(out, settings, wire, on) else None


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


def _with_learner(command: Train, settings: RunConfig, wire: Wire | None) -> Wire | None:
    """The wire, with the learner on another machine that was asked for."""
    from robot_rlhf.commands.learner import elsewhere

    learner = elsewhere(command.remote, settings)
    return wire and replace(wire, learner=learner)
