"""An arm at its table: what a task's environment stands on, simulated here or served elsewhere.

Time is the cell's own. In a simulation it passes when somebody lets it; at a real arm it passes anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hardware.robot import Command, Robot, Source
from sim.arm import SimArm
from sim.arms.model import ArmModel
from sim.arms.panda import PANDA
from sim.pictures import Seer
from sim.randomise import NOMINAL, Variation
from sim.task import Layout, Prop
from sim.world import SimState, World

Array = NDArray[np.float64]

_CLOSING_NS = 500_000_000  # how long an open hand closes
_CLOSING_VALID_S = 0.2


class Cell(Protocol):
    """An arm, what lies before it, and how a start comes about."""

    @property
    def robot(self) -> Robot:
        """The arm."""
        ...

    @property
    def lays_out(self) -> bool:
        """Whether `lay_out` puts arm and things at a start; otherwise a person does."""
        ...

    @property
    def saves(self) -> bool:
        """Whether a moment can be gone back to."""
        ...

    @property
    def follows_at_once(self) -> bool:
        """Whether what `Robot.send` says it applied is what the arm does until the next command."""
        ...

    @property
    def stopped(self) -> str:
        """Why the arm itself is stopped until `clear`, in words; empty where it is not."""
        ...

    @property
    def armed(self) -> bool:
        """Whether it would follow a command, were it not stopped; `arm` lets it."""
        ...

    @property
    def trouble(self) -> str:
        """Why nothing is known of the arm at this moment, in words; empty where something is."""
        ...

    @property
    def stop_address(self) -> str:
        """Where others can tell the arm's host to stop, tcp://HOST:PORT; empty where there is no host."""
        ...

    @property
    def cameras(self) -> Mapping[str, str]:
        """Where cameras beside it publish, tcp://HOST:PORT by name."""
        ...

    @property
    def eyes(self) -> Seer | None:
        """What a policy sees with where those cameras look for it; None where its pictures are drawn."""
        ...

    def events(self) -> list[str]:
        """What the arm's host has told of since this was last asked, oldest first."""
        ...

    @property
    def needs_a_person(self) -> bool:
        """Whether it moves only while a person is heard of, by `present`."""
        ...

    def poses(self) -> Mapping[str, Array]:
        """name -> (7,) of every prop, in the task's order: position in m, quaternion xyzw."""
        ...

    def lay_out(self, layout: Layout, opening: float) -> None:
        """Put arm and things at the start `layout`, gripper at `opening`, as far as that is in its power."""
        ...

    def now_ns(self) -> int:
        """The time there."""
        ...

    def advance(self, duration_ns: int) -> None:
        """So much time has passed on the machine's clock: take in what it brought. Never waits."""
        ...

    def wait(self, duration_ns: int) -> None:
        """Return once so much time has passed there. Raises RobotError where the arm is stopped or nothing is
        known of it: whoever waits takes it to have moved."""
        ...

    def rest(self) -> None:
        """Zero velocity now; the next command is followed again. Never waits and never raises."""
        ...

    def halt(self) -> None:
        """Stop, and stay stopped until `clear`. Never waits and never raises."""
        ...

    def clear(self) -> None:
        """Clear a stop, where the arm lets itself be cleared. Never waits."""
        ...

    def arm(self) -> None:
        """Let the arm move, on a person's word. Never waits."""
        ...

    def present(self) -> None:
        """A person is there. Never waits."""
        ...

    def save(self) -> SimState:
        """This moment, to go back to. Raises RobotError where that cannot be."""
        ...

    def restore(self, state: SimState) -> None:
        """Go on from `state`. Raises RobotError where that cannot be."""
        ...

    def close(self) -> None:
        """Stop, and let go of everything; twice is fine."""
        ...


class SimCell:
    """A simulated arm and a task's props, in physics that move when they are told to."""

    lays_out = saves = follows_at_once = armed = True
    needs_a_person = False
    stopped = trouble = stop_address = ""
    cameras: Mapping[str, str] = MappingProxyType({})
    eyes = None

    def __init__(self, props: tuple[Prop, ...], model: ArmModel = PANDA) -> None:
        self._props, self._model = props, model
        self._variation = NOMINAL
        self._build(props)

    def _build(self, props: tuple[Prop, ...]) -> None:
        self.world = World(props)
        self.robot = SimArm(self.world, self._model)
        self.world.seal()

    def vary(self, variation: Variation) -> None:
        """Have the things as they are in one episode, before it is laid out. Other sizes are another world:
        `world` and `robot` are new ones then."""
        before, self._variation = self._variation, variation
        if variation == before == NOMINAL:
            return
        props = tuple(variation.prop(prop) for prop in self._props)
        if variation.size != before.size:
            self.world.close()
            self._build(props)
        for prop in props:
            if not (prop.is_marker or prop.fixed):
                self.world.make_of(prop)

    def poses(self) -> Mapping[str, Array]:
        return self.world.poses()

    def lay_out(self, layout: Layout, opening: float) -> None:
        self.world.rewind()
        self.robot.reset(layout.tool_pos_m)
        for name, pose in layout.poses.items():
            self.world.place(name, pose)
        if opening < 1.0:
            self.robot.send(Command(0, np.zeros(6), opening, _CLOSING_VALID_S, Source.SCRIPT))
            self.wait(_CLOSING_NS)

    def now_ns(self) -> int:
        return self.world.now_ns()

    def advance(self, duration_ns: int) -> None:
        self.world.wait_until(self.world.now_ns() + duration_ns)

    wait = advance

    def rest(self) -> None:
        self.robot.stop()

    halt = rest

    def events(self) -> list[str]:
        return []

    def clear(self) -> None:
        """Nothing but what commands it stops this arm."""

    arm = present = clear

    def save(self) -> SimState:
        return self.world.save()

    def restore(self, state: SimState) -> None:
        self.world.restore(state)

    def close(self) -> None:
        self.world.close()
