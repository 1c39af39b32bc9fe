"""A live session: an arm in real time, an operator at the other end of a wire, a learner beside.

One thread has the arm and the sockets: every 5 ms it lets the physics follow the clock, and it wakes at
once for what an operator does. Policy steps lie on a grid of simulated time, so that each stored step
lasts exactly as long as it says; whoever drives meanwhile, what is stored is what was executed. Nothing
here waits for the disk, for a picture or for the learner.
"""

from __future__ import annotations

import time

from hardware.appearance import SceneDescription
from hardware.host.guard import HOLDING
from hardware.transport import wait
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.messages import Phase, Stage
from robot_rlhf.feedback.store_codec import StoredEvent
from robot_rlhf.feedback.types import Kind, Outcome, Removal, Undo
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session import shown
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.course import FINISHED, Course
from robot_rlhf.session.desk import Answer, Desk
from robot_rlhf.session.drive import Drive
from robot_rlhf.session.environment import environment
from robot_rlhf.session.learner_link import LearnerLine
from robot_rlhf.session.pace import Pace
from robot_rlhf.session.stream import Console, Stream
from robot_rlhf.session.worth import PRESSES_REST
from sim.cell import Cell
from sim.env import SPEED_M_S

_LOST_NS = 500_000_000  # an episode ends when nothing was known of the arm for so long
_MOMENT_NS = 20_000_000
_STATUS_NS = 500_000_000
_REMEMBERED = 100  # moments that hands may be based on
_PAIRS_WANTED = 3
_ASK_AGAIN_NS = 3_000_000_000


class LiveSession:
    """Runs one run, or free driving, until `over`. Call `step` for ever."""

    def __init__(
        self,
        config: RunConfig,
        description: SceneDescription,
        stream: Stream,
        desk: Desk,
        learner: LearnerLine | None,
        *,
        name: str,
        teleop: bool = False,
        cell: Cell | None = None,
    ) -> None:
        """Without a learner there are demonstrations only; with `teleop`, nothing is recorded. `cell` is by
        default simulated here; it is closed with the session."""
        self.config, self.stream, self.desk, self.learner = config, stream, desk, learner
        self.name = name
        self.env = environment(config, cell=cell)
        self.pace = Pace(self.env, config.control_hz)
        self._now = time.monotonic_ns()
        self.drive = Drive(self.env, Phase.HOLD, self._now)
        self.course = Course(
            config,
            self.env,
            self.drive,
            self.pace,
            desk,
            learner,
            name,
            attended=self.is_attended,
            teleop=teleop,
        )
        self._description = description
        self._evaluations: list[m.Measured] = []
        self._report = ""
        self._moment_seq = 0
        self._moment_at_ns: dict[int, int] = {}
        self._troubled_ns: int | None = None  # since when nothing is known of the arm
        self._published_ns = self._status_ns = self._asked_ns = 0
        desk.heard = self._heard

    @property
    def stage(self) -> Stage:
        """What goes on."""
        return self.course.stage

    @property
    def over(self) -> bool:
        """Whether there is nothing more to do here."""
        return self.course.over

    def is_attended(self) -> bool:
        """Whether somebody who may speak looks at the arm."""
        return any(console.attending and console.speaks for console in self.stream.consoles.values())

    def step(self) -> None:
        """Wait for what comes next, and handle it."""
        course = self.course
        wait(self.stream.endpoints + (self.learner.endpoints if self.learner else []), self.pace.next_ns)
        self._now = course.now_ns = time.monotonic_ns()
        self.stream.service(self)
        self._mind_arm()
        self.drive.advance(self._now)
        self.pace.follow(self._now, course.stepped, course.ticked)
        self.desk.settle()
        while self.learner is not None and (message := self.learner.receive()) is not None:
            self._hear_learner(message)
        course.advance()
        self._ask_for_pairs()
        if self._now - self._published_ns >= _MOMENT_NS:
            self._published_ns = max(self._published_ns + _MOMENT_NS, self._now - _MOMENT_NS)
            self.stream.publish(self._moment())
        if course.changed or self._now - self._status_ns >= _STATUS_NS:
            course.changed, self._status_ns = False, self._now
            self.stream.publish(self._status())

    # -- the arm -----------------------------------------------------------------------------------------

    def _mind_arm(self) -> None:
        """What the arm itself has to say, or the link to it."""
        cell, drive = self.env.cell, self.drive
        for event in cell.events():
            if not event.startswith(HOLDING):  # at every breath; the banner says why it holds
                self.desk.tell(f"arm: {event}")
        if self._is_somebody_here():
            cell.present()
        if cell.stopped:
            if drive.phase is not Phase.STOPPED:
                drive.stop(self._now, cell.stopped)
                self.course.stopped()
            return
        if not cell.armed and drive.armed:
            drive.disarm(self._now, "the arm is not armed")
            self.course.stopped()
        trouble = cell.trouble or self._inattention()
        if trouble and drive.phase in (Phase.POLICY, Phase.OPERATOR):
            drive.hold(self._now, trouble)
        if not cell.trouble:
            self._troubled_ns = None
        elif self._troubled_ns is None:
            self._troubled_ns = self._now
        elif self._now - self._troubled_ns > _LOST_NS and self.course.episode is not None:
            self.desk.tell(f"arm: {trouble}")
            self.course.stopped()

    def _is_somebody_here(self) -> bool:
        """Whether a console of somebody who may drive was heard of a moment ago."""
        consoles = self.stream.consoles.values()
        return any(one.speaks and self._now - one.heard_ns < m.LOST_S * 1e9 for one in consoles)

    def _inattention(self) -> str:
        """Why an arm that needs a person beside it has to hold; empty where it need not."""
        return "nobody looks at the arm" if self.env.cell.needs_a_person and not self.is_attended() else ""

    # -- consoles ----------------------------------------------------------------------------------------

    def welcome(self, console: Console) -> m.Welcome | m.Refused:
        if not self.desk.ready:
            return m.Refused(reason="the session is still reading the run; it is ready in a moment")
        if console.speaks and not self.drive.knows(console.token):
            self.drive.enter(console.token, console.name)
        drive_port, stop_port, watch_port = self.stream.ports
        self.desk.tell(f"{console.name} {'is here' if console.speaks else 'is watching'}")
        self.course.changed = True
        return m.Welcome(
            console=console.token,
            instance=self.stream.instance,
            session=self.name,
            task=self.config.task,
            goal=self.env.task.goal,
            description=self._description,
            objects=tuple(prop.name for prop in self.env.task.props),
            uses_gripper=self.env.task.uses_gripper,
            control_hz=self.config.control_hz,
            full_speed_m_s=SPEED_M_S,
            drive_port=drive_port,
            stop_port=stop_port,
            watch_port=watch_port,
            arm_stop=self.env.cell.stop_address,
            cameras=dict(self.env.cell.cameras),
            latch_allowed=self.env.robot.spec.simulated,
            moment=self._moment(),
            status=self._status(),
            news=tuple(self.desk.news)[-50:],
        )

    def gone(self, console: Console) -> None:
        self.drive.leave(console.token, self._now)
        self.desk.gone(console)
        self.desk.tell(f"{console.name} has left")
        self.course.changed = True

    def hands(self, console: Console, hands: m.Hands) -> None:
        based_ns = self._moment_at_ns.get(hands.based_on)
        given = hands.given
        if given.takeover and (based_ns is None or self._now - based_ns > m.LOST_S * 1e9):
            return  # it was meant for a moment that is long past
        self.drive.hands(console.token, hands.seq, given, self._now)

    def stop(self, who: str) -> None:
        if self.drive.phase is not Phase.STOPPED:
            self.drive.stop(self._now, "STOP was pressed")
            self.desk.tell(f"STOP ({who})")
            self.course.stopped()

    def request(self, console: Console, message: m.FromConsole, answer: Answer) -> None:
        if isinstance(message, m.Do):
            refusal = self.course.wish(message.wish, console.name)
            answer(m.Granted() if not refusal else m.Refused(reason=refusal))
        elif self.course.is_teleop and isinstance(message, m.Say):
            answer(m.Refused(reason="free driving records nothing: start `robot-rlhf train` or `record`"))
        else:
            self.desk.request(console, message, answer)

    def _heard(self, event: StoredEvent) -> None:
        """An event has come to be on the disk."""
        if self.learner is not None:
            anew = isinstance(event, (Undo, Removal)) or self._turns_a_demonstration(event)
            self.learner.tell(lm.Stored(anew=anew))
        self.course.heard(event)

    def _turns_a_demonstration(self, event: StoredEvent) -> bool:
        """Whether a demonstration that was taken in counts as failed now: it is not to be imitated."""
        known = self.desk.tally.episodes.get(event.episode) if isinstance(event, Outcome) else None
        return known is not None and known.role is Role.DEMONSTRATION

    def _moment(self) -> m.Moment:
        self._moment_seq += 1
        self._moment_at_ns[self._moment_seq] = self._now
        self._moment_at_ns.pop(self._moment_seq - _REMEMBERED, None)
        trouble = self.desk.writer.trouble
        return shown.moment(self._moment_seq, self._now, self.env, self.drive, self.course, trouble)

    def _status(self) -> m.Status:
        return shown.status(
            self.name,
            self.config,
            self.stream,
            self.desk,
            self.course,
            self.learner,
            evaluations=tuple(self._evaluations),
            overruns=self.pace.overruns,
            report=self._report,
        )

    # -- the learner -------------------------------------------------------------------------------------

    def _ask_for_pairs(self) -> None:
        """So many pairs shall lie ready that a console never waits for one."""
        learner = self.learner
        if learner is None or self.config.reward != "learned" or Kind.PREFERENCES not in self.config.kinds:
            return
        if not self.desk.ready or self.stage in FINISHED or self._now - self._asked_ns <= _ASK_AGAIN_NS:
            return
        wanted = min(_PAIRS_WANTED, self.config.schedule.pairs_first)
        if len(self.desk.free_pairs()) < wanted:
            self._asked_ns = self._now
            consoles = sum(console.speaks for console in self.stream.consoles.values())
            learner.tell(lm.MorePairs(count=wanted * max(1, consoles)))

    def _hear_learner(self, message: lm.FromLearner) -> None:
        course = self.course
        course.changed = True
        match message:
            case lm.Policy():
                course.renew(message)
                self.desk.judge = course.snapshot
            case lm.RolledOut():
                course.recordings.rolled_out(message)
            case lm.Asked(queries=queries):
                self.desk.add_queries(queries)
                if queries:
                    self.desk.tell(f"{len(queries)} new pairs to compare")
            case lm.Written(step=step, name=name):
                course.recordings.enter_checkpoint(step, name)
            case lm.Note(key=key, value=value):
                course.recordings.note(key, value)
                if key == PRESSES_REST:
                    self.desk.tally.presses_rest = bool(value)
            case lm.Evaluated():
                self._measured(message)
            case lm.Ended(report=report):
                self._report = report
                self.desk.tell(f"the report is written: {report}")
                course.done()
            case lm.Failed(reason=reason):
                self.desk.tell(reason)
            case lm.Told(text=text):
                self.desk.tell(text)
            case lm.Ready() | lm.Doing():
                pass

    def _measured(self, found: lm.Evaluated) -> None:
        self._evaluations.append(
            m.Measured(
                after=found.after, successes=found.successes, episodes=found.episodes, final=found.final
            )
        )
        share = found.successes / found.episodes
        self.desk.tell(f"alone, the policy succeeds in {share:.0%} of {found.episodes} starts")

    def close(self) -> None:
        """Stop the arm, let the learner save, finish writing."""
        self.env.cell.rest()
        if self.learner is not None:
            for message in self.learner.close():
                self._hear_learner(message)
        self.desk.close()
        self.stream.close()
        self.env.close()
