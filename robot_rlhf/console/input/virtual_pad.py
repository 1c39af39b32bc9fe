"""A gamepad that no hand holds: SDL's own virtual joystick, so that presses run through SDL's real event
road.

Test equipment, which ships because measuring the console and trying it without a pad need it. What it
is told takes effect when events are next pumped; two changes of one button in between cancel out.
"""

from __future__ import annotations

import contextlib
import ctypes
from types import TracebackType

import pygame

from robot_rlhf.console.input import sdl
from robot_rlhf.console.input.snapshot import AXES, BUTTONS, STICK_AXES

_GAMECONTROLLER, _UNKNOWN = 1, 0  # SDL_JoystickType: SDL maps the first by itself, the other not
_MAPPED_BUTTONS = BUTTONS[:15]
_HATS = {"up": 1, "right": 2, "down": 4, "left": 8}


class VirtualPad:
    """A pad that is plugged in on entering its context (or by `plug`), at rest.

    `known=False` makes a joystick that SDL has no mapping for: its inputs then are raw numbers, given
    by `raw_axis`, `raw_button` and `raw_hat`. `rumbled` holds what it was told to rumble, (low, high)
    each in [0, 1]. Raises SDLError where SDL refuses, KeyError for a name that is none.
    """

    def __init__(self, name: str = "Virtual Xbox pad", *, known: bool = True) -> None:
        self.name = name
        self.rumbled: list[tuple[float, float]] = []
        self._known = known
        self._handle: int | None = None
        self._instance = -1
        self._on_rumble = sdl.VirtualJoystickDesc.RUMBLE(self._rumble)  # SDL keeps it as long as we do

    def __enter__(self) -> VirtualPad:
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    @property
    def instance(self) -> int:
        """SDL's id of this pad since it was last plugged in."""
        return self._instance

    def plug(self) -> None:
        """Plug it in, sticks in the middle and triggers released. Does nothing when it is in."""
        if self._handle is not None:
            return
        pygame.joystick.init()
        library = sdl.library()
        describe = sdl.VirtualJoystickDesc(
            version=1,
            type=_GAMECONTROLLER if self._known else _UNKNOWN,
            naxes=len(AXES),
            nbuttons=len(_MAPPED_BUTTONS),
            nhats=0 if self._known else 1,
            button_mask=(1 << len(_MAPPED_BUTTONS)) - 1,
            axis_mask=(1 << len(AXES)) - 1,
            name=self.name.encode(),
            Rumble=self._on_rumble,
        )
        index = sdl.check(library.SDL_JoystickAttachVirtualEx(ctypes.byref(describe)))
        self._instance = sdl.instance_ids()[index]
        self._handle = library.SDL_JoystickOpen(index)
        self.centre()

    def unplug(self) -> None:
        """Pull the plug, whatever is held. Does nothing when it is out or SDL has shut down."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        if pygame.joystick.get_init():
            library = sdl.library()
            with contextlib.suppress(ValueError):  # gone already
                sdl.check(library.SDL_JoystickDetachVirtual(sdl.instance_ids().index(self._instance)))
            library.SDL_JoystickClose(handle)

    def press(self, *buttons: str) -> None:
        for name in buttons:
            self.raw_button(_index(name, _MAPPED_BUTTONS), True)

    def release(self, *buttons: str) -> None:
        for name in buttons:
            self.raw_button(_index(name, _MAPPED_BUTTONS), False)

    def axis(self, name: str, value: float) -> None:
        """Move a stick's axis in [-1, 1] (right and down positive) or a trigger in [0, 1]."""
        self.raw_axis(_index(name, AXES), value if name in STICK_AXES else 2.0 * value - 1.0)

    def centre(self) -> None:
        """Let go of sticks and triggers."""
        for name in AXES:
            self.axis(name, 0.0)

    def raw_axis(self, number: int, value: float) -> None:
        """Move an axis, [-1, 1]; SDL counts it in steps of 1/32767."""
        counts = max(-32768, min(32767, round(value * 32767.5 - 0.5 if value < 0 else value * 32767)))
        sdl.check(sdl.library().SDL_JoystickSetVirtualAxis(self._plugged(), number, counts))

    def raw_button(self, number: int, down: bool) -> None:
        sdl.check(sdl.library().SDL_JoystickSetVirtualButton(self._plugged(), number, down))

    def raw_hat(self, *directions: str) -> None:
        """Push the hat of an unknown pad 'up', 'right', 'down', 'left', or nowhere."""
        value = sum(_HATS[direction] for direction in directions)
        sdl.check(sdl.library().SDL_JoystickSetVirtualHat(self._plugged(), 0, value))

    def _plugged(self) -> int:
        if self._handle is None:
            raise sdl.SDLError(f"{self.name} is not plugged in")
        return self._handle

    def _rumble(self, _userdata: int, low: int, high: int) -> int:
        self.rumbled.append((low / 0xFFFF, high / 0xFFFF))
        return 0


def _index(name: str, names: tuple[str, ...]) -> int:
    if name not in names:
        raise KeyError(f"{name!r} is none of {', '.join(names)}")
    return names.index(name)
