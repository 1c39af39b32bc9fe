"""Which windows each feedback event compares: one method a kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from robot_rlhf.feedback.types import (
    Choice,
    Demonstration,
    Evaluation,
    Feedback,
    Outcome,
    Preference,
    Segment,
    Takeover,
)
from robot_rlhf.learning.likelihoods import BAD, EQUAL, FIRST, GOOD, LEFT, RIGHT
from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.learning.split import Split
from robot_rlhf.learning.windows import Rows, TransitionTable

_ANSWERS = {Choice.LEFT: LEFT, Choice.RIGHT: RIGHT, Choice.EQUAL: EQUAL}


@dataclass(frozen=True)
class Comparison:
    """An answer given over some windows.

    `windows` has one tuple a member, since what is compared with may depend on what a member holds out;
    fewer than two windows is nothing to learn from. `episodes` are those judged; `beta` names the
    rationality (None for a preference's fixed one); `share` is the part of the event this stands for.
    """

    event: str
    operator: str
    windows: tuple[tuple[Rows, ...], ...]
    episodes: frozenset[int]
    answer: int
    beta: str | None
    share: float = 1.0


class Comparer:
    """Turns events into comparisons. Marks are looked up among all `events`, in the order they were stored
    (their times may be of a clock that jumped), whatever is compared."""

    def __init__(
        self, events: Sequence[Feedback], table: TransitionTable, split: Split, config: RewardConfig
    ) -> None:
        self._table, self._split, self._config = table, split, config
        self._marks = {e.episode: e for e in events if isinstance(e, Outcome)}  # the last in order counts

    def compare(self, event: Feedback) -> list[Comparison]:
        """What `event` says; empty where it can be compared with nothing.

        Raises ValueError for an event about an episode that is not given, or steps outside it."""
        match event:
            case Preference():
                return self._preference(event)
            case Evaluation():
                return self._evaluation(event)
            case Takeover():
                return self._takeover(event)
            case Demonstration():
                return self._demonstration(event)
            case Outcome():
                return self._outcome(event)

    def _pair(
        self,
        event: Feedback,
        first: Segment,
        second: Segment,
        answer: int,
        beta: str | None,
        share: float = 1.0,
    ) -> Comparison:
        """Two segments over equal windows, the same for every member."""
        length = max(first.length, second.length)
        windows = (self._table.rows(first, length), self._table.rows(second, length))
        episodes = frozenset((first.episode, second.episode))
        everyone = (windows,) * self._split.members
        return Comparison(event.id, event.operator, everyone, episodes, answer, beta, share)

    def _preference(self, event: Preference) -> list[Comparison]:
        if event.choice is Choice.CANNOT_TELL:
            return []
        return [self._pair(event, event.left, event.right, _ANSWERS[event.choice], None)]

    def _takeover(self, event: Takeover) -> list[Comparison]:
        executed = event.executed
        if event.counterfactual is not None:
            return [self._pair(event, executed, event.counterfactual, FIRST, "takeovers")]
        length = min(executed.length, executed.start)
        if length == 0:
            return []
        before = Segment(executed.episode, executed.start - length, length)
        return [self._pair(event, executed, before, FIRST, "takeovers_before")]

    def _outcome(self, event: Outcome) -> list[Comparison]:
        """The end of a success against the ends of failures, those nearest in time, and, with as much weight
        again, against what came before it in its own episode: it is the end that is called a success."""
        if self._marks[event.episode] is not event:
            return []
        ending, wanted = self._ending(event.episode), self._config.outcome_pairs
        opposite = [mark.episode for mark in self._marks.values() if mark.success is not event.success]
        nearest = sorted(opposite, key=lambda other: (abs(other - event.episode), other))[:wanted]
        others = [self._ending(other) for other in nearest]
        if not event.success:
            return self._endings(event, [(other, ending) for other in others])
        earlier = self._earlier(ending, wanted)
        return [
            *self._endings(event, [(ending, other) for other in others]),
            *self._endings(event, [(ending, other) for other in earlier]),
        ]

    def _endings(self, event: Outcome, pairs: Sequence[tuple[Segment, Segment]]) -> list[Comparison]:
        """(better, worse) pairs that share the weight of one event."""
        share = 1.0 / max(1, len(pairs))
        return [self._pair(event, better, worse, FIRST, "outcomes", share) for better, worse in pairs]

    @staticmethod
    def _earlier(ending: Segment, count: int) -> list[Segment]:
        """Up to `count` windows of an episode before its `ending`, as long and evenly spread; none where
        there is no room for half of one."""
        if 2 * ending.start < ending.length:
            return []
        length, count = min(ending.length, ending.start), max(1, count)
        last = ending.start - length
        starts = {round(last * place / max(1, count - 1)) for place in range(count)}
        return [Segment(ending.episode, start, length) for start in sorted(starts)]

    def _ending(self, number: int) -> Segment:
        steps = self._table.episode(number).length
        length = min(steps, self._config.outcome_steps)
        return Segment(number, steps - length, length)

    def _demonstration(self, event: Demonstration) -> list[Comparison]:
        """The whole demonstration against whole alternatives. A demonstration marked a failure and
        alternatives marked a success stay out, and so does what lies across a member's split."""
        if self._marked(event.episode) is False:
            return []
        alternatives = [number for number in event.alternatives if self._marked(number) is not True]
        if not alternatives:
            return []
        whole = [self._whole(number) for number in (event.episode, *alternatives)]
        length = max(segment.length for segment in whole)
        rows = [self._table.rows(segment, length) for segment in whole]
        windows = tuple(
            tuple(
                window
                for window, segment in zip(rows, whole, strict=True)
                if self._same_side(member, segment.episode, event.episode)
            )
            for member in range(self._split.members)
        )
        judged = frozenset({event.episode})
        return [Comparison(event.id, event.operator, windows, judged, FIRST, "demonstrations")]

    def _marked(self, number: int) -> bool | None:
        mark = self._marks.get(number)
        return None if mark is None else mark.success

    def _whole(self, number: int) -> Segment:
        return Segment(number, 0, self._table.episode(number).length)

    def _same_side(self, member: int, one: int, other: int) -> bool:
        return self._split.held_out(member, one) == self._split.held_out(member, other)

    def _evaluation(self, event: Evaluation) -> list[Comparison]:
        """What the press judges against what came before it in the episode: things got better or worse.
        A press with nothing before it says nothing."""
        episode = self._table.episode(event.episode)
        if not 0 <= event.step < episode.length:
            raise ValueError(
                f"feedback about step {event.step} of episode {episode.id}, which has {episode.length} steps"
            )
        earliest, latest = self._config.press_steps
        start, stop = max(0, event.step - earliest), event.step - latest
        length = min(start, self._config.press_baseline_steps)
        if length == 0:
            return []
        window = self._table.rows(Segment(episode.id, start, stop - start), 0)
        before = self._table.rows(Segment(episode.id, start - length, length), 0)
        everyone = ((window, before),) * self._split.members
        answer, judged = GOOD if event.good else BAD, frozenset({episode.id})
        return [Comparison(event.id, event.operator, everyone, judged, answer, "evaluations")]
