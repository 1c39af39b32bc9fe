"""One episode in real time, written down policy step by policy step as it was executed, whoever drove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.messages import Phase
from robot_rlhf.feedback.types import Driver, Kind
from robot_rlhf.learning.snapshot import Acting, Snapshot
from robot_rlhf.session.drive import Drive
from robot_rlhf.session.rollout import Recorder, TakenOver
from sim.env import SPEED_M_S, EnvState, TaskEnv
from sim.task import FULL_TURN_RAD_S

Float32 = NDArray[np.float32]


_FULL = np.array([SPEED_M_S, SPEED_M_S, SPEED_M_S, FULL_TURN_RAD_S])


@dataclass
class _Tick:
    """The policy step that runs."""

    travelled: NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))
    """Velocity (3,) and turning rate about the vertical, as shares of full ones, times physics steps."""
    steps: int = 0
    acted: Float32 | None = None  # what of the policy's action was let through; None where it did not act
    proposed: Float32 | None = None
    state: EnvState | None = None


class LiveEpisode:
    """From `begin_tick` to `begin_tick`, with `stepped` after every physics step, until `close`."""

    def __init__(
        self,
        env: TaskEnv,
        drive: Drive,
        *,
        id: int,
        role: Role,
        seed: int,
        horizon: int,
        kinds: AbstractSet[Kind],
        snapshot: Snapshot | None,
        packed: bytes,
        explore: np.random.Generator | None,
    ) -> None:
        """`snapshot` drives, which came as `packed`; it acts deterministically without `explore`."""
        self._env, self._drive = env, drive
        self.id, self.role, self.seed, self.horizon = id, role, seed, horizon
        self.snapshot, self._packed, self._explore = snapshot, packed, explore
        self._version = 0 if snapshot is None else snapshot.version
        self._acting: Acting | None = None if snapshot is None else snapshot.begin(explore)
        self._follows = Kind.TAKEOVERS in kinds and role is not Role.DEMONSTRATION
        self._recorder = Recorder.begin(env, env.see())
        self._seen = self._observed()
        self._tick = _Tick()
        self._taken_over: tuple[int, EnvState | None, bytes] | None = None
        self.takeovers: list[TakenOver] = []
        self.operator = ""
        """Who drove last; empty while nobody has."""
        self.attended = False
        """Whether somebody has looked on."""
        self.reward: float | None = None
        """What the reward model gives for the newest step."""

    @property
    def steps(self) -> int:
        """Policy steps so far."""
        return len(self._recorder.action)

    @property
    def operator_steps(self) -> int:
        """How many of them the operator drove."""
        return sum(driver is Driver.OPERATOR for driver in self._recorder.driver)

    @property
    def explores(self) -> bool:
        """Whether the policy acts with noise."""
        return self._explore is not None

    @property
    def truth(self) -> tuple[Float32, bool]:
        """The task's own rewards (T,) and success, for the report alone."""
        return np.array(self._recorder.reward, np.float32), self._recorder.success

    def swap(self, snapshot: Snapshot, packed: bytes) -> None:
        """Let a newer policy drive from the next step on."""
        if self._acting is not None and snapshot is not self.snapshot:
            self.snapshot, self._packed = snapshot, packed
            self._acting.swap(snapshot)
            self._seen = self._observed()  # by its own eyes

    @property
    def pictures(self) -> Mapping[str, Sequence[bytes]]:
        """Camera -> what it saw with each observation."""
        return self._recorder.pictures

    def _observed(self) -> Float32:
        """What the policy makes of the newest moment."""
        obs = self._recorder.obs[-1]
        return obs if self.snapshot is None else self.snapshot.observe(obs, self._env.pictures)

    def begin_tick(self, now_ns: int) -> None:
        """A policy step begins: ask the policy, and let it act unless somebody else has the arm."""
        self._tick = tick = _Tick()
        if self.role is Role.DEMONSTRATION or self._acting is None:
            return
        if self._follows and self._taken_over is None and self._env.cell.saves:
            tick.state = self._env.save()
        tick.proposed = self._acting.act(self._seen)
        if self._drive.resume(now_ns):
            tick.acted = self._env.act(tick.proposed)

    def stepped(self) -> None:
        """A physics step has passed."""
        applied = self._env.robot.read().applied
        if applied is not None:
            self._tick.travelled += applied.command.twist[[0, 1, 2, 5]] / _FULL
        self._tick.steps += 1

    def end_tick(self) -> None:
        """A policy step is over: write down what was executed in it."""
        drove = self._drive.drove
        self.operator = self._drive.driver or self.operator
        by_operator = drove or self.role is Role.DEMONSTRATION
        driver = Driver.OPERATOR if by_operator else Driver.POLICY
        if self._follows:
            self._follow_takeover(drove)
        outcome = self._env.end_step(self._executed(drove, by_operator))
        self._recorder.note(self._env, outcome, self._tick.proposed, driver)
        before, self._seen = self._seen, self._observed()
        self._drive.drove = self._drive.phase is Phase.OPERATOR
        if self.snapshot is not None:
            reward = self.snapshot.reward(before[None], self._seen[None])
            self.reward = None if reward is None else float(reward[0])

    def _executed(self, drove: bool, by_operator: bool) -> Float32:
        """What was executed, as an action: the policy's own where nobody came in between, else the mean."""
        tick = self._tick
        alone = tick.acted is not None and not drove and self._drive.phase is Phase.POLICY
        if tick.acted is not None and alone and self._env.cell.follows_at_once:
            return tick.acted
        *mean, turn = tick.travelled / tick.steps
        level = (1.0 if self._env.gripper_target > 0.5 else -1.0) if by_operator else 0.0
        if tick.acted is not None and alone and self._env.task.uses_gripper:
            level = float(tick.acted[3])
        executed = np.clip([*mean, level, turn], -1.0, 1.0).astype(np.float32)
        return executed[: self._env.axes]

    def _follow_takeover(self, drove: bool) -> None:
        """A takeover is a run of steps in which the operator had the arm."""
        if drove and self._taken_over is None:
            self._taken_over = self.steps, self._tick.state, self._packed
        elif not drove:
            self._end_takeover()

    def _end_takeover(self) -> None:
        if self._taken_over is not None:
            start, state, packed = self._taken_over
            self.takeovers.append(TakenOver(start, self.steps - start, state, packed))
            self._taken_over = None

    def close(self, task: str) -> Episode | None:
        """It is over: what is to be stored, or None where not one step of it has passed."""
        self._end_takeover()
        if not self.steps:
            return None
        return self._recorder.episode(self.id, self.role, task, self.seed, self._version)
