"""One run at the learner's machine: its mirror, its learner's process, and the arms that feed it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from hardware.transport import Endpoint, Peer
from robot_rlhf.feedback.store import StoreError
from robot_rlhf.feedback.store_log import Rows, renumbered_query
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.learner_link import LearnerLink
from robot_rlhf.session.remote import messages as m
from robot_rlhf.session.remote.attached import ArmAttached, Job, Send
from robot_rlhf.session.remote.mirror import Mirror
from robot_rlhf.session.run_folder import RunError

SILENT_NS = 5_000_000_000
"""A session that says nothing for so long is not there."""
_LISTED_NS = 2_000_000_000
_LINGER_NS = 60_000_000_000  # a learner that nobody needs is kept for so long
_PAUSE_NS = 30_000_000_000  # before one is tried again that has failed again and again
_ENDING_NS = 60_000_000_000  # one that is asked to end and does not is killed

Learner: TypeAlias = Callable[[Path], Sequence[str]]
"""A run's folder -> the command that runs a learner on it."""
_rows = msgspec.msgpack.Decoder(Rows)


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
        self._next_job = 1
        self._links = 0  # learners that were started here
        self._listing: tuple[m.FileState, ...] = ()
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
            arm = self.arms[asked.run] = ArmAttached(asked.run, asked.name, numbering)
        if arm.instance != asked.instance and arm.peer is not None and now - arm.heard_ns < SILENT_NS:
            return m.Refused(reason=f"another session works on {asked.name} and is attached here")
        latest = self.mirror.run.store.latest_checkpoints(1)
        if arm.come(asked.instance, peer, now) and latest:
            arm.post("written", lm.Written(step=latest[0].step, name=latest[0].path))
        if self._ended and arm.finished:
            arm.post("ended", lm.Ended(report=""))
        return m.Attached(
            position=self.mirror.position(asked.run),
            episodes=self.mirror.episodes(asked.run),
            wants_files=self._link is None and self.mirror.wants(asked.checkpoint_step, asked.metrics_bytes),
        )

    def settled(self, arm: ArmAttached) -> None:
        """All that its session had is here."""
        arm.settled = True
        self._needed_ns = time.monotonic_ns()
        if self._doing is not None and arm.peer is not None:
            self._send(arm.peer, m.Word(message=self._doing))

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
                    arm.post("ended", lm.Ended(report=""))
            case lm.RollOut() | lm.Worsen():
                if arm.is_new(message):
                    self._assign(arm, message)
            case lm.MorePairs(count=count):
                if self._link is not None:
                    number = arm.numbering.number if self.mirror.shared else None
                    self._link.tell(lm.MorePairs(count=count, arm=number))
            case lm.Stored() | lm.Quit() | lm.Heard():
                pass  # rows say it, and `Leave`
        self._agree()

    def _assign(self, arm: ArmAttached, job: Job) -> None:
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
        arm.go()
        self._needed_ns = time.monotonic_ns()
        self._agree()

    # -- the learner -------------------------------------------------------------------------------------

    def service(self, now: int, done: Callable[[ArmAttached, str], None]) -> None:
        """Start and end the learner as it is needed, hear it, and send what is due. `done` answers a session
        that leaves."""
        for arm in self._present:
            if now - arm.heard_ns > SILENT_NS:
                self.drop(arm)
        needed = any(arm.settled and not arm.leaving for arm in self._present)
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
                if arm.leaving and not arm.is_owed:
                    done(arm, arm.leaving)
                    self.drop(arm)
        self._list(now)
        for arm in self._present:
            arm.deliver(self._send, now, self._listing, self._weights)

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
                    if arm.peer is not None:
                        self._send(arm.peer, m.Word(message=message))
            case lm.RolledOut(job=number):
                arm, instance, job = self._jobs.pop(number)
                if arm.instance == instance:
                    arm.answered(job)
                    arm.post(f"job {job}", msgspec.structs.replace(message, job=job))
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
                arm.post(f"pairs {inner[0].id}", lm.Asked(queries=inner))

    def _post_all(self, key: str, message: lm.FromLearner) -> None:
        for arm in self.arms.values():
            arm.post(key, message)

    def _list(self, now: int) -> None:
        """Look at the files that the sessions shall have."""
        if now - self._listed_ns >= _LISTED_NS:
            self._listed_ns = now
            starts = 0 if self._link is None else self._link.starts
            self._listing = self.mirror.listing(f"{self._instance}.{self._links}.{starts}")
