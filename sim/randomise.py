"""What may differ from one episode to the next beyond where it starts: things, delay, senses, cameras, light.

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
from sim.viewpoint import VIEWPOINTS, Viewpoint

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
    side. The world is built anew for every episode; pictures show this size, consoles the nominal one."""
    delay_steps: int = 0
    """Actions reach the arm up to so many control steps late; in lockstep."""
    tool_noise_m: float = 0.0
    """Standard deviation of where the policy sees the tool, on each axis, drawn anew every step."""
    thing_noise_m: float = 0.0
    """The same of every thing that is no marker."""
    thing_noise_rad: float = 0.0
    """Standard deviation of how far the policy sees things turned about the vertical."""
    camera_m: float = 0.0
    """Each camera stands up to so far off its place, on each axis."""
    camera_deg: float = 0.0
    """Each camera is turned up to so far, sideways and up or down, about what it looks at."""
    camera_field: float = 0.0
    """Each camera's field of view is up to this share wider or narrower."""
    light: float = 0.0
    """The light is up to this share stronger or weaker, all of it and what falls from one side."""
    colour: float = 0.0
    """Each thing is up to this share lighter or darker in red, green and blue, each by itself."""

    def __post_init__(self) -> None:
        for name, most in (
            ("mass", 0.9),
            ("friction", 0.9),
            ("size", 0.3),
            ("delay_steps", 20),
            ("camera_m", 0.3),
            ("camera_deg", 45),
            ("camera_field", 0.5),
            ("light", 0.9),
            ("colour", 0.9),
        ):
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
        drawn = Variation(
            mass=dict(zip(things, mass.tolist(), strict=True)),
            friction=dict(zip(things, friction.tolist(), strict=True)),
            size=dict(zip(free, size.tolist(), strict=True)) if self.size else {},
            delay_steps=int(rng.integers(self.delay_steps + 1)),
            tool_noise_m=self.tool_noise_m,
            thing_noise_m=self.thing_noise_m,
            thing_noise_rad=self.thing_noise_rad,
            noise_seed=int(rng.integers(2**31)),
        )
        looks = self.camera_m, self.camera_deg, self.camera_field, self.light, self.colour
        return drawn if not any(looks) else msgspec.structs.replace(drawn, look=self._look(rng, props))

    def _look(self, rng: np.random.Generator, props: Sequence[Prop]) -> Look:
        """How one episode looks; the same for a camera whichever others there are."""
        most = np.array([*[self.camera_m] * 3, *[self.camera_deg] * 2])
        moved = rng.uniform(-most, most, (len(VIEWPOINTS), 5)).tolist()
        field = rng.uniform(1 - self.camera_field, 1 + self.camera_field, len(VIEWPOINTS)).tolist()
        ambient, diffuse = rng.uniform(1 - self.light, 1 + self.light, 2).tolist()
        colour = rng.uniform(1 - self.colour, 1 + self.colour, (len(props), 3)).tolist()
        return Look(
            cameras={
                name: Moved((x, y, z), yaw, pitch, wider)
                for name, (x, y, z, yaw, pitch), wider in zip(VIEWPOINTS, moved, field, strict=True)
            },
            ambient=ambient,
            diffuse=diffuse,
            colour={prop.name: (r, g, b) for prop, (r, g, b) in zip(props, colour, strict=True)},
        )


class Moved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a camera differs from its nominal self: moved, turned about what it looks at, its field so many
    times as high."""

    by_m: tuple[float, float, float]
    yaw_deg: float
    pitch_deg: float
    field: float

    def viewpoint(self, view: Viewpoint) -> Viewpoint:
        """`view` as it is in this episode."""
        x, y, z = (float(at + by) for at, by in zip(view.look_at_m, self.by_m, strict=True))
        return replace(
            view,
            look_at_m=(x, y, z),
            yaw_deg=view.yaw_deg + self.yaw_deg,
            pitch_deg=float(np.clip(view.pitch_deg + self.pitch_deg, -89.0, 89.0)),
            field_deg=float(np.clip(view.field_deg * self.field, 5.0, 120.0)),
        )


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an episode looks through its cameras: factors of light and of the things' colours."""

    cameras: Mapping[str, Moved] = {}
    ambient: float = 1.0
    diffuse: float = 1.0
    colour: Mapping[str, tuple[float, float, float]] = {}


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
    look: Look = Look()

    def prop(self, prop: Prop) -> Prop:
        """`prop` as it is in this episode."""
        factor = self.size.get(prop.name, 1.0)
        return replace(
            prop,
            mass_kg=prop.mass_kg * self.mass.get(prop.name, 1.0),
            friction=prop.friction * self.friction.get(prop.name, 1.0),
            half_extents_m=scaled(prop.half_extents_m, factor),
            parts=tuple(
                Part(scaled(part.half_extents_m, factor), scaled(part.at_m, factor)) for part in prop.parts
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


def scaled(lengths: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    """Lengths so many times as long."""
    x, y, z = lengths
    return x * factor, y * factor, z * factor


def _elsewhere(pose: Array, moved_m: Array, turned_rad: float) -> Array:
    """A pose (7,) that is moved, and turned about the vertical."""
    x, y, z, w = pose[3:]
    sin, cos = np.sin(turned_rad / 2), np.cos(turned_rad / 2)
    turned = [cos * x - sin * y, cos * y + sin * x, cos * z + sin * w, cos * w - sin * z]
    return np.concatenate([pose[:3] + moved_m, turned])
