"""The console's window: hands in, pictures out, and the way between them as short as it can be.

The main thread takes input 250 times a second, a press at once, and says it to the session before it does
anything else; a second thread draws (`renderer.py`). The main thread only shows what is finished.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pygame

from hardware.security import ClientSecurity
from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.renderer import Renderer
from robot_rlhf.console.input.actions import Action, Context
from robot_rlhf.console.input.bindings import Bindings
from robot_rlhf.console.input.bindings_file import load_bindings
from robot_rlhf.console.input.controls import Commands, Controls
from robot_rlhf.console.input.devices import Devices
from robot_rlhf.console.input.signals import Signal, Signals
from robot_rlhf.console.pacing import Pacing
from robot_rlhf.console.screens import chrome
from robot_rlhf.console.screens.bind.screen import BindScreen
from robot_rlhf.console.screens.drive.screen import DriveScreen
from robot_rlhf.console.screens.help import HelpScreen
from robot_rlhf.console.screens.model import Screen, Shared
from robot_rlhf.console.screens.modelling import Modeller
from robot_rlhf.console.screens.prefer.screen import PreferScreen
from robot_rlhf.console.screens.review.screen import ReviewScreen
from robot_rlhf.feedback.link import OperatorLink
from robot_rlhf.feedback.types import OperatorInput

_UNSEEN = ("offscreen", "dummy", "evdev")  # what SDL falls back to where it finds no screen
_SWITCH_S = 0.0005  # how long the other thread may keep the interpreter while input waits


@dataclass(frozen=True)
class WindowOptions:
    """How the window looks and sounds. `scale` None: fitted to the window. `latched`: a press of takeover
    turns it on and another off, where the session allows that. `bindings` and `pads` are files other than
    the user's own."""

    size: tuple[int, int] = theme.DESIGN_SIZE
    scale: float | None = None
    fullscreen: bool = False
    guide: bool = False
    latched: bool = False
    sound: bool = True
    bindings: Path | None = None
    pads: Path | None = None


class ConsoleApp:
    """The window on a link, from `__init__` (it opens) to `close`. One object a process; everything but
    the drawing happens on the thread that made it. Call `step` and `wait` in turn, or `run`.
    """

    def __init__(self, link: OperatorLink, options: WindowOptions | None = None) -> None:
        self.link, self.options = link, options or WindowOptions()
        self.shared = Shared()
        self.closed = False
        """Whether the operator has closed the window."""
        self._gone, self._frames, self._turns = False, 0, 0
        self._open_window()
        loaded = load_bindings(self.options.bindings)
        self._devices, self._pacing = Devices(self.options.pads), Pacing()
        self.shared.teach = self._devices.teach
        self._controls = Controls(loaded.bindings)
        self._signals = Signals(self._devices.rumble, sounds=self.options.sound)
        self._modeller = Modeller(link, self.shared, loaded.bindings)
        self._drive = DriveScreen(self.shared, guide=self.options.guide)
        screens: tuple[Screen, ...] = (
            self._drive,
            PreferScreen(self.shared),
            ReviewScreen(self.shared),
            HelpScreen(self.shared),
            BindScreen(self.shared, self.options.bindings),
        )
        self.screens: Mapping[Context, Screen] = {screen.context: screen for screen in screens}
        self._shown = Context.DRIVE
        self._back = Context.DRIVE
        self._latched = False
        for complaint in (*([loaded.complaint] if loaded.complaint else []), *self._devices.complaints):
            self.shared.notify(complaint, bad=True)
        self._renderer = Renderer(self._paint, pygame.display.get_window_size(), self._scale())
        self._renderer.start()
        self._switch_s = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)

    # -- the window ------------------------------------------------------------------------------------

    def _open_window(self) -> None:
        # Without a GPU SDL would push every picture through OpenGL in software, which takes twenty times
        # as long as handing it to the window system.
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
        os.environ.setdefault("SDL_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR", "0")
        pygame.display.init()
        if pygame.display.get_driver() in _UNSEEN and "SDL_VIDEODRIVER" not in os.environ:
            raise OSError(errno.ENODEV, "the screen cannot be reached: is DISPLAY right?")
        pygame.font.init()
        pygame.display.set_caption("robot-rlhf")
        flags = pygame.FULLSCREEN if self.options.fullscreen else pygame.RESIZABLE
        size = (0, 0) if self.options.fullscreen else self.options.size
        window = pygame.display.set_mode(size, flags)
        window.fill(theme.BACKGROUND)
        pygame.display.flip()

    def _scale(self) -> float:
        if self.options.scale is not None:
            return theme.checked_scale(self.options.scale)
        return theme.fitting_scale(pygame.display.get_window_size())

    @property
    def shown(self) -> Context:
        """The screen that is shown."""
        return self._shown

    @property
    def frames(self) -> int:
        """Pictures shown so far."""
        return self._frames

    @property
    def passes_skipped(self) -> int:
        """Passes that could not be made in time so far."""
        return self._pacing.overruns

    def show(self, context: Context) -> None:
        """Go to a screen."""
        if context is self._shown:
            return
        if self._shown not in (Context.HELP, Context.BIND):
            self._back = self._shown
        self._shown = context
        self.link.eyes.look_at(())  # the Drive screen looks again
        self.screens[context].enter(self.link, time.monotonic_ns())
        self._renderer.wake()

    # -- one pass --------------------------------------------------------------------------------------

    def step(self) -> None:
        """One pass: hands to the session first, then everything else. Raises what the drawing raised."""
        now_ns = time.monotonic_ns()
        events = self._pacing.events()
        snapshot = self._devices.poll(events, now_ns)
        commands = self._controls.update(snapshot, self._shown)
        if Action.STOP in commands.fired:
            self.link.stop()
        attending = self._shown is Context.DRIVE and snapshot.focus
        if not commands.takeover:  # whoever drives keeps the directions that they began with
            self._turns = self._drive.quarter_turns
        self.link.hands(_input(commands, self._turns), attending)
        self.link.service()
        self._modeller.update(snapshot, commands, now_ns, attending=attending, latched=self._latched)
        self._tell()
        self._window_events(events)
        self._route(commands, now_ns)
        self._show_frame()
        self._pacing.calm = not self.link.connected
        self._renderer.keep_calm(self._pacing.calm and self._shown in chrome.ROUND)

    def wait(self) -> None:
        """Until it is time for the next pass."""
        self._pacing.wait()

    def _tell(self) -> None:
        for signal in self._modeller.signals():
            self._signals.give(signal)
        welcome = self.link.welcome
        latched = self.options.latched and welcome is not None and welcome.latch_allowed
        if latched != self._latched:
            self._latched = latched
            self._controls = Controls(self._controls.bindings, latched=latched)

    def _window_events(self, events: list[pygame.event.Event]) -> None:
        for event in events:
            if event.type == pygame.QUIT or _asks_to_close(event, self._controls.bindings):
                self.closed = True
            elif event.type in (pygame.WINDOWSIZECHANGED, pygame.VIDEORESIZE):
                self._renderer.resize(pygame.display.get_window_size(), self._scale())

    def _route(self, commands: Commands, now_ns: int) -> None:
        screen = self.screens[self._shown]
        if Action.STOP in commands.fired:
            self.shared.notify("STOP was sent", bad=True)
            self._signals.give(Signal.STOPPED)
        if commands.unclear:
            label = self.shared.model.label(commands.unclear[0])
            self.shared.refuse(f"This window was too slow to see how long {label} was held: once more")
        captures = screen.captures
        screen.update(commands, self.link, now_ns)
        if not captures:
            if Action.SCREEN in commands.fired:
                self.show(self._next())
            if Action.TO_ARM in commands.fired:
                self.show(Context.DRIVE)
            if Action.HELP in commands.fired:
                away = self._shown in (Context.HELP, Context.BIND)
                self.show(self._back if away else Context.HELP)
        if self.shared.wanted is not None:
            wanted, self.shared.wanted = self.shared.wanted, None
            self.show(wanted)
        if self.shared.new_bindings is not None:
            bindings, self.shared.new_bindings = self.shared.new_bindings, None
            self._controls.rebind(bindings)
            self._modeller.bindings = bindings

    def _next(self) -> Context:
        """Round the screens; from help on to the buttons."""
        if self._shown is Context.HELP:
            return Context.BIND
        if self._shown is Context.BIND:
            return self._back
        return chrome.ROUND[(chrome.ROUND.index(self._shown) + 1) % len(chrome.ROUND)]

    def _show_frame(self) -> None:
        frame = self._renderer.take()
        if frame is None:
            return
        window = pygame.display.get_surface()
        if window is not None and window.get_size() == frame.surface.get_size():
            window.blit(frame.surface, (0, 0))
            pygame.display.flip()
            self._frames += 1
        self._renderer.done(frame)

    # -- pictures --------------------------------------------------------------------------------------

    def _paint(self, canvas: Canvas) -> None:
        """On the render thread: the strip, the screen, and what lies over it."""
        chrome.draw_window(canvas, self.shared, self.screens[self._shown])

    # -- the whole -------------------------------------------------------------------------------------

    def run(self) -> None:
        """Pass after pass until the operator closes the window."""
        gc.collect()
        gc.freeze()  # what lives from here on is little, so that collecting it is quick
        while not self.closed:
            self.step()
            self.wait()

    def close(self) -> None:
        """Leave the session, as an operator who goes, and close the window. Twice is fine."""
        if self._gone:
            return
        self.closed = self._gone = True
        sys.setswitchinterval(self._switch_s)
        self._renderer.close()
        self.link.leave()
        self._signals.close()
        self._devices.close()
        pygame.display.quit()


def _input(commands: Commands, quarter_turns: int) -> OperatorInput:
    """The hands in the base frame: the stick's x points away from the viewer, whichever view is shown."""
    x, y, z = commands.stick
    for _ in range(quarter_turns):
        x, y = -y, x
    return OperatorInput(stick=(x, y, z), yaw=commands.yaw, grip=commands.grip, takeover=commands.takeover)


def _asks_to_close(event: pygame.event.Event, bindings: Bindings) -> bool:
    """Ctrl+Q, with a Ctrl that means nothing else."""
    if event.type != pygame.KEYDOWN or event.key != pygame.K_q:
        return False
    bound = set().union(*bindings.keys.values())
    sides = ((pygame.KMOD_LCTRL, "left ctrl"), (pygame.KMOD_RCTRL, "right ctrl"))
    return any(event.mod & side and name not in bound for side, name in sides)


def run_console(
    address: str,
    name: str,
    *,
    security: ClientSecurity | None = None,
    watches: bool = False,
    options: WindowOptions | None = None,
) -> int:
    """Open the window on the session at `address` (tcp://HOST:PORT) and return when the operator closes
    it: 0. `name` is the operator's. Raises OSError or pygame.error where there is no screen."""
    link = OperatorLink(address, name, watches=watches, security=security)
    try:
        app = ConsoleApp(link, options)
    except BaseException:
        link.close()
        raise
    try:
        with contextlib.suppress(KeyboardInterrupt):
            app.run()
    finally:
        app.close()
    return 0
