"""The host's end of its cameras: each a process of its own, which is started again where it ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from hardware.cameras import NAME
from hardware.robot import RobotError

STARTS_S = 20.0
"""A camera that has given no picture by then is not there."""
_AGAIN_S = 1.0
_ENDS_S = 3.0


class CameraServer:
    """Publishes what one camera sees, beside the address `bind` of a host, until `close`."""

    def __init__(self, said: str, bind: str, keys: Path | None) -> None:
        """`said` is NAME=WORDS, see `hardware.cameras`. Raises RobotError for a camera that is not there."""
        self.name, sign, self._words = said.partition("=")
        if not sign or not NAME.fullmatch(self.name):
            raise RobotError(
                f"the camera {said!r} must be NAME=WORDS such as front=opencv:0, NAME of 1 to 32 letters, "
                "digits, - and _"
            )
        self.told: SimpleQueue[str] = SimpleQueue()
        """What came to pass since somebody last looked."""
        self._keys = [] if keys is None else ["--keys", str(keys)]
        self._over, self._lock = threading.Event(), threading.Lock()
        self._process: subprocess.Popen[str]
        self.address = self._start(f"{bind.rpartition(':')[0]}:*")
        """Where it publishes, tcp://HOST:PORT."""
        self.port = int(self.address.rpartition(":")[2])
        self._thread = threading.Thread(target=self._keep, name=f"camera-{self.name}", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The process that it is at the moment."""
        return self._process.pid

    def _start(self, bind: str) -> str:
        """Start the process; where it publishes. Raises RobotError where it does not."""
        with self._lock:
            if self._over.is_set():
                raise RobotError(f"camera {self.name} is closed")
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "hardware.cameras", "--name", self.name, "--camera", self._words,
                 "--bind", bind, *self._keys],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        impatience = threading.Timer(STARTS_S, process.kill)
        impatience.start()
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        impatience.cancel()
        if said.startswith("tcp://"):
            return said
        process.wait()
        _clear_away(process)
        raise RobotError(f"camera {self.name}: {said or f'no picture within {STARTS_S:g} s'}")

    def _keep(self) -> None:
        """Start the process again at its address whenever it ends."""
        while True:
            code = self._process.wait()
            _clear_away(self._process)
            if self._over.is_set():
                return
            self.told.put(f"camera {self.name} has ended (code {code}) and is started again")
            while not self._over.wait(_AGAIN_S):
                with suppress(RobotError, OSError):
                    self._start(self.address)
                    break

    def close(self) -> None:
        """End it. Calling it twice is fine."""
        with self._lock:
            self._over.set()
            process = self._process
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_ENDS_S)
        except subprocess.TimeoutExpired:
            process.kill()
        self._thread.join()


def _clear_away(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def served(said: Sequence[str], bind: str, keys: Path | None) -> list[CameraServer]:
    """All of them, or none. Raises RobotError as `CameraServer` does, and for a name that comes twice."""
    cameras: list[CameraServer] = []
    try:
        for one in said:
            name = one.partition("=")[0]
            if any(each.name == name for each in cameras):
                raise RobotError(f"two cameras are called {name!r}")
            cameras.append(CameraServer(one, bind, keys))
    except BaseException:
        for camera in cameras:
            camera.close()
        raise
    return cameras
