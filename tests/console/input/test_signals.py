"""Sounds and rumbles: they come when they can, and nothing stops when they cannot."""

from __future__ import annotations

import numpy as np
import pygame
import pytest

from robot_rlhf.console.input.signals import TONES, Signal, Signals, State, wave


@pytest.mark.parametrize("signal", Signal)
def test_every_signal_is_soft_short_and_starts_and_ends_in_silence(signal: Signal) -> None:
    samples = np.frombuffer(wave(TONES[signal]), dtype=np.int16)
    assert 0.0 < len(samples) / 44_100 < 0.5
    assert 3000 < np.abs(samples).max() <= 0.25 * 32767
    assert abs(int(samples[0])) < 50
    assert abs(int(samples[-1])) < 50
    assert np.abs(np.diff(samples.astype(int))).max() < 2500  # no crack


@pytest.mark.parametrize("signal", Signal)
def test_a_signal_sounds_and_rumbles(window: None, signal: Signal) -> None:
    rumbled: list[tuple[float, float, int]] = []

    def rumble(low: float, high: float, duration_ms: int) -> bool:
        rumbled.append((low, high, duration_ms))
        return True

    signals = Signals(rumble)
    assert signals.sound == State(True)
    signals.give(signal)
    assert pygame.mixer.get_busy()
    assert rumbled[0][:2] == TONES[signal].rumble
    assert signals.rumble == State(True)
    signals.close()
    assert pygame.mixer.get_init() is None


def test_without_a_sound_device_there_is_a_reason_and_no_error(
    window: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_AUDIODRIVER", "no-such-driver")
    signals = Signals()
    assert not signals.sound.available
    assert "no-such-driver" in signals.sound.reason
    signals.give(Signal.SAVED)
    signals.close()


def test_sound_that_breaks_while_playing_becomes_a_reason(window: None) -> None:
    signals = Signals()
    pygame.mixer.quit()
    signals.give(Signal.SAVED)
    assert not signals.sound.available
    assert "playing failed" in signals.sound.reason


def test_rumble_that_is_refused_or_breaks_becomes_a_reason(window: None) -> None:
    signals = Signals(lambda low, high, duration_ms: False, sounds=False)
    signals.give(Signal.SAVED)
    assert signals.rumble == State(False, "this pad does not rumble")

    def broken(low: float, high: float, duration_ms: int) -> bool:
        raise OSError("unplugged")

    signals = Signals(broken, sounds=False)
    signals.give(Signal.SAVED)
    assert signals.rumble == State(False, "rumbling failed: unplugged")
    assert signals.sound == State(False, "switched off")
