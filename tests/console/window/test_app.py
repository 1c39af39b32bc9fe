"""The window as a whole: from SDL's events to the link, and from the link to the window."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pygame
import pytest
from msgspec.structs import replace

from robot_rlhf.console.app import ConsoleApp, WindowOptions, run_console
from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.renderer import Renderer
from robot_rlhf.console.input.actions import Action, Context
from robot_rlhf.console.input.virtual_pad import VirtualPad
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.types import OperatorInput

Link = Any
QUIET = WindowOptions(size=(960, 600), sound=False)


@pytest.fixture
def app(window: None, link: Link) -> Iterator[ConsoleApp]:
    app = ConsoleApp(link, QUIET)
    settle(app)
    yield app
    app.close()


def focus(has: bool) -> None:
    pygame.event.post(pygame.event.Event(pygame.WINDOWFOCUSGAINED if has else pygame.WINDOWFOCUSLOST))


def settle(app: ConsoleApp) -> None:
    """The window has the focus, and has had it for long enough that presses count."""
    focus(True)
    end = time.monotonic() + 0.15
    step_until(app, lambda: time.monotonic() > end)


def key(name: str, down: bool = True) -> None:
    kind = pygame.KEYDOWN if down else pygame.KEYUP
    pygame.event.post(pygame.event.Event(kind, key=pygame.key.key_code(name), mod=0, unicode="", scancode=0))


def shown(app: ConsoleApp) -> Context:
    return app.shown


def pixel(surface: Any, x: int, y: int) -> tuple[int, ...]:
    return tuple(surface.get_at((x, y)))[:3]


def tap(app: ConsoleApp, name: str) -> None:
    key(name)
    app.step()
    key(name, down=False)
    app.step()


def step_until(app: ConsoleApp, happened: Callable[[], bool], timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end, "it never happened"
        app.step()
        time.sleep(0.001)


# -- hands ------------------------------------------------------------------------------------------


def test_the_hands_are_said_in_the_pass_that_sees_them(app: ConsoleApp, link: Link) -> None:
    assert not link.inputs[-1][0].takeover
    said = len(link.inputs)
    key("space")
    app.step()
    assert len(link.inputs) == said + 1
    assert link.inputs[-1][0].takeover


def test_a_stick_goes_the_same_way(app: ConsoleApp, link: Link) -> None:
    with VirtualPad() as pad:
        step_until(app, lambda: app.shared.model.pad is not None)
        end = time.monotonic() + 1.2  # the pad is calibrated at rest
        step_until(app, lambda: time.monotonic() > end)
        pad.press("rightshoulder")
        step_until(app, lambda: link.inputs[-1][0].takeover)
        pad.axis("lefty", -1.0)
        pad.axis("righttrigger", 1.0)
        step_until(app, lambda: link.inputs[-1][0].stick[0] == 1.0 and link.inputs[-1][0].grip == -1.0)
        assert app.shared.model.label(Action.TAKEOVER) == "RB"


def test_away_is_away_from_the_viewer_and_stays_so_while_somebody_drives(app: ConsoleApp, link: Link) -> None:
    key("w")
    step_until(app, lambda: link.inputs[-1][0].stick[0] == 1.0)
    tap(app, "right")  # seen from the arm's left, away is to its right
    step_until(app, lambda: link.inputs[-1][0].stick == (0.0, -1.0, 0.0))
    key("w", down=False)
    step_until(app, lambda: not any(link.inputs[-1][0].stick))
    key("space")
    key("w")
    step_until(app, lambda: link.inputs[-1][0].stick == (0.0, -1.0, 0.0))
    assert link.inputs[-1][0].takeover
    tap(app, "left")
    assert link.inputs[-1][0].stick == (0.0, -1.0, 0.0)


def test_stop_goes_out_before_the_hands_of_its_pass(app: ConsoleApp, link: Link) -> None:
    said = len(link.inputs)
    key("escape")
    app.step()
    assert link.told == [("stop", said)]
    assert len(link.inputs) == said + 1


@pytest.mark.parametrize("context", list(Context))
def test_stop_works_on_every_screen(app: ConsoleApp, link: Link, context: Context) -> None:
    app.show(context)
    app.step()
    key("escape")
    app.step()
    assert [each[0] for each in link.told] == ["stop"]


def test_takeover_ends_with_the_focus_and_wants_a_fresh_press(app: ConsoleApp, link: Link) -> None:
    key("space")
    app.step()
    assert link.inputs[-1][0].takeover
    focus(False)
    app.step()
    assert link.inputs[-1] == (OperatorInput(), False)
    settle(app)
    given, attending = link.inputs[-1]
    assert attending
    assert not given.takeover
    assert app.shared.model.problem is not None


def test_who_looks_at_another_screen_does_not_attend(app: ConsoleApp, link: Link) -> None:
    key("space")
    app.step()
    assert link.inputs[-1][1]
    tap(app, "tab")
    given, attending = link.inputs[-1]
    assert shown(app) is Context.PREFER
    assert not attending
    assert not given.takeover


def test_a_latch_needs_the_sessions_leave(window: None, link: Link) -> None:
    for allowed in (False, True):
        link.welcome = replace(link.welcome, latch_allowed=allowed)
        app = ConsoleApp(link, WindowOptions(size=(320, 200), sound=False, latched=True))
        settle(app)
        key("space")
        app.step()
        key("space", down=False)
        app.step()
        assert link.inputs[-1][0].takeover is allowed
        assert app.shared.model.latched is allowed
        app.close()


# -- screens ----------------------------------------------------------------------------------------


def test_tab_goes_round_the_screens(app: ConsoleApp) -> None:
    seen = []
    for _ in range(3):
        tap(app, "tab")
        seen.append(app.shown)
    assert seen == [Context.PREFER, Context.REVIEW, Context.DRIVE]


@pytest.mark.parametrize("away", [Context.PREFER, Context.REVIEW])
def test_one_press_leads_back_to_the_arm(app: ConsoleApp, away: Context) -> None:
    app.show(away)
    tap(app, "n")
    assert shown(app) is Context.DRIVE


def test_one_pull_leads_back_to_the_arm(app: ConsoleApp) -> None:
    with VirtualPad() as pad:
        step_until(app, lambda: app.shared.model.pad is not None)
        app.show(Context.PREFER)
        app.step()
        pad.axis("lefttrigger", 1.0)
        step_until(app, lambda: app.shown is Context.DRIVE)


def test_what_was_pressed_before_the_screen_button_of_its_pass_counts(app: ConsoleApp, link: Link) -> None:
    key("up")
    key("tab")
    app.step()
    assert link.told == [("press", True)]
    assert shown(app) is Context.PREFER


def test_a_hold_that_nobody_could_see_is_said_to_eye_and_ear(app: ConsoleApp) -> None:
    time.sleep(0.7)
    key("r")
    key("r", down=False)
    app.step()
    app.step()
    notice = app.shared.model.notice
    assert notice is not None
    assert notice.text == "This window was too slow to see how long R was held: once more"
    assert not app.shared.refused  # it was heard


def test_help_comes_and_goes_back_to_where_it_was_asked_for(app: ConsoleApp) -> None:
    tap(app, "tab")
    tap(app, "f1")
    assert shown(app) is Context.HELP
    tap(app, "f1")
    assert shown(app) is Context.PREFER


def test_the_buttons_are_behind_help(app: ConsoleApp) -> None:
    tap(app, "f1")
    tap(app, "tab")
    assert shown(app) is Context.BIND
    tap(app, "tab")
    assert shown(app) is Context.DRIVE


def test_a_mark_reaches_the_link(app: ConsoleApp, link: Link) -> None:
    link.now(stage=m.Stage.MARK, phase=m.Phase.HOLD)
    key("return")
    step_until(app, lambda: bool(link.told))
    assert link.told == [("mark", 7, True)]


def test_what_is_refused_is_said_on_every_screen(app: ConsoleApp, link: Link) -> None:
    tap(app, "tab")
    link.reports.append({"id": "", "what": m.Wish.CONFIRM, "reason": "no episode has ended"})
    app.step()
    assert app.shared.model.notice is not None
    assert app.shared.model.notice.text == "no episode has ended"


def test_bindings_that_cannot_be_used_are_named(window: None, link: Link, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("version = 1\n[keys]\njump = ['j']\n")
    app = ConsoleApp(link, WindowOptions(size=(320, 200), sound=False, bindings=path))
    app.step()
    notice = app.shared.model.notice
    app.close()
    assert notice is not None
    assert "jump" in notice.text


# -- pictures ---------------------------------------------------------------------------------------


def test_pictures_come_to_the_window(app: ConsoleApp) -> None:
    step_until(app, lambda: app.frames >= 2)
    window = pygame.display.get_surface()
    assert window is not None
    step_until(app, lambda: pixel(window, 2, 42) == theme.SKY)


def test_a_window_of_another_size_is_filled(app: ConsoleApp) -> None:
    pygame.display.set_mode((1400, 900), pygame.RESIZABLE)
    pygame.event.post(pygame.event.Event(pygame.VIDEORESIZE, size=(1400, 900), w=1400, h=900))
    window = pygame.display.get_surface()
    assert window is not None
    step_until(app, lambda: pixel(window, 1390, 2) == theme.PANEL)


def test_input_does_not_wait_for_a_slow_picture(app: ConsoleApp, link: Link) -> None:
    drawing = threading.Event()
    screen: Any = app.screens[Context.DRIVE]

    def slow(canvas: Canvas) -> None:
        drawing.set()
        time.sleep(0.5)

    screen.draw = slow
    step_until(app, drawing.is_set)
    start = time.monotonic()
    key("space")
    app.step()
    assert link.inputs[-1][0].takeover
    assert time.monotonic() - start < 0.25


def test_an_error_of_the_drawing_is_not_lost(window: None, link: Link) -> None:
    app = ConsoleApp(link, QUIET)
    screen: Any = app.screens[Context.DRIVE]

    def broken(canvas: Canvas) -> None:
        raise RuntimeError("no ink")

    screen.draw = broken
    try:
        with pytest.raises(RuntimeError, match="no ink"):
            step_until(app, lambda: False)
    finally:
        app.close()


def test_the_renderer_keeps_to_thirty_a_second(window: None) -> None:
    pygame.font.init()
    renderer = Renderer(lambda canvas: time.sleep(0.012), (64, 48), 1.0)
    renderer.start()
    time.sleep(1.0)
    renderer.close()
    assert 15 <= renderer.frames <= 33


def test_a_frame_that_is_shown_is_not_drawn_into(window: None) -> None:
    pygame.font.init()
    colour = [0]

    def paint(canvas: Canvas) -> None:
        colour[0] = (colour[0] + 1) % 250
        canvas.surface.fill((colour[0], 0, 0))

    renderer = Renderer(paint, (8, 8), 1.0)
    renderer.start()
    frame = None
    while frame is None:
        frame = renderer.take()
    before = tuple(frame.surface.get_at((0, 0)))
    drawn = renderer.frames
    while renderer.frames < drawn + 5:
        time.sleep(0.005)
    assert tuple(frame.surface.get_at((0, 0))) == before
    renderer.done(frame)
    renderer.close()


# -- beginning and end ------------------------------------------------------------------------------


def test_the_window_opens_at_once_and_says_where_it_looks(window: None, link: Link) -> None:
    link.silence()
    start = time.monotonic()
    app = ConsoleApp(link, QUIET)
    app.step()
    assert time.monotonic() - start < 1.0
    assert app.shared.model.welcome is None
    step_until(app, lambda: app.frames >= 1)
    for name in ("tab", "tab", "tab", "f1", "tab"):  # nothing breaks without a session
        tap(app, name)
        drawn = app.frames
        step_until(app, lambda drawn=drawn: app.frames > drawn + 1)  # type: ignore[misc]
    app.close()


def test_closing_the_window_leaves_the_session(app: ConsoleApp, link: Link) -> None:
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    app.run()
    app.close()
    app.close()
    assert link.told == [("leave",)]


@pytest.mark.parametrize("side", [pygame.KMOD_LCTRL, pygame.KMOD_RCTRL])
def test_ctrl_q_closes_the_window(app: ConsoleApp, side: int) -> None:
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_q, mod=side, unicode="", scancode=0))
    app.run()
    assert app.closed


def test_ctrl_q_closes_nothing_where_ctrl_has_a_meaning(window: None, link: Link, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("version = 1\n[keys]\nprecision = ['left ctrl']\n")
    app = ConsoleApp(link, WindowOptions(size=(320, 200), sound=False, bindings=path))
    for side, closes in ((pygame.KMOD_LCTRL, False), (pygame.KMOD_RCTRL, True)):
        event = pygame.event.Event(pygame.KEYDOWN, key=pygame.K_q, mod=side, unicode="", scancode=0)
        pygame.event.post(event)
        app.step()
        assert app.closed is closes
    app.close()


def test_a_plain_q_closes_nothing(app: ConsoleApp) -> None:
    tap(app, "q")
    assert not app.closed


def test_without_a_session_little_is_drawn_and_a_screen_at_once(app: ConsoleApp, link: Link) -> None:
    link.silence()
    step_until(app, lambda: app.shared.model.welcome is None)
    end = time.monotonic() + 0.3
    step_until(app, lambda: time.monotonic() > end)
    drawn, end = app.frames, time.monotonic() + 1.0
    step_until(app, lambda: time.monotonic() > end)
    assert app.frames - drawn <= 7
    drawn = app.frames
    tap(app, "tab")
    step_until(app, lambda: app.frames > drawn, timeout_s=1.0)


@pytest.mark.timeout(30)
def test_the_whole_program_ends_with_0(window: None) -> None:
    quitter = threading.Timer(0.5, lambda: pygame.event.post(pygame.event.Event(pygame.QUIT)))
    quitter.start()
    assert run_console("tcp://127.0.0.1:9", "ada", options=QUIET) == 0
    quitter.join()
