"""The dead-man's rules: what releases takeover, and what it takes to drive again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from robot_rlhf.console.input.actions import Context
from robot_rlhf.console.input.bindings import DEFAULT_BINDINGS
from robot_rlhf.console.input.controls import Commands, Controls
from robot_rlhf.console.input.snapshot import Device, Edge, Family, PadState, Snapshot
from robot_rlhf.console.input.virtual_pad import VirtualPad

if TYPE_CHECKING:
    from tests.console.conftest import Rig

S = 1_000_000_000


def drive(rig: Rig) -> None:
    rig.pad.press("rightshoulder")
    rig.pad.axis("lefty", -1.0)
    commands, _ = rig.run(0.1)
    assert commands.takeover
    assert commands.problem is None


def assert_needs_release_neutral_and_a_fresh_press(rig: Rig, trouble: str) -> None:
    """From a rig that holds takeover and a stick through its trouble."""
    commands, _ = rig.run(0.5)
    assert not commands.takeover
    assert commands.problem is not None
    assert trouble in commands.problem
    rig.pad.release("rightshoulder")
    rig.run(0.1)
    rig.pad.press("rightshoulder")  # pressed anew, but the stick was never let go
    assert not rig.run(0.1)[0].takeover
    rig.pad.centre()
    assert not rig.run(0.1)[0].takeover  # let go of the stick, but takeover is still held
    rig.pad.release("rightshoulder")
    commands, _ = rig.run(0.1)
    assert commands.problem is not None  # it says why until somebody drives again
    rig.pad.press("rightshoulder")
    commands = rig.step()
    assert commands.takeover
    assert commands.problem is None
    rig.pad.axis("lefty", -1.0)
    assert rig.step().stick[0] == pytest.approx(1.0)


def test_after_an_ordinary_release_a_press_is_enough(rig: Rig) -> None:
    drive(rig)
    rig.pad.release("rightshoulder")
    assert not rig.step().takeover
    rig.pad.press("rightshoulder")
    assert rig.step().takeover


def test_a_pad_unplugged_and_back_again(rig: Rig) -> None:
    drive(rig)
    rig.pad.unplug()
    commands = rig.step()
    assert not commands.takeover
    assert commands.stick == (0.0, 0.0, 0.0)
    assert "unplugged" in str(commands.problem)
    rig.pad.plug()
    rig.pad.press("rightshoulder")
    rig.pad.axis("lefty", -1.0)
    assert_needs_release_neutral_and_a_fresh_press(rig, "connected")


def test_a_pad_that_comes_while_the_keyboard_drives(rig: Rig) -> None:
    rig.pad.unplug()
    rig.step()
    rig.key("space")
    assert rig.step().takeover
    rig.pad.plug()
    assert not rig.run(0.1)[0].takeover
    rig.key("space", down=False)
    rig.step()
    rig.key("space")
    assert rig.step().takeover


def test_the_focus_lost_and_back_moves_nothing(rig: Rig) -> None:
    drive(rig)
    rig.focus(False)
    commands = rig.step()
    assert not commands.takeover
    assert "focus" in str(commands.problem)
    assert commands.stick == (0.0, 0.0, 0.0)
    rig.run(1.0)
    rig.focus(True)
    assert_needs_release_neutral_and_a_fresh_press(rig, "focus")


def test_takeover_held_when_the_console_starts(pad: VirtualPad, window: None) -> None:
    pad.plug()
    controls = Controls(DEFAULT_BINDINGS)
    state = PadState(1, "pad", Family.XBOX, buttons=frozenset({"rightshoulder"}))
    down = Edge(Device.PAD, "rightshoulder", True, 0)
    controls.update(Snapshot(0, pad=state, edges=(down,)), Context.DRIVE)
    commands = controls.update(Snapshot(S, pad=state), Context.DRIVE)
    assert not commands.takeover
    assert "let go" in str(commands.problem)
    state = PadState(1, "pad", Family.XBOX)
    assert controls.update(Snapshot(2 * S, pad=state), Context.DRIVE).problem is None


def test_a_press_that_was_too_early_to_count_is_explained(rig: Rig) -> None:
    rig.focus(False)
    rig.step()
    rig.focus(True)
    rig.step()  # everything is at rest, but the focus is new
    rig.pad.press("rightshoulder")
    commands, _ = rig.run(1.0)
    assert not commands.takeover
    assert "let go" in str(commands.problem)
    rig.pad.release("rightshoulder")
    assert rig.step().problem is None


def test_another_screen_and_back(rig: Rig) -> None:
    drive(rig)
    rig.context = Context.PREFER
    assert not rig.step().takeover
    rig.context = Context.DRIVE
    commands, _ = rig.run(0.5)
    assert not commands.takeover
    assert "let go" in str(commands.problem)
    rig.pad.release("rightshoulder")
    rig.pad.centre()
    assert rig.step().problem is None
    rig.pad.press("rightshoulder")
    assert rig.step().takeover


def hold_stick(controls: Controls, start_s: float, until_s: float, stick: tuple[float, float]) -> Commands:
    """Polls with takeover held and bit-identical sticks; the first press has its edge."""
    for tick in range(round(start_s * 100), round(until_s * 100) + 1):
        pad = PadState(1, "pad", Family.XBOX, (*stick, 0.0, 0.0, 0.0, 0.0), frozenset({"rightshoulder"}))
        commands = controls.update(Snapshot(tick * S // 100, pad=pad), Context.DRIVE)
    return commands


def driving() -> Controls:
    """Controls in the middle of a takeover at 1.0 s."""
    controls = Controls(DEFAULT_BINDINGS)
    controls.update(Snapshot(0, pad=PadState(1, "pad", Family.XBOX)), Context.DRIVE)
    pad = PadState(1, "pad", Family.XBOX, buttons=frozenset({"rightshoulder"}))
    down = Edge(Device.PAD, "rightshoulder", True, 0)
    assert controls.update(Snapshot(S // 2, pad=pad, edges=(down,)), Context.DRIVE).takeover
    return controls


@pytest.mark.parametrize("stick", [(0.5, 0.0), (0.0, -0.94), (0.06, 0.0), (0.6, -0.6)])
def test_sticks_that_repeat_themselves_for_a_second_and_a_half_let_go(stick: tuple[float, float]) -> None:
    controls = driving()
    assert hold_stick(controls, 1.0, 2.49, stick).takeover
    commands = hold_stick(controls, 2.5, 2.5, stick)
    assert not commands.takeover
    assert commands.stick == (0.0, 0.0, 0.0)
    assert "repeated one stick position" in str(commands.problem)
    assert not hold_stick(controls, 2.51, 6.0, stick).takeover


@pytest.mark.parametrize("stick", [(0.0, 0.0), (0.04, 0.0), (1.0, 0.0), (0.0, -0.96), (0.7, 0.7), (1.0, 0.3)])
def test_rest_and_end_stops_are_honest(stick: tuple[float, float]) -> None:
    assert hold_stick(driving(), 1.0, 9.0, stick).takeover


def test_a_hand_that_trembles_by_one_count_is_honest(rig: Rig) -> None:
    drive(rig)
    for tick in range(20):
        rig.pad.axis("lefty", -0.5 - (tick % 2) / 30000)
        assert rig.run(0.2)[0].takeover


def test_frozen_sticks_through_a_real_pad_need_release_neutral_and_a_fresh_press(rig: Rig) -> None:
    drive(rig)
    rig.pad.axis("lefty", -0.5)
    assert rig.run(1.4)[0].takeover
    assert not rig.run(0.2)[0].takeover
    assert_needs_release_neutral_and_a_fresh_press(rig, "repeated")


def test_frozen_sticks_that_thaw_do_not_drive_without_neutral() -> None:
    controls = driving()
    hold_stick(controls, 1.0, 3.0, (0.5, 0.0))
    released = PadState(1, "pad", Family.XBOX, (0.5, 0.0, 0.0, 0.0, 0.0, 0.0))
    controls.update(Snapshot(4 * S, pad=released), Context.DRIVE)
    down = (Edge(Device.PAD, "rightshoulder", True, 0),)
    pad = PadState(1, "pad", Family.XBOX, (0.6, 0.0, 0.0, 0.0, 0.0, 0.0), frozenset({"rightshoulder"}))
    assert not controls.update(Snapshot(5 * S, pad=pad, edges=down), Context.DRIVE).takeover


def test_the_keyboard_is_never_frozen(rig: Rig) -> None:
    rig.key("space", "w")
    assert rig.run(10.0)[0].takeover


def test_time_without_the_focus_is_not_a_frozen_pad(rig: Rig) -> None:
    rig.pad.axis("lefty", -0.5)
    rig.step()
    rig.focus(False)
    rig.run(3.0)
    rig.focus(True)
    assert "repeated" not in str(rig.run(1.0)[0].problem)


@pytest.fixture
def latched(rig: Rig) -> Rig:
    rig.controls = Controls(DEFAULT_BINDINGS, latched=True)
    rig.run(1.1)
    return rig


def tap(rig: Rig) -> Commands:
    rig.pad.press("rightshoulder")
    rig.step()
    rig.pad.release("rightshoulder")
    return rig.step()


def test_a_latch_goes_on_and_off_by_presses(latched: Rig) -> None:
    assert tap(latched).takeover
    assert latched.run(0.5)[0].takeover
    assert not tap(latched).takeover
    assert tap(latched).takeover


def test_a_latch_lets_go_after_two_idle_seconds_and_needs_a_press(latched: Rig) -> None:
    tap(latched)
    for _ in range(5):
        latched.pad.axis("lefty", -1.0)
        assert latched.run(1.0)[0].takeover
        latched.pad.centre()
        assert latched.run(1.9)[0].takeover
    assert not latched.run(0.2)[0].takeover
    latched.pad.axis("lefty", -1.0)
    assert not latched.run(0.5)[0].takeover
    assert tap(latched).takeover


def test_a_latch_obeys_the_same_rules(latched: Rig) -> None:
    tap(latched)
    latched.focus(False)
    assert not latched.step().takeover
    latched.pad.axis("lefty", -1.0)
    latched.focus(True)
    assert not latched.run(0.1)[0].takeover
    assert not tap(latched).takeover
    latched.pad.centre()
    assert not latched.run(0.1)[0].takeover
    assert tap(latched).takeover
    latched.pad.unplug()
    assert not latched.step().takeover
