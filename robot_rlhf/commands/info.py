"""`info`: what a run is and what can be done with it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

import msgspec

from robot_rlhf.commands.usage import PROGRAM
from robot_rlhf.feedback import store_file
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Kind
from robot_rlhf.report.data import Records
from robot_rlhf.report.metrics import read_events
from robot_rlhf.report.statistics import wilson
from robot_rlhf.report.summary import read_summary
from robot_rlhf.session.run_folder import DATABASE, RunError, read_config


class Success(msgspec.Struct, frozen=True, kw_only=True):
    """The newest autonomous evaluation of the policy, with its 95% Wilson interval."""

    successes: int
    episodes: int
    low: float
    high: float
    final: bool


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """`state`: a session writes in it now, it has ended, or it can be gone on with. `feedback` counts what
    stands; `sizes_bytes` is by file or folder, all there is."""

    run: str
    task: str
    seed: int
    operator: str
    robot: str
    state: Literal["being worked on", "finished", "unfinished"]
    episodes: dict[Role, int]
    removed_episodes: int
    environment_steps: int
    cameras: tuple[str, ...]
    feedback: dict[Kind, int]
    feedback_by_operator: dict[str, dict[str, int]]
    undone: int
    active_minutes: float
    attended_minutes: float
    success: Success | None
    checkpoint_step: int | None
    sizes_bytes: dict[str, int]
    next: tuple[str, ...]

    def lines(self) -> list[str]:
        rows = {
            "run": f"{self.run}: {self.task}, seed {self.seed}, {self.state}",
            "taught by": self.operator + (f", on the arm at {self.robot}" if self.robot else ""),
            "episodes": f"{_counted(self.episodes)}; {self.environment_steps:,} steps"
            + (f"; {self.removed_episodes} removed" if self.removed_episodes else ""),
            "cameras": ", ".join(self.cameras),
            "feedback": _counted(self.feedback) + (f"; {self.undone} taken back" if self.undone else ""),
            **{f"  {name}": _counted(counts) for name, counts in self.feedback_by_operator.items()},
            "operator": f"{self.active_minutes:.1f} min active, {self.attended_minutes:.1f} min attended",
            "success": "not evaluated yet" if self.success is None else _rate(self.success),
            "checkpoint": "none yet" if self.checkpoint_step is None else f"step {self.checkpoint_step:,}",
            "on disk": ", ".join(f"{name} {_bytes(size)}" for name, size in self.sizes_bytes.items()),
        }
        told = [f"{name:<12}{value}" for name, value in rows.items() if value]
        return [*told, *(f"{'next' if i == 0 else '':<12}{line}" for i, line in enumerate(self.next))]


def describe(run: Path) -> Info:
    """What the folder holds, in numbers; nothing is changed. RunError or StoreError for what is no run."""
    config = read_config(run)
    try:
        records, summary = Records(tuple(read_events(run))), read_summary(run)
    except ValueError as error:
        raise RunError(str(error)) from error
    with Store.open_untouched(run / DATABASE) as store, store.transaction():
        steps = {role: store.episode_steps(role) for role in Role}
        newest = store.latest_checkpoints()
        seconds = store.operator_seconds()
        by_operator, undone = store.history.counts_by_operator(), store.history.undone()
        feedback, removed, cameras = store.counts(), len(store.removed()), store.all_cameras()
    busy = store_file.has_writer(run / DATABASE)
    state: Literal["being worked on", "finished", "unfinished"]
    state = "being worked on" if busy else "unfinished" if summary is None else "finished"
    verdict = records.verdict("policy")
    success = None
    if verdict is not None:
        low, high = wilson(verdict.successes, verdict.episodes)
        success = Success(
            successes=verdict.successes, episodes=verdict.episodes, low=low, high=high, final=verdict.final
        )
    return Info(
        run=str(run),
        task=config.task,
        seed=config.seed,
        operator=config.operator,
        robot=config.robot,
        state=state,
        episodes={role: len(found) for role, found in steps.items()},
        removed_episodes=removed,
        environment_steps=sum(sum(steps[role].values()) for role in (Role.DEMONSTRATION, Role.ONLINE)),
        cameras=cameras,
        feedback=feedback,
        feedback_by_operator=by_operator,
        undone=undone,
        active_minutes=seconds.active_s / 60,
        attended_minutes=seconds.attended_s / 60,
        success=success,
        checkpoint_step=newest[0].step if newest else None,
        sizes_bytes=_sizes(run),
        next=_next(run, state, bool(newest)),
    )


def _next(run: Path, state: str, has_policy: bool) -> tuple[str, ...]:
    name = shlex.quote(str(run))
    words = {
        "unfinished": [f"train --resume --out {name}", f"report {name}"],
        "finished": [f"evaluate {name}", f"label {name}", f"export {name} --format lerobot --out DATASET"],
        "being worked on": [f"report {name}", f"backup {name} --out COPY"],
    }[state]
    if state == "unfinished" and has_policy:
        words.append(f"evaluate {name}")
    return tuple(f"{PROGRAM} {line}" for line in (*words, f"replay {name} --episode 0"))


def _sizes(run: Path) -> dict[str, int]:
    """What each file and folder in the run takes, the largest first."""
    sizes = {item.name: _size(item) for item in run.iterdir()}
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def _size(item: Path) -> int:
    files = item.rglob("*") if item.is_dir() else [item]
    return sum(file.stat().st_size for file in files if file.is_file())


def _counted(counts: dict[Role, int] | dict[Kind, int] | dict[str, int]) -> str:
    said = [f"{count:,} {getattr(name, 'value', name)}" for name, count in counts.items() if count]
    return ", ".join(said) or "none"


def _rate(success: Success) -> str:
    rate = success.successes / success.episodes
    so_far = "" if success.final else " so far"
    return f"{rate:.0%} of {success.episodes} fresh starts{so_far} ({success.low:.0%} to {success.high:.0%})"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
