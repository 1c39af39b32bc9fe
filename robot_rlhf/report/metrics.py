"""What happened in a run, line by line: RUN/metrics.jsonl always, RUN/tensorboard beside it.

Every line is one JSON object with "event" and the four counters of `Moment`. A number that is not
finite is written as null.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
import numpy as np

from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.types import Kind
from robot_rlhf.report.files import write_atomically

if TYPE_CHECKING:
    from tensorboard.summary import Writer

NAME = "metrics.jsonl"
WINDOW_EPISODES = 100  # what Stable-Baselines3 averages rollout/ over
Number: TypeAlias = float | None


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """How far the run was: the counters that every line carries."""

    environment_steps: int
    operator_seconds: float
    attended_seconds: float
    wall_seconds: float


class Metric(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """What every event of the log is."""


class EpisodeEnded(Metric, frozen=True, kw_only=True, tag="episode"):
    """An episode was stored. `operator_fraction` is the share of its steps that the operator drove."""

    episode: int
    role: Role
    length: int
    success_mark: bool | None
    operator_fraction: float


class KindFit(msgspec.Struct, frozen=True, kw_only=True):
    """The reward model on one kind of feedback: `count` events were fitted, the rest is measured on
    those of them that a member had not seen; None where there are none."""

    count: int
    nll: Number
    accuracy: Number
    calibration_error: Number


class HeldOut(msgspec.Struct, frozen=True, kw_only=True):
    """The reward model on all held-out feedback. `calibration` rows are (mean confidence, share that was
    right, count)."""

    nll: Number
    accuracy: Number
    calibration_error: Number
    calibration: tuple[tuple[float, float, int], ...]


class OperatorFit(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed of an operator: `rationality` by kind of answer, larger for a more reliable one;
    `tie`, how readily two clips are called equal; `leaning` towards pressing good, in logits; `lapse`, the
    share of answers, presses and marks given at random."""

    rationality: dict[str, float]
    tie: float
    leaning: float
    lapse: float


class RewardFitted(Metric, frozen=True, kw_only=True, tag="reward_fit"):
    """The reward model was fitted anew and is now `version`. A fit's own report has these attributes:
    `msgspec.convert(report, RewardFitted, from_attributes=True)` makes one of it."""

    version: int
    train_nll: Number
    steps: int
    seconds: float
    kinds: dict[Kind, KindFit]
    heldout: HeldOut
    operators: dict[str, OperatorFit] = {}


class SacUpdated(Metric, frozen=True, kw_only=True, tag="sac"):
    """The newest gradient update, but for the speed; `updates` counts all so far."""

    updates: int
    critic_loss: Number
    actor_loss: Number
    bc_loss: Number
    alpha: Number
    entropy: Number
    q_mean: Number
    q_std: Number
    updates_per_second: Number


Candidate: TypeAlias = Literal["policy", "clone"]


class Evaluated(Metric, frozen=True, kw_only=True, tag="evaluation"):
    """Autonomous episodes from fresh starts. `policy` says whose; `final` marks the run's last word."""

    policy: Candidate
    episodes: int
    successes: int
    mean_length: float
    final: bool

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.episodes:
            raise ValueError(f"{self.successes} successes of {self.episodes} episodes")


Event: TypeAlias = EpisodeEnded | RewardFitted | SacUpdated | Evaluated


class MetricsLog:
    """Appends events to a run's log, each flushed to the operating system before `write` returns, so
    that a killed process loses no line that was written. A last line that a kill tore is cut off when
    the log is opened again. The step of TensorBoard's scalars is the number of environment steps."""

    def __init__(self, run_dir: Path) -> None:
        from tensorboard.summary import Writer

        path = run_dir / NAME
        _cut_torn_line(path)
        self._file = path.open("ab")
        self._board: Writer = Writer(str(run_dir / "tensorboard"))
        self._scalars = Scalars()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, moment: Moment, event: Event) -> None:
        """Append `event` as one line and as scalars. NumPy numbers are fine anywhere in it."""
        line = msgspec.to_builtins(event, enc_hook=_plain) | msgspec.to_builtins(moment, enc_hook=_plain)
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()
        for tag, value in self._scalars(moment, event):
            self._board.add_scalar(tag, value, int(moment.environment_steps))
        self._board.flush()

    def close(self) -> None:
        """Flush and close both logs. Calling it twice is fine."""
        if not self._file.closed:
            self._file.close()
            self._board.close()


class Scalars:
    """Events, told in their order, as what is plotted of each: finite numbers by Stable-Baselines3's families
    rollout/, train/, time/ and eval/, and feedback/."""

    def __init__(self) -> None:
        self._lengths: deque[float] = deque(maxlen=WINDOW_EPISODES)
        self._marks: deque[float] = deque(maxlen=WINDOW_EPISODES)

    def __call__(self, moment: Moment, event: Event) -> Iterator[tuple[str, float]]:
        for tag, value in (*_time_scalars(moment), *self._of(event)):
            if value is not None and np.isfinite(value):
                yield tag, float(value)

    def _of(self, event: Event) -> Iterator[tuple[str, Number]]:
        if isinstance(event, EpisodeEnded):
            self._lengths.append(event.length)
            if event.success_mark is not None:
                self._marks.append(event.success_mark)
            yield "rollout/ep_len_mean", float(np.mean(self._lengths))
            if self._marks:
                yield "rollout/success_rate", float(np.mean(self._marks))
            yield "rollout/operator_fraction", event.operator_fraction
        elif isinstance(event, RewardFitted):
            yield from _reward_scalars(event)
        elif isinstance(event, SacUpdated):
            yield from _sac_scalars(event)
        else:
            prefix = "eval/" if event.policy == "policy" else f"eval/{event.policy}_"
            yield f"{prefix}mean_ep_length", event.mean_length
            if event.episodes:
                yield f"{prefix}success_rate", event.successes / event.episodes


def keep_lines(run_dir: Path, keep: Sequence[bool]) -> None:
    """Leave in a run's log, replaced in one step, the lines for which `keep` is True; it has an entry for
    each that `read_metrics` returns. Not for use while a `MetricsLog` has the log open."""
    path = run_dir / NAME
    if all(keep):
        return
    lines = path.read_bytes().split(b"\n")[:-1]
    kept = [line + b"\n" for line, stays in zip(lines, keep, strict=True) if stays]
    write_atomically(path, b"".join(kept))


def read_metrics(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, oldest first; empty where there is none. A last line without its
    newline was torn by a kill and is left out. Raises ValueError naming a line that is no JSON object."""
    path = run_dir / NAME
    if not path.exists():
        return []
    whole = path.read_bytes().split(b"\n")[:-1]
    return [_decode(path, number, line) for number, line in enumerate(whole, start=1)]


def read_events(run_dir: Path) -> list[tuple[Moment, Event]]:
    """`read_metrics`, typed. Raises ValueError naming a line that is no event of this log."""
    events = []
    for number, line in enumerate(read_metrics(run_dir), start=1):
        try:
            events.append((msgspec.convert(line, Moment), msgspec.convert(line, Event)))
        except msgspec.ValidationError as error:
            raise ValueError(f"{run_dir / NAME}, line {number}: {error}") from error
    return events


def _decode(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}, line {number} is no JSON object: {error}") from error


def _cut_torn_line(path: Path) -> None:
    if path.exists():
        written = path.read_bytes()
        whole = written.rfind(b"\n") + 1
        if whole < len(written):
            os.truncate(path, whole)


def _plain(value: object) -> object:
    """msgspec's hook for what it does not know: a NumPy number as Python's own."""
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"{type(value).__name__} has no place in a line of metrics")


def _time_scalars(moment: Moment) -> Iterator[tuple[str, Number]]:
    yield "time/total_timesteps", moment.environment_steps
    yield "time/time_elapsed", moment.wall_seconds
    yield "feedback/operator_seconds", moment.operator_seconds
    yield "feedback/attended_seconds", moment.attended_seconds


def _reward_scalars(event: RewardFitted) -> Iterator[tuple[str, Number]]:
    yield "train/reward_nll", event.train_nll
    yield "eval/reward_nll", event.heldout.nll
    yield "eval/reward_accuracy", event.heldout.accuracy
    yield "eval/reward_calibration_error", event.heldout.calibration_error
    for kind, fit in event.kinds.items():
        yield f"feedback/{kind.value}", fit.count
        yield f"feedback/{kind.value}_accuracy", fit.accuracy


def _sac_scalars(event: SacUpdated) -> Iterator[tuple[str, Number]]:
    yield "train/n_updates", event.updates
    yield "train/critic_loss", event.critic_loss
    yield "train/actor_loss", event.actor_loss
    yield "train/bc_loss", event.bc_loss
    yield "train/ent_coef", event.alpha
    yield "train/entropy", event.entropy
    yield "train/q_mean", event.q_mean
    yield "train/q_std", event.q_std
    yield "time/updates_per_second", event.updates_per_second
