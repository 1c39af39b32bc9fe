"""What no type can say about a command's arguments."""

from __future__ import annotations

from robot_rlhf.commands.arguments import (
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
from robot_rlhf.commands.usage import UsageError, hint
from robot_rlhf.feedback.types import Kind
from robot_rlhf.runners.choice import make_runner
from sim.arms.model import make_arm
from sim.task import make_task


def check(asked: Command) -> None:
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
