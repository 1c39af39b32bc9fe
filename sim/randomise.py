"""What may differ from one episode to the next beyond where it starts: the things, the delay, the senses.

Nothing does unless asked for. All of it is drawn once an episode, from the episode's own generator and after
its start, so that it follows from the seed wherever the episode runs, and it travels with a saved moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from hardware.scene import Scene
from sim.task import Layout, Part, Prop

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RandomiseConfig:
    """How far an episode's world may be from the nominal one. Raises ValueError that names a bad value."""

    mass: float = 0.0
    """Each thing weighs up to this share more or less."""
    friction: float = 0.0
    """Each thing's friction is up to this share more or less."""
    size: float = 0.0
    """Each thing that lies free is up to this share larger or smaller; a peg of 3 cm has 2 mm to spare on a
    side. The world is built anew for every episode; pictures and consoles show the nominal size."""
    delay_steps: int = 0
    """Actions reach the arm up to so many control steps late; in lockstep."""
    tool_noise_m: float = 0.0
    """Standard deviation of where the policy sees the tool, on each axis, drawn anew every step."""
    thing_noise_m: float = 0.0
    """The same of every thing that is no marker."""
    thing_noise_rad: float = 0.0
    """Standard deviation of how far the policy sees things turned about the vertical."""

    def __post_init__(self) -> None:
        for name, most in (("mass", 0.9), ("friction", 0.9), ("size", 0.3), ("delay_steps", 20)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"randomise.{name} is {getattr(self, name)}: it must be from 0 to {most}")
        for name in ("tool_noise_m", "thing_noise_m", "thing_noise_rad"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"randomise.{name} is {getattr(self, name)}: it must be from 0 to 1")

    @property
    def is_off(self) -> bool:
        return self == _OFF

    def draw(self, rng: np.random.Generator, props: Sequence[Prop]) -> Variation:
        """What one episode gets; nothing is drawn from `rng` where all is off."""
        if self.is_off:
            return NOMINAL
        things = [prop.name for prop in props if not prop.is_marker]
        free = [prop.name for prop in props if is_free(prop)]
        mass, friction = (rng.uniform(1 - far, 1 + far, len(things)) for far in (self.mass, self.friction))
        size = rng.uniform(1 - self.size, 1 + self.size, len(free))
        return Variation(
            mass=dict(zip(things, mass.tolist(), strict=True)),
            friction=dict(zip(things, friction.tolist(), strict=True)),
            size=dict(zip(free, size.tolist(), strict=True)) if self.size else {},
            delay_steps=int(rng.integers(self.delay_steps + 1)),
            tool_noise_m=self.tool_noise_m,
            thing_noise_m=self.thing_noise_m,
            thing_noise_rad=self.thing_noise_rad,
            noise_seed=int(rng.integers(2**31)),
        )


class Variation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is particular to one episode: factors by the name of the thing, and the rest as in the config."""

    mass: Mapping[str, float] = {}
    friction: Mapping[str, float] = {}
    size: Mapping[str, float] = {}
    delay_steps: int = 0
    tool_noise_m: float = 0.0
    thing_noise_m: float = 0.0
    thing_noise_rad: float = 0.0
    noise_seed: int = 0

    def prop(self, prop: Prop) -> Prop:
        """`prop` as it is in this episode."""
        factor = self.size.get(prop.name, 1.0)
        return replace(
            prop,
            mass_kg=prop.mass_kg * self.mass.get(prop.name, 1.0),
            friction=prop.friction * self.friction.get(prop.name, 1.0),
            half_extents_m=_scaled(prop.half_extents_m, factor),
            parts=tuple(
                Part(_scaled(part.half_extents_m, factor), _scaled(part.at_m, factor)) for part in prop.parts
            ),
        )

    def layout(self, layout: Layout, props: Sequence[Prop]) -> Layout:
        """The start with things of this size standing where they stood."""
        raised = {
            prop.name: np.array([0.0, 0.0, prop.half_extents_m[2] * (self.size[prop.name] - 1), *[0.0] * 4])
            for prop in props
            if prop.name in self.size
        }
        poses = {name: pose + raised.get(name, 0.0) for name, pose in layout.poses.items()}
        return replace(layout, poses=poses)

    def seen(self, scene: Scene, step: int, props: Sequence[Prop]) -> Scene:
        """What the policy sees of `scene` at that step of the episode."""
        if not (self.tool_noise_m or self.thing_noise_m or self.thing_noise_rad):
            return scene
        rng = np.random.default_rng((self.noise_seed, step))
        tool = scene.tool_pos_m + rng.normal(0.0, 1.0, 3) * self.tool_noise_m
        objects = dict(scene.objects)
        for prop in props:
            if not prop.is_marker:
                moved = rng.normal(0.0, 1.0, 3) * self.thing_noise_m
                turned = rng.normal() * self.thing_noise_rad
                objects[prop.name] = _elsewhere(objects[prop.name], moved, turned)
        return replace(scene, tool_pos_m=tool, objects=objects)


_OFF = RandomiseConfig()
NOMINAL = Variation()


def is_free(prop: Prop) -> bool:
    """Whether it is a thing that nothing holds."""
    return not (prop.is_marker or prop.fixed or prop.slides is not None)


def _scaled(lengths: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    x, y, z = lengths
    return x * factor, y * factor, z * factor


def _elsewhere(pose: Array, moved_m: Array, turned_rad: float) -> Array:
    """A pose (7,) that is moved, and turned about the vertical."""
    x, y, z, w = pose[3:]
    sin, cos = np.sin(turned_rad / 2), np.cos(turned_rad / 2)
    turned = [cos * x - sin * y, cos * y + sin * x, cos * z + sin * w, cos * w - sin * z]
    return np.concatenate([pose[:3] + moved_m, turned])
