"""A live session: an arm in real time, an operator at the other end of a wire, a learner beside.

One thread has the arm and the sockets: every 5 ms it lets the physics follow the clock, and it wakes at
once for what an operator does. Policy steps lie on a grid of simulated time, so that each stored step
lasts exactly as long as it says; whoever drives meanwhile, what is stored is what was executed. Nothing
here waits for the disk, for a picture or for the learner.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hardware.appearance import SceneDescription
from hardware.transport import wait
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.messages import Phase, Stage, Wish
from robot_rlhf.feedback.store_codec import StoredEvent
from robot_rlhf.feedback.types import Driver, Kind, Outcome, Removal, Undo
from robot_rlhf.learning.snapshot import Snapshot
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.desk import Answer, Desk
from robot_rlhf.session.drive import Drive
from robot_rlhf.session.learner_link import LearnerLink
from robot_rlhf.session.recordings import Recordings
from robot_rlhf.session.rollout import Recorder, TakenOver
from robot_rlhf.session.seeds import Purpose, generator, seed_of
from robot_rlhf.session.stream import Console, Stream
from sim.env import SPEED_M_S, EnvState, TaskEnv
from sim.world import TIMESTEP_NS

Float32 = NDArray[np.float32]

PREROLL_S = 0.5
"""The arm rests this long at a new start, so that the operator sees where things are."""
TAIL_S = 1.0
"""An episode goes on for so long after its operator has marked it."""
MARK_S = 6.0
"""An episode that is over waits this long for its mark."""
DEMONSTRATION_FACTOR = 3.0
"""A demonstration may take this many times the task's horizon."""
_MOMENT_NS = 20_000_000
_STATUS_NS = 500_000_000
_LATEST_NS = 250_000_000  # a machine that falls behind by more has its time cut, not made up for
_PAIRS_WANTED = 3
_ASK_AGAIN_NS = 3_000_000_000
_FINISHED = (Stage.EVALUATING, Stage.DONE)


@dataclass
class _Running:
    """The episode that is recorded at this moment."""

    id: int
    role: Role
    seed: int
    recorder: Recorder
    horizon: int
    deterministic: bool
    policy: int
    snapshot: Snapshot | None
    rng: np.random.Generator
    operator: str = ""
    takeovers: list[TakenOver] = field(default_factory=list)
    open_takeover: tuple[int, EnvState] | None = None
    attended: bool = False


@dataclass
class _Tick:
    """The policy step that runs."""

    travelled: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))  # m/s times physics steps
    steps: int = 0
    acted: Float32 | None = None  # what of the policy's action was let through; None where it did not act
    proposed: Float32 | None = None
    state: EnvState | None = None


@dataclass
class Lateness:
    """How late policy ticks began, in ms, and how many were cut."""

    newest_ms: deque[float] = field(default_factory=lambda: deque(maxlen=20_000))
    overruns: int = 0


class LiveSession:
    """Runs one run, or free driving, until `over`. Call `step` for ever, or `run`."""

    def __init__(
        self,
        config: RunConfig,
        description: SceneDescription,
        stream: Stream,
        desk: Desk,
        learner: LearnerLink | None,
        *,
        name: str,
        teleop: bool = False,
    ) -> None:
        """Without a learner there are demonstrations only; with `teleop`, nothing is recorded."""
        self.config, self.stream, self.desk, self.learner = config, stream, desk, learner
        self.name = name
        self.env = TaskEnv(config.task, config.control_hz)
        self.stage = Stage.TELEOP if teleop else Stage.PAUSED
        self.over = False
        self.report = ""
        self.lateness = Lateness()
        self.evaluations: list[m.Measured] = []
        self._description = description
        self._teleop = teleop
        self._kinds = config.kinds
        self._judged = config.reward == "learned" and learner is not None
        self._now = time.monotonic_ns()
        self.drive = Drive(self.env, Phase.HOLD, self._now)
        self.recordings = Recordings(config, desk, learner, name)
        self._snapshot: Snapshot | None = None
        self._policy_number = 0
        self._running: _Running | None = None
        self._tick = _Tick()
        self._tick_steps = round(1e9 / config.control_hz) // TIMESTEP_NS
        self._steps = 0  # physics steps since the arm was placed
        self._zero_ns = self._now  # when it was
        self._seed = 0
        self._again: int | None = None  # the start to begin from once more
        self._placed = False  # whether the arm stands at a start that no episode was begun from
        self._last_id = -1  # the episode that waits for its mark
        self._until_ns = 0  # when the present stage ends by itself
        self._enough = self._finish = False
        self._moment_seq = 0
        self._moment_at_ns: dict[int, int] = {}
        self._published_ns = self._status_ns = self._asked_ns = 0
        self._reward: float | None = None
        self._changed = True
        self._completed = False
        desk.heard = self._heard
        self._place(0)
        self._placed = False

    # -- the loop ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until it is over."""
        while not self.over:
            self.step()

    def step(self) -> None:
        """Wait for what comes next, and handle it."""
        endpoints = self.stream.endpoints + (self.learner.endpoints if self.learner else [])
        wait(endpoints, self._zero_ns + (self._steps + 1) * TIMESTEP_NS)
        self._now = time.monotonic_ns()
        self.stream.service(self)
        self.drive.advance(self._now)
        self._follow()
        self.desk.settle()
        self._listen()
        self._advance_stage()
        if self._now - self._published_ns >= _MOMENT_NS:
            self._published_ns = max(self._published_ns + _MOMENT_NS, self._now - _MOMENT_NS)
            self.stream.publish(self._moment())
        if self._changed or self._now - self._status_ns >= _STATUS_NS:
            self._changed, self._status_ns = False, self._now
            self.stream.publish(self.status())

    def _follow(self) -> None:
        """Let the physics follow the clock; a policy tick lies before every so-manieth step."""
        behind = (self._now - self._zero_ns) - self._steps * TIMESTEP_NS
        if behind > _LATEST_NS:
            self._zero_ns += behind
            self.lateness.overruns += behind // (self._tick_steps * TIMESTEP_NS)
            behind = 0
        placed = self._zero_ns
        while behind >= TIMESTEP_NS and placed == self._zero_ns:
            if self._steps % self._tick_steps == 0:
                self._on_tick()
                if placed != self._zero_ns:
                    return
            self.env.world.wait_until(self.env.world.now_ns() + TIMESTEP_NS)
            applied = self.env.robot.read().applied
            if applied is not None:
                self._tick.travelled += applied.command.twist[:3]
            self._tick.steps += 1
            self._steps += 1
            behind -= TIMESTEP_NS

    def _place(self, seed: int) -> None:
        """Begin anew from a start."""
        self.env.reset(seed=seed)
        self._seed, self._placed = seed, True
        self._zero_ns, self._steps, self._again = time.monotonic_ns(), 0, None
        self.drive.hold(self._now, "")
        self._tick = _Tick()
        self._reward = None

    # -- policy steps ------------------------------------------------------------------------------------

    def _on_tick(self) -> None:
        due_ns = self._zero_ns + self._steps * TIMESTEP_NS
        if self._steps:
            self.lateness.newest_ms.append((time.monotonic_ns() - due_ns) / 1e6)
        running = self._running
        if running is None:
            self._tick = _Tick()
            self.drive.drove = self.drive.phase is Phase.OPERATOR
            return
        if self._tick.steps:
            self._end_tick(running)
        if self._running is running:
            self._begin_tick(running)

    def _end_tick(self, running: _Running) -> None:
        tick, drove = self._tick, self.drive.drove
        running.operator = self.drive.driver or running.operator
        by_operator = drove or running.role is Role.DEMONSTRATION
        if tick.acted is not None and not drove and self.drive.phase is Phase.POLICY:
            executed = tick.acted
        else:
            mean = tick.travelled / tick.steps / SPEED_M_S
            level = [1.0 if self.env.gripper_target > 0.5 else -1.0] if by_operator else [0.0]
            executed = np.clip([*mean, *level], -1.0, 1.0).astype(np.float32)[: self.env.axes]
        driver = Driver.OPERATOR if by_operator else Driver.POLICY
        before = running.recorder.obs[-1]
        index = len(running.recorder.action)
        obs = running.recorder.note(self.env, self.env.end_step(executed), tick.proposed, driver)
        self._follow_takeover(running, index, drove)
        self.drive.drove = self.drive.phase is Phase.OPERATOR
        if self._snapshot is not None:
            reward = self._snapshot.reward(before[None], obs[None])
            self._reward = None if reward is None else float(reward[0])
        if len(running.recorder.action) >= running.horizon:
            self._end_episode()

    def _follow_takeover(self, running: _Running, index: int, drove: bool) -> None:
        """A takeover is a run of steps in which the operator had the arm."""
        if running.role is Role.DEMONSTRATION:
            return
        if drove and running.open_takeover is None and self._tick.state is not None:
            running.open_takeover = (index, self._tick.state)
        elif not drove:
            self._close_takeover(running, index)

    def _close_takeover(self, running: _Running, stop: int) -> None:
        if running.open_takeover is not None:
            start, state = running.open_takeover
            running.takeovers.append(TakenOver(start, stop - start, state))
            running.open_takeover = None

    def _begin_tick(self, running: _Running) -> None:
        self._tick = tick = _Tick()
        if running.role is Role.DEMONSTRATION or running.snapshot is None:
            return
        if Kind.TAKEOVERS in self._kinds and running.open_takeover is None:
            tick.state = self.env.save()
        obs = running.recorder.obs[-1]
        tick.proposed = running.snapshot.act(obs, None if running.deterministic else running.rng)
        if self.drive.resume(self._now):
            tick.acted = self.env.act(tick.proposed)

    # -- episodes ----------------------------------------------------------------------------------------

    def _begin_episode(self, role: Role) -> None:
        id = self.desk.take_id()
        horizon = self.env.horizon
        if role is Role.DEMONSTRATION:
            horizon = round(horizon * DEMONSTRATION_FACTOR)
        every, online = self.config.schedule.deployed_every, self.desk.tally.count(Role.ONLINE)
        self._running = _Running(
            id=id,
            role=role,
            seed=self._seed,
            recorder=Recorder([self.env.task.observe(self.env.look())], [self.env.look().pack()]),
            horizon=horizon,
            deterministic=bool(every) and online % every == every - 1,
            policy=self._policy_number,
            snapshot=self._snapshot,
            rng=generator(self.config.seed, Purpose.EXPLORE, id),
        )
        self._tick, self._placed = _Tick(), False
        self.drive.drove = self.drive.phase is Phase.OPERATOR  # whoever drove before has let go
        self._zero_ns, self._steps = self._zero_ns + self._steps * TIMESTEP_NS, 0  # its steps begin here
        self._go(Stage.DEMONSTRATION if role is Role.DEMONSTRATION else Stage.EPISODE)

    def _end_episode(self, keep: bool = True) -> None:
        """The episode that runs is over; `keep` False forgets it."""
        running, self._running = self._running, None
        if running is None:
            return
        self.drive.hold(self._now, "")
        self._close_takeover(running, len(running.recorder.action))
        if not keep or not running.recorder.action:
            self.desk.tell("the episode is forgotten, and begins again from the same start", running.id)
            self._again = running.seed
            self._go(Stage.PAUSED)
            return
        self._store(running)
        unmarked = Kind.OUTCOMES in self._kinds and self.desk.tally.mark(running.id) is None
        if running.role is Role.ONLINE and unmarked and self._attended():
            self._last_id = running.id
            self._go(Stage.MARK, MARK_S)
        else:
            self._next_start()

    def _store(self, running: _Running) -> None:
        recorder = running.recorder
        version = 0 if running.snapshot is None else running.snapshot.version
        episode = recorder.episode(running.id, running.role, self.config.task, running.seed, version)

        def stored() -> None:
            share = float(episode.operator_steps.mean())
            words = f", {share:.0%} by hand" if episode.role is Role.ONLINE and share else ""
            self.desk.tell(f"episode {episode.id} is stored{words}", episode.id)
            if self.learner is not None:
                self.learner.tell(lm.Stored())
            self._changed = True

        self.recordings.add(
            episode,
            (np.array(recorder.reward, np.float32), recorder.success),
            running.operator or "operator",
            running.takeovers,
            (running.policy, running.deterministic),
            episode.length / self.config.control_hz if running.attended else 0.0,
            stored,
        )

    def _next_start(self) -> None:
        """The arm goes to the start of the next episode."""
        fresh = seed_of(self.config.seed, Purpose.START, self.desk.next_episode)
        self._place(fresh if self._again is None else self._again)
        self._go(Stage.PAUSED)

    # -- stages ------------------------------------------------------------------------------------------

    def _go(self, stage: Stage, lasts_s: float = 0.0) -> None:
        self.stage, self._until_ns, self._changed = stage, self._now + round(lasts_s * 1e9), True
        self.drive.allowed = stage in (Stage.TELEOP, Stage.READY, Stage.DEMONSTRATION, Stage.EPISODE)

    def _attended(self) -> bool:
        return any(console.attending and console.speaks for console in self.stream.consoles.values())

    def _advance_stage(self) -> None:
        if not self.desk.ready or self.stage in (Stage.TELEOP, Stage.DONE):
            return
        if not self._completed:
            self._completed = True
            self.recordings.complete()
        running, schedule = self._running, self.config.schedule
        match self.stage:
            case Stage.PAUSED | Stage.READY | Stage.PREPARING:
                halted = self.drive.phase is Phase.STOPPED or not self.drive.armed
                if not self.recordings.writing and (self._finish or not halted):
                    self._choose_stage()
            case Stage.MARK:
                if self._now >= self._until_ns:
                    self._next_start()
            case Stage.EPISODE:
                if running is not None:
                    running.attended = running.attended or self._attended()
            case _:
                pass
        if self._judged and Kind.PREFERENCES in self._kinds and self.stage not in _FINISHED:
            wanted = min(_PAIRS_WANTED, schedule.pairs_first)
            if len(self.desk.free_pairs()) < wanted and self._now - self._asked_ns > _ASK_AGAIN_NS:
                self._asked_ns = self._now
                assert self.learner is not None
                self.learner.tell(lm.MorePairs(count=wanted))

    def _choose_stage(self) -> None:
        """What comes next, as the store and the schedule say."""
        schedule, tally = self.config.schedule, self.desk.tally
        shown = tally.count(Role.DEMONSTRATION)
        lacking = Kind.DEMONSTRATIONS in self._kinds and shown < schedule.demonstrations and not self._enough
        if self._finish or (not lacking and self._nothing_to_do()):
            self._conclude()
            return
        if not self._placed:
            self._next_start()
        if lacking and tally.count(Role.ONLINE) == 0:
            if self.stage is not Stage.READY:
                self._go(Stage.READY)
            elif self.drive.phase is Phase.OPERATOR:
                self._begin_episode(Role.DEMONSTRATION)
        elif self.learner is not None:
            if not self.recordings.busy:
                self.learner.stand(lm.Begin())
            stage = Stage.PREPARING if self._snapshot is None else Stage.PAUSED
            if self.stage is not stage:
                self._go(stage)
            rested = self._steps * TIMESTEP_NS >= PREROLL_S * 1e9 and self.drive.phase is Phase.HOLD
            if stage is Stage.PAUSED and rested and self._attended():
                self._begin_episode(Role.ONLINE)

    def _nothing_to_do(self) -> bool:
        return self.learner is None or self.desk.tally.count(Role.ONLINE) >= self.config.schedule.episodes

    def _conclude(self) -> None:
        """No more episodes."""
        if self.learner is None:
            self._go(Stage.DONE)
            self.desk.tell("all that was asked for is recorded")
            self.over = True
            return
        if not self.recordings.busy:
            self.learner.stand(lm.Begin())
            self.learner.stand(lm.Finish())
            self._go(Stage.EVALUATING)

    # -- consoles ----------------------------------------------------------------------------------------

    def welcome(self, console: Console) -> m.Welcome | m.Refused:
        if not self.desk.ready:
            return m.Refused(reason="the session is still reading the run; it is ready in a moment")
        if console.speaks and not self.drive.knows(console.token):
            self.drive.enter(console.token, console.name)
        drive_port, stop_port, watch_port = self.stream.ports
        self.desk.tell(f"{console.name} {'is here' if console.speaks else 'is watching'}")
        self._changed = True
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
            latch_allowed=self.env.robot.spec.simulated,
            moment=self._moment(),
            status=self.status(),
            news=tuple(self.desk.news)[-50:],
        )

    def gone(self, console: Console) -> None:
        self.drive.leave(console.token, self._now)
        self.desk.gone(console)
        self.desk.tell(f"{console.name} has left")
        self._changed = True

    def hands(self, console: Console, hands: m.Hands) -> None:
        based_ns = self._moment_at_ns.get(hands.based_on)
        given = hands.given
        if given.takeover and (based_ns is None or self._now - based_ns > m.LOST_S * 1e9):
            return  # it was meant for a moment that is long past
        self.drive.hands(console.token, hands.seq, given, self._now)

    def stop(self, who: str) -> None:
        if self.drive.phase is Phase.STOPPED:
            return
        self.drive.stop(self._now, "STOP was pressed")
        self.desk.tell(f"STOP ({who})")
        running = self._running
        if running is not None:
            self._end_episode(keep=running.role is Role.ONLINE)
            if self.stage not in _FINISHED:
                self._go(Stage.PAUSED)

    def request(self, console: Console, message: m.FromConsole, answer: Answer) -> None:
        if isinstance(message, m.Do):
            refusal = self._wish(message.wish, console)
            answer(m.Granted() if not refusal else m.Refused(reason=refusal))
            self._changed = True
        elif self._teleop and isinstance(message, m.Say):
            answer(m.Refused(reason="free driving records nothing: start `robot-rlhf train` or `record`"))
        else:
            self.desk.request(console, message, answer)

    def _wish(self, wish: Wish, console: Console) -> str:
        """Carries a wish out, or returns why not."""
        stage, running = self.stage, self._running
        match wish:
            case Wish.CLEAR:
                if self.drive.phase is not Phase.STOPPED:
                    return "nothing is stopped"
                self.drive.clear(self._now)
            case Wish.FINISH:
                if self._teleop:
                    self.over = True
                    return ""
                if stage in _FINISHED:
                    return "it is finishing already"
                if self.desk.tally.count(Role.DEMONSTRATION) + self.desk.tally.count(Role.ONLINE) == 0:
                    return "nothing is recorded yet: there is nothing to learn from"
                self._finish = True
                if running is not None:
                    self._end_episode(keep=running.role is Role.ONLINE)
            case Wish.ENOUGH:
                if stage is not Stage.READY:
                    return "that is for the time between demonstrations"
                if self.desk.tally.count(Role.DEMONSTRATION) == 0:
                    return "one demonstration at least is needed"
                self._enough = True
                self._go(Stage.PAUSED)
            case Wish.CONFIRM:
                if stage is Stage.MARK:
                    self._next_start()
                elif running is not None and stage in (Stage.DEMONSTRATION, Stage.EPISODE):
                    self._end_episode()
                else:
                    return "there is nothing to confirm"
            case Wish.DISCARD:
                if running is not None:
                    self._end_episode(keep=False)
                    self._next_start()
                elif stage is Stage.MARK:
                    self.recordings.remove(self._last_id, console.name)
                    self._next_start()
                elif stage is Stage.READY and self.desk.tally.episodes:
                    self.recordings.remove_last(console.name)
                else:
                    return "there is no episode to discard"
        return ""

    def _heard(self, event: StoredEvent) -> None:
        """An event has come to be on the disk."""
        self._changed = True
        if self.learner is not None:
            anew = isinstance(event, (Undo, Removal)) or self._turns_a_demonstration(event)
            self.learner.tell(lm.Stored(anew=anew))
        if not isinstance(event, Outcome):
            return
        running = self._running
        if running is not None and event.episode == running.id:
            if running.role is Role.DEMONSTRATION:
                self._end_episode()
            else:
                done = len(running.recorder.action)
                running.horizon = min(running.horizon, done + round(TAIL_S * self.config.control_hz))
        elif self.stage is Stage.MARK and event.episode == self._last_id:
            self._next_start()

    def _turns_a_demonstration(self, event: StoredEvent) -> bool:
        """Whether a demonstration that was taken in counts as failed now: it is not to be imitated."""
        known = self.desk.tally.episodes.get(event.episode) if isinstance(event, Outcome) else None
        return known is not None and known.role is Role.DEMONSTRATION

    # -- the learner -------------------------------------------------------------------------------------

    def _listen(self) -> None:
        learner = self.learner
        while learner is not None and (message := learner.receive()) is not None:
            self._hear_learner(message)

    def _hear_learner(self, message: lm.FromLearner) -> None:
        self._changed = True
        match message:
            case lm.Policy(number=number, data=data):
                self._policy_number, self._snapshot = number, Snapshot.from_bytes(data)
                self.desk.judge = self._snapshot
            case lm.RolledOut():
                self.recordings.rolled_out(message)
            case lm.Asked(queries=queries):
                self.desk.add_queries(queries)
                if queries:
                    self.desk.tell(f"{len(queries)} new pairs to compare")
            case lm.Written(step=step, name=name):
                self.recordings.enter_checkpoint(step, name)
            case lm.Note(key=key, value=value):
                self.recordings.note(key, value)
            case lm.Evaluated():
                measured = m.Measured(
                    after=message.after,
                    successes=message.successes,
                    episodes=message.episodes,
                    final=message.final,
                )
                self.evaluations.append(measured)
                share = message.successes / message.episodes
                self.desk.tell(f"alone, the policy succeeds in {share:.0%} of {message.episodes} starts")
            case lm.Ended(report=report):
                self.report = report
                self.desk.tell(f"the report is written: {report}")
                self._go(Stage.DONE)
            case lm.Failed(reason=reason):
                self.desk.tell(reason)
            case lm.Ready() | lm.Doing():
                pass

    # -- what is shown -----------------------------------------------------------------------------------

    def _moment(self) -> m.Moment:
        self._moment_seq += 1
        self._moment_at_ns[self._moment_seq] = self._now
        self._moment_at_ns.pop(self._moment_seq - 100, None)
        scene, drive, running = self.env.look(), self.drive, self._running
        applied = self.env.robot.read().applied
        commanded = np.zeros(3) if applied is None else applied.command.twist[:3]
        drove = 0 if running is None else sum(one is Driver.OPERATOR for one in running.recorder.driver)
        vx, vy, vz = scene.tool_vel_m_s
        return m.Moment(
            seq=self._moment_seq,
            time_ns=self._now,
            stage=self.stage,
            phase=drive.phase,
            episode=-1 if running is None and self.stage is not Stage.MARK else self._episode_id(),
            step=0 if running is None else len(running.recorder.action),
            steps=0 if running is None else running.horizon,
            recording=running is not None,
            driver=drive.driver,
            driving=drive.driving,
            input_seq=drive.input_seq,
            scene=scene.pack().astype("<f4").tobytes(),
            commanded_m_s=(float(commanded[0]), float(commanded[1]), float(commanded[2])),
            achieved_m_s=(float(vx), float(vy), float(vz)),
            operator_steps=drove,
            reward=self._reward,
            limits=() if applied is None else tuple(limit.value for limit in applied.limits),
            hold_reason=drive.reason or self.desk.writer.trouble,
        )

    def _episode_id(self) -> int:
        return self._last_id if self._running is None else self._running.id

    def status(self) -> m.Status:
        """How it stands."""
        tally, schedule, learner = self.desk.tally, self.config.schedule, self.learner
        shown = tally.count(Role.DEMONSTRATION)
        return m.Status(
            demonstrations=shown,
            demonstrations_planned=shown if self._enough else schedule.demonstrations,
            episodes=tally.count(Role.ONLINE),
            episodes_planned=schedule.episodes if learner is not None else 0,
            pairs_waiting=len(tally.open_queries),
            marks=tally.marks,
            interventions=tally.interventions,
            evaluations=tuple(self.evaluations),
            counts={kind.value: count for kind, count in tally.counts.items()},
            operator_s=tally.operator_s,
            learner="there is no learner" if learner is None else learner.what,
            updates=0 if learner is None else learner.updates,
            reward_version=0 if learner is None else learner.reward_version,
            self_agreement=tally.self_agreement,
            consoles=tuple(console.name for console in self.stream.consoles.values()),
            overruns=self.lateness.overruns,
            report=self.report,
            run=self.name,
            news=self.desk.told,
        )

    def close(self) -> None:
        """Stop the arm, let the learner save, finish writing."""
        self.env.robot.stop()
        if self.learner is not None:
            for message in self.learner.close():
                self._hear_learner(message)
        self.desk.close()
        self.stream.close()
        self.env.close()
