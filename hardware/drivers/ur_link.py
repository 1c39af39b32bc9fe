"""What the driver `ur` and its process (`ur_process.py`) say to each other, and that process from here."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress

import msgspec

from hardware.clock import NS_PER_S
from hardware.robot import RobotError

LONGEST = 8192  # bytes of a message
PROTECTIVE = "protective stop"
ENDED = "the control program was ended"

_STALE_S = 0.3
_CONNECTS_S = 6.0
_FINISHES_S = 3.0


def received(other: socket.socket) -> bytes:
    """The next message, nothing where there is nobody any more. Raises BlockingIOError where none waits."""
    try:
        return other.recv(LONGEST)
    except ConnectionError:  # it ended before it had read all
        return b""


class Start(msgspec.Struct, frozen=True):
    """The first message to the process. `output`, "out0" say, switches the gripper; "" where there is none.
    With `unlock` a protective stop is unlocked."""

    host: str
    watchdog_s: float
    output: str
    unlock: bool


class Order(msgspec.Struct, frozen=True):
    """A twist (m/s, rad/s) to hold for so long, and whether the gripper shall be closed, None to leave it."""

    twist: tuple[float, float, float, float, float, float]
    acceleration_m_s2: float
    lasts_s: float
    closed: bool | None


class Seen(msgspec.Struct, frozen=True, tag=True):
    """What the controller says; `pose` is m and a rotation vector in rad, `time_ns` is monotonic."""

    time_ns: int
    joint_pos_rad: list[float]
    joint_vel_rad_s: list[float]
    pose: list[float]
    twist: list[float]
    wrench: list[float]
    closed: bool
    faults: list[str]


class Lost(msgspec.Struct, frozen=True, tag=True):
    """The last message of the process."""

    reason: str


class Link:
    """The process that talks to the controller at `host`. It is there at once; `connect` comes next."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LONGEST)  # what waits is soon old
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hardware.drivers.ur_process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdout=2,  # where ur-rtde says things of its own
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._socket.setblocking(False)
        self._messages = msgspec.msgpack.Decoder(Seen | Lost)
        self._seen: Seen | None = None

    def connect(self, start: Start) -> None:
        """Wait for the first state. Raises RobotError, and is over, where none comes or the arm may not be
        moved."""
        self.tell(start)
        try:
            self._hear(_CONNECTS_S)
        except RobotError:
            self.kill()
            raise

    @property
    def seen(self) -> Seen:
        """What `look` saw last."""
        assert self._seen is not None
        return self._seen

    def look(self) -> Seen:
        """What is newest. Raises RobotError where nothing fresh comes."""
        self._hear(0.0)
        if self._is_old():  # or this process was held up itself
            self._hear(_STALE_S / 4.0)
        if self._is_old():
            raise RobotError(
                f"no state of the UR controller at {self._host} for {_STALE_S:g} s: frozen, or cut off"
            )
        return self.seen

    def tell(self, what: Start | Order) -> None:
        with suppress(OSError):  # it is gone or hangs: `look` says so
            self._socket.send(msgspec.msgpack.encode(what))

    def finish(self) -> None:
        """Let it bring the arm to rest and end the program."""
        self._socket.close()
        try:
            self._process.wait(_FINISHES_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _is_old(self) -> bool:
        return time.monotonic_ns() - self.seen.time_ns > _STALE_S * NS_PER_S

    def _hear(self, wait_s: float) -> None:
        """Take in all that has come, and wait for something if nothing has."""
        if not select.select([self._socket], [], [], wait_s)[0]:
            if self._seen is None:
                raise RobotError(f"no UR controller answers at {self._host} within {wait_s:g} s")
            return
        with suppress(BlockingIOError):
            while data := received(self._socket):
                said = self._messages.decode(data)
                if isinstance(said, Lost):
                    raise RobotError(f"the UR controller at {self._host}: {said.reason}")
                self._seen = said
            raise RobotError(f"the UR controller at {self._host}: the connection was lost")
