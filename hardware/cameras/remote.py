"""A camera at the other end of a wire: its newest picture, and how old it is."""

from __future__ import annotations

import time

from hardware import wire
from hardware.cameras import CameraError
from hardware.clock import NS_PER_S
from hardware.security import ClientSecurity
from hardware.transport import Subscriber, wait

STALE_S = 1.0
"""A picture that came longer ago shows the past, and `trouble` says so."""


class RemoteCamera:
    """The camera `name` that publishes at `address`, tcp://HOST:PORT. Nothing here waits: call `service`
    often. Whoever does not listen costs the link nothing. Not for use from several threads."""

    def __init__(self, name: str, address: str, *, security: ClientSecurity | None = None) -> None:
        """Raises TransportError for an address that is none, or not loopback without `security`."""
        self.name, self.address = name, address
        self.picture: wire.Picture | None = None
        """The newest that came; None before there was one."""
        self._blind = ""
        self._came_ns = time.monotonic_ns()
        self.endpoint: Subscriber[wire.Seen] = Subscriber(
            address,
            wire.Seen,
            security=security,
            topics=(name,),
            newest=True,
            max_bytes=wire.MAX_SEEN_BYTES,
            hwm=2,
        )

    def service(self) -> None:
        """Take in what has come. Raises TransportError once closed."""
        while (heard := self.endpoint.receive()) is not None:
            self._came_ns = time.monotonic_ns()
            match heard[1]:
                case wire.Picture() as picture:
                    self.picture, self._blind = picture, ""
                case wire.Blind(text=text):
                    self._blind = text

    @property
    def age_s(self) -> float:
        """Seconds since something last came from there."""
        return (time.monotonic_ns() - self._came_ns) / NS_PER_S

    @property
    def trouble(self) -> str:
        """Why what it sees now is not known, in words; empty where it is."""
        if self._blind:
            return self._blind
        if self.age_s < STALE_S:
            return "" if self.picture is not None else "no picture has come yet"
        what = (
            "no picture has come" if self.picture is None else f"its newest picture is {self.age_s:.1f} s old"
        )
        why = self.endpoint.rejection
        return f"{what}: {why}" if why else what

    def wait(self, timeout_s: float) -> wire.Picture:
        """The next picture. Raises CameraError where none comes in time."""
        before, deadline_ns = self.picture, time.monotonic_ns() + round(timeout_s * NS_PER_S)
        while (picture := self.picture) is before or picture is None:
            if time.monotonic_ns() >= deadline_ns:
                raise CameraError(f"camera {self.name} at {self.address}: {self.trouble or 'no new picture'}")
            wait([self.endpoint], deadline_ns)
            self.service()
        return picture

    def close(self) -> None:
        """Calling it twice is fine."""
        self.endpoint.close()
