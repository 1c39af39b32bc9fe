"""What hands mean: signs, ramps, hysteresis, holds, STOP and the focus, through SDL's real events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from robot_rlhf.console.input.actions import Action, Context
from robot_rlhf.console.input.bindings import DEFAULT_BINDINGS
from robot_rlhf.console.input.controls import PRECISION, Commands, Controls
from robot_rlhf.console.input.snapshot import Device, Edge, Family, PadState, Snapshot
from robot_rlhf.console.input.virtual_pad import VirtualPad

if TYPE_CHECKING:
    from tests.console.conftest import Rig

S = 1_000_000_000


def test_the_signs_are_those_of_the_base_frame_seen_from_behind_the_arm(rig: Rig) -> None:
    rig.pad.axis("lefty", -1.0)  # up
    rig.pad.axis("rightx", -1.0)  # left
    commands = rig.step()
    assert commands.stick == pytest.approx((1.0, 0.0, 0.0))
    assert commands.yaw == pytest.approx(1.0)
    rig.pad.centre()
    rig.pad.axis("leftx", -1.0)  # left
    rig.pad.axis("righty", -1.0)  # up
    assert rig.step().stick == pytest.approx((0.0, 1.0, 1.0))


def test_precision_is_a_quarter(rig: Rig) -> None:
    rig.pad.axis("lefty", -1.0)
    rig.pad.axis("rightx", 1.0)
    rig.pad.axis("lefttrigger", 1.0)
    rig.pad.press("leftshoulder")
    commands = rig.step()
    assert commands.stick == pytest.approx((PRECISION, 0.0, 0.0))
    assert commands.yaw == pytest.approx(-PRECISION)
    assert commands.grip == 1.0


def test_keys_ramp_and_stop_at_once(rig: Rig) -> None:
    rig.key("w")
    assert rig.step().stick[0] == 0.0
    seen = [rig.step().stick[0] for _ in range(38)]
    assert seen == sorted(seen)
    assert seen[17] == pytest.approx(0.48)
    assert seen[-1] == 1.0
    rig.key("s")
    assert rig.step().stick[0] == 0.0
    rig.key("w", down=False)
    assert rig.run(0.2)[0].stick[0] == -1.0
    rig.key("s", down=False)
    assert rig.step().stick[0] == 0.0


def test_of_pad_and_keyboard_the_larger_deflection_wins(rig: Rig) -> None:
    rig.pad.axis("lefty", -0.6)
    only_pad = rig.step().stick[0]
    rig.key("s")
    assert rig.step().stick[0] == pytest.approx(only_pad)
    rig.pad.axis("lefty", -0.61)
    assert rig.run(0.2)[0].stick[0] == -1.0


def test_triggers_grip_with_hysteresis(rig: Rig) -> None:
    seen = []
    for squeeze in (0.4, 0.49, 0.51, 0.35, 0.31, 0.29, 0.45, 0.5001):
        rig.pad.axis("righttrigger", squeeze)
        seen.append(rig.step().grip)
    assert seen == [0.0, 0.0, -1.0, -1.0, -1.0, 0.0, 0.0, -1.0]
    rig.pad.axis("lefttrigger", 1.0)
    assert rig.step().grip == 0.0  # both: leave it


def test_a_trigger_can_be_bound_as_a_button(rig: Rig) -> None:
    rig.controls.rebind(DEFAULT_BINDINGS.rebind(Device.PAD, Action.PLAY, "righttrigger"))
    rig.context = Context.REVIEW
    rig.step()
    seen = []
    for squeeze in (0.6, 0.4, 0.6, 0.2, 0.6):
        rig.pad.axis("righttrigger", squeeze)
        seen.append(rig.step().fired)
    assert seen == [(Action.PLAY,), (), (), (), (Action.PLAY,)]


def test_rebinding_takes_effect_and_nothing_held_means_anything_until_let_go(rig: Rig) -> None:
    rig.key("space", "return")
    rig.run(0.1)
    rig.controls.rebind(DEFAULT_BINDINGS.rebind(Device.KEYS, Action.TAKEOVER, "t"))
    commands, fired = rig.run(0.5)
    assert (commands.takeover, fired) == (False, [])
    rig.key("space", "return", down=False)
    rig.key("t")
    rig.step()
    rig.key("t", down=False)
    rig.step()
    rig.key("t")
    assert rig.step().takeover


def test_a_press_within_one_poll_still_fires_but_does_not_drive(rig: Rig) -> None:
    rig.key("up", "space")
    rig.key("up", "space", down=False)
    commands = rig.step()
    assert commands.fired == (Action.GOOD,)
    assert not commands.takeover


def test_presses_fire_in_their_order(rig: Rig) -> None:
    rig.key("down", "up", "left")
    assert rig.step().fired == (Action.BAD, Action.GOOD, Action.CAMERA_LEFT)


def test_stop_ends_holds_and_takeover_and_needs_a_fresh_press(rig: Rig) -> None:
    rig.pad.press("rightshoulder", "a")
    assert rig.run(0.9)[0].takeover
    rig.pad.press("start")
    commands = rig.step()
    assert commands.fired == (Action.STOP,)
    assert (commands.takeover, commands.holding) == (False, {})
    commands, fired = rig.run(2.0)
    assert (commands.takeover, fired) == (False, [])  # confirm was not held anew
    rig.pad.release("rightshoulder", "a", "start")
    rig.step()
    rig.pad.press("rightshoulder")
    assert rig.step().takeover


@pytest.mark.parametrize("context", Context)
def test_stop_needs_no_focus_and_comes_from_any_pad(rig: Rig, context: Context) -> None:
    rig.context = context
    rig.focus(False)
    rig.pad.press("start")
    assert rig.step().fired == (Action.STOP,)
    rig.focus(True)
    rig.pad.press("a")
    with VirtualPad("another") as other:
        rig.step()
        other.press("start", "dpup")
        assert rig.step().fired == (Action.STOP,)


def test_without_the_focus_only_stop_fires(rig: Rig) -> None:
    rig.focus(False)
    rig.step()
    rig.pad.press("dpup", "y")
    rig.pad.axis("lefty", -1.0)
    rig.pad.axis("righttrigger", 1.0)
    commands, fired = rig.run(0.5)
    assert fired == []
    assert (commands.stick, commands.grip) == ((0.0, 0.0, 0.0), 0.0)


def test_what_was_pressed_elsewhere_and_arrives_with_the_focus_does_not_count(rig: Rig) -> None:
    rig.focus(False)
    rig.step()
    rig.focus(True)
    rig.pad.press("dpup")
    rig.key("up", "return")
    assert rig.run(1.0)[1] == []
    rig.pad.release("dpup")
    rig.step()
    rig.pad.press("dpup")
    assert rig.step().fired == (Action.GOOD,)


def test_a_chord_with_the_window_managers_keys_fires_nothing_but_stop(rig: Rig) -> None:
    rig.key("left alt", "tab", "escape")
    assert rig.step().fired == (Action.STOP,)
    rig.key("left alt", "tab", down=False)
    rig.step()
    rig.key("left alt", "tab")
    rig.key("tab", "left alt", down=False)
    assert rig.step().fired == ()
    rig.key("tab")
    assert rig.step().fired == (Action.SCREEN,)


def test_holds_end_with_the_screen(rig: Rig) -> None:
    rig.key("return")
    rig.run(0.2)
    rig.context = Context.REVIEW
    assert rig.run(0.5)[1] == []


def test_the_device_in_hand_is_named(rig: Rig) -> None:
    assert rig.step().device == "Virtual Xbox pad"
    rig.key("w")
    assert rig.step().device == "keyboard"
    rig.pad.axis("leftx", 0.5)
    assert rig.step().device == "Virtual Xbox pad"
    rig.pad.unplug()
    assert rig.step().device == "keyboard"


def test_a_worn_sticks_rest_is_learned_and_a_thumb_taken_for_it_is_forgotten() -> None:
    controls = Controls(DEFAULT_BINDINGS)

    def at(now_s: float, leftx: float) -> Commands:
        pad = PadState(1, "worn", Family.XBOX, (leftx, 0.0, 0.0, 0.0, 0.0, 0.0))
        return controls.update(Snapshot(round(now_s * S), pad=pad), Context.DRIVE)

    assert at(0.0, 0.18).stick[1] < 0.0  # until calibrated it counts
    at(0.99, 0.181)
    assert at(1.0, 0.18).stick[1] < 0.0
    assert at(1.01, 0.18).stick[1] == 0.0
    assert at(1.02, 1.0).stick[1] == -1.0
    assert at(1.03, -1.0).stick[1] == 1.0
    at(1.04, 0.0)
    at(2.1, 0.001)
    assert at(2.2, 0.14).stick[1] == 0.0
    assert at(2.21, 0.18).stick[1] < 0.0


def test_what_a_trigger_of_a_new_pad_holds_already_was_not_pressed() -> None:
    controls = Controls(DEFAULT_BINDINGS.rebind(Device.PAD, Action.PLAY, "righttrigger"))
    pad = PadState(1, "pad", Family.XBOX, (0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    assert controls.update(Snapshot(0, pad=pad), Context.REVIEW).fired == ()
    edge = Edge(Device.PAD, "start", True, 1)
    assert controls.update(Snapshot(1, pad=pad, edges=(edge,)), Context.REVIEW).fired == (Action.STOP,)
