"""A host to try with any bytes: before its arm lies a cube, and whoever likes has a link to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import zmq

from hardware.clock import MonotonicClock
from hardware.drivers.fake import FakeArm
from hardware.robot import RobotError, Vector
from hardware.security import ClientSecurity, Role, ServerSecurity, make_client, make_server
from tests.hardware.host.served import PATIENCE_S, Hand, moved, serving, until
from tests.hardware.host.spoilt import CUBE
from tests.hardware.host.stand import SPEED_M_S, STALE_S

MESSAGES = int(os.environ.get("ROBOT_RLHF_FUZZ", "1000"))
GROWTH_MB = 30.0  # the allocator's own; a leak of a message each would be more
Link = zmq.Socket[bytes]


class Table(FakeArm):
    """A simulated arm before a cube. Neither is ever put elsewhere."""

    def __init__(self) -> None:
        super().__init__(MonotonicClock())
        self.laid_out = 0
        """How often it was told to be, and could."""

    def objects(self) -> Mapping[str, Vector]:
        return {"cube": CUBE}

    def lay_out(self, tool_pos_m: Vector, opening: float, poses: Mapping[str, Vector]) -> None:
        if poses.keys() != {"cube"}:
            raise ValueError(f"there is {sorted(poses)}: there must be a cube alone")
        self.laid_out += 1


class Rig:
    """A host, with keys or without, a client of it, and links of somebody else's making with the same key."""

    def __init__(self, stack: ExitStack, keys: Path | None) -> None:
        """`keys` is a folder that is not there yet."""
        self.key: ClientSecurity | None = None
        self.keys, security = keys, None
        if keys is not None:
            make_server(keys)
            self.key = ClientSecurity(make_client(keys, "eve", Role.OPERATOR))
            security = ServerSecurity(keys)
        self.served, hand = stack.enter_context(serving(make=Table, security=security))
        self.one: Hand = hand(stale_s=STALE_S, timeout_s=PATIENCE_S, security=self.key)
        self.one.robot.arm()
        self._context: zmq.Context[Link] = zmq.Context()
        stack.callback(self._context.destroy, linger=0)

    def link(self, kind: int, address: str) -> Link:
        """A socket of that kind, connected."""
        link = self._context.socket(kind)
        if self.key is not None:
            link.curve_secretkey = self.key.secret_key.encode()
            link.curve_publickey = self.key.public_key.encode()
            link.curve_serverkey = self.key.server_key.encode()
        link.connect(address)
        return link

    def goes_on(self) -> None:
        """Whatever has been sent, the arm can be stopped, cleared, armed, led and driven."""
        self.one.robot.stop_and_wait()
        until(self._leads)
        self.one.drive(SPEED_M_S, moved)

    def _leads(self) -> bool:
        """Whether the client leads, which it may once the lease of a link has run out, and the last STOP that
        was sent has been heard."""
        with suppress(RobotError):
            self.one.robot.clear_fault()
            self.one.lead()
            return True
        return False
