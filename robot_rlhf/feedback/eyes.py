"""The cameras beside an arm, at an operator's end of the wire: only those that are looked at send."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from hardware.cameras.remote import RemoteCamera
from hardware.security import ClientSecurity
from hardware.transport import Endpoint, TransportError
from hardware.transport.addresses import is_loopback


class Eyes:
    """Cameras by name, straight from the arm's host. Nothing here waits."""

    def __init__(self, security: ClientSecurity | None) -> None:
        self._security = security
        self._offered: Mapping[str, str] = {}
        self._is_here = True
        self._cameras: dict[str, RemoteCamera] = {}
        self._unseen: dict[str, str] = {}  # those that are looked at and cannot be, and why

    @property
    def names(self) -> tuple[str, ...]:
        """Every camera that there is."""
        return tuple(self._offered)

    @property
    def looked_at(self) -> tuple[str, ...]:
        """Those that are to send."""
        return (*self._cameras, *self._unseen)

    @property
    def endpoints(self) -> list[Endpoint]:
        """What may have something to take in."""
        return [camera.endpoint for camera in self._cameras.values()]

    def offered(self, cameras: Mapping[str, str], *, is_here: bool) -> None:
        """These are there from now on: where each publishes, by name. `is_here`: the session's loopback is
        ours."""
        if (cameras, is_here) != (self._offered, self._is_here):
            self.close()
            self._offered, self._is_here = dict(cameras), is_here

    def look_at(self, names: Collection[str]) -> None:
        """These shall send from now on, and no others. A name that no camera has is left out."""
        for name in [name for name in self._cameras if name not in names]:
            self._cameras.pop(name).close()
        self._unseen = {name: why for name, why in self._unseen.items() if name in names}
        for name in names:
            if name in self._offered and name not in self._cameras and name not in self._unseen:
                self._open(name, self._offered[name])

    def _open(self, name: str, address: str) -> None:
        if not self._is_here and is_loopback(urlsplit(address).hostname or ""):
            self._unseen[name] = f"it publishes on the session's own machine alone ({address})"
            return
        try:
            self._cameras[name] = RemoteCamera(name, address, security=self._security)
        except TransportError as error:
            self._unseen[name] = str(error)

    def service(self) -> None:
        """Take in what has come."""
        for camera in self._cameras.values():
            camera.service()

    def seen(self, name: str) -> tuple[bytes | None, str]:
        """The newest picture of a camera that is looked at, a JPEG, and why what it sees now is not known;
        that is empty where it is."""
        camera = self._cameras.get(name)
        if camera is None:
            return None, self._unseen.get(name, "no picture has come yet")
        return None if camera.picture is None else camera.picture.jpeg, camera.trouble

    def close(self) -> None:
        """Look at none any more."""
        for camera in self._cameras.values():
            camera.close()
        self._cameras.clear()
        self._unseen.clear()
