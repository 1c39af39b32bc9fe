"""The course of a run: which stage it is in, which episodes begin and end, and what the operator wishes.

Stages go as the store and the schedule say, so that a run that was killed goes on where it stood. After a
STOP nothing begins, and the arm stays where it is, until the stop is cleared and somebody has taken over.
"""

from __future__ import annotations

from collections.abc import Callable

from hardware.robot import RobotError
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.messages import Phase, Stage, Wish
from robot_rlhf.feedback.store_codec import StoredEvent
from robot_rlhf.feedback.types import Kind, Outcome
from robot_rlhf.learning.snapshot import Snapshot
from robot_rlhf.learning.turns import Turn, next_turn
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.desk import Desk
from robot_rlhf.session.drive import Drive
from robot_rlhf.session.learner_link import LearnerLine
from robot_rlhf.session.live_episode import LiveEpisode
from robot_rlhf.session.pace import Pace
from robot_rlhf.session.recordings import Recordings
from robot_rlhf.session.seeds import Purpose, generator, seed_of
from sim.env import TaskEnv

PREROLL_S = 0.5
"""The arm rests this long at a new start, so that the operator sees where things are."""
TAIL_S = 1.0
"""An episode goes on for so long after its operator has marked it."""
MARK_S = 6.0
"""An episode that is over waits this long for its mark."""
DEMONSTRATION_FACTOR = 3.0
"""A demonstration may take this many times the task's horizon."""
FINISHED = (Stage.EVALUATING, Stage.DONE)
_DRIVEN = (Stage.TELEOP, Stage.RESET, Stage.READY, Stage.DEMONSTRATION, Stage.EPISODE)


class Course:
    """Stages and episodes of one run, or free driving. `attended` says whether somebody looks on.

    Call `stepped` and `ticked` as time passes, `advance` in every pass, and the rest as things happen.
    """

    def __init__(
        self,
        config: RunConfig,
        env: TaskEnv,
        drive: Drive,
        pace: Pace,
        desk: Desk,
        learner: LearnerLine | None,
        name: str,
        *,
        attended: Callable[[], bool],
        teleop: bool,
    ) -> None:
        self._config, self._env, self._drive, self._pace = config, env, drive, pace
        self._desk, self._learner, self._attended = desk, learner, attended
        self._kinds = config.kinds
        self.recordings = Recordings(config, desk, learner, name)
        self.is_teleop = teleop
        self.stage = Stage.TELEOP if teleop else Stage.PAUSED
        self.over = False
        self.changed = True
        """Whether something has come to be that consoles should know; whoever has told them sets it back."""
        self.episode: LiveEpisode | None = None
        """The one that is recorded at this moment."""
        self.snapshot: Snapshot | None = None
        """The newest policy that there is."""
        self.policy = 0
        """Its number."""
        self._packed = b""
        self.now_ns = 0
        """Set it before anything else in a pass."""
        self._last_id = -1  # the episode that waits for its mark
        self._until_ns = 0  # when the present stage ends by itself
        self._seed = 0
        self._again: int | None = None  # the start to begin from once more
        self._is_placed = False  # whether the arm stands at a start that no episode was begun from
        self._is_enough = self._is_finishing = self._is_complete = False
        env.reset(seed=0)
        pace.restart()

    @property
    def shown_id(self) -> int:
        """The episode that is recorded, or waits for its mark; -1 where there is none."""
        if self.episode is not None:
            return self.episode.id
        return self._last_id if self.stage is Stage.MARK else -1

    @property
    def demonstrations_planned(self) -> int:
        """How many there shall be."""
        planned = self._config.schedule.demonstrations
        return self._desk.tally.count(Role.DEMONSTRATION) if self._is_enough else planned

    # -- time --------------------------------------------------------------------------------------------

    def stepped(self) -> None:
        """A physics step has passed."""
        if self.episode is not None:
            self.episode.stepped()

    def ticked(self) -> None:
        """A policy step is over, and another begins."""
        episode = self.episode
        if episode is None:
            self._drive.drove = self._drive.phase is Phase.OPERATOR
            return
        episode.end_tick()
        if episode.steps >= episode.horizon:
            self._end_episode()
            return
        if self.snapshot is not None:
            episode.swap(self.snapshot, self._packed)
        episode.begin_tick(self.now_ns)

    def advance(self) -> None:
        """Go on to the next stage where it is time to."""
        if not self._desk.ready or self.stage in (Stage.TELEOP, Stage.DONE):
            return
        if not self._is_complete:
            self._is_complete = True
            self.recordings.complete()
        match self.stage:
            case Stage.PAUSED | Stage.READY | Stage.PREPARING | Stage.RESET:
                if not self.recordings.writing and (self._is_finishing or not self._is_halted):
                    self._choose_stage()
            case Stage.MARK:
                if self.now_ns >= self._until_ns:
                    self._next_start()
            case Stage.EPISODE:
                if self.episode is not None:
                    self.episode.attended = self.episode.attended or self._attended()
            case _:
                pass

    # -- stages ------------------------------------------------------------------------------------------

    @property
    def _is_halted(self) -> bool:
        """Whether the arm was stopped, and nobody has taken over since, or still drives it out of there."""
        drive = self._drive
        clearing = not self._is_placed and drive.phase is Phase.OPERATOR
        return drive.phase is Phase.STOPPED or not drive.armed or clearing

    def _go(self, stage: Stage, lasts_s: float = 0.0) -> None:
        self.stage, self._until_ns, self.changed = stage, self.now_ns + round(lasts_s * 1e9), True
        self._drive.allowed = stage in _DRIVEN
        self._drive.homing_m = self._env.start.tool_pos_m if stage is Stage.RESET else None

    def _choose_stage(self) -> None:
        """What comes next, as the store and the schedule say."""
        tally = self._desk.tally
        shown = tally.count(Role.DEMONSTRATION)
        wanted = Kind.DEMONSTRATIONS in self._kinds and not self._is_enough
        lacking = wanted and shown < self._config.schedule.demonstrations
        if self._is_finishing or (not lacking and self._has_all()):
            self._conclude()
            return
        if not self._is_placed and self.stage is not Stage.RESET:
            self._next_start()
        if self.stage is Stage.RESET or not self._is_placed:
            return
        if lacking and tally.count(Role.ONLINE) == 0:
            if self.stage is not Stage.READY:
                self._go(Stage.READY)
            elif self._drive.phase is Phase.OPERATOR:
                self._begin_episode(Role.DEMONSTRATION)
        elif self._learner is not None:
            if not self.recordings.busy:
                self._learner.stand(lm.Begin())
            stage = Stage.PREPARING if self.snapshot is None else Stage.PAUSED
            if self.stage is not stage:
                self._go(stage)
            rested = self._pace.elapsed_s >= PREROLL_S and self._drive.phase is Phase.HOLD
            rested = rested and not self._env.cell.trouble
            if stage is Stage.PAUSED and rested and self._attended():
                self._begin_episode(Role.ONLINE)

    def _has_all(self) -> bool:
        online = self._desk.tally.count(Role.ONLINE)
        return self._learner is None or online >= self._config.schedule.episodes

    def _conclude(self) -> None:
        """No more episodes."""
        if self._learner is None:
            self._go(Stage.DONE)
            self._desk.tell("all that was asked for is recorded")
            self.over = True
        elif not self.recordings.busy:
            self._learner.stand(lm.Begin())
            self._learner.stand(lm.Finish())
            self._go(Stage.EVALUATING)

    def renew(self, policy: lm.Policy) -> None:
        """A newer policy: it drives from the next step on."""
        self.snapshot = Snapshot.from_bytes(policy.data)
        self.policy, self._packed = policy.number, policy.data

    def done(self) -> None:
        """The report is written."""
        self._go(Stage.DONE)

    def _next_start(self) -> None:
        """The arm goes to the start of the next episode, or is brought there by a person; while it is
        stopped, it stays where it is."""
        self._is_placed = False
        if self._drive.phase is Phase.STOPPED or not self._drive.armed:
            self._go(Stage.PAUSED)
        elif self._env.cell.lays_out:
            self._place()
        else:
            self._drive.hold(self.now_ns, "")
            self._go(Stage.RESET)

    def _place(self) -> None:
        """Begin from a new start, or from the one that was given up."""
        fresh = seed_of(self._config.seed, Purpose.START, self._desk.next_episode)
        self._seed = fresh if self._again is None else self._again
        try:
            self._env.reset(seed=self._seed)
        except RobotError as error:
            self._desk.tell(f"arm: {error}")
            self._drive.disarm(self.now_ns, str(error))
        else:
            self._again, self._is_placed = None, True
            self._pace.restart()
            self._drive.hold(self.now_ns, "")
        self._go(Stage.PAUSED)

    # -- episodes ----------------------------------------------------------------------------------------

    def _begin_episode(self, role: Role) -> None:
        id = self._desk.take_id()
        factor = DEMONSTRATION_FACTOR if role is Role.DEMONSTRATION else 1.0
        schedule, online = self._config.schedule, self._desk.tally.count(Role.ONLINE)
        explores = next_turn(online, schedule.deployed_every) is Turn.EXPLORE
        self._is_placed = False
        self._drive.drove = self._drive.phase is Phase.OPERATOR  # whoever drove before has let go
        self._pace.realign()
        self.episode = LiveEpisode(
            self._env,
            self._drive,
            id=id,
            role=role,
            seed=self._seed,
            horizon=round(self._env.horizon * factor),
            kinds=self._kinds,
            snapshot=self.snapshot,
            packed=self._packed,
            explore=generator(self._config.seed, Purpose.EXPLORE, id) if explores else None,
        )
        self._go(Stage.DEMONSTRATION if role is Role.DEMONSTRATION else Stage.EPISODE)
        self.episode.begin_tick(self.now_ns)

    def _end_episode(self, keep: bool = True) -> None:
        """The episode that runs is over; `keep` False forgets it."""
        running, self.episode = self.episode, None
        if running is None:
            return
        self._drive.hold(self.now_ns, "")
        episode = running.close(self._config.task) if keep else None
        if episode is None:
            self._desk.tell("the episode is forgotten, and begins again from the same start", running.id)
            self._again = running.seed
            self._next_start()
            return
        self.recordings.add(episode, running, self._stored)
        unmarked = Kind.OUTCOMES in self._kinds and self._desk.tally.mark(running.id) is None
        if running.role is Role.ONLINE and unmarked and self._attended():
            self._last_id = running.id
            self._go(Stage.MARK, MARK_S)
        else:
            self._next_start()

    def stopped(self) -> None:
        """Somebody pressed STOP: what the policy's episode holds is kept, a demonstration is not."""
        if self.episode is not None:
            self._end_episode(keep=self.episode.role is Role.ONLINE)
        if self.stage is Stage.MARK:
            self._next_start()

    def _stored(self) -> None:
        self.changed = True

    def heard(self, event: StoredEvent) -> None:
        """An event has come to be on the disk."""
        self.changed = True
        if not isinstance(event, Outcome):
            return
        episode = self.episode
        if episode is not None and event.episode == episode.id:
            if episode.role is Role.DEMONSTRATION:
                self._end_episode()
            else:
                tail = round(TAIL_S * self._config.control_hz)
                episode.horizon = min(episode.horizon, episode.steps + tail)
        elif self.stage is Stage.MARK and event.episode == self._last_id:
            self._next_start()

    # -- wishes ------------------------------------------------------------------------------------------

    def wish(self, wish: Wish, operator: str) -> str:
        """Carries a wish out, or returns why not."""
        self.changed = True
        match wish:
            case Wish.CLEAR:
                return self._clear()
            case Wish.FINISH:
                return self._finish()
            case Wish.ENOUGH:
                return self._enough()
            case Wish.CONFIRM:
                return self._confirm()
            case Wish.DISCARD:
                return self._discard(operator)

    def _clear(self) -> str:
        if self._drive.phase is not Phase.STOPPED:
            return "nothing is stopped"
        self._drive.clear(self.now_ns)
        return ""

    def _finish(self) -> str:
        if self.is_teleop:
            self.over = True
            return ""
        if self.stage in FINISHED:
            return "it is finishing already"
        if self._desk.tally.count(Role.DEMONSTRATION) + self._desk.tally.count(Role.ONLINE) == 0:
            return "nothing is recorded yet: there is nothing to learn from"
        self._is_finishing = True
        if self.episode is not None:
            self._end_episode(keep=self.episode.role is Role.ONLINE)
        return ""

    def _enough(self) -> str:
        if self.stage is not Stage.READY:
            return "that is for the time between demonstrations"
        if self._desk.tally.count(Role.DEMONSTRATION) == 0:
            return "one demonstration at least is needed"
        self._is_enough = True
        self._go(Stage.PAUSED)
        return ""

    def _confirm(self) -> str:
        if self.stage is Stage.MARK:
            self._next_start()
        elif self.stage is Stage.RESET:
            if self._drive.phase is Phase.OPERATOR:
                return "let go of the arm first"
            self._place()
        elif self.episode is not None:
            self._end_episode()
        else:
            return "there is nothing to confirm"
        return ""

    def _discard(self, operator: str) -> str:
        if self.episode is not None:
            self._end_episode(keep=False)
        elif self.stage is Stage.MARK:
            self.recordings.remove(self._last_id, operator)
            self._next_start()
        elif self.stage in (Stage.READY, Stage.RESET) and self._desk.tally.episodes:
            self.recordings.remove_last(operator)
        else:
            return "there is no episode to discard"
        return ""
