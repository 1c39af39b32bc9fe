"""`robot-host`: serve an arm. Runs on the robot's PC and needs neither torch nor a simulator."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from hardware.cameras.server import served
from hardware.drivers import make_driver, names, options_of
from hardware.host.host import Host
from hardware.robot import RobotError
from hardware.security import SecurityError, ServerSecurity
from hardware.transport import TransportError, check_bind
from hardware.transport.addresses import reachable

_LOOK_NS = 50_000_000  # how often it is looked whether the program shall end
WARNING = "This program is no safety device: keep the arm's emergency stop within reach."


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM, then stop the arm. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="robot-host", description=__doc__, epilog=WARNING)
    parser.add_argument("--driver", required=True, help=f"the arm: {', '.join(names())}, or MODULE:FACTORY")
    parser.add_argument(
        "--option", action="append", nargs="+", default=[], metavar="NAME=VALUE", help="said to the driver"
    )
    parser.add_argument(
        "--bind", default="tcp://127.0.0.1:5555", metavar="tcp://HOST:PORT",
        help="where it is asked; the other ports are told to whoever asks (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--keys",
        type=Path,
        metavar="DIR",
        help="folder of `robot-rlhf keys make`: for other machines' clients",
    )
    parser.add_argument(
        "--camera", action="append", nargs="+", default=[], metavar="NAME=WORDS",
        help="a camera beside the arm: front=opencv:0,size=640x480, front=file:FOLDER of JPEGs, "
        "front=pattern, front=MODULE:FACTORY",
    )  # fmt: skip
    parser.add_argument(
        "--record", metavar="DIR",
        help="write the last minute there whenever the arm is stopped by a fault or STOP; none: nowhere "
        "(default: ~/.local/state/robot-host/ARM for a real arm, none for a simulated one)",
    )  # fmt: skip
    asked = parser.parse_args(arguments)
    over = threading.Event()  # an exception out of a handler can be lost, in a destructor say
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: over.set())
    try:
        return _serve(asked, over)
    except (RobotError, TransportError, SecurityError) as error:
        print(f"robot-host: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


def _records(arm: str) -> str:
    """Where the records of an arm go by themselves (XDG Base Directory Specification 0.8)."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return str(Path(state) / "robot-host" / arm)


def _serve(asked: argparse.Namespace, over: threading.Event) -> int:
    security = None if asked.keys is None else ServerSecurity(asked.keys)
    options = options_of([word for words in asked.option for word in words])
    check_bind(asked.bind, keys=security is not None)  # before anything is done to a real arm
    with contextlib.ExitStack() as made:
        cameras = served([one for words in asked.camera for one in words], asked.bind, asked.keys)
        for camera in cameras:
            made.callback(camera.close)
        robot = make_driver(asked.driver, options)
        made.callback(robot.close)
        record = asked.record or ("none" if robot.spec.simulated else _records(robot.spec.name))
        folder = None if record == "none" else Path(record)
        host = Host(robot, asked.bind, security=security, record=folder, cameras=cameras)
        made.pop_all()
    where, spec = host.addresses, robot.spec
    kind = "simulated" if spec.simulated else "a real arm"
    best, *others = reachable(where.rpc)
    also = f", also {', '.join(others)}" if others else ""
    print(f"{spec.name} at {best} ({kind}, {spec.control_hz:g} Hz{also})")
    beside = [(name, reachable(getattr(where, name))[0]) for name in ("commands", "stop", "states")]
    print(", ".join(f"{name} {address}" for name, address in beside))
    for camera in cameras:
        print(f"camera {camera.name} at {reachable(camera.address)[0]}")
    if folder is not None:
        print(f"the last minute before a stop goes to {folder}")
    print(WARNING, flush=True)
    try:
        while not over.is_set():
            host.turn_until(time.monotonic_ns() + _LOOK_NS)
    finally:
        host.close()
    print("robot-host: stopped", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
