"""Comparing pairs of clips, without a window: which pair is shown, when it takes an answer, what became
of the answers, and when to rest.

All times are monotonic nanoseconds and handed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from robot_rlhf.console.screens.clips import Playhead, Reel
from robot_rlhf.feedback.messages import Pair
from robot_rlhf.feedback.types import Choice

LOCK_NS = 400_000_000
"""A new pair takes no answer for so long: a double press answers one pair only."""
BREAK_LOCK_NS = 1_000_000_000
"""The advice to rest takes no press for so long, so that it is read."""
UNDO_NS = 10_000_000_000
SAVED_NS = 3_000_000_000
"""How long an answer that is saved stays in sight beyond its undo."""
BREAK_PAIRS = 100
BREAK_NS = 20 * 60 * 1_000_000_000
RESTED_NS = 60 * 1_000_000_000
"""Whoever was on another screen for so long has rested."""
TOO_SOON = "Too soon: this pair had only just appeared"
READ_FIRST = "Too soon: a rest is advised, one more press goes on"
NO_PAIR = "There is no pair to answer now"


class Teller(Protocol):
    """The part of a link that answers go through."""

    pairs: list[Pair]

    def prefer(self, pair: Pair, choice: Choice, response_s: float, replays: int = 0) -> str: ...

    def undo(self, target: str) -> str: ...


class Fate(Enum):
    """What became of an answer."""

    SENT = "sent"
    SAVED = "saved"
    REFUSED = "refused"
    TAKEN_BACK = "taken back"


@dataclass(frozen=True, eq=False)
class Question:
    """The pair on the screen. `shown_ns`: since when; `absent_ns`: how much of that it was out of sight;
    `opens_ns`: from when on it takes an answer; both None until its picture is seen. `rounds`: replays
    before `head` began."""

    pair: Pair
    left: Reel
    right: Reel
    head: Playhead
    shown_ns: int | None = None
    opens_ns: int | None = None
    absent_ns: int = 0
    rounds: int = 0

    def is_open(self, at_ns: int) -> bool:
        """Whether it takes an answer that was pressed then."""
        return self.opens_ns is not None and at_ns >= self.opens_ns

    def replays(self, now_ns: int) -> int:
        """How often the clips began again."""
        return self.rounds + self.head.rounds(now_ns)


@dataclass(frozen=True, eq=False)
class Answer:
    """What was said last. `undo_id` names the event that takes it back, `reason` says why one of the two
    was refused."""

    event: str
    pair: Pair
    choice: Choice
    given_ns: int
    fate: Fate = Fate.SENT
    undo_id: str = ""
    reason: str = ""

    def undo_left_s(self, now_ns: int) -> float:
        """Seconds in which it may still be taken back; 0 where it may not."""
        if self.fate not in (Fate.SENT, Fate.SAVED) or self.undo_id:
            return 0.0
        return max(0.0, (self.given_ns + UNDO_NS - now_ns) / 1e9)

    def is_news(self, now_ns: int) -> bool:
        """Whether it is still worth showing."""
        return now_ns - self.given_ns < UNDO_NS + SAVED_NS or (self.fate is Fate.SENT)


class Comparison:
    """The operator's way through the pairs; frozen parts, so that what is drawn does not change meanwhile.

    `look` is called while the screen is in sight, before any answer of that moment, and `returned` when
    it comes in sight again. A gap in the looks without that is a window that stalled: the operator was
    there, and what they pressed meanwhile counts by when they pressed it.
    """

    def __init__(self) -> None:
        self.question: Question | None = None
        self.answer: Answer | None = None
        self.answered = 0
        """Answers given here, without those taken back."""
        self.resting_ns: int | None = None
        """Since when the advice to rest stands; None where it does not."""
        self.pairs_since_rest = 0
        self.since_rest_ns = 0
        """Pairs answered and time on the screen since the operator last rested."""
        self._speed = 1.0
        self._last_ns: int | None = None
        self._returns = False

    def returned(self) -> None:
        """The screen is in sight again: since the last look the operator was elsewhere."""
        self._returns = True

    def look(self, pairs: list[Pair], hz: float, now_ns: int, drawn: Pair | None = None) -> None:
        """Show the first of the pairs, or go on with the one that is shown. `drawn` is the pair of which a
        picture is seen by now."""
        gap_ns = 0 if self._last_ns is None else now_ns - self._last_ns
        away, self._returns, self._last_ns = self._returns, False, now_ns
        if away and gap_ns > RESTED_NS:
            self._rested()
        elif not away:
            self.since_rest_ns += gap_ns
        shown = self.question
        if shown is not None and shown.pair.query.id in {pair.query.id for pair in pairs}:
            if away and self.resting_ns is None:
                self.question = self._resumed(shown, gap_ns, now_ns)
            elif shown.opens_ns is None and drawn is shown.pair:
                self.question = replace(shown, shown_ns=shown.shown_ns or now_ns, opens_ns=now_ns + LOCK_NS)
        else:
            self.question = self._asked(pairs[0], hz, now_ns) if pairs else None
        due = self.pairs_since_rest >= BREAK_PAIRS or self.since_rest_ns >= BREAK_NS
        if due and self.resting_ns is None and self.question is not None:
            self.resting_ns = now_ns

    def _asked(self, pair: Pair, hz: float, now_ns: int) -> Question:
        left, right = Reel.of(pair.left, hz), Reel.of(pair.right, hz)
        head = Playhead(max(left.duration_s, right.duration_s), now_ns, speed=self._speed)
        return Question(pair, left, right, head)

    def _resumed(self, shown: Question, absent_ns: int, now_ns: int) -> Question:
        """Seen again from the start, the time out of sight taken off."""
        return replace(
            shown,
            head=replace(shown.head, since_ns=now_ns, from_s=0.0),
            rounds=shown.replays(now_ns - absent_ns),
            absent_ns=shown.absent_ns + (0 if shown.shown_ns is None else absent_ns),
            opens_ns=None,
        )

    def _rested(self) -> None:
        self.since_rest_ns = self.pairs_since_rest = 0
        self.resting_ns = None

    def pace(self, steps: int, now_ns: int) -> None:
        """So many steps faster, slower where negative; kept for the pairs to come."""
        if self.question is not None and self.resting_ns is None:
            head = self.question.head.paced(now_ns, steps)
            self.question, self._speed = replace(self.question, head=head), head.speed

    def choose(self, choice: Choice, link: Teller, hz: float, now_ns: int, pressed_ns: int) -> str:
        """Answer, and go on to the next pair: '', or in words why it does not count. It was pressed at
        `pressed_ns`. While the advice to rest stands, any choice takes that away and answers nothing."""
        shown = self.question
        if shown is None:
            return NO_PAIR
        if self.resting_ns is not None:
            if pressed_ns - self.resting_ns < BREAK_LOCK_NS:
                return READ_FIRST
            rested_ns = now_ns - self.resting_ns
            self._rested()
            self.question = self._resumed(shown, rested_ns, now_ns)
            return ""
        if shown.shown_ns is None or not shown.is_open(pressed_ns):
            return TOO_SOON
        response_s = (pressed_ns - shown.shown_ns - shown.absent_ns) / 1e9
        event = link.prefer(shown.pair, choice, response_s, shown.replays(pressed_ns))
        self.answer = Answer(event, shown.pair, choice, now_ns)
        self.answered += 1
        self.pairs_since_rest += 1
        self.look(link.pairs, hz, now_ns)
        return ""

    def undo(self, link: Teller, hz: float, now_ns: int) -> bool:
        """Take the last answer back within 10 s and show its pair again; whether there was one."""
        last = self.answer
        if last is None or not last.undo_left_s(now_ns) > 0.0:
            return False
        self.answer = replace(last, undo_id=link.undo(last.event))
        self.answered -= 1
        self.pairs_since_rest = max(0, self.pairs_since_rest - 1)
        link.pairs = [last.pair, *link.pairs]
        self.resting_ns = None
        self.question = self._asked(last.pair, hz, now_ns)
        return True

    def heard(self, fates: Mapping[str, str]) -> None:
        """Look up what became of the last answer: event id -> '' where it was saved, else the reason."""
        last = self.answer
        if last is None:
            return
        if last.fate is Fate.SENT and (reason := fates.get(last.event)) is not None:
            last = replace(last, fate=Fate.REFUSED if reason else Fate.SAVED, reason=reason)
            if reason and not last.undo_id:
                self.answered -= 1
        if last.undo_id and last.fate is not Fate.TAKEN_BACK and (why := fates.get(last.undo_id)) is not None:
            last = replace(last, fate=last.fate if why else Fate.TAKEN_BACK, reason=why)
        self.answer = last
