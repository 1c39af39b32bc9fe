"""What an input is called where a person looks for it: on their pad, or on their keyboard."""

from __future__ import annotations

from robot_rlhf.console.input.actions import ACTIONS, Action
from robot_rlhf.console.input.bindings import Bindings
from robot_rlhf.console.input.snapshot import Device, Family

_SHARED = {
    "leftx": "left stick left/right",
    "lefty": "left stick up/down",
    "rightx": "right stick left/right",
    "righty": "right stick up/down",
    "dpup": "D-pad up",
    "dpdown": "D-pad down",
    "dpleft": "D-pad left",
    "dpright": "D-pad right",
    "leftstick": "L3",
    "rightstick": "R3",
    "touchpad": "touchpad",
    "misc1": "extra button",
    **{f"paddle{number}": f"paddle {number}" for number in range(1, 5)},
}
_XBOX = {"a": "A", "b": "B", "x": "X", "y": "Y", "back": "View", "start": "Menu", "guide": "Xbox"} | {
    "leftshoulder": "LB",
    "rightshoulder": "RB",
    "lefttrigger": "LT",
    "righttrigger": "RT",
}
_PLAYSTATION = {"a": "cross", "b": "circle", "x": "square", "y": "triangle"} | {
    "back": "Create",
    "start": "Options",
    "guide": "PS",
    "leftshoulder": "L1",
    "rightshoulder": "R1",
    "lefttrigger": "L2",
    "righttrigger": "R2",
}
# By place, as everywhere here: a Nintendo pad has its letters the other way round.
_NINTENDO = {"a": "B", "b": "A", "x": "Y", "y": "X", "back": "minus", "start": "plus", "guide": "Home"} | {
    "leftshoulder": "L",
    "rightshoulder": "R",
    "lefttrigger": "ZL",
    "righttrigger": "ZR",
}
_PADS = {Family.XBOX: _XBOX, Family.PLAYSTATION: _PLAYSTATION, Family.NINTENDO: _NINTENDO}
_KEYS = {"escape": "Esc", "return": "Enter", "enter": "keypad Enter", "delete": "Del", "alt gr": "AltGr"}


def input_label(device: Device, name: str, family: Family = Family.XBOX) -> str:
    """The words for one input; the name itself where a pad has no words for it."""
    if device is Device.PAD:
        return _PADS[family].get(name) or _SHARED.get(name, name)
    return _KEYS.get(name) or name.title()


def action_label(
    bindings: Bindings, action: Action, device: Device, family: Family = Family.XBOX, joiner: str = " / "
) -> str:
    """What to press for an action as bound now, e.g. 'RB', 'D-pad left / X', 'W / S'."""
    source = ACTIONS[action].follows or action
    return joiner.join(input_label(device, name, family) for name in bindings.table(device)[source])


def family_of(sdl_type: int, name: str) -> Family:
    """The family by SDL_GameControllerType, and by the pad's name where SDL has no type for it."""
    by_type = {3: Family.PLAYSTATION, 4: Family.PLAYSTATION, 7: Family.PLAYSTATION} | dict.fromkeys(
        (5, 11, 12, 13), Family.NINTENDO
    )
    if sdl_type in by_type:
        return by_type[sdl_type]
    lowered = name.lower()
    if any(
        word in lowered for word in ("playstation", "dualshock", "dualsense", "ps3", "ps4", "ps5", "sony")
    ):
        return Family.PLAYSTATION
    if any(word in lowered for word in ("nintendo", "switch", "joy-con")):
        return Family.NINTENDO
    return Family.XBOX
