"""What a person is told of an error that they can put right."""

from __future__ import annotations

import sys

from robot_rlhf.commands.arguments import Command, Sweep, Train
from robot_rlhf.commands.extras import MissingExtraError, bringing, pip_line
from robot_rlhf.commands.usage import UsageError
from robot_rlhf.feedback.store import StoreError
from robot_rlhf.runners.runner import TaskError
from robot_rlhf.session.run_folder import RunError

_LATER_ERRORS = {  # where they are defined, since importing them here would load torch, or zmq
    "hardware.robot": "RobotError",
    "hardware.security": "SecurityError",
    "hardware.transport": "TransportError",
    "robot_rlhf.data.errors": "DataError",
    "robot_rlhf.learning.checkpoint": "CheckpointError",
    "robot_rlhf.learning.device": "DeviceError",
    "robot_rlhf.learning.reward_fit": "FitError",
    "robot_rlhf.report.wandb_board": "BoardError",
    "robot_rlhf.runners.on_ray": "ClusterError",
}


def in_one_line(error: Exception, command: Command | None) -> str | None:
    """What to tell a person about an error that they can put right; None for a defect of ours."""
    if isinstance(error, TaskError):  # as its cause, where it has one
        cause = error.__cause__
        fixable = not isinstance(cause, Exception) or in_one_line(cause, command) is not None
        return str(error) if fixable else None
    loaded = [getattr(sys.modules[m], name) for m, name in _LATER_ERRORS.items() if m in sys.modules]
    if isinstance(error, (UsageError, RunError, StoreError, MissingExtraError, FloatingPointError, *loaded)):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        extras = bringing(package)
        return f"{package} is not installed: {pip_line(extras)}" if extras else None
    if isinstance(error, OSError) and error.strerror is not None:
        where = error.filename or (command.out if isinstance(command, (Train, Sweep)) else None)
        return f"{where}: {error.strerror}" if where else error.strerror
    return None
