"""The Drive screen: what is asked, what each button says, what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pygame
import pytest

from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.stamps import Stock
from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.input.snapshot import Family, PadState
from robot_rlhf.console.screens.chrome import draw_window
from robot_rlhf.console.screens.drive.asks import state_of
from robot_rlhf.console.screens.drive.panels import PANELS, rolling
from robot_rlhf.console.screens.drive.screen import DriveScreen
from robot_rlhf.console.screens.help import HelpScreen
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.types import Outcome

Desk = Any
Link = Any
S = 1_000_000_000


@pytest.fixture
def screen(desk: Desk) -> DriveScreen:
    made = DriveScreen(desk.shared)
    desk.step(made)
    return made


def fire(desk: Desk, screen: DriveScreen, *actions: Action) -> None:
    desk.step(screen, Commands(fired=actions))


def saved(event: str, reason: str = "") -> dict[str, Any]:
    what = Outcome(id=event, operator="ada", session="s", time_ns=0, episode=7, success=True)
    return {"id": event, "what": what, "reason": reason}


# -- the banner -------------------------------------------------------------------------------------


def banner(desk: Desk, screen: DriveScreen, **changes: Any) -> tuple[str, str]:
    """The word, and what is asked with keys for actions."""
    desk.link.now(**changes)
    desk.step(screen)
    model = desk.shared.model
    state = state_of(model)
    return state.word, " ".join(
        model.label(part) if isinstance(part, Action) else part for part in state.asked
    )


def test_the_policy_drives(desk: Desk, screen: DriveScreen) -> None:
    assert banner(desk, screen) == ("POLICY", "Hold Space to correct it | Up good | Down bad")


def test_good_and_bad_are_not_asked_for_while_they_tell_little(desk: Desk, screen: DriveScreen) -> None:
    desk.link.stands(presses_rest=True)
    asked = "Hold Space to correct it | good and bad tell little now: no need"
    assert banner(desk, screen) == ("POLICY", asked)


def test_while_this_console_drives_a_thick_frame_says_so(desk: Desk, screen: DriveScreen) -> None:
    human = {"phase": m.Phase.OPERATOR, "driver": "ada", "driving": "mine"}
    assert banner(desk, screen, **human) == (
        "HUMAN",
        "You correct the policy. Let go of Space to give it back",
    )
    assert state_of(desk.shared.model).framed


def test_another_console_drives(desk: Desk, screen: DriveScreen) -> None:
    changes = {"phase": m.Phase.OPERATOR, "driver": "bob", "driving": "other"}
    assert banner(desk, screen, **changes) == ("HUMAN", "bob drives.")


def test_a_stop_says_why_and_how_to_go_on(desk: Desk, screen: DriveScreen) -> None:
    word, asked = banner(desk, screen, phase=m.Phase.STOPPED, hold_reason="stopped by ada")
    assert word == "STOP"
    assert asked == "Stopped by ada. Hold N 1 s to clear it, then press Space anew"


def test_the_next_demonstration_is_asked_for_by_number(desk: Desk, screen: DriveScreen) -> None:
    desk.link.stands(demonstrations=1)
    changes = {"stage": m.Stage.READY, "phase": m.Phase.HOLD}
    assert banner(desk, screen, **changes) == (
        "HOLD",
        "Hold Space and drive: demonstration 2 of 3 begins | Enough? Hold N",
    )


@pytest.mark.parametrize(
    ("learner", "said"),
    [("cloning", "cloning"), ("waiting for demonstrations", "a moment"), ("", "a moment")],
)
def test_while_the_first_policy_is_made_nothing_is_waited_for(
    desk: Desk, screen: DriveScreen, learner: str, said: str
) -> None:
    desk.link.stands(learner=learner)
    words = banner(desk, screen, stage=m.Stage.PREPARING, phase=m.Phase.HOLD)[1]
    assert words == f"The first policy is being made: {said}."


def test_a_demonstration_that_is_held_says_why(desk: Desk, screen: DriveScreen) -> None:
    changes = {"stage": m.Stage.DEMONSTRATION, "phase": m.Phase.HOLD, "hold_reason": "ada was not heard"}
    assert banner(desk, screen, **changes)[1].startswith("Ada was not heard. Hold Space to go on |")


def test_before_the_first_demonstration_nobody_can_have_enough(desk: Desk, screen: DriveScreen) -> None:
    desk.link.stands(demonstrations=0)
    assert "Enough" not in banner(desk, screen, stage=m.Stage.READY, phase=m.Phase.HOLD)[1]


def test_a_mark_is_asked_for(desk: Desk, screen: DriveScreen) -> None:
    _, asked = banner(desk, screen, stage=m.Stage.MARK, phase=m.Phase.HOLD)
    assert asked == "How did it go? Hold Enter success | Backspace failure | N skip"


def test_what_is_said_between_episodes_is_what_helps(desk: Desk, screen: DriveScreen) -> None:
    changes = {"stage": m.Stage.PAUSED, "phase": m.Phase.HOLD, "recording": False}
    assert banner(desk, screen, **changes)[1] == "The next episode begins in a moment."
    cleared = {**changes, "hold_reason": "cleared: take over to go on"}
    assert banner(desk, screen, **cleared)[1] == "Cleared: take over to go on. Hold Space"
    fire(desk, screen, Action.CONFIRM)
    assert desk.link.told == []


def test_confirm_is_not_offered_for_letting_the_policy_go_on(desk: Desk, screen: DriveScreen) -> None:
    _, asked = banner(desk, screen, phase=m.Phase.HOLD)  # it would end the episode
    assert asked == "The policy goes on in a moment. Hold Space to drive"


def test_who_only_watches_is_asked_for_nothing(desk: Desk, screen: DriveScreen) -> None:
    desk.link.watches = True
    assert banner(desk, screen, driver="bob")[1] == "You only watch. bob drives."
    fire(desk, screen, Action.GOOD, Action.SUCCESS, Action.CONFIRM)
    assert desk.link.told == []


@pytest.mark.parametrize("phase", m.Phase)
@pytest.mark.parametrize("stage", m.Stage)
def test_something_is_said_at_every_stage(
    desk: Desk, screen: DriveScreen, stage: m.Stage, phase: m.Phase
) -> None:
    word, asked = banner(desk, screen, stage=stage, phase=phase)
    assert word
    assert asked


def test_buttons_are_called_as_on_the_pad_that_was_used_last(desk: Desk, screen: DriveScreen) -> None:
    pad = PadState(id=1, name="DualSense", family=Family.PLAYSTATION)
    desk.step(screen, Commands(device="DualSense"), pad=pad)
    assert desk.shared.model.label(Action.TAKEOVER) == "R1"
    assert desk.shared.model.label(Action.SUCCESS) == "triangle"
    desk.step(screen, Commands(device="keyboard"), pad=pad)
    assert desk.shared.model.label(Action.TAKEOVER) == "Space"


# -- what the buttons say ---------------------------------------------------------------------------


def test_good_and_bad_are_pressed(desk: Desk, screen: DriveScreen) -> None:
    fire(desk, screen, Action.GOOD, Action.BAD)
    assert desk.link.told == [("press", True), ("press", False)]


def test_good_where_no_episode_runs_is_answered_with_words(desk: Desk, screen: DriveScreen) -> None:
    desk.link.now(stage=m.Stage.MARK, phase=m.Phase.HOLD)
    fire(desk, screen, Action.GOOD)
    assert desk.link.told == []
    assert desk.shared.notice is not None
    assert desk.shared.notice.bad


@pytest.mark.parametrize("stage", [m.Stage.MARK, m.Stage.EPISODE, m.Stage.DEMONSTRATION])
def test_success_and_failure_mark_the_episode(desk: Desk, screen: DriveScreen, stage: m.Stage) -> None:
    desk.link.now(stage=stage)
    fire(desk, screen, Action.FAILURE)
    assert desk.link.told == [("mark", 7, False)]


def test_there_is_nothing_to_mark_before_a_demonstration(desk: Desk, screen: DriveScreen) -> None:
    desk.link.now(stage=m.Stage.READY, phase=m.Phase.HOLD)
    fire(desk, screen, Action.SUCCESS)
    assert desk.link.told == []


def test_the_same_mark_twice_is_said_once(desk: Desk, screen: DriveScreen) -> None:
    fire(desk, screen, Action.SUCCESS)
    fire(desk, screen, Action.SUCCESS)
    assert desk.link.told == [("mark", 7, True)]
    fire(desk, screen, Action.FAILURE)
    assert desk.link.told[-1] == ("mark", 7, False)


def test_confirm_and_discard_are_wishes(desk: Desk, screen: DriveScreen) -> None:
    desk.link.now(stage=m.Stage.DEMONSTRATION)
    fire(desk, screen, Action.CONFIRM, Action.DISCARD)
    assert desk.link.told == [("wish", m.Wish.CONFIRM), ("wish", m.Wish.DISCARD)]


def test_a_stop_is_cleared_by_the_long_hold_only(desk: Desk, screen: DriveScreen) -> None:
    desk.link.now(phase=m.Phase.STOPPED)
    fire(desk, screen, Action.CONFIRM)
    assert desk.link.told == []
    fire(desk, screen, Action.CLEAR_FAULT)
    assert desk.link.told == [("wish", m.Wish.CLEAR)]


def test_enough_demonstrations_are_said_by_holding_confirm(desk: Desk, screen: DriveScreen) -> None:
    desk.link.now(stage=m.Stage.READY, phase=m.Phase.HOLD)
    fire(desk, screen, Action.CONFIRM)
    assert desk.link.told == []
    fire(desk, screen, Action.CLEAR_FAULT)
    assert desk.link.told == [("wish", m.Wish.ENOUGH)]


def test_the_episodes_are_ended_by_holding_confirm_twice(desk: Desk, screen: DriveScreen) -> None:
    fire(desk, screen, Action.CLEAR_FAULT)
    assert desk.link.told == []
    desk.wait(screen, 7.0)
    fire(desk, screen, Action.CLEAR_FAULT)
    assert desk.link.told == []
    fire(desk, screen, Action.CLEAR_FAULT)
    assert desk.link.told == [("wish", m.Wish.FINISH)]


def test_nothing_is_said_to_a_session_that_cannot_be_heard(desk: Desk, screen: DriveScreen) -> None:
    desk.link.connected = False
    fire(desk, screen, Action.GOOD, Action.SUCCESS)
    assert desk.link.told == []


# -- undo and saved ---------------------------------------------------------------------------------


def test_saved_is_shown_only_once_it_is(desk: Desk, screen: DriveScreen) -> None:
    fire(desk, screen, Action.SUCCESS)
    desk.wait(screen, 1.0)
    assert screen.state.said is not None
    assert not screen.state.said.saved
    desk.link.reports.append(saved("event-1"))
    desk.step(screen)
    assert screen.state.said.saved


def test_what_was_refused_says_why_and_cannot_be_undone(desk: Desk, screen: DriveScreen) -> None:
    fire(desk, screen, Action.SUCCESS)
    desk.link.reports.append(saved("event-1", "the episode was discarded"))
    desk.step(screen)
    assert screen.state.said is not None
    assert screen.state.said.refused == "the episode was discarded"
    fire(desk, screen, Action.UNDO)
    assert len(desk.link.told) == 1


def test_a_mark_can_be_taken_back_for_ten_seconds(desk: Desk, screen: DriveScreen) -> None:
    fire(desk, screen, Action.SUCCESS)
    desk.wait(screen, 9.9)
    fire(desk, screen, Action.UNDO)
    assert desk.link.told[-1] == ("undo", "event-1")
    fire(desk, screen, Action.UNDO)
    assert len(desk.link.told) == 2


def test_after_ten_seconds_it_stays(desk: Desk, screen: DriveScreen) -> None:
    fire(desk, screen, Action.SUCCESS)
    desk.wait(screen, 10.1)
    fire(desk, screen, Action.UNDO)
    assert len(desk.link.told) == 1


def test_after_an_undo_the_same_mark_can_be_given_again(desk: Desk, screen: DriveScreen) -> None:
    fire(desk, screen, Action.SUCCESS)
    fire(desk, screen, Action.UNDO)
    fire(desk, screen, Action.SUCCESS)
    assert [each[0] for each in desk.link.told] == ["mark", "undo", "mark"]


# -- looking ----------------------------------------------------------------------------------------


def test_the_cameras_go_round(desk: Desk, screen: DriveScreen) -> None:
    seen = []
    for action in (Action.CAMERA_RIGHT, Action.CAMERA_RIGHT, Action.CAMERA_LEFT):
        fire(desk, screen, action)
        seen.append(screen.state.view)
    assert seen == [1, 0, 1]


def test_the_workspace_is_shown_by_holding_a_camera_button(desk: Desk, screen: DriveScreen) -> None:
    desk.step(screen, keys=("left",), passes=100)
    assert not screen.state.workspace
    desk.step(screen, keys=("left",), passes=400)
    assert screen.state.workspace
    desk.step(screen)
    desk.step(screen, keys=("left",), passes=300)
    assert not screen.state.workspace


def test_the_predicted_reward_is_that_of_the_running_episode(desk: Desk, screen: DriveScreen) -> None:
    for step in (21, 22, 22, 23):
        desk.link.now(step=step, reward=step / 10)
        desk.step(screen)
    assert screen.state.rewards == pytest.approx((0.3, 2.1, 2.2, 2.3))
    desk.link.now(episode=8, step=0, reward=-1.0)
    desk.step(screen)
    assert screen.state.rewards == (-1.0,)


def test_between_episodes_the_last_ones_reward_stays(desk: Desk, screen: DriveScreen) -> None:
    desk.link.now(stage=m.Stage.MARK, phase=m.Phase.HOLD, step=0, steps=0, reward=0.9)
    desk.step(screen)
    assert screen.state.rewards == pytest.approx((0.3,))


def test_the_predicted_reward_can_be_hidden(desk: Desk) -> None:
    screen = DriveScreen(desk.shared, shows_reward=False)
    desk.step(screen)
    assert screen.state.rewards is None


def test_success_is_a_rolling_mean_of_the_marks() -> None:
    assert rolling([False, True, True, True], 2) == [0.0, 0.5, 1.0, 1.0]
    assert rolling([]) == []


# -- pictures ---------------------------------------------------------------------------------------


def pixel(surface: Any, at: tuple[int, int]) -> tuple[int, ...]:
    return tuple(surface.get_at(at))[:3]


def picture(desk: Desk, screen: Any, size: tuple[int, int], scale: float) -> pygame.Surface:
    surface = pygame.Surface(size, 0, 32)
    draw_window(Canvas(surface, Stock(scale)), desk.shared, screen)
    return surface


SIZES = [((1280, 800), 1.0), ((2560, 1600), 2.0), ((960, 600), 1.0), ((1280, 800), 2.0), ((320, 200), 1.0)]


@pytest.mark.parametrize(("size", "scale"), SIZES)
def test_the_states_colour_is_on_the_screen_at_every_size(
    window: None, desk: Desk, screen: DriveScreen, size: tuple[int, int], scale: float
) -> None:
    pygame.font.init()
    for phase, colour in ((m.Phase.POLICY, theme.SKY), (m.Phase.STOPPED, theme.VERMILLION)):
        desk.link.now(phase=phase)
        desk.step(screen)
        shown = picture(desk, screen, size, scale)
        assert pixel(shown, (2, round(42 * scale))) == colour


def test_the_frame_is_there_for_the_human_and_for_nobody_else(
    window: None, desk: Desk, screen: DriveScreen
) -> None:
    pygame.font.init()

    def frame() -> bool:
        shown = picture(desk, screen, (1280, 800), 1.0)
        return all(pixel(shown, (14, y)) == theme.ORANGE for y in range(200, 600, 50))

    desk.step(screen)
    assert not frame()
    desk.link.now(phase=m.Phase.OPERATOR, driver="ada", driving="mine")
    desk.step(screen)
    assert frame()


def test_the_camera_takes_seven_tenths_and_shows_the_scene(
    window: None, desk: Desk, screen: DriveScreen, tool_at: Callable[[float], bytes]
) -> None:
    pygame.font.init()
    desk.step(screen)
    before = picture(desk, screen, (1280, 800), 1.0)
    desk.link.now(scene=tool_at(0.55))
    desk.step(screen)
    after = picture(desk, screen, (1280, 800), 1.0)
    changed = pygame.mask.from_threshold(before, (0, 0, 0), (1, 1, 1, 255), after)
    changed.invert()
    rects: Any = changed.get_bounding_rects()
    assert rects
    main = pygame.Rect(12, 90, 884, 640)
    assert any(main.contains(rect) for rect in rects)


def test_a_scene_that_cannot_be_drawn_is_said_and_not_drawn(
    window: None, desk: Desk, screen: DriveScreen
) -> None:
    pygame.font.init()
    desk.link.now(scene=bytes(4 * 40))
    desk.step(screen)
    shown = picture(desk, screen, (1280, 800), 1.0)
    assert pixel(shown, (40, 300)) == theme.PANEL


def test_less_room_shows_the_important_panels(window: None, desk: Desk, screen: DriveScreen) -> None:
    by_rank = sorted(PANELS, key=lambda panel: panel.rank)
    assert [panel.title for panel in by_rank[:3]] == ["Episode", "Success", "Session"]


@pytest.mark.parametrize("has_pad", [False, True])
@pytest.mark.parametrize(("size", "scale"), SIZES)
def test_help_is_drawn_at_every_size(
    window: None, desk: Desk, size: tuple[int, int], scale: float, has_pad: bool
) -> None:
    pygame.font.init()
    screen = HelpScreen(desk.shared)
    pad = PadState(id=1, name="Pad", family=Family.XBOX) if has_pad else None
    desk.step(screen, pad=pad)
    shown = picture(desk, screen, size, scale)
    if size[0] > 900:
        assert len({tuple(shown.get_at((x, size[1] // 2))) for x in range(0, size[0], 2)}) > 3


def test_before_the_session_answers_its_address_is_shown_instead(
    window: None, desk: Desk, screen: DriveScreen
) -> None:
    pygame.font.init()
    live = picture(desk, screen, (1280, 800), 1.0)
    desk.link.silence()
    desk.step(screen)
    looking = picture(desk, screen, (1280, 800), 1.0)
    assert pixel(looking, (40, 300)) == theme.BACKGROUND
    assert pixel(live, (40, 300)) != theme.BACKGROUND


def test_a_silent_session_darkens_the_screen(window: None, desk: Desk, screen: DriveScreen) -> None:
    pygame.font.init()
    bright = picture(desk, screen, (1280, 800), 1.0).get_at((600, 600))
    desk.link.connected, desk.link.state_age_s = False, 3.0
    desk.step(screen)
    dark = picture(desk, screen, (1280, 800), 1.0).get_at((600, 600))
    assert sum(dark[:3]) < sum(bright[:3]) / 2
