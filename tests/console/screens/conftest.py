"""A stage for one screen: a link that records what is said, a model of a small scene, a clock of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pygame
import pytest

from hardware.appearance import Link, Mesh, PropLook, SceneDescription, Table, View
from robot_rlhf.console.drawing.canvas import Canvas, Stock
from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.input.snapshot import Snapshot
from robot_rlhf.console.scene.orbit import Orbit, Pointer
from robot_rlhf.console.screens.model import Model, Shared
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.types import Choice, Query, Segment

STEP_NS = 4_000_000
HZ = 10.0

_MESH = Mesh(
    link=0,
    vertices=np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.4]], "<f4").tobytes(),
    triangles=np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], "<u2").tobytes(),
    rgb=(0.9, 0.9, 0.9),
)
DESCRIPTION = SceneDescription(
    robot="stick",
    task="pick",
    goal="Pick up the cube.",
    links=(Link(name="base", parent=-1, origin_pos_m=(0, 0, 0), origin_quat_xyzw=(0, 0, 0, 1)),),
    meshes=(_MESH,),
    props=(PropLook(name="cube", half_extents_m=(0.02, 0.02, 0.02), rgba=(0.8, 0.3, 0.0, 1.0)),),
    table=Table(low_m=(-0.5, -0.5), high_m=(0.5, 0.5)),
    workspace_low_m=(-0.3, -0.3, 0.0),
    workspace_high_m=(0.3, 0.3, 0.5),
    max_speed_m_s=0.5,
    max_turn_rad_s=1.0,
    views=(View(name="front", target_m=(0, 0, 0.1), distance_m=1.2, azimuth_deg=30, elevation_deg=25),),
)


def rows(count: int) -> np.ndarray:
    """A hand that opens and closes, a cube that slides."""
    made = np.zeros((count, 26), dtype="<f4")
    made[:, 7] = np.linspace(1.0, 0.5, count)
    made[:, 8] = np.arange(count) < count / 2
    made[:, (15, 25)] = 1.0
    made[:, 19] = np.linspace(0.0, 0.2, count)
    return made


def clip(episode: int, steps: int, drivers: bytes | None = None) -> m.Clip:
    made = rows(steps + 1)
    driver = drivers or bytes(steps)
    return m.Clip(segment=Segment(episode, 0, steps), count=len(made), rows=made.tobytes(), driver=driver)


def pair(name: str, left_steps: int = 20, right_steps: int = 15) -> m.Pair:
    left, right = clip(1, left_steps), clip(2, right_steps)
    return m.Pair(query=Query(name, left.segment, right.segment, "random"), left=left, right=right)


def line(episode: int, **fields: Any) -> m.EpisodeLine:
    common: dict[str, Any] = {
        **{"role": "online", "steps": 20, "operator_fraction": 0.0},
        **{"mark": None, "mark_id": "", "removed": False, "removed_id": ""},
    }
    return m.EpisodeLine(episode=episode, **{**common, **fields})


class FakeLink:
    """Says nothing to anybody: `said` is everything in order, each with the id it was given."""

    def __init__(self) -> None:
        self.said: list[tuple[str, ...]] = []
        self.answers: list[tuple[str, Choice, float, int]] = []
        self.pairs: list[m.Pair] = []
        self.episode_lines: tuple[m.EpisodeLine, ...] = ()
        self.episodes: dict[int, m.Episode] = {}
        self.asked: list[int] = []
        self.refreshed = 0
        self.watches = False

    def _say(self, *what: str) -> str:
        id = f"event-{len(self.said)}"
        self.said.append(what)
        return id

    def prefer(self, pair: m.Pair, choice: Choice, response_s: float, replays: int = 0) -> str:
        self.pairs = [other for other in self.pairs if other.query.id != pair.query.id]
        self.answers.append((pair.query.id, choice, response_s, replays))
        return self._say("prefer", pair.query.id, choice.value)

    def undo(self, target: str) -> str:
        return self._say("undo", target)

    def mark(self, episode: int, success: bool) -> str:
        return self._say("mark", str(episode), "success" if success else "failure")

    def remove(self, episode: int) -> str:
        return self._say("remove", str(episode))

    def episode(self, id: int) -> m.Episode | None:
        self.asked.append(id)
        return self.episodes.get(id)

    def refresh_episodes(self) -> None:
        self.refreshed += 1


def status(**fields: Any) -> m.Status:
    common: dict[str, Any] = {
        **{"demonstrations": 1, "demonstrations_planned": 1, "episodes": 2, "episodes_planned": 9},
        **{"pairs_waiting": 2, "marks": (True,), "interventions": (0.1,), "evaluations": (), "counts": {}},
        **{"operator_s": 9.0, "learner": "", "updates": 0, "reward_version": 1, "self_agreement": 0.9},
        **{"consoles": ("Ada",), "overruns": 0, "report": "", "run": "run"},
    }
    return m.Status(**{**common, **fields})


def moment(stage: m.Stage = m.Stage.EPISODE) -> m.Moment:
    fields: dict[str, Any] = {
        **{"seq": 1, "time_ns": 1, "stage": stage, "phase": m.Phase.POLICY, "episode": 3, "step": 1},
        **{"steps": 20, "recording": True, "driver": "", "driving": "", "input_seq": 0},
        **{"scene": rows(1).tobytes(), "commanded_m_s": (0, 0, 0), "achieved_m_s": (0, 0, 0)},
        **{"operator_steps": 0, "reward": None, "limits": (), "hold_reason": ""},
    }
    return m.Moment(**fields)


def welcome() -> m.Welcome:
    fields: dict[str, Any] = {
        **{"console": "c", "session": "s", "task": "pick", "goal": DESCRIPTION.goal, "objects": ("cube",)},
        **{"description": DESCRIPTION, "uses_gripper": True, "control_hz": HZ, "full_speed_m_s": 0.15},
        **{"drive_port": 1, "stop_port": 2, "watch_port": 3, "latch_allowed": True},
        **{"moment": moment(), "status": status(), "news": ()},
    }
    return m.Welcome(**fields)


@dataclass
class Stage:
    """A screen on its own. `time_s` is what the clock shows; each pass of the main thread takes 4 ms."""

    link: FakeLink = field(default_factory=FakeLink)
    shared: Shared = field(
        default_factory=lambda: Shared(
            Model(
                now_ns=0,
                connected=True,
                address="tcp://somewhere:1",
                welcome=welcome(),
                moment=moment(),
                status=status(),
            )
        )
    )
    screen: Any = None
    now_ns: int = 1_000_000_000_000
    mouse: Pointer = field(default_factory=lambda: Pointer(False, 0, 0))

    clip = staticmethod(clip)
    pair = staticmethod(pair)
    line = staticmethod(line)
    status = staticmethod(status)
    moment = staticmethod(moment)

    def orbit(self) -> Orbit:
        """Looks at the mouse of this stage."""
        return Orbit(lambda: self.mouse)

    def show(self, screen: Any) -> None:
        """Enter a screen and give it one pass."""
        self.screen = screen
        screen.enter(self.link, self.now_ns)
        self.step()

    def know(self, **fields: Any) -> None:
        """Change the model."""
        self.shared.model = replace(self.shared.model, **fields)

    def step(self, *fired: Action, snapshot: Snapshot | None = None, **commands: Any) -> None:
        """One pass, in which these actions fired."""
        self.now_ns += STEP_NS
        bindings = self.shared.new_bindings or self.shared.model.bindings
        held = snapshot or Snapshot(self.now_ns)
        self.know(now_ns=self.now_ns, bindings=bindings, snapshot=replace(held, time_ns=self.now_ns))
        self.screen.update(Commands(fired=fired, **commands), self.link, self.now_ns)

    def run(self, seconds: float, **commands: Any) -> None:
        """Passes in which nothing fires."""
        for _ in range(round(seconds * 1e9 / STEP_NS)):
            self.step(**commands)

    def away(self, seconds: float) -> None:
        """Another screen is shown for so long."""
        self.now_ns += round(seconds * 1e9)
        self.screen.enter(self.link, self.now_ns)

    def painted(self, size: tuple[int, int] = (1280, 762), scale: float = 1.0) -> pygame.Surface:
        """A picture of the screen."""
        surface = pygame.Surface(size, 0, 32)
        self.screen.draw(Canvas(surface, Stock(scale)))
        return surface


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Fonts and surfaces, no window."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.font.init()
    yield Stage()


@pytest.fixture
def seen() -> Callable[[pygame.Surface], bytes]:
    """The pixels of a picture, to be compared."""
    return lambda surface: pygame.image.tobytes(surface, "RGB")
