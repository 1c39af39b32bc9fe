"""One run at the learner's machine: its mirror, its learner's process, and the arms that feed it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hardware.transport import Endpoint, Peer
from robot_rlhf.feedback.store import StoreError
from robot_rlhf.feedback.store_log import Rows, renumbered_query
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.learner_link import LearnerLink
from robot_rlhf.session.remote import messages as m
from robot_rlhf.session.remote.arms import Alone, Numbering
from robot_rlhf.session.remote.mirror import Mirror
from robot_rlhf.session.run_folder import RunError

SILENT_NS = 5_000_000_000
"""A session that says nothing for so long is not there."""
_LISTED_NS = 2_000_000_000
_AGAIN_NS = 10_000_000_000  # what was not acknowledged by then is sent again
_DAMAGED_NS = 500_000_000  # and what came damaged, after so long
_LINGER_NS = 60_000_000_000  # a learner that nobody needs is kept for so long
_PAUSE_NS = 30_000_000_000  # before one is tried again that has failed again and again
_ENDING_NS = 60_000_000_000  # one that is asked to end and does not is killed

Send = Callable[[Peer, m.FromHost], bool]
Learner = Callable[[Path], Sequence[str]]
"""A run's folder -> the command that runs a learner on it."""
_Job = lm.RollOut | lm.Worsen
_rows = msgspec.msgpack.Decoder(Rows)


@dataclass
class _Letter:
    """A word that must arrive."""

    number: int
    message: lm.FromLearner
    sent_ns: int = 0


@dataclass
class ArmAttached:
    """An arm's session, and what it has not acknowledged yet."""

    run: str
    name: str
    numbering: Alone | Numbering
    instance: str
    peer: Peer | None = None
    heard_ns: int = 0
    settled: bool = False
    begun: bool = False
    finished: bool = False
    leaving: str | None = None
    """The request that is answered when the learner has saved."""
    mail: dict[str, _Letter] = field(default_factory=dict)
    """What must arrive, by a word that says what takes its place."""
    weights: int = 0
    """The newest that it has; `sent` is the newest that was sent to it."""
    sent: int = 0
    sent_ns: int = 0
    listing: tuple[m.FileState, ...] = ()
    jobs: dict[int, _Job] = field(default_factory=dict)
    """What it assigned and was not answered."""
    answered: set[int] = field(default_factory=set)


class HostedRun:
    """`service` it often, and when one of its `endpoints` has something."""

    def __init__(self, mirror: Mirror, instance: str, learner: Learner, send: Send) -> None:
        self.mirror = mirror
        self.arms: dict[str, ArmAttached] = {}
        self._instance, self._learner, self._send = instance, learner, send
        self._link: LearnerLink | None = None
        self._weights: m.Weights | None = None
        self._doing: lm.Doing | None = None
        self._jobs: dict[int, tuple[ArmAttached, str, int]] = {}
        self._next_job = self._next_mail = 1
        self._links = 0
        self._ended = False
        self._listed_ns = self._dismissed_ns = self._failed_ns = 0
        self._needed_ns = time.monotonic_ns()

    @property
    def endpoints(self) -> list[Endpoint]:
        return [] if self._link is None else self._link.endpoints

    @property
    def pid(self) -> int | None:
        """The learner's process, while there is one."""
        return None if self._link is None else self._link.pid

    @property
    def over(self) -> bool:
        """Whether nobody has needed it for long, and its learner has saved and ended."""
        idle = time.monotonic_ns() - self._needed_ns > _LINGER_NS
        return idle and self._link is None and not self._present

    @property
    def _present(self) -> list[ArmAttached]:
        return [arm for arm in self.arms.values() if arm.peer is not None]

    # -- sessions ----------------------------------------------------------------------------------------

    def attach(self, asked: m.Attach, peer: Peer) -> m.Attached | m.Refused:
        """A session has come (back)."""
        now = time.monotonic_ns()
        arm = self.arms.get(asked.run)
        if arm is None:
            numbering = self.mirror.enter(asked.run, asked.name)
            arm = self.arms[asked.run] = ArmAttached(asked.run, asked.name, numbering, asked.instance)
        if arm.instance != asked.instance:
            if arm.peer is not None and now - arm.heard_ns < SILENT_NS:
                return m.Refused(reason=f"another session works on {asked.name} and is attached here")
            self._forget(arm)
            arm.instance = asked.instance
        arm.peer, arm.heard_ns, arm.leaving = peer, now, None
        arm.settled, arm.sent, arm.listing = False, 0, ()
        for letter in arm.mail.values():
            letter.sent_ns = 0
        if self._ended and arm.finished:
            self._post(arm, "ended", lm.Ended(report=""))
        return m.Attached(
            position=self.mirror.position(asked.run),
            episodes=self.mirror.episodes(asked.run),
            wants_files=self._link is None and self.mirror.wants(asked.checkpoint_step, asked.metrics_bytes),
        )

    def _forget(self, arm: ArmAttached) -> None:
        """What concerned an earlier session of that run alone."""
        arm.mail = {key: kept for key, kept in arm.mail.items() if not key.startswith(("job", "pairs"))}
        arm.jobs.clear()
        arm.answered.clear()
        arm.begun = arm.finished = False
        arm.weights = 0
        latest = self.mirror.run.store.latest_checkpoints(1)
        if latest:
            self._post(arm, "written", lm.Written(step=latest[0].step, name=latest[0].path))

    def settled(self, arm: ArmAttached) -> None:
        """All that its session had is here."""
        arm.settled = True
        self._needed_ns = time.monotonic_ns()

    def take_in(self, arm: ArmAttached, log: m.Log) -> m.Taken | m.Damaged | m.Refused:
        """Rows of its session's store."""
        if not log.rows.intact:
            return m.Damaged()
        try:
            rows = _rows.decode(log.rows.data)
            position, takes_back = self.mirror.take_in(arm.run, log.after, log.upto, rows)
        except (StoreError, msgspec.MsgspecError) as error:
            return m.Refused(reason=str(error))
        if self._link is not None:
            self._link.tell(lm.Stored(anew=takes_back))
        return m.Taken(position=position)

    def relay(self, arm: ArmAttached, message: lm.ToLearner) -> None:
        """What its session has to say to the learner."""
        match message:
            case lm.Begin():
                arm.begun = True
            case lm.Finish():
                arm.finished = True
                if self._ended:
                    self._post(arm, "ended", lm.Ended(report=""))
            case lm.RollOut(job=job) | lm.Worsen(job=job):
                if job not in arm.answered and job not in arm.jobs:
                    arm.jobs[job] = message
                    self._assign(arm, message)
            case lm.MorePairs(count=count):
                if self._link is not None:
                    number = arm.numbering.number if self.mirror.shared else None
                    self._link.tell(lm.MorePairs(count=count, arm=number))
            case lm.Stored() | lm.Quit() | lm.Heard():
                pass  # rows say it, and `Leave`
        self._agree()

    def _assign(self, arm: ArmAttached, job: _Job) -> None:
        if self._link is None:
            return  # it is assigned to the next one
        number, self._next_job = self._next_job, self._next_job + 1
        self._jobs[number] = arm, arm.instance, job.job
        match job:
            case lm.RollOut():
                self._link.assign(msgspec.structs.replace(job, job=number))
            case lm.Worsen(demonstration=id):
                shown = arm.numbering.outer(id)
                self._link.assign(msgspec.structs.replace(job, job=number, demonstration=shown))

    def _agree(self) -> None:
        """What holds once it holds for every arm that is here."""
        link, present = self._link, self._present
        if link is None or not present:
            return
        if all(arm.begun for arm in present):
            link.stand(lm.Begin())
        if all(arm.finished for arm in present):
            link.stand(lm.Finish())

    def got(self, arm: ArmAttached, got: m.Got) -> None:
        """What has come to its session."""
        arm.weights = max(arm.weights, got.weights)
        arm.mail = {key: letter for key, letter in arm.mail.items() if letter.number not in got.mail}

    def again(self, arm: ArmAttached, again: m.Again) -> None:
        """Weights came damaged to its session."""
        if arm.sent == again.weights:
            arm.sent_ns = time.monotonic_ns() - _AGAIN_NS + _DAMAGED_NS

    def leave(self, arm: ArmAttached, request: str) -> bool:
        """Its session ends; whether it can be let go at once."""
        others = [one for one in self._present if one is not arm]
        if others or self._link is None:
            self.drop(arm)
            return True
        arm.leaving = request
        self._dismiss()
        return False

    def drop(self, arm: ArmAttached) -> None:
        """Its session is not there any more."""
        arm.peer, arm.settled = None, False
        self._needed_ns = time.monotonic_ns()
        self._agree()

    # -- the learner -------------------------------------------------------------------------------------

    def service(self, now: int, done: Callable[[ArmAttached, str], None]) -> None:
        """Start and end the learner as it is needed, hear it, and send what is due. `done` answers a session
        that leaves."""
        for arm in self._present:
            if now - arm.heard_ns > SILENT_NS:
                self.drop(arm)
        needed = any(arm.settled and arm.leaving is None for arm in self._present)
        if needed:
            self._needed_ns = now
        link = self._link
        if link is None and needed and now - self._failed_ns > _PAUSE_NS:
            self._start()
        elif link is not None:
            self._hear(link)
            if not needed and now - self._needed_ns > _LINGER_NS:
                self._dismiss()
            self._end(link, now)
        if self._link is None:
            for arm in self._present:
                if arm.leaving is not None and not arm.mail:
                    request, arm.leaving = arm.leaving, None
                    done(arm, request)
                    self.drop(arm)
        self._list(now)
        for arm in self._present:
            self._deliver(arm, now)

    def _start(self) -> None:
        self._link = LearnerLink(self._learner(self.mirror.path))
        self._links += 1
        self._dismissed_ns, self._ended = 0, False
        self._jobs.clear()
        for arm in self.arms.values():
            for job in arm.jobs.values():
                self._assign(arm, job)
        self._agree()

    def _dismiss(self) -> None:
        if self._link is not None and not self._dismissed_ns:
            self._link.dismiss()
            self._dismissed_ns = time.monotonic_ns()

    def _end(self, link: LearnerLink, now: int) -> None:
        if self._dismissed_ns and (link.ended or now - self._dismissed_ns > _ENDING_NS):
            for message in link.close():
                self._heard(message)
            self._link, self._listed_ns = None, 0

    def close(self) -> None:
        """Let the learner save, and close the folder."""
        if self._link is not None:
            for message in self._link.close():
                self._heard(message)
            self._link = None
        self.mirror.close()

    def _hear(self, link: LearnerLink) -> None:
        try:
            while (message := link.receive()) is not None:
                self._heard(message)
        except RunError as error:
            print(f"robot-rlhf: {self.mirror.path.name}: {error}", file=sys.stderr, flush=True)
            self._post_all("failed", lm.Failed(reason=str(error)))
            for _ in link.close():
                pass
            self._link, self._failed_ns = None, time.monotonic_ns()

    def _heard(self, message: lm.FromLearner) -> None:
        match message:
            case lm.Policy(number=number, data=data, made_ns=made_ns):
                self._weights = m.Weights(number=number, made_ns=made_ns, policy=m.Sealed.of(data))
            case lm.Doing():
                self._doing = message
                for arm in self._present:
                    self._tell(arm, m.Word(message=message))
            case lm.RolledOut(job=number):
                arm, instance, job = self._jobs.pop(number)
                if arm.instance == instance:
                    arm.jobs.pop(job, None)
                    arm.answered.add(job)
                    self._post(arm, f"job {job}", msgspec.structs.replace(message, job=job))
            case lm.Asked():
                self._ask(message)
            case lm.Written(step=step, name=name):
                self.mirror.enter_checkpoint(step, name)
                self._listed_ns = 0
                self._post_all("written", message)
            case lm.Note(key=key, value=value):
                self.mirror.run.store.set_meta(key, value)
                self._post_all(f"note {key}", message)
            case lm.Ended():
                self._ended, self._listed_ns = True, 0
                self._post_all("ended", message)
            case lm.Evaluated():
                self._post_all(f"evaluated {message.after} {message.final}", message)
            case lm.Failed() | lm.Told():
                self._post_all("failed", message)
            case lm.Ready():
                pass

    def _ask(self, asked: lm.Asked) -> None:
        for arm in self.arms.values():
            mine = [query for query in asked.queries if arm.numbering.owns(query.left.episode)]
            inner = tuple(renumbered_query(query, arm.numbering.inner) for query in mine)
            if inner:
                self._post(arm, f"pairs {inner[0].id}", lm.Asked(queries=inner))

    # -- what goes out -----------------------------------------------------------------------------------

    def _post_all(self, key: str, message: lm.FromLearner) -> None:
        for arm in self.arms.values():
            self._post(arm, key, message)

    def _post(self, arm: ArmAttached, key: str, message: lm.FromLearner) -> None:
        """Have a word arrive, in the place of an older one of the same key."""
        number, self._next_mail = self._next_mail, self._next_mail + 1
        arm.mail.pop(key, None)
        arm.mail[key] = _Letter(number, message)

    def _tell(self, arm: ArmAttached, message: m.FromHost) -> bool:
        return arm.peer is not None and self._send(arm.peer, message)

    def _list(self, now: int) -> None:
        if now - self._listed_ns < _LISTED_NS:
            return
        self._listed_ns = now
        starts = 0 if self._link is None else self._link.starts
        listing = self.mirror.listing(f"{self._instance}.{self._links}.{starts}")
        for arm in self._present:
            if arm.listing != listing and self._tell(arm, m.Listing(files=listing)):
                arm.listing = listing

    def _deliver(self, arm: ArmAttached, now: int) -> None:
        for letter in arm.mail.values():
            if not letter.sent_ns or now - letter.sent_ns > _AGAIN_NS:
                if not self._tell(arm, m.Mail(number=letter.number, message=letter.message)):
                    break
                letter.sent_ns = now
        newest = self._weights
        if newest is None or newest.number <= arm.weights:
            return
        waits = arm.sent > arm.weights and now - arm.sent_ns < _AGAIN_NS
        if not waits and self._tell(arm, newest):
            arm.sent, arm.sent_ns = newest.number, now
