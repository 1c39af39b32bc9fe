"""Press-to-bind: what is pressed counts and is saved, what would mean two things does not; the wizard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from robot_rlhf.console.input.actions import BINDABLE, Action
from robot_rlhf.console.input.bindings import DEFAULT_BINDINGS
from robot_rlhf.console.input.bindings_file import load_bindings
from robot_rlhf.console.input.pad_mapping import WIZARD, mapping_line
from robot_rlhf.console.input.pad_wizard import ELEMENTS, PadWizard
from robot_rlhf.console.input.rebinding import Rebinding, places
from robot_rlhf.console.input.sdl import SDLError
from robot_rlhf.console.input.snapshot import Device, Edge, Family, PadState, Snapshot, UnknownPad
from robot_rlhf.console.screens.bind.screen import BindScreen

PAD = PadState(1, "Pad", Family.XBOX)
STRANGE = UnknownPad(7, "Strange pad", "0" * 32, (0.0,) * 4 + (-1.0, -1.0), (False,) * 12, ((0, 0),))
S = 1_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bindings.toml"


@pytest.fixture
def bind(stage: Any, path: Path) -> Any:
    stage.show(BindScreen(stage.shared, path))
    return stage


def state(stage: Any) -> Any:
    return stage.screen._state


def press(stage: Any, *names: str, device: Device = Device.KEYS, **fields: Any) -> None:
    """Keys or buttons that go down in one pass, with a pad at rest."""
    fields = {"pad": PAD, **fields}
    for name in names:
        keys = frozenset({name}) if device is Device.KEYS else frozenset()
        edges = (Edge(device, name, True, 0),)
        stage.step(snapshot=Snapshot(0, keys=keys, edges=edges, **fields))
        stage.step(snapshot=Snapshot(0, **fields))


def choose(stage: Any, action: Action, device: Device = Device.PAD, slot: int = 0) -> None:
    """Move the cursor there with the keys."""
    while state(stage).place.action is not action:
        ahead = BINDABLE.index(action) > BINDABLE.index(state(stage).place.action)
        press(stage, "down" if ahead else "up")
    press(stage, *["left"] * 4)
    while (state(stage).place.device, state(stage).place.slot) != (device, slot):
        press(stage, "right")


def bindings(stage: Any) -> Any:
    return stage.shared.new_bindings or stage.shared.model.bindings


class TestPressing:
    def test_a_key_counts_at_once_and_is_saved(self, bind: Any, path: Path) -> None:
        choose(bind, Action.GOOD, Device.KEYS)
        press(bind, "return", "z")
        assert bindings(bind).keys[Action.GOOD] == ("z",)
        bind.screen._saver.shutdown(wait=True)
        assert load_bindings(path).bindings == bindings(bind)

    def test_a_button_counts_and_the_one_that_opened_it_does_not(self, bind: Any) -> None:
        choose(bind, Action.CONFIRM)
        press(bind, "a", device=Device.PAD)  # the screen's own 'change'
        assert bind.screen.captures
        assert bind.shared.new_bindings is None
        press(bind, "misc1", device=Device.PAD)
        assert bindings(bind).pad[Action.CONFIRM] == ("misc1",)
        assert not bind.screen.captures

    def test_each_place_of_an_action_is_changed_alone(self, bind: Any) -> None:
        choose(bind, Action.CHOOSE_LEFT, slot=1)
        press(bind, "return")
        press(bind, "paddle1", device=Device.PAD)
        assert bindings(bind).pad[Action.CHOOSE_LEFT] == ("dpleft", "paddle1")
        choose(bind, Action.X, Device.KEYS, 1)
        press(bind, "return", "x")
        assert bindings(bind).keys[Action.X] == ("w", "x")

    def test_a_trigger_can_be_a_button(self, bind: Any) -> None:
        choose(bind, Action.SLOWER)
        press(bind, "return")
        bind.step(snapshot=Snapshot(0, pad=PAD))
        bind.step(snapshot=Snapshot(0, pad=replace(PAD, axes=(0.0,) * 4 + (0.0, 0.9))))
        assert bindings(bind).pad[Action.SLOWER] == ("righttrigger",)

    def test_an_axis_takes_a_stick_and_no_button(self, bind: Any) -> None:
        choose(bind, Action.SCRUB)
        press(bind, "return")
        press(bind, "misc1", device=Device.PAD)
        assert bind.screen.captures
        bind.step(snapshot=Snapshot(0, pad=replace(PAD, axes=(0.0, -0.9) + (0.0,) * 4)))
        assert bindings(bind).pad[Action.SCRUB] == ("lefty",)

    def test_a_stick_that_was_already_pushed_is_not_meant(self, bind: Any) -> None:
        pushed = replace(PAD, axes=(0.0, -0.9) + (0.0,) * 4)
        choose(bind, Action.SCRUB)
        bind.step(snapshot=Snapshot(0, pad=pushed, edges=(Edge(Device.PAD, "a", True, 0),)))
        bind.run(0.1, snapshot=Snapshot(0, pad=pushed))
        assert bind.shared.new_bindings is None

    def test_a_stick_that_is_brushed_does_not_answer_for_a_button(self, bind: Any) -> None:
        choose(bind, Action.GOOD)
        press(bind, "return")
        bind.run(0.1, snapshot=Snapshot(0, pad=replace(PAD, axes=(1.0,) + (0.0,) * 5)))
        assert bind.screen.captures
        assert bind.shared.new_bindings is None

    def test_the_other_device_and_waiting_change_nothing(self, bind: Any) -> None:
        choose(bind, Action.GOOD)
        press(bind, "return", "z")
        assert not bind.screen.captures
        press(bind, "return")
        bind.run(8.1, snapshot=Snapshot(0, pad=PAD))
        assert not bind.screen.captures
        assert bind.shared.new_bindings is None

    def test_without_a_pad_its_places_do_not_wait(self, bind: Any) -> None:
        choose(bind, Action.GOOD)
        press(bind, "return", pad=None)
        assert not bind.screen.captures
        assert state(bind).told.bad

    def test_what_is_no_key_is_refused_in_words(self, bind: Any) -> None:
        choose(bind, Action.GOOD, Device.KEYS)
        press(bind, "return", "unknown key")
        assert state(bind).told.bad
        assert "no key" in state(bind).told.text
        assert bind.shared.new_bindings is None

    def test_keys_that_leave_the_screen_or_stop_do_not_work_the_table(self, bind: Any) -> None:
        bind.know(bindings=DEFAULT_BINDINGS.rebind(Device.KEYS, Action.SCREEN, "t"))
        bind.show(BindScreen(bind.shared))
        press(bind, "t", unknown=(STRANGE,))
        assert state(bind).wizard is None


class TestConflicts:
    def test_an_input_that_would_mean_two_things_is_refused_and_named(self, bind: Any) -> None:
        choose(bind, Action.GOOD, Device.KEYS)
        press(bind, "return", "g")
        assert bind.shared.new_bindings is None
        assert state(bind).clash.other is Action.GRIP

    def test_the_two_can_change_places(self, bind: Any) -> None:
        choose(bind, Action.GOOD, Device.KEYS)
        press(bind, "return", "n", "return")
        assert bindings(bind).keys[Action.GOOD] == ("n",)
        assert bindings(bind).keys[Action.CONFIRM] == ("up",)

    def test_or_be_left(self, bind: Any) -> None:
        choose(bind, Action.GOOD, Device.KEYS)
        press(bind, "return", "n", "backspace")
        assert state(bind).clash is None
        assert bind.shared.new_bindings is None

    def test_stop_is_not_traded_away(self, bind: Any) -> None:
        choose(bind, Action.GOOD, Device.KEYS)
        press(bind, "return", "z")  # a key that is free everywhere, so that only the rule is in the way
        press(bind, "return", "escape")
        assert state(bind).clash.swap is None
        press(bind, "return")
        assert bindings(bind).keys[Action.STOP] == ("escape",)

    def test_the_same_input_on_another_screen_is_no_conflict(self, bind: Any) -> None:
        choose(bind, Action.PLAY, Device.KEYS)
        press(bind, "return", "g")  # the gripper while driving
        assert bindings(bind).keys[Action.PLAY] == ("g",)

    def test_a_place_that_gets_what_it_has_is_not_in_its_own_way(self, bind: Any) -> None:
        choose(bind, Action.GOOD, Device.KEYS)
        press(bind, "return", "up")
        assert state(bind).clash is None
        assert bindings(bind) == DEFAULT_BINDINGS


class TestDefaults:
    def test_one_action(self, bind: Any) -> None:
        for action, key in ((Action.GOOD, "z"), (Action.BAD, "x")):
            choose(bind, action, Device.KEYS)
            press(bind, "return", key)
        press(bind, "delete")
        assert bindings(bind).keys[Action.BAD] == ("down",)
        assert bindings(bind).keys[Action.GOOD] == ("z",)

    def test_one_action_whose_default_is_taken_stays(self, bind: Any) -> None:
        choose(bind, Action.GOOD, Device.KEYS)
        press(bind, "return", "z")
        choose(bind, Action.CONFIRM, Device.KEYS)
        press(bind, "return", "up")
        choose(bind, Action.GOOD, Device.KEYS)
        press(bind, "delete")
        assert state(bind).told.bad
        assert bindings(bind).keys[Action.GOOD] == ("z",)

    def test_everything_only_when_held_for_a_second(self, bind: Any) -> None:
        choose(bind, Action.GOOD, Device.KEYS)
        press(bind, "return", "z")
        held = Snapshot(0, pad=PAD, keys=frozenset({"r"}))
        press(bind, "r")
        assert bindings(bind) != DEFAULT_BINDINGS
        bind.step(snapshot=replace(held, edges=(Edge(Device.KEYS, "r", True, 0),)))
        bind.run(0.9, snapshot=held)
        assert bindings(bind) != DEFAULT_BINDINGS
        bind.run(0.2, snapshot=held)
        assert bindings(bind) == DEFAULT_BINDINGS

    def test_the_key_that_was_bound_does_not_count_as_held_here(self, bind: Any) -> None:
        choose(bind, Action.PLAY, Device.KEYS)
        press(bind, "return")
        bind.step(snapshot=Snapshot(0, keys=frozenset({"r"}), edges=(Edge(Device.KEYS, "r", True, 0),)))
        before = bindings(bind)
        bind.run(1.5, snapshot=Snapshot(0, keys=frozenset({"r"})))
        assert bindings(bind) == before


def test_a_disk_that_refuses_is_told_and_the_bindings_count(stage: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    stage.show(BindScreen(stage.shared, tmp_path / "file" / "bindings.toml"))
    choose(stage, Action.GOOD, Device.KEYS)
    press(stage, "return", "z")
    stage.screen._saver.shutdown(wait=True)
    stage.step()
    assert bindings(stage).keys[Action.GOOD] == ("z",)
    assert "could not be saved" in stage.shared.notice.text


def test_every_place_of_every_action_can_be_reached() -> None:
    table, reached = Rebinding(DEFAULT_BINDINGS), set()
    for _ in BINDABLE:
        table.move(-9, 0)
        for _ in range(6):
            reached.add(table.place)
            table.move(1, 0)
        table.move(0, 1)
    assert reached == {place for action in BINDABLE for place in places(DEFAULT_BINDINGS, action)}


# -- the wizard -------------------------------------------------------------------------------------


def pushed(element: str) -> UnknownPad:
    """The strange pad while the control that is asked for is moved: sticks and triggers are axes, the
    D-pad is a hat, all else buttons."""
    axes, buttons, hats = list(STRANGE.axes), [False] * 12, ((0, 0),)
    order = ("leftx", "lefty", "rightx", "righty", "lefttrigger", "righttrigger")
    ways = {"dpup": (0, 1), "dpdown": (0, -1), "dpleft": (-1, 0), "dpright": (1, 0)}
    if element in order:
        axes[order.index(element)] = 1.0
    elif element in ways:
        hats = (ways[element],)
    else:
        buttons[[e for e in ELEMENTS if e not in (*order, *ways)].index(element)] = True
    return replace(STRANGE, axes=tuple(axes), buttons=tuple(buttons), hats=hats)


class Teacher:
    """Stands in for `Devices.teach`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.taught: list[tuple[UnknownPad, dict[str, str]]] = []
        self.error = error

    def __call__(self, pad: UnknownPad, answers: Mapping[str, str]) -> None:
        self.taught.append((pad, dict(answers)))
        if self.error is not None:
            raise self.error


def asked(stage: Any, pad: UnknownPad, seconds: float = 0.3) -> None:
    stage.run(seconds, snapshot=Snapshot(0, unknown=(pad,)))


class TestTheWizard:
    def test_a_pad_is_learned_control_by_control(self, bind: Any) -> None:
        bind.shared.teach = teacher = Teacher()
        press(bind, "t", unknown=(STRANGE,), pad=None)
        assert bind.screen.captures
        for element in ELEMENTS:
            asked(bind, STRANGE)
            assert state(bind).wizard.open
            asked(bind, pushed(element), 0.05)
            bind.painted()
        asked(bind, STRANGE)
        assert state(bind).wizard.done
        press(bind, "return", unknown=(STRANGE,), pad=None)
        ((_, answers),) = teacher.taught
        assert set(answers) == set(WIZARD)
        assert answers["righty"] == "a3"
        assert answers["dpleft"] == "h0.8"
        mapping_line(STRANGE.guid, STRANGE.name, answers)
        assert not bind.screen.captures
        assert not state(bind).told.bad

    def test_one_movement_answers_one_question(self) -> None:
        wizard = PadWizard(STRANGE, 0)
        for step in range(100):
            wizard.update(STRANGE, step * S // 100)
        for step in range(100, 400):
            wizard.update(pushed("a"), step * S // 100)
        assert wizard.answers == {"a": "b0"}

    def test_a_control_cannot_be_given_twice(self) -> None:
        wizard, now = PadWizard(STRANGE, 0), 0
        for pad in (STRANGE, pushed("a"), STRANGE, pushed("a"), STRANGE, pushed("b")):
            for _ in range(40):
                now += S // 100
                wizard.update(pad, now)
            if pad == pushed("a") and wizard.problem:
                assert "lower face" in wizard.problem
        assert wizard.answers == {"a": "b0", "b": "b1"}

    def test_a_control_the_pad_does_not_have_is_skipped_and_one_can_go_back(self, bind: Any) -> None:
        press(bind, "t", unknown=(STRANGE,), pad=None)
        press(bind, "right", "right", "left", unknown=(STRANGE,), pad=None)
        assert state(bind).wizard.index == 1
        asked(bind, STRANGE)
        asked(bind, pushed("b"), 0.05)
        press(bind, "left", unknown=(STRANGE,), pad=None)
        assert state(bind).wizard.answers == {}

    def test_a_trigger_that_read_zero_until_it_was_moved_does_not_stop_it(self) -> None:
        fresh = replace(STRANGE, axes=(0.0,) * 6)
        wizard, now = PadWizard(fresh, 0), 0
        while wizard.element != "lefttrigger":
            wizard.skip(now)
        for pad, seconds in (
            (fresh, 0.3),
            (replace(STRANGE, axes=(0.0,) * 4 + (1.0, 0.0)), 0.2),
            (STRANGE, 2.0),
        ):
            for _ in range(round(seconds * 100)):
                now += S // 100
                wizard.update(pad, now)
        assert wizard.element == "righttrigger"
        assert wizard.open

    def test_backspace_and_unplugging_leave_it(self, bind: Any) -> None:
        bind.shared.teach = teacher = Teacher()
        press(bind, "t", "backspace", unknown=(STRANGE,), pad=None)
        assert not bind.screen.captures
        press(bind, "t", unknown=(STRANGE,), pad=None)
        bind.step(snapshot=Snapshot(0))
        assert not bind.screen.captures
        assert teacher.taught == []

    @pytest.mark.parametrize("error", [ValueError("twice"), SDLError("no"), OSError("full")])
    def test_what_goes_wrong_is_told(self, bind: Any, error: Exception) -> None:
        bind.shared.teach = Teacher(error)
        press(bind, "t", unknown=(STRANGE,), pad=None)
        asked(bind, STRANGE)
        asked(bind, pushed("a"), 0.05)
        press(bind, *["right"] * len(ELEMENTS), "return", unknown=(STRANGE,), pad=None)
        assert state(bind).told.bad
        assert str(error) in state(bind).told.text

    def test_without_an_unknown_pad_there_is_no_wizard(self, bind: Any) -> None:
        press(bind, "t")
        assert not bind.screen.captures


@pytest.mark.parametrize(
    ("size", "scale"), [((1280, 762), 1.0), ((2560, 1524), 2.0), ((640, 362), 1.0), ((200, 120), 1.0)]
)
def test_every_state_can_be_drawn_at_every_size(bind: Any, size: tuple[int, int], scale: float) -> None:
    bind.painted(size, scale)
    choose(bind, Action.GOOD, Device.KEYS)
    press(bind, "return")
    bind.painted(size, scale)
    press(bind, "n")
    bind.painted(size, scale)
    press(bind, "return", "delete", unknown=(STRANGE,))
    bind.painted(size, scale)
    press(bind, "t", unknown=(STRANGE,))
    bind.painted(size, scale)
    press(bind, *["right"] * len(ELEMENTS), unknown=(STRANGE,))
    bind.painted(size, scale)
