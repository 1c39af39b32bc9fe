"""Teaching SDL a pad that it does not know, and keeping that."""

from __future__ import annotations

from pathlib import Path

import pygame
import pytest

from robot_rlhf.console.input import sdl
from robot_rlhf.console.input.devices import Devices
from robot_rlhf.console.input.pad_mapping import WIZARD, load_mappings, mapping_line, pads_path, raw_input
from robot_rlhf.console.input.snapshot import (
    STICK_AXES,
    TRIGGERS,
    Snapshot,
    UnknownPad,
)
from robot_rlhf.console.input.virtual_pad import VirtualPad


def poll(devices: Devices, time_ns: int = 7) -> Snapshot:
    return devices.poll(pygame.event.get(), time_ns)


def axis(snapshot: Snapshot, name: str) -> float:
    assert snapshot.pad is not None
    return snapshot.pad.axes[(*STICK_AXES, *TRIGGERS).index(name)]


def test_an_unknown_pad_is_reported_with_what_it_does_and_can_be_taught(window: None) -> None:
    hats = {"dpup": "up", "dpdown": "down", "dpleft": "left", "dpright": "right"}
    axes = {"leftx": 3, "lefty": 2, "rightx": 1, "righty": 0, "lefttrigger": 4, "righttrigger": 5}
    with VirtualPad("Oddpad, 2000", known=False) as odd:
        devices = Devices()
        rest = poll(devices).unknown[0]
        assert (rest.name, len(rest.axes), len(rest.buttons)) == ("Oddpad, 2000", 6, 15)
        answers = {}
        buttons = [element for element in WIZARD if element not in hats and element not in axes]
        for element in WIZARD:
            odd.centre()
            odd.raw_hat(*([hats[element]] if element in hats else []))
            for number, button in enumerate(buttons):
                odd.raw_button(number, button == element)
            if element in axes:
                odd.raw_axis(axes[element], -1.0 if element == "lefty" else 1.0)
            answers[element] = str(raw_input(rest, poll(devices).unknown[0], element))
        assert answers["a"] == "b0"
        assert answers["leftx"] == "a3"
        assert answers["lefty"] == "a2~"
        assert answers["righttrigger"] == "a5"
        assert answers["dpleft"] == "h0.8"
        odd.raw_button(buttons.index("start"), False)
        devices.teach(rest, answers)
        known = poll(devices)
        assert known.unknown == ()
        assert known.pad is not None
        odd.raw_axis(axes["lefty"], -1.0)
        odd.raw_axis(axes["righttrigger"], 1.0)
        odd.raw_hat("left")
        moved = poll(devices)
        assert axis(moved, "lefty") == pytest.approx(1.0)
        assert axis(moved, "righttrigger") == pytest.approx(1.0)
        assert axis(moved, "lefttrigger") == 0.0
        assert [edge.name for edge in moved.edges] == ["dpleft"]
        devices.close()
    assert load_mappings() == ()
    assert pads_path().read_text(encoding="utf-8").startswith(f"{rest.guid},Oddpad 2000,")


REST = UnknownPad(1, "odd", "0" * 32, (0.0, -1.0), (False, False), ((0, 0),))


def with_axes(*axes: float) -> UnknownPad:
    return UnknownPad(1, "odd", "0" * 32, axes, (False, False), ((0, 0),))


@pytest.mark.parametrize(
    ("axes", "element", "source"),
    [
        ((0.1, -0.9), "leftx", None),
        ((0.9, -1.0), "leftx", "a0"),
        ((-0.9, -1.0), "leftx", "a0~"),
        ((0.9, -1.0), "dpup", "+a0"),
        ((-0.9, -1.0), "lefttrigger", "-a0"),
        ((0.0, 1.0), "lefttrigger", "a1"),
    ],
)
def test_the_wizard_sees_what_moved(axes: tuple[float, ...], element: str, source: str | None) -> None:
    assert raw_input(REST, with_axes(*axes), element) == source


@pytest.mark.parametrize(
    ("guid", "answers", "complaint"),
    [
        ("nonsense", {"a": "b0"}, "GUID"),
        ("0" * 32, {"a": "c0"}, "a:c0"),
        ("0" * 32, {"jump": "b0"}, "jump"),
        ("0" * 32, {"a": "b0", "b": "b0"}, "both a and b"),
    ],
)
def test_answers_that_make_no_mapping_are_refused(guid: str, answers: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        mapping_line(guid, "pad", answers)


def test_kept_mappings_that_are_damaged_are_named_by_their_line(window: None, tmp_path: Path) -> None:
    file = tmp_path / "pads.txt"
    file.write_text("# mine\n" + "0" * 31 + "1,fine,a:b0,\nrubbish\n", encoding="utf-8")
    complaints = Devices(file).complaints
    assert len(complaints) == 1
    assert "line 3" in complaints[0]
    file.write_bytes(b"\xff\xfe\xff")
    assert "cannot be read" in Devices(file).complaints[0]


def test_sdl_says_why_it_refuses() -> None:
    with pytest.raises(sdl.SDLError, match=r"\w"):
        sdl.add_mapping("rubbish")
