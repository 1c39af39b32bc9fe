"""Settings of the encoder of pictures. Imports nothing heavy, so that --help is instant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EncoderConfig:
    """How pictures become numbers that policy and reward model learn from."""

    keypoints: int = 8
    """Places that are followed in each camera's pictures."""
    channels: int = 16
    """Of the convolutions."""
    hidden: int = 64
    """Width of the layer that foretells from keypoints."""
    steps: int = 600
    """Gradient steps of a fit."""
    batch_size: int = 64
    """Moments in each."""
    learning_rate: float = 2e-3
    """Of AdamW, falling to 0 along a cosine."""
    weight_decay: float = 1e-2
    """Of AdamW."""
    shift_px: int = 2
    """Pictures are shifted at random by up to so many pixels while it is fitted."""
    state_noise: float = 0.05
    """Noise on what is told of the hand while it is fitted, in its standard deviations."""
    anew_at: int = 0
    """Episodes that the policy has driven from which it is fitted anew, to takeovers and successes too, and
    all that learns behind it with it; 0: never, since it has done harm so far (docs/measurements.md)."""
    anew_growth: float = 2.0
    """It is fitted anew again with every so many times as many."""

    def __post_init__(self) -> None:
        for name in ("keypoints", "channels", "hidden", "steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"encoder.{name} is {getattr(self, name)}: it must be at least 1")
        if self.learning_rate <= 0.0:
            raise ValueError(f"encoder.learning_rate is {self.learning_rate}: it must be positive")
        if not 1.0 < self.anew_growth < float("inf"):
            raise ValueError(f"encoder.anew_growth is {self.anew_growth}: it must be above 1 and finite")
        for name in ("weight_decay", "shift_px", "state_noise", "anew_at"):
            if getattr(self, name) < 0:
                raise ValueError(f"encoder.{name} is {getattr(self, name)}: it must not be negative")
