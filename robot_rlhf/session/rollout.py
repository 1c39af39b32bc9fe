"""One episode in lockstep: look, ask operator and policy, act, write down what was executed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.messages import Phase
from robot_rlhf.feedback.operator import SimulatedOperator
from robot_rlhf.feedback.types import Driver, OperatorInput, Press
from robot_rlhf.session.drive import HANDBACK_S
from robot_rlhf.session.phases import Signal, following
from sim.env import EnvState, TaskEnv
from sim.pictures import Pictures

Float32 = NDArray[np.float32]
Policy = Callable[[Float32, Pictures], Float32]
"""(obs (n,), what cameras saw with it) -> action (m,) in [-1, 1]."""

Outcome = tuple[Float32, float, bool, bool, dict[str, Any]]


@dataclass
class Recorder:
    """Collects the rows of an episode as they happen."""

    obs: list[Float32]
    scenes: list[Float32]
    action: list[Float32] = field(default_factory=list)
    proposed: list[Float32] = field(default_factory=list)
    driver: list[Driver] = field(default_factory=list)
    reward: list[float] = field(default_factory=list)
    pictures: dict[str, list[bytes]] = field(default_factory=dict)  # camera -> what it saw with each of obs
    success: bool = False
    terminated: bool = False
    truncated: bool = False

    @staticmethod
    def begin(env: TaskEnv, obs: Float32) -> Recorder:
        """A new episode, at its first observation."""
        seen = {camera: [jpeg] for camera, jpeg in env.pictures.items()}
        return Recorder([obs], [env.scene.pack()], pictures=seen)

    def step(self, env: TaskEnv, action: Float32, proposed: Float32 | None, driver: Driver) -> Float32:
        """Act, and write down what was executed. Returns the next observation."""
        return self.note(env, env.step(action), proposed, driver)

    def note(self, env: TaskEnv, outcome: Outcome, proposed: Float32 | None, driver: Driver) -> Float32:
        """Write down what a step came to, as `TaskEnv.step` returns it. Returns the next observation."""
        obs, reward, self.terminated, self.truncated, info = outcome
        self.action.append(info["executed"])
        self.proposed.append(np.full_like(info["executed"], np.nan) if proposed is None else proposed)
        self.driver.append(driver)
        self.obs.append(obs)
        self.scenes.append(env.scene.pack())
        for camera, jpeg in env.pictures.items():
            self.pictures[camera].append(jpeg)
        self.reward.append(reward)
        self.success = bool(info["is_success"])
        return obs

    def episode(self, id: int, role: Role, task: str, seed: int, policy_version: int) -> Episode:
        """The rows as an episode; one that neither ended nor ran out was cut off by its operator, which
        is a truncation too."""
        return Episode(
            id=id,
            role=role,
            task=task,
            seed=seed,
            policy_version=policy_version,
            obs=np.stack(self.obs),
            action=np.stack(self.action),
            proposed=np.stack(self.proposed),
            driver=np.array(self.driver, dtype=np.uint8),
            scenes=np.stack(self.scenes),
            terminated=self.terminated,
            truncated=not self.terminated,
        )


@dataclass(frozen=True, eq=False)
class TakenOver:
    """A takeover: its first step, its length, and the moment it began at, None where nobody can go back
    there. In a live session `policy` is the one that drove then, packed."""

    start: int
    length: int
    state: EnvState | None
    policy: bytes = b""


@dataclass(frozen=True, eq=False)
class Rollout:
    """What an episode left behind."""

    recorder: Recorder
    takeovers: tuple[TakenOver, ...]
    presses: tuple[tuple[int, Press], ...]
    operator_steps: int


def hand_action(given: OperatorInput, axes: int) -> Float32:
    """The operator's input as an action (axes,)."""
    return np.array([*given.stick, given.grip, given.yaw], dtype=np.float32)[:axes]


def demonstrate(env: TaskEnv, operator: SimulatedOperator, seed: int) -> Recorder:
    """An episode that the operator drives until they stop recording or time is up."""
    obs, _ = env.reset(seed=seed)
    recorder = Recorder.begin(env, obs)
    axes = env.axes
    while not recorder.truncated and not operator.finished:
        recorder.step(env, hand_action(operator.watch(env.scene), axes), None, Driver.OPERATOR)
    return recorder


def supervise(
    env: TaskEnv,
    policy: Policy,
    operator: SimulatedOperator,
    seed: int,
    driver: Driver = Driver.POLICY,
    spread: float = 1.0,
) -> Rollout:
    """An episode that the policy, written down as `driver`, drives while the operator watches, takes over and
    presses. `spread` is as for `TaskEnv.reset`."""
    obs, _ = env.reset(seed=seed, options={"spread": spread})
    recorder = Recorder.begin(env, obs)
    axes = env.axes
    pause = max(1, round(HANDBACK_S * env.control_hz))
    phase, waited, began, state = Phase.POLICY, 0, 0, None
    takeovers: list[TakenOver] = []
    presses: list[tuple[int, Press]] = []
    while not recorder.truncated:
        given, step = operator.watch(env.scene), len(recorder.action)
        if given.press is not None:
            presses.append((step, given.press))
        before = phase
        phase = following(phase, Signal.TAKE if given.takeover else Signal.RELEASE)
        if phase is Phase.OPERATOR and before is not Phase.OPERATOR:
            began, state = step, env.save()
        if before is Phase.OPERATOR and phase is Phase.HOLD and state is not None:
            takeovers.append(TakenOver(began, step - began, state))
            waited, state = 0, None
        elif phase is Phase.HOLD:
            waited += 1
            phase = following(phase, Signal.HELD) if waited >= pause else phase
        proposed = policy(obs, env.pictures)
        if phase is Phase.OPERATOR:
            obs = recorder.step(env, hand_action(given, axes), proposed, Driver.OPERATOR)
        elif phase is Phase.HOLD:
            obs = recorder.step(env, np.zeros(axes, np.float32), proposed, driver)
        else:
            obs = recorder.step(env, proposed, proposed, driver)
    if state is not None:
        takeovers.append(TakenOver(began, len(recorder.action) - began, state))
    driven = sum(by is Driver.OPERATOR for by in recorder.driver)
    return Rollout(recorder, tuple(takeovers), tuple(presses), driven)


def counterfactual(side: TaskEnv, taken: TakenOver, policy: Policy) -> Recorder:
    """What the policy would have done from a takeover's first moment for as long, in another world. Raises
    ValueError where that moment is not known."""
    if taken.state is None:
        raise ValueError("a takeover's first moment is not known: nobody can go back there")
    obs = side.restore(taken.state)
    recorder = Recorder.begin(side, obs)
    for _ in range(taken.length):
        action = policy(obs, side.pictures)
        obs = recorder.step(side, action, action, Driver.POLICY)
    return recorder


def noised_replay(
    side: TaskEnv, actions: Sequence[Float32] | Float32, seed: int, noise: float, rng: np.random.Generator
) -> Recorder:
    """A demonstration's actions again from its start, a share `noise` of the time replaced by random
    ones held for a moment: a worse way to do the same (Brown et al. 2019, D-REX)."""
    obs, _ = side.reset(seed=seed)
    recorder = Recorder.begin(side, obs)
    axes = side.axes
    held = 0
    random = np.zeros(axes, dtype=np.float32)
    for action in actions:
        if held == 0 and rng.random() < noise / 5:
            held, random = 5, rng.uniform(-1, 1, axes).astype(np.float32)
        recorder.step(side, random if held else action, None, Driver.POLICY)
        held = max(0, held - 1)
    return recorder
