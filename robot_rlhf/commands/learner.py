"""`learner serve`: the learners of sessions on other machines, and the way to them from `train`."""

from __future__ import annotations

import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from hardware.security import ClientSecurity, ServerSecurity
from hardware.transport.addresses import reachable
from robot_rlhf.commands.arguments import LearnerOptions
from robot_rlhf.commands.interruption import Interruption
from robot_rlhf.commands.telling import say
from robot_rlhf.commands.usage import PROGRAM, UsageError
from robot_rlhf.feedback.store import Store
from robot_rlhf.learning.device import Asked, Device, device
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.remote.host import LearnerHost
from robot_rlhf.session.remote.link import RemoteLearnerLink, try_learner
from robot_rlhf.session.remote.messages import GROUP
from robot_rlhf.session.remote.uplink import Whose
from robot_rlhf.session.run_folder import DATABASE
from robot_rlhf.session.run_folder import GROUP as GROUP_NOTE

_RUN_ID = "run_id"
"""The store's note by which a learner elsewhere knows a run."""


@dataclass(frozen=True)
class Elsewhere:
    """A learner on another machine."""

    address: str
    security: ClientSecurity | None
    group: str = ""

    def whose(self, run: Path) -> Whose:
        """What it knows the run at `run` by, whose store nobody has open for writing yet."""
        with Store.open(run / DATABASE) as store:
            id = store.meta(_RUN_ID)
            if id is None:
                id = uuid.uuid4().hex
                store.set_meta(_RUN_ID, id)
            if self.group:
                store.set_meta(GROUP_NOTE, self.group)
        return Whose(run, id, self.group)

    def link(self, whose: Whose) -> RemoteLearnerLink:
        """A run's line to it."""
        return RemoteLearnerLink(self.address, self.security, whose, say)


def elsewhere(options: LearnerOptions, settings: RunConfig) -> Elsewhere | None:
    """The learner that was asked for; None for one beside the session. One that does not answer is waited
    for. Raises UsageError for words that make no sense, RunError for a learner that will not have us,
    SecurityError for a key that is none, and TransportError for an address that is none."""
    if not options.learner:
        if options.group or options.learner_key is not None:
            raise UsageError("--group and --learner-key go with --learner tcp://HOST:PORT")
        return None
    if options.device != "cpu":
        raise UsageError(
            f"--device {options.device} beside --learner: say it to `robot-rlhf learner serve`, which learns"
        )
    if not settings.in_real_time:
        raise UsageError("--learner is for real time: say --operator console, or --live")
    if options.group and not GROUP.fullmatch(options.group):
        raise UsageError(f"--group is {options.group!r}: 1 to 64 letters, digits, '_', '.' and '-'")
    security = None if options.learner_key is None else ClientSecurity(options.learner_key)
    if not try_learner(options.learner, security):
        say(f"the learner at {options.learner} does not answer yet; what needs none goes on meanwhile")
    return Elsewhere(options.learner, security, options.group)


def serve(bind: str, keys: Path | None, runs: Path, on: Asked) -> None:
    """Learn for whoever connects until Ctrl-C, which has every learner save. Raises DeviceError."""
    chosen = device(on)
    security = None if keys is None else ServerSecurity(keys)
    with Interruption() as interruption:
        host = LearnerHost(bind, security, runs.absolute(), lambda run: [*command(run, chosen), "apart"])
        try:
            best, *others = reachable(host.address)
            also = f" (or {' or '.join(others)})" if others else ""
            key = " --learner-key FILE" if keys else ""
            say(f"sessions connect with: {PROGRAM} train --learner {best}{key}{also}")
            while True:
                interruption.check()
                host.step()
        finally:
            host.close()


def command(run: Path, on: Device) -> list[str]:
    """What runs a learner on the folder of a run."""
    return [sys.executable, "-m", "robot_rlhf.commands.live_learner", str(run), on]
