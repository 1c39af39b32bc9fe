"""The table of bindings: complete, free of conflicts, changed by hand, and kept on disk."""

from __future__ import annotations

from pathlib import Path

import pygame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.console.input.actions import ACTIONS, BINDABLE, Action, Context, Kind
from robot_rlhf.console.input.bindings import (
    DEFAULT_BINDINGS,
    BindingError,
    Bindings,
    ConflictError,
    captured,
)
from robot_rlhf.console.input.bindings_file import bindings_path, load_bindings, save_bindings
from robot_rlhf.console.input.labels import action_label, family_of, input_label
from robot_rlhf.console.input.snapshot import Device, Edge, Family, PadState, Snapshot


def test_every_action_has_words_and_a_screen() -> None:
    assert set(ACTIONS) == set(Action)
    for info in ACTIONS.values():
        assert info.words
        assert info.contexts
        assert (info.hold_s == 0.0) or info.kind is Kind.PRESS


def test_stop_help_and_screen_count_everywhere() -> None:
    for action in (Action.STOP, Action.SCREEN, Action.HELP):
        assert ACTIONS[action].contexts == set(Context)


@pytest.mark.parametrize("device", Device)
def test_every_action_can_be_given_on_either_device(device: Device) -> None:
    assert set(DEFAULT_BINDINGS.table(device)) == set(BINDABLE) == set(Action) - {Action.CLEAR_FAULT}
    assert all(DEFAULT_BINDINGS.table(device).values())


def test_default_keys_are_keys_that_pygame_knows() -> None:
    known = {pygame.key.name(getattr(pygame, name)) for name in dir(pygame) if name.startswith("K_")}
    assert {name for names in DEFAULT_BINDINGS.keys.values() for name in names} <= known


def test_rebinding_changes_one_place() -> None:
    changed = DEFAULT_BINDINGS.rebind(Device.KEYS, Action.Z, "t", slot=1)
    assert changed.keys[Action.Z] == ("q", "t")
    assert changed.pad == DEFAULT_BINDINGS.pad
    assert DEFAULT_BINDINGS.keys[Action.Z] == ("q", "e")


def test_two_actions_of_one_screen_on_one_button_are_refused_by_both_names() -> None:
    with pytest.raises(
        ConflictError, match=r"'b' would mean both 'success .* and 'failure .*drive"
    ) as refused:
        DEFAULT_BINDINGS.rebind(Device.PAD, Action.SUCCESS, "b")
    assert {refused.value.first, refused.value.second} == {Action.SUCCESS, Action.FAILURE}


@pytest.mark.parametrize("context", Context)
@pytest.mark.parametrize("device", Device)
def test_nothing_can_take_stop_away(device: Device, context: Context) -> None:
    stop = DEFAULT_BINDINGS.table(device)[Action.STOP][0]
    for action, info in ACTIONS.items():
        buttons = len(DEFAULT_BINDINGS.table(device).get(action, ())) == (2 if info.kind is Kind.AXIS else 1)
        if action in BINDABLE and action is not Action.STOP and context in info.contexts and buttons:
            with pytest.raises(ConflictError, match="STOP"):
                DEFAULT_BINDINGS.rebind(device, action, stop)


def test_one_button_may_mean_different_things_on_different_screens() -> None:
    changed = DEFAULT_BINDINGS.rebind(Device.KEYS, Action.PLAY, "g")
    assert changed.keys[Action.PLAY] == ("g",)
    assert changed.keys[Action.GRIP] == ("f", "g")


@pytest.mark.parametrize(
    ("device", "action", "name", "complaint"),
    [
        (Device.PAD, Action.X, "a", "leftx, lefty"),
        (Device.PAD, Action.GOOD, "leftx", "takes one of"),
        (Device.PAD, Action.GOOD, "b17", "takes one of"),
        (Device.KEYS, Action.GOOD, "spcae", "no key"),
        (Device.KEYS, Action.GOOD, "", "no key"),
        (Device.PAD, Action.CLEAR_FAULT, "a", "no place 0"),
    ],
)
def test_an_input_that_cannot_give_an_action_is_refused(
    device: Device, action: Action, name: str, complaint: str
) -> None:
    with pytest.raises(BindingError, match=complaint):
        DEFAULT_BINDINGS.rebind(device, action, name)


def test_a_trigger_can_be_a_button_and_buttons_an_axis() -> None:
    buttons = {**DEFAULT_BINDINGS.pad, Action.X: ("dpup", "dpdown"), Action.GOOD: ("misc1",)}
    changed = Bindings({**buttons, Action.BAD: ("touchpad",)}, DEFAULT_BINDINGS.keys)
    assert changed.pad[Action.X] == ("dpup", "dpdown")
    assert changed.rebind(Device.PAD, Action.PLAY, "righttrigger").pad[Action.PLAY] == ("righttrigger",)


def test_what_is_pressed_to_bind_is_seen() -> None:
    down = Edge(Device.KEYS, "k", True, 0)
    assert captured(Snapshot(0, edges=(Edge(Device.KEYS, "w", False, 0), down))) == (Device.KEYS, "k")
    pulled = PadState(1, "pad", Family.XBOX, (0.1, 0.0, -0.9, 0.0, 0.0, 0.8))
    assert captured(Snapshot(0, pad=pulled)) == (Device.PAD, "rightx")
    assert captured(Snapshot(0, pad=PadState(1, "pad", Family.XBOX))) is None
    assert captured(Snapshot(0)) is None


def test_bindings_come_back_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "bindings.toml"
    changed = DEFAULT_BINDINGS.rebind(Device.KEYS, Action.GOOD, '"').rebind(Device.PAD, Action.GOOD, "misc1")
    changed = changed.rebind(Device.KEYS, Action.BAD, "\\").rebind(Device.KEYS, Action.UNDO, "ü")
    save_bindings(changed, path)
    assert load_bindings(path) == (changed, None)
    assert [file.name for file in path.parent.iterdir()] == ["bindings.toml"]


def test_bindings_lie_in_the_users_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert bindings_path() == tmp_path / "robot-rlhf" / "bindings.toml"
    assert load_bindings() == (DEFAULT_BINDINGS, None)
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert bindings_path() == tmp_path / ".config" / "robot-rlhf" / "bindings.toml"


def test_actions_that_a_file_does_not_name_have_their_defaults(tmp_path: Path) -> None:
    path = tmp_path / "bindings.toml"
    path.write_text('version = 1\n[keys]\ntakeover = ["x"]\n', encoding="utf-8")
    bindings, complaint = load_bindings(path)
    assert complaint is None
    assert bindings.keys[Action.TAKEOVER] == ("x",)
    assert bindings.keys[Action.STOP] == ("escape",)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"version = 1\n[keys\n",
        b"version = 2\n",
        b'version = 1\ncolour = "red"\n',
        b'version = 1\n[keys]\nfly = ["w"]\n',
        b'version = 1\n[keys]\nstop = ["spcae"]\n',
        b"version = 1\n[keys]\nstop = []\n",
        b'version = 1\n[keys]\nstop = "escape"\n',
        b'version = 1\n[keys]\nstop = ["space"]\n',
        b'version = 1\n[pad]\nx = ["b3"]\n',
    ],
)
def test_a_file_that_cannot_be_used_is_kept_aside_and_named_in_one_line(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "bindings.toml"
    for number in (1, 2):
        path.write_bytes(content)
        bindings, complaint = load_bindings(path)
        assert bindings == DEFAULT_BINDINGS
        assert complaint is not None
        assert "\n" not in complaint
        assert str(path) in complaint
        assert not path.exists()
        assert (tmp_path / f"bindings.toml.damaged-{number}").read_bytes() == content


@given(st.binary(max_size=60))
def test_no_content_of_the_file_stops_the_console(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("config") / "bindings.toml"
    path.write_bytes(data)
    assert load_bindings(path).bindings == DEFAULT_BINDINGS


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    bindings, complaint = load_bindings(tmp_path)  # a folder
    assert bindings == DEFAULT_BINDINGS
    assert complaint is not None
    assert "cannot be read" in complaint


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(OSError):
        save_bindings(DEFAULT_BINDINGS, tmp_path / "file" / "bindings.toml")


def test_buttons_are_called_as_they_are_on_the_pad() -> None:
    words = {family: action_label(DEFAULT_BINDINGS, Action.TAKEOVER, Device.PAD, family) for family in Family}
    assert words == {Family.XBOX: "RB", Family.PLAYSTATION: "R1", Family.NINTENDO: "R"}
    assert input_label(Device.PAD, "y", Family.PLAYSTATION) == "triangle"
    assert input_label(Device.PAD, "a", Family.NINTENDO) == "B"
    assert action_label(DEFAULT_BINDINGS, Action.X, Device.KEYS) == "W / S"
    assert action_label(DEFAULT_BINDINGS, Action.STOP, Device.KEYS) == "Esc"
    assert action_label(DEFAULT_BINDINGS, Action.CLEAR_FAULT, Device.PAD) == "A"


@pytest.mark.parametrize(
    ("sdl_type", "name", "family"),
    [
        (2, "whatever", Family.XBOX),
        (7, "whatever", Family.PLAYSTATION),
        (5, "whatever", Family.NINTENDO),
        (0, "Sony DualSense Wireless Controller", Family.PLAYSTATION),
        (6, "Nintendo Switch Pro Controller", Family.NINTENDO),
        (0, "8BitDo Ultimate", Family.XBOX),
    ],
)
def test_the_family_is_told_by_type_and_otherwise_by_name(sdl_type: int, name: str, family: Family) -> None:
    assert family_of(sdl_type, name) is family
