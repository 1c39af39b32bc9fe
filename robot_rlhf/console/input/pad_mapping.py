"""Teaching SDL a pad that it does not know: from a wizard's questions to a mapping that is kept.

A mapping is one line of text in SDL's own format (SDL_GameControllerAddMapping): the joystick's GUID, its
name, and for each GameController name the raw input: 'b3' a button, 'a1' an axis ('a1~' turned round,
'+a1' or '-a1' one half of it), 'h0.4' a hat's direction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from robot_rlhf.console.input import sdl
from robot_rlhf.console.input.settings import config_folder, write_text
from robot_rlhf.console.input.snapshot import AXES, BUTTONS, STICK_AXES, UnknownPad

WIZARD: Mapping[str, str] = {
    "a": "press the lower face button",
    "b": "press the right face button",
    "x": "press the left face button",
    "y": "press the upper face button",
    "leftshoulder": "press the left shoulder button",
    "rightshoulder": "press the right shoulder button",
    "lefttrigger": "squeeze the left trigger all the way",
    "righttrigger": "squeeze the right trigger all the way",
    "leftx": "push the left stick to the right",
    "lefty": "pull the left stick towards you",
    "rightx": "push the right stick to the right",
    "righty": "pull the right stick towards you",
    "dpup": "press up on the D-pad",
    "dpdown": "press down on the D-pad",
    "dpleft": "press left on the D-pad",
    "dpright": "press right on the D-pad",
    "leftstick": "press the left stick in",
    "rightstick": "press the right stick in",
    "back": "press the left one of the small middle buttons",
    "start": "press the right one of the small middle buttons (STOP)",
}
"""What to ask, in this order; a question may be left unanswered where the pad has no such thing."""

MOVED = 0.6  # of an axis's full range of 2
_HATS = {(0, 1): 1, (1, 0): 2, (0, -1): 4, (-1, 0): 8}
_SOURCE = re.compile(r"b\d+|h\d+\.[1248]|[+-]?a\d+~?")
_GUID = re.compile(r"[0-9a-f]{32}")


def raw_input(rest: UnknownPad, now: UnknownPad, element: str) -> str | None:
    """The raw input that answers the question for `element`: what `now` differs in from the pad at
    `rest`. None while nothing has moved far enough."""
    for number, (before, after) in enumerate(zip(rest.buttons, now.buttons, strict=True)):
        if after and not before:
            return f"b{number}"
    for number, (hat_before, hat) in enumerate(zip(rest.hats, now.hats, strict=True)):
        if hat != hat_before and hat in _HATS:
            return f"h{number}.{_HATS[hat]}"
    moves = [after - before for before, after in zip(rest.axes, now.axes, strict=True)]
    if not moves or abs(furthest := max(moves, key=abs)) < MOVED:
        return None
    number = moves.index(furthest)
    from_end = abs(rest.axes[number]) > 0.5  # a trigger on an axis of its own rests at one end
    if element in STICK_AXES or from_end:
        return f"a{number}" if furthest > 0 else f"a{number}~"
    return f"+a{number}" if furthest > 0 else f"-a{number}"


def mapping_line(guid: str, name: str, answers: Mapping[str, str]) -> str:
    """SDL's line for a pad. `answers` gives each GameController name its raw input. Raises ValueError
    for a GUID, a name or an input that is none, and where one input answers two questions."""
    if not _GUID.fullmatch(guid):
        raise ValueError(f"{guid!r} is no joystick GUID: 32 hexadecimal digits")
    asked: dict[str, str] = {}
    for element, source in answers.items():
        if element not in (*AXES, *BUTTONS) or not _SOURCE.fullmatch(source):
            raise ValueError(f"{element}:{source} is no pad input: e.g. leftx:a0, a:b1, dpup:h0.1")
        if source in asked:
            raise ValueError(f"{source} was given for both {asked[source]} and {element}")
        asked[source] = element
    clean = " ".join(name.replace(",", " ").split()) or "gamepad"
    return ",".join([guid, clean, *(f"{element}:{source}" for element, source in answers.items())]) + ","


def pads_path() -> Path:
    """Where the mappings that were made here are kept, a line a pad."""
    return config_folder() / "pads.txt"


def load_mappings(path: Path | None = None) -> tuple[str, ...]:
    """Give SDL every mapping that was kept. Returns a line for each one that could not be used; raises
    nothing for what a file may hold."""
    path = path or pads_path()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeError) as error:
        return (f"{path} cannot be read ({error}): the pads it holds are unknown",)
    complaints = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            try:
                sdl.add_mapping(_checked(line))
            except (ValueError, sdl.SDLError) as error:
                complaints.append(f"{path}, line {number} cannot be used ({error})")
    return tuple(complaints)


def keep_mapping(line: str, path: Path | None = None) -> None:
    """Keep a mapping for the next time, in place of an older one of the same pad. Raises OSError."""
    path = path or pads_path()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    guid = line.partition(",")[0]
    kept = [old for old in lines if old.partition(",")[0] != guid]
    write_text(path, "\n".join([*kept, line]) + "\n")


def _checked(line: str) -> str:
    guid, name, *pairs = line.strip().rstrip(",").split(",")
    answers = {element: source for element, _, source in (pair.partition(":") for pair in pairs)}
    return mapping_line(guid, name, answers)
