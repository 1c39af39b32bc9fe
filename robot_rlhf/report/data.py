"""All that the report shows of a run, as plain data gathered in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from robot_rlhf.feedback.agreement import asked_of_two, asked_twice
from robot_rlhf.feedback.store import OperatorSeconds, Store, Truth
from robot_rlhf.feedback.types import KIND_OF, Feedback, Kind, Preference
from robot_rlhf.report.metrics import Candidate, Evaluated, Event, Metric, Moment, read_events
from robot_rlhf.report.pictures import Picture
from robot_rlhf.report.summary import Summary, read_summary

AnyMetric = TypeVar("AnyMetric", bound=Metric)
Value = TypeVar("Value", str, int)


@dataclass(frozen=True)
class Records:
    """A run's metrics, oldest first."""

    events: tuple[tuple[Moment, Event], ...] = ()

    def of(self, kind: type[AnyMetric]) -> list[tuple[Moment, AnyMetric]]:
        """The events of one kind, each with its moment."""
        return [(moment, event) for moment, event in self.events if isinstance(event, kind)]

    def last(self, kind: type[AnyMetric]) -> AnyMetric | None:
        """The newest event of one kind."""
        found = self.of(kind)
        return found[-1][1] if found else None

    def verdict(self, policy: Candidate) -> Evaluated | None:
        """The evaluation that counts for a candidate: its last final one, else its last one."""
        own = [event for _, event in self.of(Evaluated) if event.policy == policy and event.episodes]
        final = [event for event in own if event.final]
        return (final or own)[-1] if own else None

    @property
    def moment(self) -> Moment | None:
        """How far the run had come when it last wrote a line."""
        return self.events[-1][0] if self.events else None


@dataclass(frozen=True)
class ReturnPair:
    """One episode's return by the reward model, and what the simulation knows: return and success."""

    episode: int
    predicted: float
    true: float
    success: bool


@dataclass(frozen=True)
class RunData:
    """One run. None or empty is what the run does not have (yet); the page says so in words.

    `feedback_minutes` has, by kind, the times of all feedback in minutes since the first of it;
    `operator_time` is booked time by activity; `asked_twice` says by operator of each pair that was asked a
    second time whether it got the same answer, `asked_of_two` the same of two operators and each pair that
    both compared; `clips` are frames (height, width, 3) uint8 by name ('best', 'worst').
    """

    name: str
    task: str | None = None
    seed: int | None = None
    summary: Summary | None = None
    config_toml: str | None = None
    records: Records = field(default_factory=Records)
    feedback_minutes: Mapping[Kind, Sequence[float]] = field(default_factory=dict)
    operator_time: Mapping[str, OperatorSeconds] = field(default_factory=dict)
    asked_twice: Mapping[str, Sequence[bool]] = field(default_factory=dict)
    asked_of_two: Mapping[tuple[str, str], Sequence[bool]] = field(default_factory=dict)
    returns: Sequence[ReturnPair] = ()
    clips: Mapping[str, Sequence[Picture]] = field(default_factory=dict)


def read_run(
    run: Path, clips: Mapping[str, Sequence[Picture]] | None, predicted_returns: Mapping[int, float] | None
) -> RunData:
    """Gather what the folder `run` holds, and change nothing that is written there.

    Raises FileNotFoundError where it is no folder, ValueError naming a file that cannot be read as what
    it should be, and StoreError for a `run.db` that is not in order.
    """
    if not run.is_dir():
        raise FileNotFoundError(f"{run} is no run: there is no such folder")
    config_toml, config = _read_config(run / "config.toml")
    summary = read_summary(run)
    data = RunData(
        name=run.resolve().name,
        task=summary.task if summary else _find(config, "task", str),
        seed=summary.seed if summary else _find(config, "seed", int),
        summary=summary,
        config_toml=config_toml,
        records=Records(tuple(read_events(run))),
        clips=clips or {},
    )
    if not (run / "run.db").exists():
        return data
    with Store.open_readonly(run / "run.db") as store, store.transaction():
        return replace(
            data,
            feedback_minutes=_minutes(store.feedback()),
            operator_time=store.operator_seconds_by_activity(),
            asked_twice=_asked_twice(store),
            asked_of_two=asked_of_two(_answers(store)),
            returns=_pairs(predicted_returns, store.truth()) if predicted_returns else (),
        )


def _asked_twice(store: Store) -> dict[str, list[bool]]:
    queries = {query.id: query for query in store.queries()}
    answers = _answers(store)
    names = sorted({answer.operator for answer in answers})
    return {name: asked_twice((a for a in answers if a.operator == name), queries) for name in names}


def _answers(store: Store) -> list[Preference]:
    return [event for event in store.feedback({Kind.PREFERENCES}) if isinstance(event, Preference)]


def _minutes(events: Sequence[Feedback]) -> dict[Kind, list[float]]:
    minutes: dict[Kind, list[float]] = {kind: [] for kind in Kind}
    start_ns = min((event.time_ns for event in events), default=0)
    for event in events:
        minutes[KIND_OF[type(event)]].append((event.time_ns - start_ns) / 60e9)
    return minutes


def _pairs(predicted: Mapping[int, float], truth: Mapping[int, Truth]) -> list[ReturnPair]:
    return [
        ReturnPair(i, float(predicted[i]), float(truth[i].task_reward.sum()), truth[i].success)
        for i in sorted(predicted.keys() & truth.keys())
    ]


def _read_config(path: Path) -> tuple[str | None, dict[str, Any]]:
    """The file as it stands, and as it is understood."""
    if not path.exists():
        return None, {}
    try:
        text = path.read_text(encoding="utf-8")
        return text, msgspec.toml.decode(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no TOML: {error}") from error


def _find(config: Mapping[str, Any], key: str, kind: type[Value]) -> Value | None:
    """`key` at the top of the config or in one of its tables."""
    for table in (config, *(value for value in config.values() if isinstance(value, dict))):
        if isinstance(table.get(key), kind):
            return table[key]
    return None
