"""A policy's model card: what it does, what it takes and gives, how well, and from what it learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from robot_rlhf.data.observations import Block, blocks
from robot_rlhf.data.tasks import TaskFacts

NO_LICENSE = "other"


@dataclass(frozen=True)
class Success:
    """How often it succeeded alone over `episodes`, with the 95% interval; `judge` counted it."""

    rate: float
    low: float
    high: float
    episodes: int
    judge: str


@dataclass(frozen=True)
class PolicyFacts:
    """All that a card says. `cameras` are those that it sees with, `pixels` high and wide; `speed_m_s` is
    what an action of 1 means, `training` a line each on the data."""

    task: TaskFacts
    cameras: tuple[str, ...]
    pixels: int
    robot: str
    control_hz: float
    speed_m_s: float
    kind: str
    success: Success | None
    training: Sequence[str]
    checkpoint: str
    sha256: str
    software: str
    license: str


def card(facts: PolicyFacts) -> str:
    """README.md, with the head that model hubs read."""
    task = facts.task
    rows = [
        f"| {start}{f' to {stop - 1}' if stop - start > 1 else ''} | `{block.name}` | {block.meaning} |"
        for block, start, stop in _places(task)
    ]
    gripper = "above 0.2 opens the gripper, below -0.2 closes it, between leaves it"
    speed = f"-1 to 1 of {facts.speed_m_s:g} m/s, in the arm's base frame"
    actions = [
        f"| {index} | `{name}` | {gripper if name == 'gripper' else speed} |"
        for index, name in enumerate(task.action_names)
    ]
    licensed = (
        "No licence was stated: ask whoever trained it."
        if facts.license == NO_LICENSE
        else f"{facts.license}, as stated by whoever exported it."
    )
    lines = [
        "---",
        f"license: {facts.license}",
        "library_name: pytorch",
        "pipeline_tag: robotics",
        "tags: [robotics, reinforcement-learning, human-feedback]",
        "---",
        "",
        f"# {task.name}: a policy taught by a person",
        "",
        f"{task.goal} Arm: {facts.robot}. {facts.kind}",
        "",
        "## Run it",
        "",
        "`run_policy.py` needs torch alone. `Policy().act(obs)` gives the action for an observation; call",
        "`reset()` where an episode begins, since the policy remembers a few steps. As a program it reads an",
        "observation a line, as JSON, and answers with an action; `null` begins a new episode.",
        f"It decides {facts.control_hz:g} times a second, and was trained at that rate only.",
        "",
        *_files(facts),
        "",
        *_observation(facts),
        "",
        "| place | name | what it is |",
        "|---|---|---|",
        *rows,
        "",
        f"## Action: {task.action_size} numbers in [-1, 1]",
        "",
        "| place | name | what it is |",
        "|---|---|---|",
        *actions,
        "",
        "## How well",
        "",
        _success(facts.success),
        "",
        "It is no rated safety device. Whatever drives a real arm with it must enforce the arm's limits.",
        "",
        "## From what it learned",
        "",
        *(f"- {line}" for line in facts.training),
        f"- checkpoint `{facts.checkpoint}`, SHA-256 `{facts.sha256}`, {facts.software}",
        "",
        "## Licence",
        "",
        licensed,
        "",
    ]
    return "\n".join(lines)


def _files(facts: PolicyFacts) -> list[str]:
    if not facts.cameras:
        return [
            "`policy.pt2` is a torch.export program, `policy.safetensors` the same weights by name, which",
            "`robot_rlhf.learning.snapshot.Snapshot` runs with NumPy alone.",
        ]
    return [
        "`policy.pt2` is a torch.export program of the state, the pictures (cameras, height, width, 3) and",
        "what it remembers. `policy.safetensors` has the same weights by name; `encoder.` are those that",
        "make of state and pictures the numbers that the others act on.",
    ]


def _observation(facts: PolicyFacts) -> list[str]:
    numbers = f"{facts.task.obs_size} numbers, float32"
    if not facts.cameras:
        return [f"## Observation: {numbers}"]
    names, side = ", ".join(f"`{name}`" for name in facts.cameras), facts.pixels
    return [
        f"## Observation: `state` and pictures of {names}",
        "",
        f"A dictionary, as of `sim.pictured.make_env`. Pictures are ({side}, {side}, 3) uint8, red first,",
        "from the top. It was trained on pictures that had been JPEGs, drawn by the simulation.",
        "",
        f"`state`: {numbers}, what the arm knows of itself.",
    ]


def _places(task: TaskFacts) -> list[tuple[Block, int, int]]:
    """Each block of the observation, with its first place and the one after its last."""
    found, start = [], 0
    for block in blocks(task.name, task.obs_size, task.sees):
        found.append((block, start, start + len(block.axes)))
        start += len(block.axes)
    return found


def _success(success: Success | None) -> str:
    if success is None:
        return "It was not evaluated yet."
    return (
        f"{success.rate:.0%} of {success.episodes} {success.judge} "
        f"(95% interval {success.low:.0%} to {success.high:.0%})."
    )
