"""A screen without a monitor, and hands at its keyboard: Xvfb, xdotool and ImageMagick, for benchmarks that
use the console's real window."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

PROGRAMS = ("Xvfb", "xdotool", "import", "convert")
_CLIENT_MESSAGE = 33
_QUIET_S = 5.0  # how long a helper program may take


def lacking() -> list[str]:
    """The programs that are needed here and not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Desktop:
    """An X server of its own, without a window manager. `env` is the environment for whoever shall open a
    window there."""

    def __init__(self, size: tuple[int, int] = (1280, 800)) -> None:
        reading, writing = os.pipe()
        screen = f"{size[0]}x{size[1]}x24"
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", screen, "-nolisten", "tcp"],
            pass_fds=(writing,),
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as said:
            number = said.readline().strip()
        if not number:
            raise RuntimeError("Xvfb did not start")
        self.name = f":{number}"
        self.env: Mapping[str, str] = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SDL_")},
            "DISPLAY": self.name,
        }

    def window(self, name: str) -> int | None:
        """The id of the visible window of that name; None while there is none."""
        found = self._run("xdotool", "search", "--onlyvisible", "--class", ".*", check=False).split()
        for id in found:
            if self._run("xdotool", "getwindowname", id, check=False).strip() == name:
                return int(id)
        return None

    def focus(self, window: int) -> None:
        """Give a window the keyboard, as a click into it would."""
        self._run("xdotool", "windowfocus", str(window))

    def keys(self, *words: str) -> None:
        """xdotool's own words: keydown, keyup or key, each with a key."""
        self._run("xdotool", *words)

    def picture(self, path: Path) -> None:
        """The whole screen as it is now, uncompressed (.xwd), which takes a twentieth of a second."""
        self._run("import", "-window", "root", str(path))

    def ask_to_close(self, window: int) -> None:
        """What a window manager does when somebody closes a window: WM_DELETE_WINDOW."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        display = ctypes.c_void_p(x11.XOpenDisplay(self.name.encode()))
        x11.XInternAtom.restype = ctypes.c_ulong
        event = _Event()
        event.type, event.window, event.format = _CLIENT_MESSAGE, window, 32
        event.message_type = x11.XInternAtom(display, b"WM_PROTOCOLS", 0)
        event.data[0] = x11.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
        x11.XSendEvent(display, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(event))
        x11.XCloseDisplay(display)

    def close(self) -> None:
        self._server.terminate()
        self._server.wait(_QUIET_S)

    def _run(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            words, env=self.env, check=check, capture_output=True, text=True, timeout=_QUIET_S
        )
        return done.stdout


class _Event(ctypes.Structure):
    """XClientMessageEvent, padded to the size of an XEvent."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("padding", ctypes.c_long * 16),
    )


class Keyboard:
    """Keys by xdotool's names, held and let go."""

    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop
        self._held: set[str] = set()
        self.presses = 0
        """Keys pressed so far."""

    def hold(self, keys: Iterable[str]) -> None:
        """Hold exactly these."""
        wanted = set(keys)
        words = [word for key in sorted(self._held - wanted) for word in ("keyup", key)]
        words += [word for key in sorted(wanted - self._held) for word in ("keydown", key)]
        self.presses += len(wanted - self._held)
        self._held = wanted
        if words:
            self._desktop.keys(*words)

    def tap(self, key: str) -> None:
        """Press and let go."""
        self.presses += 1
        self._desktop.keys("keydown", key)
        time.sleep(0.05)
        self._desktop.keys("keyup", key)


class Album:
    """Pictures of the screen in a folder: taken quickly, developed to PNG at the end."""

    def __init__(self, desktop: Desktop, folder: Path | None) -> None:
        self._desktop, self._folder = desktop, folder
        self._taken: list[Path] = []
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def has(self, name: str) -> bool:
        """Whether there is such a picture already."""
        return any(path.stem == name for path in self._taken)

    def take(self, name: str) -> None:
        """A picture of this moment; the first of a name stays."""
        if self._folder is None or self.has(name):
            return
        path = self._folder / f"{name}.xwd"
        self._desktop.picture(path)
        self._taken.append(path)

    def forget(self, start: str) -> None:
        """Throw away the pictures whose names begin so."""
        for path in [each for each in self._taken if each.stem.startswith(start)]:
            path.unlink()
            self._taken.remove(path)

    def develop(self) -> list[Path]:
        """The pictures as PNG files."""
        for path in self._taken:
            subprocess.run(["convert", str(path), str(path.with_suffix(".png"))], check=True)
            path.unlink()
        return [path.with_suffix(".png") for path in self._taken]
