"""The commands whose episodes or runs a runner spreads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console as Terminal

from robot_rlhf.commands.arguments import Evaluate, RunnerOptions, Sweep
from robot_rlhf.commands.extras import need
from robot_rlhf.commands.telling import say
from robot_rlhf.report.files import REPORT
from robot_rlhf.runners.choice import make_runner
from robot_rlhf.runners.runner import Runner

if TYPE_CHECKING:
    from robot_rlhf.commands.evaluate import Evaluation
    from robot_rlhf.commands.sweep import SweepResult


def evaluate(command: Evaluate) -> Evaluation:
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


def sweep(command: Sweep) -> SweepResult:
    runner = _runner("sweep", command.spread)
    if command.wandb:
        need("--wandb", "wandb")
    from robot_rlhf.commands.grid import cells
    from robot_rlhf.commands.sweep import sweep

    quiet = command.spread.runner != "serial"
    result = sweep(cells(command), command.out, runner, say, quiet, command.wandb)
    say(f"wrote {command.out / REPORT}")
    return result


def _runner(name: str, options: RunnerOptions) -> Runner:
    """What spreads the episodes or runs of the command `name`."""
    need(name, "sim", "learn", *(["cluster"] if options.runner == "ray" else []))
    return make_runner(options.runner, options.workers, options.ray_address)
