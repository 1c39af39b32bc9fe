"""Where things are on the table of an arm: a source beside the robot, chosen by name.

A policy that works from poses needs one. What the simulation knows comes over its arm's wire; a real table
has a tracker, or a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from hardware import factories
from hardware.remote import RemoteRobot
from hardware.robot import RobotError, Vector, pose

HOST, FILE, NONE = "host", "file:", "none"


class PerceptionError(RobotError):
    """A source that is not there, or does not know where things are at this moment."""


@runtime_checkable
class Perception(Protocol):
    """A source of poses. A tracker of your own is a factory without arguments that makes one."""

    def poses(self) -> Mapping[str, Vector]:
        """name -> (7,): position in m and quaternion xyzw, in the arm's base frame, as they are now. Never
        waits. Raises PerceptionError while it does not know."""
        ...

    def close(self) -> None:
        """Let go of what it uses; twice is fine."""
        ...


class Nothing:
    """An arm without any source."""

    def poses(self) -> Mapping[str, Vector]:
        return {}

    def close(self) -> None:
        """There is nothing to let go of."""


class HostPerception:
    """What a served simulated arm stands before, over its wire."""

    def __init__(self, robot: RemoteRobot) -> None:
        self._robot = robot

    def poses(self) -> Mapping[str, Vector]:
        return self._robot.objects

    def close(self) -> None:
        """The robot is another's."""


class FilePerception:
    """A JSON file {"cube": [x, y, z, qx, qy, qz, qw], ...}, read again whenever it has changed: for things
    that lie where they were measured to."""

    def __init__(self, path: Path) -> None:
        """Raises PerceptionError for a file that is not there or makes no sense."""
        self._path = path
        self._changed_ns = -1
        self._poses: dict[str, Vector] = {}
        self.poses()

    def poses(self) -> Mapping[str, Vector]:
        try:
            changed_ns = self._path.stat().st_mtime_ns
            if changed_ns != self._changed_ns:
                self._poses, self._changed_ns = self._read(), changed_ns
        except (OSError, ValueError) as error:
            raise PerceptionError(f"perception {FILE}{self._path}: {error}") from error
        return self._poses

    def _read(self) -> dict[str, Vector]:
        said = json.loads(self._path.read_bytes())
        if not isinstance(said, dict):
            raise ValueError('expected {"name": [x, y, z, qx, qy, qz, qw], ...}')
        return {str(name): pose(numbers, str(name)) for name, numbers in said.items()}

    def close(self) -> None:
        """The file is closed already."""


class OwnPerception:
    """A tracker of somebody's own: whatever it raises is a PerceptionError here that names it, and its poses
    make sense or are refused."""

    def __init__(self, said: str, factory: factories.Factory) -> None:
        """Raises PerceptionError where `factory` makes none."""
        self._said = said
        try:
            made = factory()
        except Exception as error:
            raise self._told(error) from error
        if not isinstance(made, Perception):
            raise PerceptionError(
                f"perception {said} made a {type(made).__name__}, which has no poses() or close()"
            )
        self._source = made

    def poses(self) -> Mapping[str, Vector]:
        try:
            sees: object = self._source.poses()
            if not isinstance(sees, Mapping):
                raise ValueError(f"poses() gave a {type(sees).__name__}, expected poses by name")
            return {str(name): pose(numbers, str(name)) for name, numbers in sees.items()}
        except Exception as error:
            raise self._told(error) from error

    def close(self) -> None:
        try:
            self._source.close()
        except Exception as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> PerceptionError:
        return PerceptionError(f"perception {self._said}: {factories.in_words(error)}")


def make_perception(said: str, robot: RemoteRobot) -> Perception:
    """The source `host`, `file:PATH`, `none` or `MODULE:FACTORY`. Raises PerceptionError for others."""
    if said == NONE:
        return Nothing()
    if said == HOST:
        if not robot.welcome.lays_out:
            raise PerceptionError(
                f"perception host: {robot.spec.name} knows of no things before it, only a simulated arm "
                f"does; say {FILE}PATH or MODULE:FACTORY"
            )
        return HostPerception(robot)
    if said.startswith(FILE):
        return FilePerception(Path(said.removeprefix(FILE)))
    if ":" not in said:
        raise PerceptionError(
            f"no perception {said!r} (there are {HOST}, {FILE}PATH, {NONE}, MODULE:FACTORY)"
        )
    try:
        factory = factories.load(said, f"perception {said}")
    except RobotError as error:
        raise PerceptionError(str(error)) from error
    return OwnPerception(said, factory)
