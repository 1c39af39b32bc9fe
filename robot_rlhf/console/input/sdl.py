"""What pygame does not offer of the SDL2 library that it has loaded, through ctypes.

The library must be pygame's own: another copy would not share its devices and events.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygame

_Int, _Pointer, _Text = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "SDL_GetError": (_Text, ()),
    "SDL_SetHint": (_Int, (_Text, _Text)),
    "SDL_EventState": (ctypes.c_uint8, (ctypes.c_uint32, _Int)),
    "SDL_NumJoysticks": (_Int, ()),
    "SDL_JoystickGetDeviceInstanceID": (ctypes.c_int32, (_Int,)),
    "SDL_GameControllerTypeForIndex": (_Int, (_Int,)),
    "SDL_GameControllerAddMapping": (_Int, (_Text,)),
    "SDL_JoystickAttachVirtualEx": (_Int, (_Pointer,)),
    "SDL_JoystickDetachVirtual": (_Int, (_Int,)),
    "SDL_JoystickSetVirtualAxis": (_Int, (_Pointer, _Int, ctypes.c_int16)),
    "SDL_JoystickSetVirtualButton": (_Int, (_Pointer, _Int, ctypes.c_uint8)),
    "SDL_JoystickSetVirtualHat": (_Int, (_Pointer, _Int, ctypes.c_uint8)),
    "SDL_JoystickOpen": (_Pointer, (_Int,)),
    "SDL_JoystickClose": (None, (_Pointer,)),
}


class SDLError(RuntimeError):
    """SDL cannot be found, or says that a call failed."""


@functools.cache
def library() -> ctypes.CDLL:
    """The SDL2 that pygame uses. Raises SDLError where it cannot be found or is older than 2.24."""
    tried: list[str] = []
    for path in _candidates():
        tried.append(path)
        try:
            found = ctypes.CDLL(path)
            for name, (result, arguments) in _SIGNATURES.items():
                function = getattr(found, name)
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError):
            continue
        return found
    version = ".".join(map(str, pygame.get_sdl_version()))
    raise SDLError(f"pygame's SDL {version} is not to be found, or older than 2.24; tried {tried}")


def _candidates() -> Iterator[str]:
    """The mapped library on Linux, then the places where wheels and systems keep it."""
    maps = Path("/proc/self/maps")
    if maps.exists():
        names = {line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines() if "libSDL2-2" in line}
        yield from sorted(names)
    here = Path(pygame.__file__).parent
    for pattern in ("../pygame.libs/libSDL2-2*", ".dylibs/libSDL2-2*", "SDL2.dll"):
        yield from map(str, sorted(here.glob(pattern)))
    yield {"darwin": "libSDL2-2.0.0.dylib", "win32": "SDL2.dll"}.get(sys.platform, "libSDL2-2.0.so.0")


def check(result: int) -> int:
    """A call's result, or SDLError with SDL's own words where it is negative."""
    if result < 0:
        raise SDLError(library().SDL_GetError().decode(errors="replace") or "SDL gives no reason")
    return result


def instance_ids() -> tuple[int, ...]:
    """The instance of each joystick that is plugged in, by device index."""
    sdl = library()
    return tuple(sdl.SDL_JoystickGetDeviceInstanceID(index) for index in range(sdl.SDL_NumJoysticks()))


def controller_type(index: int) -> int:
    """SDL_GameControllerType of the joystick at a device index, 0 where SDL does not know."""
    return int(library().SDL_GameControllerTypeForIndex(index))


def add_mapping(line: str) -> None:
    """Tell SDL how a pad's raw inputs are to be called. Raises SDLError for what is no mapping."""
    check(library().SDL_GameControllerAddMapping(line.encode()))


def name_buttons_by_place() -> None:
    """Let 'a' be the lower face button on every pad, also where the letters sit elsewhere. To be called
    before pads are opened."""
    library().SDL_SetHint(b"SDL_GAMECONTROLLER_USE_BUTTON_LABELS", b"0")


class VirtualJoystickDesc(ctypes.Structure):
    """SDL_VirtualJoystickDesc, version 1."""

    RUMBLE = ctypes.CFUNCTYPE(_Int, _Pointer, ctypes.c_uint16, ctypes.c_uint16)
    _fields_ = (
        *((name, ctypes.c_uint16) for name in ("version", "type", "naxes", "nbuttons", "nhats")),
        *((name, ctypes.c_uint16) for name in ("vendor_id", "product_id", "padding")),
        *((name, ctypes.c_uint32) for name in ("button_mask", "axis_mask")),
        ("name", _Text),
        *((name, _Pointer) for name in ("userdata", "Update", "SetPlayerIndex")),
        ("Rumble", RUMBLE),
        *((name, _Pointer) for name in ("RumbleTriggers", "SetLED", "SendEffect")),
    )
