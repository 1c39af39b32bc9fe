"""Pictures of every screen of the console, drawn off-screen by the console's own code from canned data.

python -m benchmarks.screenshots --out shots                 # 1280x800, and 2560x1600 at scale 2
python -m benchmarks.screenshots --out shots --size 960x600 --scale 1 --only drive
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

import pygame

from benchmarks.canned import CannedLink, Footage, film, moment
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.stamps import Stock
from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.input.bindings import DEFAULT_BINDINGS
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.input.snapshot import Family, PadState, Snapshot
from robot_rlhf.console.screens.bind.screen import BindScreen
from robot_rlhf.console.screens.chrome import draw_window
from robot_rlhf.console.screens.drive.screen import DriveScreen
from robot_rlhf.console.screens.help import HelpScreen
from robot_rlhf.console.screens.model import Screen, Shared
from robot_rlhf.console.screens.modelling import Modeller
from robot_rlhf.console.screens.prefer.screen import PreferScreen
from robot_rlhf.console.screens.review.screen import ReviewScreen
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.link import OperatorLink, Report
from robot_rlhf.feedback.types import Outcome

SIZES: tuple[tuple[tuple[int, int], float], ...] = (((1280, 800), 1.0), ((2560, 1600), 2.0))
PASS_NS = 20_000_000
XBOX = PadState(id=1, name="Wireless Controller", family=Family.XBOX, battery="medium")
PLAYSTATION = PadState(id=2, name="Pad", family=Family.PLAYSTATION, battery="low")


class Stage:
    """One screen on a canned link, with time that passes as told."""

    def __init__(self, footage: Footage, make: Callable[[Shared], Screen], pad: PadState | None) -> None:
        self.link = CannedLink(footage)
        self.shared = Shared()
        self.pad = pad
        self.now_ns = 1_000_000_000_000
        typed = cast(OperatorLink, self.link)
        self._modeller = Modeller(typed, self.shared, DEFAULT_BINDINGS)
        self.screen = make(self.shared)
        self._typed = typed
        self._pass(Commands())
        self.screen.enter(typed, self.now_ns)

    def play(self, seconds: float, commands: Commands | None = None) -> None:
        """Passes for so long; what is fired is fired with the first. The screen was seen before."""
        self.screen.draw(Canvas(pygame.Surface((320, 200), 0, 32), Stock(1.0)))
        device = self.pad.name if self.pad is not None else "keyboard"
        commands = commands or Commands()
        fired, rest = (
            commands.fired,
            Commands(
                stick=commands.stick,
                grip=commands.grip,
                takeover=commands.takeover,
                holding=commands.holding,
                problem=commands.problem,
                device=device,
            ),
        )
        self._pass(Commands(fired=fired, holding=commands.holding, device=device))
        for _ in range(round(seconds * 1e9 / PASS_NS)):
            self._pass(rest)

    def _pass(self, commands: Commands) -> None:
        self.now_ns += PASS_NS
        snapshot = Snapshot(self.now_ns, pad=self.pad)
        self._modeller.update(snapshot, commands, self.now_ns, attending=True, latched=False)
        self.screen.update(commands, self._typed, self.now_ns)

    def drive_on(self, start: int, steps: int) -> None:
        """Moments of the episode one after another, with a reward each."""
        for step in range(start, start + steps):
            reward = 1.4 * step / 60 - 0.8 + 0.35 * ((step * 7) % 5 - 2) / 2
            now = moment(self.link.footage, step)
            self.link.look(
                step=step,
                scene=now.scene,
                commanded_m_s=now.commanded_m_s,
                achieved_m_s=now.achieved_m_s,
                reward=reward,
            )
            self.play(PASS_NS / 1e9)


@dataclass(frozen=True)
class Shot:
    """A picture's name and how its stage is set."""

    name: str
    make: Callable[[Footage], Stage]


def _drive(footage: Footage, pad: PadState | None = XBOX, *, guide: bool = False) -> Stage:
    stage = Stage(footage, lambda shared: DriveScreen(shared, guide=guide), pad)
    stage.drive_on(1, 17)
    return stage


def drive_policy(footage: Footage) -> Stage:
    stage = _drive(footage)
    stage.play(2.0, Commands(fired=(Action.GOOD,)))
    return stage


def drive_human(footage: Footage) -> Stage:
    stage = _drive(footage)
    stage.link.look(
        phase=m.Phase.OPERATOR, driver="ada", driving="canned", operator_steps=11, limits=("workspace",)
    )
    stage.play(0.5, Commands(takeover=True, stick=(0.4, 0.0, -0.3)))
    return stage


def drive_ready(footage: Footage) -> Stage:
    stage = _drive(footage, None, guide=True)
    stage.link.look(stage=m.Stage.READY, phase=m.Phase.HOLD, step=0, reward=None, recording=False)
    stage.link.stand(demonstrations=1, episodes=0, marks=(), evaluations=(), pairs_waiting=0)
    stage.link.news.clear()
    stage.play(0.5)
    return stage


def drive_mark(footage: Footage) -> Stage:
    stage = _drive(footage, PLAYSTATION)
    stage.link.look(stage=m.Stage.MARK, phase=m.Phase.HOLD, step=0, steps=0, recording=False)
    stage.play(0.3, Commands(holding={Action.SUCCESS: 0.6}))
    return stage


def drive_marked(footage: Footage) -> Stage:
    stage = _drive(footage, guide=True)
    stage.link.look(stage=m.Stage.MARK, phase=m.Phase.HOLD, step=0, steps=0, recording=False)
    stage.play(1.0, Commands(fired=(Action.SUCCESS,)))
    said = cast(DriveScreen, stage.screen).state.said
    assert said is not None
    event = Outcome(id=said.event, operator="ada", session="s", time_ns=0, episode=14, success=True)
    stage.link.reports.append(Report(id=said.event, what=event, reason=""))
    stage.play(1.0)
    return stage


def drive_stopped(footage: Footage) -> Stage:
    stage = _drive(footage)
    stage.link.look(phase=m.Phase.STOPPED, hold_reason="stopped by the operator")
    stage.play(0.3)
    return stage


def drive_problem(footage: Footage) -> Stage:
    stage = _drive(footage, None)
    stage.link.look(phase=m.Phase.HOLD, hold_reason="")
    words = "The window lost the focus: let go of everything, then press take over"
    stage.play(0.3, Commands(problem=words))
    return stage


def searching(footage: Footage) -> Stage:
    stage = _drive(footage)
    stage.link.welcome = stage.link.moment = stage.link.status = None
    stage.link.connected, stage.link.round_trip_ms = False, None
    stage.play(0.1)
    return stage


def silent(footage: Footage) -> Stage:
    stage = _drive(footage)
    stage.link.connected, stage.link.state_age_s, stage.link.unsaved = False, 4.3, 2
    stage.play(0.1)
    return stage


def rejected(footage: Footage) -> Stage:
    stage = silent(footage)
    stage.link.rejection = "the server at tcp://192.168.0.7:7500 refused this key: unknown there, or revoked"
    stage.play(0.5)
    return stage


def _plain(make: Callable[[Shared], Screen], seconds: float = 1.6) -> Callable[[Footage], Stage]:
    def setting(footage: Footage) -> Stage:
        stage = Stage(footage, make, XBOX)
        stage.play(seconds)
        return stage

    return setting


def prefer_answered(footage: Footage) -> Stage:
    stage = Stage(footage, PreferScreen, XBOX)
    stage.play(1.6)
    stage.play(0.1, Commands(fired=(Action.CHOOSE_LEFT,)))
    stage.play(1.1)
    return stage


SHOTS = (
    Shot("drive", drive_policy),
    Shot("drive_human", drive_human),
    Shot("drive_ready_guide", drive_ready),
    Shot("drive_mark_hold", drive_mark),
    Shot("drive_marked_guide", drive_marked),
    Shot("drive_stopped", drive_stopped),
    Shot("drive_problem", drive_problem),
    Shot("searching", searching),
    Shot("silent", silent),
    Shot("rejected", rejected),
    Shot("prefer", _plain(PreferScreen)),
    Shot("prefer_answered", prefer_answered),
    Shot("review", _plain(ReviewScreen)),
    Shot("help", _plain(HelpScreen)),
    Shot("bind", _plain(BindScreen)),
)


def shots(names: str) -> Iterator[Shot]:
    """Those whose names begin so."""
    found = [shot for shot in SHOTS if shot.name.startswith(names)]
    if not found:
        raise SystemExit(f"no picture begins with {names!r}: there are {', '.join(s.name for s in SHOTS)}")
    yield from found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the PNG files")
    parser.add_argument("--size", help="WIDTHxHEIGHT in pixels instead of both sizes")
    parser.add_argument("--scale", type=float, default=1.0, help="UI scale that goes with --size")
    parser.add_argument("--only", default="", help="only pictures whose names begin so")
    options = parser.parse_args()
    sizes = SIZES
    if options.size:
        width, height = (int(number) for number in options.size.split("x"))
        sizes = (((width, height), options.scale),)
    pygame.display.init()
    pygame.font.init()
    pygame.display.set_mode((64, 64))
    footage = film()
    options.out.mkdir(parents=True, exist_ok=True)
    for shot in shots(options.only):
        stage = shot.make(footage)
        for size, scale in sizes:
            surface = pygame.Surface(size, 0, 32)
            draw_window(Canvas(surface, Stock(scale)), stage.shared, stage.screen)
            path = options.out / f"{shot.name}-{size[0]}x{size[1]}@{scale:g}.png"
            pygame.image.save(surface, path)
            print(path)


if __name__ == "__main__":
    main()
