"""`export-policy`: a run's policy for somebody who has torch and nothing of ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import torch
from rich.table import Table
from rich.text import Text

from robot_rlhf import __version__
from robot_rlhf.commands.arguments import ExportPolicy
from robot_rlhf.commands.export import newest_checkpoint
from robot_rlhf.commands.summaries import summary_of
from robot_rlhf.commands.trained import read_learner
from robot_rlhf.data.card import PolicyFacts, Success, card
from robot_rlhf.data.folders import new_folder, refuse_taken
from robot_rlhf.data.stream import digest
from robot_rlhf.data.tasks import task_facts
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.learning.portable import Portable, PortableSight
from robot_rlhf.report.summary import Summary
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.learner import Learner
from robot_rlhf.session.run_folder import DATABASE, RunError, arm_of
from sim.env import SPEED_M_S

PROGRAM, WEIGHTS, RUNNER, CARD = "policy.pt2", "policy.safetensors", "run_policy.py", "README.md"

_RUNNER = '''\
"""policy.pt2 with torch alone. As a program: an observation a line in, as JSON, an action a line out."""
import json
import pathlib
import sys

import torch


class Policy:
    def __init__(self, folder=pathlib.Path(__file__).parent):
        self.step = torch.export.load(folder / "policy.pt2").module()
        self.reset()

    def reset(self):  # where an episode begins
        self.memory = torch.zeros({memory})

    def act(self, obs):  # {takes} -> {action} numbers in [-1, 1]
        {steps}
        return action.tolist()


if __name__ == "__main__":
    policy = Policy()
    for obs in map(json.loads, sys.stdin):
        print(json.dumps(policy.reset() if obs is None else policy.act(obs)), flush=True)
'''
_STEPS = "action, self.memory = self.step(torch.as_tensor(obs, dtype=torch.float32), self.memory)"
_STEPS_SEEING = """state = torch.as_tensor(obs["state"], dtype=torch.float32)
        seen = torch.stack([torch.tensor(obs[name], dtype=torch.uint8) for name in {cameras}])
        action, self.memory = self.step(state, seen, self.memory)"""


class ExportedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What was written."""

    path: str
    task: str
    files: tuple[str, ...]
    success_rate: float | None

    def table(self) -> Table:
        """The same for a person."""
        table = Table(show_header=False, show_edge=False, box=None)
        table.add_row("written", Text(self.path))
        table.add_row("files", ", ".join(self.files))
        rate = "not evaluated yet" if self.success_rate is None else f"{self.success_rate:.0%}"
        table.add_row("success", rate)
        return table


def export_policy(asked: ExportPolicy) -> ExportedPolicy:
    """Write the newest policy of a run as it is put to work. Raises RunError, DataError, StoreError or
    CheckpointError naming what is not in order; then nothing is left behind."""
    refuse_taken(asked.out)
    path = newest_checkpoint(asked.run)
    if path is None:
        raise RunError(f"{asked.run} has no checkpoint yet: let it train for longer, or --resume it")
    config, learner = read_learner(asked.run, path)
    if learner is None:
        raise RunError(f"{asked.run} has no episodes yet: there is no policy")
    summary = summary_of(asked.run)
    facts = _facts(asked, config, summary, path)
    program, runner = _program(learner, facts)
    with new_folder(asked.out) as folder:
        torch.export.save(program, folder / PROGRAM)
        (folder / WEIGHTS).write_bytes(_weights(learner))
        (folder / RUNNER).write_text(runner, encoding="utf-8")
        (folder / CARD).write_text(card(facts), encoding="utf-8")
    return ExportedPolicy(
        path=str(asked.out),
        task=config.task,
        files=(PROGRAM, WEIGHTS, RUNNER, CARD),
        success_rate=None if summary is None else summary.success_rate,
    )


def _program(learner: Learner, facts: PolicyFacts) -> tuple[torch.export.ExportedProgram, str]:
    """The policy as a program, and the text of what runs it. RunError where it has not learned to see yet."""
    snapshot, encoder = learner.snapshot(), learner.encoder
    policy = Portable(snapshot, cloned=learner.config.policy == "clone" and learner.clone is not None)
    memory, state = torch.zeros(policy.memory_size), torch.zeros(facts.task.obs_size)
    module: torch.nn.Module = policy
    example: tuple[torch.Tensor, ...] = (state, memory)
    takes, steps = f"{facts.task.obs_size} numbers", _STEPS
    if encoder is not None:
        if not encoder.is_fitted:
            raise RunError("the policy has not learned to see yet: let it train for longer, or --resume it")
        module = PortableSight(encoder, policy)
        side = facts.pixels
        example = (state, torch.zeros((len(facts.cameras), side, side, 3), dtype=torch.uint8), memory)
        names = ", ".join(facts.cameras)
        takes = f"state: {takes}; {names}: ({side}, {side}, 3) uint8 RGB"
        steps = _STEPS_SEEING.format(cameras=facts.cameras)
    runner = _RUNNER.format(
        memory=policy.memory_size, takes=takes, steps=steps, action=facts.task.action_size
    )
    return torch.export.export(module.eval(), example), runner


def _weights(learner: Learner) -> bytes:
    """The policy's tensors as a safetensors file, and where it sees its encoder's among them."""
    snapshot = learner.snapshot()
    seeing = {} if learner.encoder is None else learner.encoder.state()
    own = {f"encoder.{name}": values.numpy() for name, values in seeing.items()}
    return replace(snapshot, tensors={**snapshot.tensors, **own}).to_bytes()


def _facts(asked: ExportPolicy, config: RunConfig, summary: Summary | None, path: Path) -> PolicyFacts:
    kind = "Soft actor-critic that corrects a clone of the operator."
    success = None
    if summary is not None:
        judge = "fresh starts" if summary.judged_by == "task" else "marked episodes that it drove alone"
        success = Success(
            summary.success_rate, summary.wilson_low, summary.wilson_high, summary.episodes, judge
        )
    return PolicyFacts(
        task=task_facts(config.task, bool(config.camera_names)),
        cameras=config.camera_names,
        pixels=config.camera_px,
        robot=arm_of(asked.run, config).name,
        control_hz=config.control_hz,
        speed_m_s=SPEED_M_S,
        kind="A clone of the operator." if config.policy == "clone" else kind,
        success=success,
        training=_training(asked.run, config),
        checkpoint=path.relative_to(asked.run).as_posix(),
        sha256=digest(path),
        software=f"robot-rlhf {__version__}, torch {torch.__version__}",
        license=asked.license,
    )


def _training(run: Path, config: RunConfig) -> list[str]:
    with Store.open_readonly(run / DATABASE) as store, store.transaction():
        shown, online = (store.episode_steps(role) for role in (Role.DEMONSTRATION, Role.ONLINE))
        counts, seconds = store.counts(), store.operator_seconds()
    given = ", ".join(f"{count} {kind.value}" for kind, count in counts.items())
    reward = "the task's own reward" if config.reward == "task" else "a reward learned from the feedback"
    return [
        f"{len(shown)} demonstrations of {sum(shown.values())} steps in all, and {len(online)} episodes of "
        f"{sum(online.values())} steps that the policy drove, with takeovers",
        f"feedback: {given}",
        f"{seconds.active_s / 60:.1f} minutes of an operator at work; operator: {config.operator}",
        f"trained on {reward}; run's seed {config.seed}",
    ]
