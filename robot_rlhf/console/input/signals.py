"""Small sounds and rumbles that say what just happened.

They are a comfort: whatever fails in them becomes a state that can be shown, and nothing stops for it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pygame

RATE_HZ = 44_100
VOLUME = 0.25


class Signal(Enum):
    SAVED = "saved"
    REFUSED = "refused"
    TAKEOVER = "takeover"
    RELEASED = "released"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Tones:
    """A soft click for each frequency in turn, and how the pad rumbles meanwhile (low, high in [0, 1])."""

    frequencies_hz: tuple[float, ...]
    click_s: float
    rumble: tuple[float, float]


TONES = {
    Signal.SAVED: Tones((1320.0,), 0.06, (0.0, 0.3)),
    Signal.REFUSED: Tones((330.0, 247.0), 0.09, (0.5, 0.0)),
    Signal.TAKEOVER: Tones((523.0, 784.0), 0.06, (0.3, 0.3)),
    Signal.RELEASED: Tones((784.0, 523.0), 0.06, (0.2, 0.0)),
    Signal.STOPPED: Tones((220.0, 220.0, 220.0), 0.12, (0.9, 0.9)),
}


@dataclass(frozen=True)
class State:
    """Whether a kind of signal works, and in words why not."""

    available: bool
    reason: str = ""


class Signals:
    """Sounds, and rumbles through `rumble(low, high, duration_ms)` where one is given. Never raises."""

    def __init__(
        self, rumble: Callable[[float, float, int], bool] | None = None, *, sounds: bool = True
    ) -> None:
        self._rumble = rumble
        self._sounds: dict[Signal, pygame.mixer.Sound] = {}
        self.sound = State(False, "switched off")
        self.rumble = State(rumble is not None, "" if rumble is not None else "switched off")
        if sounds:
            self._open()

    def give(self, signal: Signal) -> None:
        """Start a sound and a rumble and return at once."""
        tones = TONES[signal]
        try:
            if signal in self._sounds:
                if pygame.mixer.get_init() is None:  # a Sound that is played then crashes the process
                    raise pygame.error("the sound device was closed")
                self._sounds[signal].play()
        except Exception as error:  # see the module's first lines
            self._sounds, self.sound = {}, State(False, f"playing failed: {error}")
        if self._rumble is None:
            return
        try:
            did = self._rumble(*tones.rumble, round(1000 * tones.click_s * len(tones.frequencies_hz)))
            self.rumble = State(True) if did else State(False, "this pad does not rumble")
        except Exception as error:
            self.rumble = State(False, f"rumbling failed: {error}")

    def close(self) -> None:
        """Give the sound device back."""
        self._sounds = {}
        try:
            pygame.mixer.quit()
        except Exception as error:
            self.sound = State(False, f"closing failed: {error}")

    def _open(self) -> None:
        try:
            with _stderr_to_nowhere():
                pygame.mixer.init(RATE_HZ, -16, 1, 512, allowedchanges=0)
            self._sounds = {signal: pygame.mixer.Sound(buffer=wave(tones)) for signal, tones in TONES.items()}
            self.sound = State(True)
        except Exception as error:
            self.sound = State(False, f"there is no sound: {error}")


@contextlib.contextmanager
def _stderr_to_nowhere() -> Iterator[None]:
    """ALSA prints a page of complaints where there is no sound card; `Signals.sound` says it in a line."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def wave(tones: Tones) -> bytes:
    """16-bit mono samples at RATE_HZ: clicks that swell for 3 ms and die away, so that nothing cracks."""
    time_s = np.arange(round(tones.click_s * RATE_HZ)) / RATE_HZ
    envelope = np.minimum(1.0, time_s / 0.003) * np.exp(-time_s * 4.0 / tones.click_s)
    envelope *= np.minimum(1.0, (tones.click_s - time_s) / 0.003)
    clicks = [envelope * np.sin(2.0 * np.pi * frequency * time_s) for frequency in tones.frequencies_hz]
    return bytes((np.concatenate(clicks) * VOLUME * 32767).astype(np.int16).tobytes())
