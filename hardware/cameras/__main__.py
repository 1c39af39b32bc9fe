"""One camera's process: it takes pictures and publishes them, so that a device that hangs holds up no arm.

It says on its standard output where it publishes, or why it cannot, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from hardware import wire
from hardware.cameras import Camera, CameraError, checked, make_camera
from hardware.robot import RobotError
from hardware.security import SecurityError, ServerSecurity
from hardware.transport import Publisher, TransportError

AGAIN_S = 1.0
"""After so long a camera that failed is opened anew."""
_ENDS_S = 2.0  # a device that hangs is left hanging after so long
_WAITING = 2  # pictures for each listener: what waits grows old


class _Pictures:
    """What a camera sees, one picture after another, and why there is none."""

    def __init__(self, name: str, words: str) -> None:
        """Raises RobotError for a camera that gives no picture."""
        self._name, self._words, self._seq = name, words, 0
        self._camera: Camera | None = make_camera(words)
        first = self.next()
        if isinstance(first, wire.Blind):
            raise CameraError(first.text)

    def next(self) -> wire.Seen:
        """Waits for it, or says why there is none. An error that is not about the camera ends the process."""
        try:
            if self._camera is None:
                self._camera = make_camera(self._words)
            jpeg = checked(self._camera.picture(), wire.MAX_PICTURE_BYTES, "a picture")
        except RobotError as error:
            self.close()
            return wire.Blind(camera=self._name, text=wire.text(error))
        self._seq += 1
        return wire.Picture(
            camera=self._name,
            seq=self._seq,
            taken_ns=time.monotonic_ns(),
            wall_ns=time.time_ns(),
            jpeg=jpeg,
        )

    def close(self) -> None:
        if self._camera is not None:
            self._camera.close()
            self._camera = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Publish until standard input ends. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hardware.cameras", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--camera", required=True, metavar="WORDS")
    parser.add_argument("--bind", default="tcp://127.0.0.1:*", metavar="tcp://HOST:PORT")
    parser.add_argument("--keys", type=Path, metavar="DIR")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the host, which ends us
    over = threading.Event()
    threading.Thread(target=_end_with_input, args=(over,), daemon=True).start()
    try:
        pictures = _Pictures(asked.name, asked.camera)
        security = None if asked.keys is None else ServerSecurity(asked.keys)
        publisher = Publisher(asked.bind, security=security, max_send_bytes=wire.MAX_SEEN_BYTES, hwm=_WAITING)
    except (RobotError, SecurityError, TransportError) as error:
        print(error, flush=True)
        return 1
    print(publisher.address, flush=True)
    while not over.is_set():
        seen = pictures.next()
        publisher.publish(asked.name, seen)
        if isinstance(seen, wire.Blind):
            over.wait(AGAIN_S)
    pictures.close()
    publisher.close()
    return 0


def _end_with_input(over: threading.Event) -> None:
    """Whoever started us holds the other end, and lets go of it in dying."""
    while os.read(0, 1_024):  # not through sys.stdin, whose lock an exit waits for
        pass
    over.set()
    time.sleep(_ENDS_S)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
