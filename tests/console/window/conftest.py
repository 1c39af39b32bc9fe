"""A session that is not there: a link that holds what a test gives it and keeps what it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from hardware.appearance import Link, Mesh, PropLook, SceneDescription, Table, View
from robot_rlhf.console.input.bindings import DEFAULT_BINDINGS
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.input.snapshot import Snapshot
from robot_rlhf.console.screens.model import Shared
from robot_rlhf.console.screens.modelling import Modeller
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.eyes import Eyes
from robot_rlhf.feedback.types import OperatorInput

PASS_NS = 4_000_000
_UPRIGHT = (0.0, 0.0, 0.0, 1.0)


def describe() -> SceneDescription:
    """Two links, one of them a tetrahedron, a cube, a view from behind the arm and one from its left."""
    corners = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.3]], "<f4")
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], "<u2")
    return SceneDescription(
        robot="test",
        task="pick_cube",
        goal="Put the cube on the mark.",
        links=(
            Link(name="base", parent=-1, origin_pos_m=(0.0, 0.0, 0.0), origin_quat_xyzw=_UPRIGHT),
            Link(
                name="arm",
                parent=0,
                origin_pos_m=(0.3, 0.0, 0.0),
                origin_quat_xyzw=_UPRIGHT,
                turned_by_joint=0,
            ),
        ),
        meshes=(Mesh(link=1, vertices=corners.tobytes(), triangles=faces.tobytes(), rgb=(0.9, 0.9, 0.9)),),
        props=(PropLook(name="cube", half_extents_m=(0.02, 0.02, 0.02), rgba=(0.9, 0.3, 0.1, 1.0)),),
        table=Table(low_m=(-0.2, -0.5), high_m=(1.0, 0.5)),
        workspace_low_m=(0.2, -0.3, 0.0),
        workspace_high_m=(0.7, 0.3, 0.5),
        max_speed_m_s=0.25,
        max_turn_rad_s=1.0,
        views=(
            View(name="front", target_m=(0.4, 0, 0.2), distance_m=1.4, azimuth_deg=180.0, elevation_deg=24.0),
            View(name="side", target_m=(0.4, 0, 0.2), distance_m=1.4, azimuth_deg=90.0, elevation_deg=24.0),
        ),
    )


def row(tool_x_m: float = 0.4) -> np.ndarray:
    made = np.zeros(26, np.float32)
    made[7:9] = 1.0
    made[9:12] = tool_x_m, 0.0, 0.2
    made[15] = made[25] = 1.0
    made[19:22] = 0.5, 0.0, 0.02
    return made


def moment(**changes: Any) -> m.Moment:
    """The policy drives an episode."""
    made = m.Moment(
        seq=1,
        time_ns=0,
        stage=m.Stage.EPISODE,
        phase=m.Phase.POLICY,
        episode=7,
        step=20,
        steps=100,
        recording=True,
        driver="",
        driving="",
        input_seq=0,
        scene=row().tobytes(),
        commanded_m_s=(0.05, 0.0, -0.02),
        achieved_m_s=(0.04, 0.0, -0.02),
        operator_steps=5,
        reward=0.3,
        limits=(),
        hold_reason="",
    )
    return replace(made, **changes)


def status(**changes: Any) -> m.Status:
    made = m.Status(
        demonstrations=3,
        demonstrations_planned=3,
        episodes=2,
        episodes_planned=20,
        pairs_waiting=0,
        marks=(),
        interventions=(),
        evaluations=(),
        counts={},
        operator_s=0.0,
        learner="",
        updates=0,
        reward_version=0,
        self_agreement=None,
        consoles=("ada",),
        overruns=0,
        report="",
        run="",
    )
    return replace(made, **changes)


class FakeLink:
    """The attributes and methods of `feedback.link.OperatorLink`. `told` is what it was told, in order;
    `inputs` the hands of every pass."""

    def __init__(self, description: SceneDescription) -> None:
        self.address, self.name, self.watches = "tcp://127.0.0.1:1", "ada", False
        self.moment: m.Moment | None = moment()
        self.status: m.Status | None = status()
        self.welcome: m.Welcome | None = m.Welcome(
            console="mine",
            session="s",
            task="pick_cube",
            goal=description.goal,
            description=description,
            objects=("cube",),
            uses_gripper=True,
            control_hz=10.0,
            full_speed_m_s=0.15,
            drive_port=1,
            stop_port=2,
            watch_port=3,
            latch_allowed=True,
            moment=moment(),
            status=status(),
            news=(),
        )
        self.news: deque[m.News] = deque()
        self.reports: deque[dict[str, Any]] = deque()
        self.pairs: list[m.Pair] = []
        self.episode_lines: tuple[m.EpisodeLine, ...] = ()
        self.refusal, self.rejection, self.drops, self.unsaved = "", "", 0, 0
        self.connected, self.state_age_s = True, 0.01
        self.round_trip_ms: tuple[float, float] | None = (2.0, 8.0)
        self.told: list[tuple[Any, ...]] = []
        self.inputs: list[tuple[OperatorInput, bool]] = []
        self.eyes = Eyes(None)
        self._events = 0

    def now(self, **changes: Any) -> None:
        """Change the moment."""
        assert self.moment is not None
        self.moment = replace(self.moment, seq=self.moment.seq + 1, **changes)

    def stands(self, **changes: Any) -> None:
        """Change the status."""
        assert self.status is not None
        self.status = replace(self.status, **changes)

    def silence(self) -> None:
        """As before the session has answered."""
        self.welcome = self.moment = self.status = None
        self.connected, self.round_trip_ms = False, None

    def _event(self, *told: Any) -> str:
        self.told.append(told)
        self._events += 1
        return f"event-{self._events}"

    def service(self) -> None:
        pass

    def refresh_episodes(self) -> None:
        pass

    def episode(self, id: int) -> None:
        return None

    def hands(self, given: OperatorInput, attending: bool) -> None:
        self.inputs.append((given, attending))

    def stop(self) -> None:
        self.told.append(("stop", len(self.inputs)))

    def wish(self, wish: m.Wish) -> None:
        self.told.append(("wish", wish))

    def press(self, good: bool) -> str:
        assert self.moment is not None
        return self._event("press", good) if self.moment.stage is m.Stage.EPISODE else ""

    def mark(self, episode: int, success: bool) -> str:
        return self._event("mark", episode, success)

    def undo(self, target: str) -> str:
        return self._event("undo", target)

    def leave(self) -> None:
        self.told.append(("leave",))

    def close(self) -> None:
        self.told.append(("close",))


@dataclass
class Desk:
    """A screen's surroundings with time that passes in `step` only."""

    link: FakeLink
    shared: Shared = field(default_factory=Shared)
    now_ns: int = 1_000_000_000

    def __post_init__(self) -> None:
        link: Any = self.link
        self.modeller = Modeller(link, self.shared, DEFAULT_BINDINGS)

    def step(
        self,
        screen: Any,
        commands: Commands | None = None,
        *,
        keys: tuple[str, ...] = (),
        passes: int = 1,
        **snapshot: Any,
    ) -> None:
        """Passes of 4 ms with these commands; what they fire is fired once."""
        commands = commands or Commands()
        for index in range(passes):
            self.now_ns += PASS_NS
            seen = Snapshot(self.now_ns, keys=frozenset(keys), **snapshot)
            given = commands if index == 0 else _held(commands)
            self.modeller.update(seen, given, self.now_ns, attending=True, latched=False)
            screen.update(given, self.link, self.now_ns)

    def wait(self, screen: Any, seconds: float) -> None:
        self.step(screen, passes=round(seconds * 1e9 / PASS_NS))


def _held(commands: Commands) -> Commands:
    return Commands(
        stick=commands.stick, grip=commands.grip, takeover=commands.takeover, holding=commands.holding
    )


@pytest.fixture(scope="session")
def description() -> SceneDescription:
    return describe()


@pytest.fixture
def link(description: SceneDescription) -> FakeLink:
    return FakeLink(description)


@pytest.fixture
def desk(link: FakeLink) -> Desk:
    return Desk(link)


@pytest.fixture
def tool_at() -> Callable[[float], bytes]:
    """The scene with the tool at some x."""
    return lambda x_m: row(x_m).tobytes()
