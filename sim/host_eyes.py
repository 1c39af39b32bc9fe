"""What a policy sees of a served arm: the newest pictures of its host's cameras, cut to the size that is
learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hardware.cameras.remote import RemoteCamera
from hardware.robot import RobotError
from hardware.scene import Scene
from hardware.security import ClientSecurity
from sim.jpeg import squared
from sim.pictures import Pictures
from sim.randomise import Variation

MOST_AGE_S = 0.3
"""A policy that acts ten times a second is not given a picture that came longer ago."""
_FIRST_S = 5.0


class HostEyes:
    """Cameras of an arm's host by name. Nothing here waits but its beginning: call `service` often."""

    def __init__(
        self,
        offered: Mapping[str, str],
        cameras: Sequence[str],
        size_px: int,
        security: ClientSecurity | None,
    ) -> None:
        """`offered` says where each camera publishes. Raises RobotError for one that is not among them, and
        for one that sends nothing for 5 s."""
        self.cameras, self._size_px = tuple(cameras), size_px
        self._seen: dict[str, tuple[int, bytes]] = {}  # camera -> number of its picture, and that, cut
        self._garbled: dict[str, str] = {}  # camera -> why its newest picture is none
        if missing := [name for name in cameras if name not in offered]:
            there = ", ".join(offered) or "none"
            raise RobotError(f"the host has no camera {missing[0]!r} (there are {there})")
        self._remote = [RemoteCamera(name, offered[name], security=security) for name in cameras]
        try:
            for camera in self._remote:
                camera.wait(_FIRST_S)
            self.look()
            if self._garbled:
                raise RobotError(self.trouble)
        except BaseException:
            self.close()
            raise

    def service(self) -> None:
        """Take in what has come."""
        for camera in self._remote:
            camera.service()

    @property
    def trouble(self) -> str:
        """Why what they see now is not known, in words; empty where it is."""
        for camera in self._remote:
            why = camera.trouble or self._garbled.get(camera.name, "")
            if not why and camera.age_s > MOST_AGE_S:
                why = f"its newest picture is {camera.age_s:.1f} s old"
            if why:
                return f"the camera {camera.name}: {why}"
        return ""

    def look(self, scene: Scene | None = None) -> Pictures:
        """What each of them saw last; `trouble` says where that is long ago. `scene` is not looked at."""
        self.service()
        for camera in self._remote:
            picture = camera.picture
            if picture is None or self._seen.get(camera.name, (-1, b""))[0] == picture.seq:
                continue
            try:
                self._seen[camera.name] = picture.seq, squared(picture.jpeg, self._size_px)
                self._garbled.pop(camera.name, None)
            except ValueError as error:
                self._garbled[camera.name] = str(error)
        return {name: self._seen[name][1] for name in self.cameras}

    def vary(self, variation: Variation) -> None:
        """A real table is as it is."""

    def close(self) -> None:
        """Look at none any more; twice is fine."""
        for camera in self._remote:
            camera.close()
