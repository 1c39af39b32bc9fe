"""One episode in real time whose policy is swapped for newer ones while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.messages import Phase
from robot_rlhf.feedback.types import Kind, OperatorInput
from robot_rlhf.learning.snapshot import Snapshot
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.drive import Drive
from robot_rlhf.session.learner import Learner
from robot_rlhf.session.live_episode import LiveEpisode
from sim.env import TaskEnv
from sim.world import TIMESTEP_NS

STEPS_A_TICK = 20


@pytest.fixture(scope="module")
def env() -> Iterator[TaskEnv]:
    env = TaskEnv("reach")
    yield env
    env.close()


@dataclass
class Policies:
    """Policies that always say the same, by what they say."""

    arrays: dict[str, np.ndarray]
    axes: int

    def saying(self, speed: float, version: int) -> tuple[Snapshot, bytes]:
        arrays = {name: value.copy() for name, value in self.arrays.items()}
        last = sum(name.startswith("deployed.biases.") for name in arrays) - 1
        arrays[f"deployed.weights.{last}"][:] = 0.0
        arrays[f"deployed.biases.{last}"][: self.axes] = np.arctanh(speed)
        arrays["version"][:] = version
        snapshot = Snapshot.of(arrays)
        return snapshot, snapshot.to_bytes()


@pytest.fixture(scope="module")
def policies(env: TaskEnv, tiny: Callable[..., RunConfig]) -> Policies:
    return Policies(dict(Learner(tiny(), env.obs_size, env.axes).snapshot().tensors), env.axes)


class Run:
    """The episode, with a clock of its own and one person's hands."""

    def __init__(self, env: TaskEnv, first: tuple[Snapshot, bytes]) -> None:
        env.reset(seed=1)
        self.env, self.ns, self._seq = env, 0, 0
        self.drive = Drive(env, Phase.POLICY, 0)
        self.drive.enter("ann", "Ann")
        self.hands(takes=False)
        self.episode = LiveEpisode(
            env,
            self.drive,
            id=0,
            role=Role.ONLINE,
            seed=1,
            horizon=100,
            kinds=frozenset(Kind),
            snapshot=first[0],
            packed=first[1],
            explore=None,
        )
        self.episode.begin_tick(self.ns)

    def hands(self, takes: bool) -> None:
        self._seq += 1
        self.drive.hands("ann", self._seq, OperatorInput(stick=(0.0, 0.5, 0.0), takeover=takes), self.ns)

    def steps(self, count: int, newer: tuple[Snapshot, bytes] | None = None, takes: bool = False) -> None:
        """So many policy steps; `newer` drives from the end of the first."""
        for _ in range(count):
            for _ in range(STEPS_A_TICK):
                self.hands(takes)
                self.env.cell.advance(TIMESTEP_NS)
                self.ns += TIMESTEP_NS
                self.drive.advance(self.ns)
                self.episode.stepped()
            self.episode.end_tick()
            if newer is not None:
                self.episode.swap(*newer)
            self.episode.begin_tick(self.ns)


def test_a_newer_policy_drives_from_the_next_step_on(env: TaskEnv, policies: Policies) -> None:
    run = Run(env, policies.saying(0.2, version=7))
    run.steps(3, newer=policies.saying(-0.4, version=9))
    run.steps(2)
    episode = run.episode.close("reach")
    assert episode is not None
    said = np.array([0.2, *[-0.4] * 4], np.float32)
    assert episode.proposed == pytest.approx(np.repeat(said[:, None], env.axes, axis=1), abs=1e-5)
    assert episode.action == pytest.approx(episode.proposed, abs=1e-5)
    assert episode.policy_version == 7, "the one that it began with"


def test_a_takeover_is_compared_with_the_policy_that_it_was_taken_from(
    env: TaskEnv, policies: Policies
) -> None:
    first, second, third = (policies.saying(speed, version=1) for speed in (0.1, 0.2, 0.3))
    run = Run(env, first)
    run.steps(1, newer=second)
    run.steps(2)
    where = env.robot.read().joint_pos_rad
    run.steps(3, newer=third, takes=True)  # newer ones come while the operator drives
    run.steps(6)
    run.steps(2, takes=True)
    run.episode.close("reach")
    one, other = run.episode.takeovers
    assert (one.start, one.policy) == (3, second[1])
    assert other.policy == third[1]
    assert one.state is not None
    env.restore(one.state)
    assert env.robot.read().joint_pos_rad == pytest.approx(where, abs=1e-6)
