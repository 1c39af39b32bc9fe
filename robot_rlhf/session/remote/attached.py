"""An arm's session, as the learner's machine knows it: what it wants, what it has, and what it is owed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from hardware.transport import Peer
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.remote import messages as m
from robot_rlhf.session.remote.arms import Alone, Numbering

Send: TypeAlias = Callable[[Peer, m.FromHost], bool]
Job: TypeAlias = lm.RollOut | lm.Worsen

_AGAIN_NS = 10_000_000_000  # what was not acknowledged by then is sent again
_DAMAGED_NS = 500_000_000  # and what came damaged, after so long
_FOR_ONE_SESSION = ("job", "pairs")


@dataclass
class _Letter:
    """A word that must arrive."""

    number: int
    message: lm.FromLearner
    sent_ns: int = 0


@dataclass(eq=False)
class ArmAttached:
    """`peer` is None while its session is not there; `instance` is another one for every session."""

    run: str
    name: str
    numbering: Alone | Numbering
    instance: str = ""
    peer: Peer | None = None
    heard_ns: int = 0
    settled: bool = False
    """Whether all that its session had when it came is here."""
    begun: bool = False
    finished: bool = False
    leaving: str = ""
    """The request that is answered when the learner has saved."""
    jobs: dict[int, Job] = field(default_factory=dict)
    """What it assigned and was not answered."""
    _answered: set[int] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _mail: dict[str, _Letter] = field(default_factory=dict)
    _listing: tuple[m.FileState, ...] = ()
    _weights: int = 0  # the newest that it has
    _sent: int = 0  # the newest that was sent to it
    _sent_ns: int = 0

    # -- its session -------------------------------------------------------------------------------------

    def come(self, instance: str, peer: Peer, now: int) -> bool:
        """Its session has come (back); whether it is another one than before."""
        is_another = instance != self.instance
        if is_another:  # which counts its jobs from 0, and has no weights yet
            self._mail = {k: kept for k, kept in self._mail.items() if not k.startswith(_FOR_ONE_SESSION)}
            self.jobs.clear()
            self._answered.clear()
            self.begun = self.finished = False
            self.instance, self._weights = instance, 0
        self.peer, self.heard_ns, self.leaving = peer, now, ""
        self.settled, self._sent, self._listing = False, 0, ()
        for letter in self._mail.values():
            letter.sent_ns = 0
        return is_another

    def go(self) -> None:
        """Its session is not there any more."""
        self.peer, self.settled = None, False

    # -- what it assigns ---------------------------------------------------------------------------------

    def is_new(self, job: Job) -> bool:
        """Whether a job was not assigned before; it is from now on."""
        if job.job in self.jobs or job.job in self._answered:
            return False
        self.jobs[job.job] = job
        return True

    def answered(self, job: int) -> None:
        """A job is done."""
        self.jobs.pop(job, None)
        self._answered.add(job)

    # -- what it is sent ---------------------------------------------------------------------------------

    @property
    def is_owed(self) -> bool:
        """Whether something that must arrive has not yet."""
        return bool(self._mail)

    def post(self, key: str, message: lm.FromLearner) -> None:
        """Have a word arrive, in the place of an older one of the same key."""
        self._mail.pop(key, None)
        self._mail[key] = _Letter(next(self._numbers), message)

    def got(self, got: m.Got) -> None:
        """What has come."""
        self._weights = max(self._weights, got.weights)
        self._mail = {key: letter for key, letter in self._mail.items() if letter.number not in got.mail}

    def again(self, again: m.Again, now: int) -> None:
        """Weights came damaged."""
        if self._sent == again.weights:
            self._sent_ns = now - _AGAIN_NS + _DAMAGED_NS

    def deliver(
        self, send: Send, now: int, listing: tuple[m.FileState, ...], newest: m.Weights | None
    ) -> None:
        """Send what is due: the listing, then mail, which may speak of files in it, then the newest weights,
        one at a time."""
        peer = self.peer
        if peer is None:
            return
        if self._listing != listing:
            if not send(peer, m.Listing(files=listing)):
                return
            self._listing = listing
        for letter in self._mail.values():
            if not letter.sent_ns or now - letter.sent_ns > _AGAIN_NS:
                if not send(peer, m.Mail(number=letter.number, message=letter.message)):
                    return
                letter.sent_ns = now
        if newest is None or newest.number <= self._weights:
            return
        waits = self._sent > self._weights and now - self._sent_ns < _AGAIN_NS
        if not waits and send(peer, newest):
            self._sent, self._sent_ns = newest.number, now
