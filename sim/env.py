"""The Gymnasium environment over (robot, task).

It stands on a `Cell`: the simulated arm in lockstep, or an arm behind a wire in real time. An episode has
a fixed horizon; success ends nothing unless `end_on_success` says so, so that a learner cannot read
success off an episode's length.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import gymnasium
import msgspec
import numpy as np
from numpy.typing import NDArray

from hardware.robot import Applied, Command, Robot, Source
from hardware.scene import Scene
from sim.arms.model import make_arm
from sim.cell import Cell, SimCell
from sim.curriculum import nearer
from sim.pictures import CAMERA_PX, NO_PICTURES, Pictures, Seer
from sim.randomise import NOMINAL, RandomiseConfig, Variation
from sim.task import FULL_TURN_RAD_S, SUCCESS_HOLD_S, Task, make_task, proprioception
from sim.world import SimState

Float32 = NDArray[np.float32]
Array = NDArray[np.float64]

SPEED_M_S = 0.15  # what a full stick means, for the policy as for a person
NEVER = RandomiseConfig()
_GRIP_BAND = 0.2  # a gripper action within this of 0 leaves the gripper as it is


class EnvState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A moment of an episode to go back to, or to go on from in another environment or process."""

    sim: SimState
    step: int
    held: int
    gripper: float
    variation: Variation = NOMINAL
    late: tuple[tuple[float, ...], ...] = ()
    """Actions that have not reached the arm yet, the oldest first."""


class TaskEnv(gymnasium.Env[Float32, Float32]):
    """Observation: the task's, (n,) float32; with cameras what the arm knows of itself, and `pictures` beside
    it (`sim.pictured` is the environment that returns both). Action: (3,), (4,) or (5,) in [-1, 1], the
    tool's velocity over 0.15 m/s; where the task uses the gripper, above 0.2 to open and below -0.2 to close;
    where it turns, the turning rate about the vertical over 0.8 rad/s.

    What `randomise` says differs from one episode to the next. `scene`, success and reward are of the world
    as it is, observations of what is seen of it.

    `info` of `step`: is_success; executed (m,), the action that the limits let through. The attribute
    `scene` is the moment that was seen last. The reward is the task's own utility; the learner of this
    project never sees it unless told to.
    """

    metadata = {"render_modes": [], "render_fps": 10}  # noqa: RUF012 - Gymnasium's own convention

    def __init__(
        self,
        task: str | Task = "pick_cube",
        control_hz: float = 10.0,
        end_on_success: bool = False,
        cell: Cell | None = None,
        arm: str = "panda",
        randomise: RandomiseConfig = NEVER,
        cameras: Sequence[str] = (),
        camera_px: int = CAMERA_PX,
    ) -> None:
        """`cell`, closed with the environment, is by default one that is simulated here, with `arm`.
        `cameras` are names of `sim.viewpoint.VIEWPOINTS`, and their pictures `camera_px` wide and high;
        where the cell has `eyes`, those look. Raises ValueError for a task, an arm or a camera that there is
        not, and where another cell is to be randomised."""
        self.task = make_task(task) if isinstance(task, str) else task
        self.cell = SimCell(self.task.props, make_arm(arm)) if cell is None else cell
        if not (randomise.is_off or isinstance(self.cell, SimCell)):
            raise ValueError("only what is simulated here can be randomised: leave randomise out")
        self.randomise = randomise
        self.control_hz = control_hz
        self.end_on_success = end_on_success
        self.horizon = round(self.task.horizon_s * control_hz)
        self._tick_ns = round(1e9 / control_hz)
        self._hold_steps = max(1, round(SUCCESS_HOLD_S * control_hz))
        self._step = self._held = 0
        self._gripper = 1.0
        self._seed_rng = np.random.default_rng(0)
        self._eyes = self.cell.eyes or (self._open_eyes(cameras, camera_px) if cameras else None)
        self.pictures: Pictures = NO_PICTURES
        """What the cameras saw together with the newest observation."""
        self.scene = self._place(self._seed_rng)
        self.obs_size = self._see().shape[-1]
        self.axes = 3 + self.task.uses_gripper + self.task.turns
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (self.obs_size,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (self.axes,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32, dict[str, Any]]:
        """`options` may have a `spread` from 0 to 1: how far from where the task's expert would go first the
        tool starts, as a share of what the task asks for (`sim.curriculum`)."""
        super().reset(seed=seed)
        self.scene = self._place(self.np_random, (options or {}).get("spread", 1.0))
        return self._see(), {"is_success": False}

    def _open_eyes(self, cameras: Sequence[str], size_px: int) -> Seer:
        from sim.description import describe
        from sim.eyes import Eyes

        return Eyes(describe(self.task, self.robot.spec), cameras, size_px)

    def see(self) -> Float32:
        """Look anew: `scene` and `pictures` are of the moment as it is now. Returns the observation."""
        self.scene = self.look()
        return self._see()

    def _see(self) -> Float32:
        """The observation of the moment, and new pictures with it."""
        if self._eyes is not None:
            self.pictures = self._eyes.look(self.scene)
        return self.observe()

    def _place(self, rng: np.random.Generator, spread: float = 1.0) -> Scene:
        start = self.task.layout(rng)
        if spread != 1.0:
            start = nearer(start, self.task, spread)
        self._vary(self.randomise.draw(rng, self.task.props))
        self.start = self._variation.layout(start, self.task.props)
        self._step = self._held = 0
        self._late: deque[list[float]] = deque()
        self._gripper = 1.0 if self.task.uses_gripper else 0.0
        self.cell.lay_out(self.start, self._gripper)
        return self.look()

    def _vary(self, variation: Variation) -> None:
        self._variation = variation
        if isinstance(self.cell, SimCell):
            self.cell.vary(variation)
        if self._eyes is not None:
            self._eyes.vary(variation)

    @property
    def robot(self) -> Robot:
        """The arm in the cell."""
        return self.cell.robot

    def observe(self, scene: Scene | None = None) -> Float32:
        """What the policy is told of `scene`, by default of the moment that was seen last."""
        seen = self._variation.seen(scene or self.scene, self._step, self.task.props)
        return self.task.observe(seen) if self._eyes is None else proprioception(seen, self.task)

    def step(self, action: Float32) -> tuple[Float32, float, bool, bool, dict[str, Any]]:
        executed = self.act(action)
        self.cell.wait(self._tick_ns)
        return self.end_step(executed)

    def act(self, action: Float32) -> Float32:
        """The first half of `step`: have the arm do `action` from now on. Returns what the limits let
        through of it."""
        given = np.asarray(action, dtype=np.float64)
        numbers = given.tolist()
        if given.shape != (self.axes,) or not all(map(math.isfinite, numbers)):
            raise ValueError(f"action {numbers}: expected ({self.axes},) finite numbers in [-1, 1]")
        wanted = self._arriving(_within(numbers))
        grip = wanted[3] if self.task.uses_gripper else 0.0
        turn = wanted[-1] * FULL_TURN_RAD_S if self.task.turns else 0.0
        velocity_m_s = [one * SPEED_M_S for one in wanted[:3]]
        applied = self.drive(velocity_m_s, grip, 2.0 / self.control_hz, Source.POLICY, turn)
        twist = applied.command.twist.tolist()
        executed = [*(one / SPEED_M_S for one in twist[:3]), *wanted[3:]]
        if self.task.turns:
            executed[-1] = twist[5] / FULL_TURN_RAD_S
        return np.array(_within(executed), np.float32)

    def _arriving(self, action: list[float]) -> list[float]:
        """What reaches the arm as `action` is sent: one that was sent before where they come late; first of
        all none, with the gripper as it is."""
        if self._variation.delay_steps == 0:
            return action
        self._late.append(action)
        if len(self._late) <= self._variation.delay_steps:
            return [0.0] * self.axes
        return self._late.popleft()

    def drive(
        self,
        velocity_m_s: Sequence[float] | Array,
        grip: float,
        valid_for_s: float,
        source: Source,
        turn_rad_s: float = 0.0,
    ) -> Applied:
        """Have the tool move at `velocity_m_s` (3,) from now on, at any moment of a step, and turn where the
        task turns; `grip` above 0.2 opens and below -0.2 closes, where the task uses the gripper."""
        if self.task.uses_gripper and abs(grip) > _GRIP_BAND:
            self._gripper = 1.0 if grip > 0 else 0.0
        twist = np.array([*velocity_m_s, 0.0, 0.0, turn_rad_s if self.task.turns else 0.0])
        return self.robot.send(Command(self._step, twist, self._gripper, valid_for_s, source))

    def end_step(self, executed: Float32) -> tuple[Float32, float, bool, bool, dict[str, Any]]:
        """The second half of `step`, once its time has passed: what `step` returns. `executed` is what was
        done in that time, as an action."""
        self.scene = self.look()
        self._step += 1
        self._held = self._held + 1 if bool(self.task.success(self.scene)) else 0
        success = self._held >= self._hold_steps
        terminated = success and self.end_on_success
        truncated = self._step >= self.horizon and not terminated
        info = {"is_success": success, "executed": executed}
        reward = float(self.task.utility(self.scene))
        return self._see(), reward, terminated, truncated, info

    def look(self) -> Scene:
        """The moment, as it is now."""
        return Scene.of(self.robot.read(), self.cell.poses(), self._gripper)

    @property
    def gripper_target(self) -> float:
        """The opening that is wanted, 0 closed to 1 open."""
        return self._gripper

    def save(self) -> EnvState:
        """This moment, to go back to or to hand to another environment of the same task."""
        late = tuple(tuple(action) for action in self._late)
        return EnvState(self.cell.save(), self._step, self._held, self._gripper, self._variation, late)

    def restore(self, state: EnvState) -> Float32:
        """Go on from `state`; returns the observation there."""
        self._vary(state.variation)
        self.cell.restore(state.sim)
        self._step, self._held, self._gripper = state.step, state.held, state.gripper
        self._late = deque(list(action) for action in state.late)
        return self.see()

    def close(self) -> None:
        if self._eyes is not None:
            self._eyes.close()
        self.cell.close()


def _within(action: list[float]) -> list[float]:
    """Each number cut to [-1, 1]."""
    return [min(max(one, -1.0), 1.0) for one in action]
